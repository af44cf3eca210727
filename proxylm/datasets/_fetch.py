"""The record tables of ProxyLM, downloaded, verified and taken apart."""

import os
from collections.abc import Sequence

import pandas as pd
from sklearn.utils import Bunch

from proxylm._nearest import nearest
from proxylm._remote import fetch_file, get_data_home
from proxylm.records import RecordSchema, make_records
from proxylm.records._tables import EXACT_NUMBERS

from ._description import describe
from ._tables import (
    DISTANCES,
    INTENT,
    MT560,
    NLPERF,
    NUSA,
    SLOT,
    TABLES,
    RecordTable,
)
from ._udhr import describe_file


def _check_choice(table: RecordTable, parameter: str, value: str) -> None:
    known = {"target": table.targets, "score": table.scores}[parameter]
    if value not in known:
        raise ValueError(
            f"fetch_{table.name} expects {parameter} to be one of {list(known)}. "
            f"Got {value!r}.{nearest(str(value), known)}"
        )


def _named_features(
    table: RecordTable, name: str, proxies: dict[str, str]
) -> tuple[list[str], list[str]]:
    """Features and proxies of a feature set, in the order of the published runs."""
    if name == "nlperf":
        return [column for column in NLPERF if column in table.features], []
    known = ["dataset", "language", *proxies]
    names = ["ensemble", "nlperf", *known]
    parts = known if name == "ensemble" else name.split("+")
    for part in parts:
        if part not in known:
            raise ValueError(
                f"fetch_{table.name} expects features to be 'ensemble', 'nlperf', "
                f"parts joined by '+' among {known}, or a list of columns. "
                f"Got {part!r} in {name!r}.{nearest(part, names)}"
            )
    features = [
        column
        for column in table.features
        if ("language" if column in DISTANCES else "dataset") in parts
    ]
    return features, [column for part, column in proxies.items() if part in parts]


def _listed_features(
    table: RecordTable,
    names: Sequence[str],
    proxies: dict[str, str],
    known: list[str],
) -> tuple[list[str], list[str]]:
    """Features and proxies among columns named by the user, in their order."""
    if not pd.api.types.is_list_like(names) or not len(names):
        raise ValueError(
            f"fetch_{table.name} expects features to be the name of a feature set or a "
            f"list of at least 1 column. Got {names!r}."
        )
    for name in names:
        if name not in known:
            raise ValueError(
                f"fetch_{table.name} expects features to be numeric columns of the "
                "table other than the score to predict and its standard error. "
                f"Got {name!r}.{nearest(str(name), known)} "
                f"fetch_{table.name}().frame has all columns."
            )
    features = [name for name in names if name not in proxies.values()]
    return features, [name for name in names if name in proxies.values()]


def _fetch(
    table: RecordTable,
    target: str,
    score: str,
    features: str | Sequence[str],
    data_home: str | os.PathLike | None,
    download_if_missing: bool,
    drop_constant: bool,
) -> Bunch:
    _check_choice(table, "target", target)
    _check_choice(table, "score", score)
    target_column = table.target_column.format(target=target, score=score)
    error_column = table.error_column and table.error_column.format(
        target=target, score=score
    )
    proxies = {
        name: pattern.format(target=target, score=score)
        for name, pattern in table.proxies.items()
    }
    named = isinstance(features, str)
    if named:
        features, chosen_proxies = _named_features(table, features, proxies)

    path = fetch_file(table.remote, data_home, download_if_missing)
    frame = pd.read_csv(path, **EXACT_NUMBERS).rename(columns=table.renamed).dropna()
    if score in table.languages_of_score:
        languages = frame[["source_lang", "target_lang"]]
        frame = frame[languages.isin(table.languages_of_score[score]).any(axis=1)]
    frame = frame.copy()  # in one block: pandas warns of adding to 122 loose columns

    if not named:
        numeric = frame.select_dtypes("number").columns
        known = [name for name in numeric if name not in (target_column, error_column)]
        features, chosen_proxies = _listed_features(table, features, proxies, known)
    elif drop_constant:
        features = [name for name in features if frame[name].nunique() > 1]
    train_dataset, test_dataset = table.dataset_columns
    schema = RecordSchema(
        train_dataset=train_dataset,
        test_dataset=test_dataset,
        features=features,
        proxies=chosen_proxies,
        indicators=[name for name in table.indicators if name in features],
        target=target_column,
        standard_error=error_column,
        model=target,
        metric=score,
        pivots=table.pivots,
    )
    return make_records(
        frame, schema, DESCR=describe(table), strata=table.strata(frame)
    )


