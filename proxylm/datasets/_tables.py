"""What is in the four record tables of ProxyLM: facts, no steps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from proxylm._remote import RemoteFile

_FOLDER = (
    "https://raw.githubusercontent.com/davidanugraha/proxylm/"
    "ad0c95e1429cd419c10a1fbcb9b8146bf3e27b28/src/proxy_regressor/csv_datasets/"
)

DISTANCES = tuple(
    "genetic geographic syntactic inventory phonological featural".split()
)

# The features of NLPerf (Xia et al. 2020) in the order of the published experiments;
# of each table those that it has.
NLPERF = (
    *DISTANCES,
    "dataset_size",
    "train_word_vocab_size",
    "dev_word_vocab_size",
    "test_word_vocab_size",
    "avg_train_sentence_length",
    "avg_dev_sentence_length",
    "avg_test_sentence_length",
    "train_dev_word_overlap",
    "train_test_word_overlap",
    "dev_test_word_overlap",
    "ttr_train",
    "ttr_dev",
    "ttr_test",
    "train_dev_ttr_distance",
    "train_test_ttr_distance",
    "dev_test_ttr_distance",
)

TRANSLATION_MODELS = ("m2m100", "nllb")
TRANSLATION_SCORES = ("spBLEU", "chrF2++", "BLEU", "chrF2", "TER", "comet")
TRANSLATION_FEATURES = (
    "dataset_size",
    *DISTANCES,
    "dev_size",
    "test_size",
    "train_word_vocab_size",
    "dev_word_vocab_size",
    "test_word_vocab_size",
    "avg_train_sentence_length",
    "avg_dev_sentence_length",
    "avg_test_sentence_length",
    "train_dev_word_overlap",
    "train_test_word_overlap",
    "dev_test_word_overlap",
    "ttr_train",
    "ttr_dev",
    "ttr_test",
    "train_dev_ttr_distance",
    "train_test_ttr_distance",
    "dev_test_ttr_distance",
    "train_dev_jsd",
    "train_test_jsd",
    "dev_test_jsd",
    "train_dev_tf_idf",
    "train_test_tf_idf",
    "dev_test_tf_idf",
    "train_dev_st_similarity",
    "train_test_st_similarity",
    "dev_test_st_similarity",
)
TRANSLATION_PROXIES = {
    "trfm": "trfm_{score}_mean",
    "small100_noft": "small100_noft_{score}_mean",
    "small100_ft": "small100_ft_{score}_mean",
    "model_noft": "{target}_noft_{score}_mean",
}

MASSIVE_MODELS = ("aya", "llama3")
MASSIVE_FEATURES = (
    "train_word_vocab_size",
    "test_word_vocab_size",
    "avg_train_sentence_length",
    "avg_test_sentence_length",
    "train_test_word_overlap",
    "ttr_train",
    "ttr_test",
    "train_test_ttr_distance",
    "train_test_jsd",
    "train_test_tf_idf",
    "train_test_st_similarity",
    *DISTANCES,
    "direction_indicator",
)
MASSIVE_PROXIES = {
    "smollm_135m": "smollm_135m_{score}",
    "smollm_360m": "smollm_360m_{score}",
    "bloomz_560m": "bloomz_560m_{score}",
}

# The published COMET experiments keep the records that have one of these languages.
COMET_LANGUAGES = frozenset(
    "afr amh hye bel mya kat guj hau ind jav kan kaz khm kir plt mar pan snd sin som "
    "tam cym xho deu zho fra kor rus vie".split()
)


def by_domain(frame: pd.DataFrame) -> pd.Series:
    """Label records as tested in the domain of the training set or in another one."""
    same = frame["train_dataset"] == frame["test_dataset"]
    return same.map({True: "same", False: "other"})


def by_source(frame: pd.DataFrame) -> pd.Series:
    """Label records with their source language."""
    return frame["source_lang"]


@dataclass(frozen=True, kw_only=True)
class RecordTable:
    """The facts about one record table.

    Parameters
    ----------
    name, title, story : str
        Short name, heading and a paragraph of description.
    remote : RemoteFile
        The file.
    n_records, n_languages : int
        Size of the table.
    targets, scores : tuple of str
        Target models and metrics.
    features : tuple of str
        Numeric columns that are no scores, in the order of the table.
    proxies : mapping of str to str
        Name of each proxy in feature sets, and the pattern of its column.
    target_column, error_column : str
        Patterns of the target and its standard error.
    dataset_columns : tuple of str or None
        Columns with the names of the training and the test set.
    indicators, pivots : tuple of str
        As in RecordSchema. The direction indicators of intent and slot were scaled and
        powered like every other feature in the published experiments, so they are
        none.
    renamed : mapping of str to str
        Columns of the file that are named otherwise in the other tables.
    languages_of_score : mapping of str to frozenset of str
        Scores that are kept for records with one of these languages only.
    strata : callable
        From the table to the labels by which the random split is stratified.
    """

    name: str
    title: str
    story: str
    remote: RemoteFile
    n_records: int
    n_languages: int
    targets: tuple[str, ...]
    scores: tuple[str, ...]
    features: tuple[str, ...]
    proxies: Mapping[str, str]
    target_column: str
    error_column: str | None = None
    dataset_columns: tuple[str | None, str | None] = (None, None)
    indicators: tuple[str, ...] = ()
    pivots: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    languages_of_score: Mapping[str, frozenset[str]] = field(default_factory=dict)
    strata: Callable[[pd.DataFrame], pd.Series] = by_source


MT560 = RecordTable(
    name="mt560",
    title="Machine translation between English and 50 languages (MT560)",
    story="""\