def fetch_mt560(
    *,
    target: str = "m2m100",
    score: str = "spBLEU",
    features: str | Sequence[str] = "ensemble",
    data_home: str | os.PathLike | None = None,
    download_if_missing: bool = True,
    drop_constant: bool = False,
) -> Bunch:
    """Fetch the MT560 records: translation between English and 50 languages.

    Parameters
    ----------
    target : {"m2m100", "nllb"}, default="m2m100"
        The model whose scores after fine-tuning are to be predicted.
    score : {"spBLEU", "chrF2++", "BLEU", "chrF2", "TER", "comet"}, default="spBLEU"
        The metric. "comet" keeps, as published, the records with one of 29 languages.
    features : str or list of str, default="ensemble"
        What to predict from:

        - "ensemble": everything, which is "dataset+language" and all proxies;
        - "nlperf": the features of NLPerf, without proxies;
        - parts joined by "+": "dataset", "language" and the proxies "trfm",
          "small100_noft", "small100_ft" and "model_noft" (the target model itself, not
          fine-tuned);
        - a list of column names.
    data_home : str or path-like, default=None
        Folder of the file; else the environment variable PROXYLM_DATA, else
        `~/proxylm_data`.
    download_if_missing : bool, default=True
        Whether the file may be downloaded. It is verified in any case.
    drop_constant : bool, default=False
        Whether features of a feature set that have a single value are left out.

    Returns
    -------
    Bunch
        1,954 records (1,714 for "comet"), as :func:`proxylm.records.make_records`
        describes them. The strata are "same" where training and test set are of one
        corpus, else "other"; English is a pivot.

    See Also
    --------
    list_datasets : All tables.
    load_published : The published errors of predictions from these records.

    References
    ----------
    .. [1] Anugraha et al. (2024). ProxyLM: predicting language model performance on
       multilingual tasks via proxy models. arXiv:2406.09334.

    Examples
    --------
    >>> from proxylm.datasets import fetch_mt560
    >>> records = fetch_mt560(target="nllb", features="language+trfm")  # doctest: +SKIP
    >>> records.data.shape, records.target.name  # doctest: +SKIP
    ((1954, 9), 'nllb_ft_spBLEU_mean')
    """
    return _fetch(
        MT560, target, score, features, data_home, download_if_missing, drop_constant
    )


def fetch_nusa(
    *,
    target: str = "m2m100",
    score: str = "spBLEU",
    features: str | Sequence[str] = "ensemble",
    data_home: str | os.PathLike | None = None,
    download_if_missing: bool = True,
    drop_constant: bool = True,
) -> Bunch:
    """Fetch the NusaTranslation records: translation between 8 languages of Indonesia.

    Parameters
    ----------
    target : {"m2m100", "nllb"}, default="m2m100"
        The model whose scores after fine-tuning are to be predicted.
    score : {"spBLEU", "chrF2++", "BLEU", "chrF2", "TER", "comet"}, default="spBLEU"
        The metric.
    features : str or list of str, default="ensemble"
        What to predict from, as in :func:`fetch_mt560`.
    data_home : str or path-like, default=None
        Folder of the file; else the environment variable PROXYLM_DATA, else
        `~/proxylm_data`.
    download_if_missing : bool, default=True
        Whether the file may be downloaded. It is verified in any case.
    drop_constant : bool, default=True
        Whether features of a feature set that have a single value are left out, as
        published. Write False to join the records with those of MT560.

    Returns
    -------
    Bunch
        224 records, as :func:`proxylm.records.make_records` describes them. The strata
        are the source languages. The columns `*_comet_score_*` of the file are called
        `*_comet_*`, as in MT560.

    See Also
    --------
    list_datasets : All tables.
    load_published : The published errors of predictions from these records.

    References
    ----------
    .. [1] Anugraha et al. (2024). ProxyLM: predicting language model performance on
       multilingual tasks via proxy models. arXiv:2406.09334.

    Examples
    --------
    >>> from proxylm.datasets import fetch_mt560, fetch_nusa
    >>> from proxylm.records import concat
    >>> both = concat({
    ...     "mt560": fetch_mt560(), "nusa": fetch_nusa(drop_constant=False)
    ... })  # doctest: +SKIP
    >>> both.data.shape  # doctest: +SKIP
    (2178, 39)
    """
    return _fetch(
        NUSA, target, score, features, data_home, download_if_missing, drop_constant
    )