M2M100 1.2B and NLLB-200 1.3B were fine-tuned on one corpus of MT560 at a time, for 50
languages into and out of English, and tested on corpora of the same and of other
domains. A record is one language pair, one training set of a given size and one test
set. English is on one side of every record, and `eng_target` is 1 where it is the
target.""",
    remote=RemoteFile(
        "mt560_experiments.csv",
        _FOLDER + "mt560_experiments.csv",
        "08cc181a2e5fff06ed3e703e2f5cf1a6d1e0f4b6eb7bfff423e54ba5fcf2c2c2",
    ),
    n_records=1954,
    n_languages=51,
    targets=TRANSLATION_MODELS,
    scores=TRANSLATION_SCORES,
    features=(*TRANSLATION_FEATURES, "eng_target"),
    proxies=TRANSLATION_PROXIES,
    target_column="{target}_ft_{score}_mean",
    error_column="{target}_ft_{score}_se",
    dataset_columns=("train_dataset", "test_dataset"),
    indicators=("eng_target",),
    pivots=("eng",),
    languages_of_score={"comet": COMET_LANGUAGES},
    strata=by_domain,
)

NUSA = RecordTable(
    name="nusa",
    title="Machine translation between languages of Indonesia (NusaTranslation)",
    story="""\
M2M100 1.2B and NLLB-200 1.3B were fine-tuned on NusaTranslation for each ordered pair
of 8 languages of Indonesia and each of four training set sizes. A record is one pair
and one size; training, development and test set are the same corpus everywhere.""",
    remote=RemoteFile(
        "nusa_experiments.csv",
        _FOLDER + "nusa_experiments.csv",
        "142ba9df5cccb54be266d0f183f03a291a5e3135de0463588107aa7475bdc990",
    ),
    n_records=224,
    n_languages=8,
    targets=TRANSLATION_MODELS,
    scores=TRANSLATION_SCORES,
    features=TRANSLATION_FEATURES,
    proxies=TRANSLATION_PROXIES,
    target_column="{target}_ft_{score}_mean",
    error_column="{target}_ft_{score}_se",
    dataset_columns=("train_dataset", "test_dataset"),
    renamed={
        f"{model}_comet_score_{statistic}": f"{model}_comet_{statistic}"
        for model in (
            *("m2m100_ft", "m2m100_noft", "nllb_ft", "nllb_noft"),
            *("small100_ft", "small100_noft", "trfm"),
        )
        for statistic in ("mean", "se")
    },
)

INTENT = RecordTable(
    name="intent",
    title="Intent classification from one language to another (MASSIVE)",
    story="""\
Aya-23-8B and Llama-3-8B-Instruct were fine-tuned on the intents of MASSIVE in one of 51
languages and tested in each of them, the same language included. A record is one
ordered pair of languages. `direction_indicator` tells the two directions of a pair
apart, which have the same distances.""",
    remote=RemoteFile(
        "intent_experiments.csv",
        _FOLDER + "intent_experiments.csv",
        "ed49b08e51e50fe551c72d9f84881ccb69066e6a6afc53823603dcbe2054e3ce",
    ),
    n_records=2601,
    n_languages=51,
    targets=MASSIVE_MODELS,
    scores=("accuracy",),
    features=MASSIVE_FEATURES,
    proxies=MASSIVE_PROXIES,
    target_column="{target}_{score}",
)

SLOT = RecordTable(
    name="slot",
    title="Slot filling from one language to another (MASSIVE)",
    story="""\
Aya-23-8B and Llama-3-8B-Instruct were fine-tuned on the slots of MASSIVE in one of 51
languages and tested in each of them, the same language included. A record is one
ordered pair of languages, written with a country (`km-KH`). `direction_indicator`
(`directional_indicator` in the file) tells the two directions of a pair apart, which
have the same distances.""",
    remote=RemoteFile(
        "slot_experiments.csv",
        _FOLDER + "slot_experiments.csv",
        "063175ff453f2d2ebe09bac5a4f6d34eb8daf4560022eae40defae83ad8413db",
    ),
    n_records=2601,
    n_languages=51,
    targets=MASSIVE_MODELS,
    scores=("f1",),
    features=MASSIVE_FEATURES,
    proxies=MASSIVE_PROXIES,
    target_column="{target}_{score}",
    renamed={"directional_indicator": "direction_indicator"},
)

TABLES = (MT560, NUSA, INTENT, SLOT)