def fetch_intent(
    *,
    target: str = "aya",
    score: str = "accuracy",
    features: str | Sequence[str] = "ensemble",
    data_home: str | os.PathLike | None = None,
    download_if_missing: bool = True,
    drop_constant: bool = True,
) -> Bunch:
    """Fetch the intent records: trained in one of 51 languages, tested in another.

    Parameters
    ----------
    target : {"aya", "llama3"}, default="aya"
        The model whose scores after fine-tuning are to be predicted.
    score : {"accuracy"}, default="accuracy"
        The metric, in percent.
    features : str or list of str, default="ensemble"
        What to predict from: "ensemble" (everything), "nlperf", parts joined by "+"
        among "dataset", "language" and the proxies "smollm_135m", "smollm_360m" and
        "bloomz_560m", or a list of column names.
    data_home : str or path-like, default=None
        Folder of the file; else the environment variable PROXYLM_DATA, else
        `~/proxylm_data`.
    download_if_missing : bool, default=True
        Whether the file may be downloaded. It is verified in any case.
    drop_constant : bool, default=True
        Whether features of a feature set that have a single value are left out.

    Returns
    -------
    Bunch
        2,601 records, as :func:`proxylm.records.make_records` describes them. The
        strata are the source languages.

    See Also
    --------
    list_datasets : All tables.
    load_published : The published errors of predictions from these records.

    References
    ----------
    .. [1] Anugraha et al. (2024). ProxyLM: predicting language model performance on
       multilingual tasks via proxy models. arXiv:2406.09334.

    Examples
    --------
    >>> from proxylm.datasets import fetch_intent
    >>> records = fetch_intent(target="llama3")  # doctest: +SKIP
    >>> records.groups.nunique().tolist()  # doctest: +SKIP
    [51, 51]
    """
    return _fetch(
        INTENT, target, score, features, data_home, download_if_missing, drop_constant
    )


def fetch_slot(
    *,
    target: str = "aya",
    score: str = "f1",
    features: str | Sequence[str] = "ensemble",
    data_home: str | os.PathLike | None = None,
    download_if_missing: bool = True,
    drop_constant: bool = True,
) -> Bunch:
    """Fetch the slot records: trained in one of 51 languages, tested in another.

    Parameters
    ----------
    target : {"aya", "llama3"}, default="aya"
        The model whose scores after fine-tuning are to be predicted.
    score : {"f1"}, default="f1"
        The metric, in percent.
    features : str or list of str, default="ensemble"
        What to predict from, as in :func:`fetch_intent`.
    data_home : str or path-like, default=None
        Folder of the file; else the environment variable PROXYLM_DATA, else
        `~/proxylm_data`.
    download_if_missing : bool, default=True
        Whether the file may be downloaded. It is verified in any case.
    drop_constant : bool, default=True
        Whether features of a feature set that have a single value are left out.

    Returns
    -------
    Bunch
        2,601 records, as :func:`proxylm.records.make_records` describes them. The
        strata are the source languages. The column `directional_indicator` of the file
        is called `direction_indicator`, as in the intent records.

    See Also
    --------
    list_datasets : All tables.
    load_published : The published errors of predictions from these records.

    References
    ----------
    .. [1] Anugraha et al. (2024). ProxyLM: predicting language model performance on
       multilingual tasks via proxy models. arXiv:2406.09334.

    Examples
    --------
    >>> from proxylm.datasets import fetch_slot
    >>> records = fetch_slot(features="nlperf")  # doctest: +SKIP
    >>> records.data.shape  # doctest: +SKIP
    (2601, 16)
    """
    return _fetch(
        SLOT, target, score, features, data_home, download_if_missing, drop_constant
    )


def list_datasets(data_home: str | os.PathLike | None = None) -> pd.DataFrame:
    """List the record tables: that which comes with proxylm, and those to fetch.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder to look in; else the environment variable PROXYLM_DATA, else
        `~/proxylm_data`.

    Returns
    -------
    DataFrame of shape (5, 7)
        Columns `name` (of the function `load_udhr_records`, else `fetch_NAME`), `rows`,
        `languages`, `targets`, `scores`, `cached` (path of the file, "" if it is not
        there yet) and `sha256`.

    Examples
    --------
    >>> from proxylm.datasets import list_datasets
    >>> list_datasets()[["name", "targets"]]
         name       targets
    0    udhr       smollm2
    1   mt560  m2m100, nllb
    2    nusa  m2m100, nllb
    3  intent   aya, llama3
    4    slot   aya, llama3
    """
    folder = get_data_home(data_home)
    paths = {table.name: folder / table.remote.filename for table in TABLES}
    fetched = [
        {
            "name": table.name,
            "rows": table.n_records,
            "languages": table.n_languages,
            "targets": ", ".join(table.targets),
            "scores": ", ".join(table.scores),
            "cached": str(paths[table.name]) if paths[table.name].is_file() else "",
            "sha256": table.remote.sha256,
        }
        for table in TABLES
    ]
    return pd.DataFrame([describe_file(), *fetched])
