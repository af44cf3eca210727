"""Records taken apart for an estimator: features, target and groups."""

import logging
import os
import warnings
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import Bunch

from proxylm._nearest import nearest
from proxylm.languages import to_iso639_3
from proxylm.records._schema import SCORE_RANGES, RecordSchema
from proxylm.records._tables import long_to_wide, read_records
from proxylm.records._validation import check_records, to_numbers

logger = logging.getLogger(__name__)

_SMALLEST_STRATUM = 4

# 1,250 and 1.250,5 and 12,5 and 7 %: meant as numbers, so not to be passed over.
_FOREIGN_NUMBER = r"\s*[-+]?(\d{1,3}([ ,.']\d{3})+|\d+)([.,]\d+)?\s*%?\s*"


def _default_strata(labels: pd.Series) -> pd.Series:
    """Put rare labels together, so that a random split finds some of each stratum."""
    counts = labels.map(labels.value_counts())
    labels = labels.where(counts >= _SMALLEST_STRATUM, "rare")
    alone = labels.map(labels.value_counts()) == 1
    return labels.where(~alone, labels.mode()[0])


def _make_strata(
    frame: pd.DataFrame, schema: RecordSchema, strata: ArrayLike | None
) -> pd.Series:
    if strata is None:
        strata = "all"
        if schema.source is not None:
            strata = _default_strata(frame[schema.source].astype(str))
        return pd.Series(strata, index=frame.index, name="strata")
    strata = np.asarray(strata)
    if strata.shape != (len(frame),):
        raise ValueError(
            f"strata expects one label for each of the {len(frame)} records. Got an "
            f"array of shape {strata.shape}."
        )
    return pd.Series(strata, index=frame.index, name="strata")


def _warn_of_synonyms(groups: pd.DataFrame) -> None:
    """Warn of a language with two codes; zh-CN and zh-TW may differ for a reason."""
    codes = pd.unique(groups.to_numpy().ravel())
    plain = pd.Series(
        {code: to_iso639_3(code) for code in sorted(codes) if code.isalpha()}, dtype=str
    )
    shared = [" and ".join(group.index) for _, group in plain.groupby(plain)]
    shared = [names for names in shared if " " in names]
    if shared:
        warnings.warn(
            f"Codes of one language count as several: {', '.join(shared)}. Leaving one "
            "out leaves the others in. Write one, as "
            "proxylm.languages.to_iso639_3 does.",
            UserWarning,
            stacklevel=3,
        )


def make_records(
    frame: pd.DataFrame,
    schema: RecordSchema,
    DESCR: str = "",
    *,
    strata: ArrayLike | None = None,
) -> Bunch:
    """Validate a record table and take it apart.

    Parameters
    ----------
    frame : DataFrame of shape (n_records, n_columns)
        The table. It is copied.
    schema : RecordSchema
        The roles of its columns.
    DESCR : str, default=""
        Description of the records.
    strata : array-like of shape (n_records,), default=None
        Labels by which a random split is stratified. With None they are the source
        languages, those with fewer than 4 records together, or all the same where
        there is no source column.

    Returns
    -------
    Bunch
        With the keys

        frame : DataFrame of shape (n_records, n_columns)
            The whole table.
        data : DataFrame of shape (n_records, n_languages + n_features)
            The language columns as text, then the features and the proxies as floats.
            `data.attrs["schema"]` is the schema.
        target : Series of shape (n_records,) or None
            The scores to predict, where the schema names a target.
        groups : DataFrame of shape (n_records, n_languages)
            The language columns.
        strata : Series of shape (n_records,)
            Labels for a stratified split.
        dataset : Series of shape (n_records,) or None
            Which table each record is from, where the schema names such a column.
        feature_names : list of str
            The numeric columns of `data`.
        schema : RecordSchema
            The roles of the columns.
        DESCR : str
            The description.

        All tables and series have the index 0 to n_records - 1.

    Raises
    ------
    RecordError
        If the table has problems; see :func:`validate`.

    Warns
    -----
    UserWarning
        If two codes such as `id` and `ind` are one language. Codes are compared as they
        are written.

    Examples
    --------
    >>> import pandas as pd
    >>> from proxylm.records import RecordSchema, make_records
    >>> frame = pd.DataFrame(
    ...     {"source_lang": ["eng", "eng"], "target_lang": ["ind", "jav"],
    ...      "size": [100, 200], "bleu": [31.5, 20.0]}
    ... )
    >>> records = make_records(frame, RecordSchema(features=["size"], target="bleu"))
    >>> records.data
      source_lang target_lang   size
    0         eng         ind  100.0
    1         eng         jav  200.0
    >>> records.target.tolist()
    [31.5, 20.0]
    """
    check_records(frame, schema)
    frame = frame.reset_index(drop=True)
    groups = frame[list(schema.languages)].astype(str)
    _warn_of_synonyms(groups)
    numbers = {name: to_numbers(frame[name])[0] for name in schema.feature_names}
    data = pd.concat([groups, pd.DataFrame(numbers, index=frame.index)], axis=1)
    data.attrs = {"schema": schema}
    target = None
    if schema.target is not None:
        target = pd.Series(to_numbers(frame[schema.target])[0], name=schema.target)
    return Bunch(
        frame=frame,
        data=data,
        target=target,
        groups=groups,
        strata=_make_strata(frame, schema, strata),
        dataset=None if schema.dataset is None else frame[schema.dataset],
        feature_names=list(schema.feature_names),
        schema=schema,
        DESCR=DESCR,
    )


def _is_numeric(column: pd.Series) -> bool:
    """Whether a column holds numbers, a minority of stray cells apart."""
    if pd.api.types.is_numeric_dtype(column):
        return bool(column.notna().any())
    cells = column.dropna()
    if not pd.api.types.is_string_dtype(cells):
        return False
    cells = cells.astype(object)
    number = pd.to_numeric(cells, errors="coerce").notna()
    number |= cells.astype(str).str.fullmatch(_FOREIGN_NUMBER)
    return 2 * int(number.sum()) > len(cells)


def _beside_target(target: str | None) -> set[str]:
    """Return the names that other scores of the target's model have.

    Of `big_ft_BLEU_mean`, as experiments name it, `big_ft_BLEU_se`, `big_ft_TER_mean`
    and the like: none of them is there before the target has run.
    """
    for metric in SCORE_RANGES:
        for ending in (f"_{metric}_mean", f"_{metric}"):
            if target is not None and target.endswith(ending):
                model = target.removesuffix(ending)
                return {
                    f"{model}_{other}{statistic}"
                    for other in SCORE_RANGES
                    for statistic in ("", "_mean", "_se")
                }
    return set()


def _find_features(
    frame: pd.DataFrame, schema: RecordSchema, exclude: Sequence[str]
) -> list[str]:
    """Numeric columns without another role, for a table whose features nobody named."""
    columns = [str(name) for name in frame.columns]
    for name in exclude:
        if name not in columns:
            raise ValueError(
                f"exclude expects columns of the table. Got {name!r}, which is not "
                f"among them.{nearest(name, columns)}"
            )
    of_target = _beside_target(schema.target)
    features = [
        name
        for name in frame.columns[~frame.columns.duplicated(keep=False)]
        if name not in schema.columns
        and name not in exclude
        and name not in of_target
        and _is_numeric(frame[name])
    ]
    left_out = [name for name in columns if name in of_target - {*schema.columns}]
    if left_out:
        logger.info("No features, as scores of the target: %s", ", ".join(left_out))
    names = ", ".join(map(str, features))
    logger.info("Features, taken from the numeric columns: %s", names)
    return features


def load_records(
    path: str | os.PathLike | pd.DataFrame,
    *,
    schema: RecordSchema | None = None,
    layout: Literal["wide", "long"] = "wide",
    exclude: Sequence[str] = (),
    **roles: Any,
) -> Bunch:
    """Load your own record table.

    Parameters
    ----------
    path : str, path-like or DataFrame
        File with the suffix `.csv`, `.tsv` or `.parquet`, or a table in memory.
    schema : RecordSchema, default=None
        The roles of the columns. With None it is made from `roles`.
    layout : {"wide", "long"}, default="wide"
        Whether the table has one row a record, or one row a score. The columns of a
        long table must be called `model`, `metric`, `value` and, if there is one,
        `standard_error`; roles then name the scores `{model}_{metric}` (and
        `{model}_{metric}_se`). If yours are called otherwise, call
        :func:`long_to_wide` first.
    exclude : sequence of str, default=()
        Numeric columns that are no features; only where neither `schema` nor
        `features` is given.
    **roles
        Fields of :class:`RecordSchema`, such as `target="big_bleu"` and
        `proxies=["small_bleu"]`. They take the place of those in `schema`.

    Returns
    -------
    Bunch
        The records, as :func:`make_records` describes them.

    Raises
    ------
    RecordError
        If the table has problems; all of them are listed.
    ValueError
        If the file can't be read or the roles don't fit together.

    Notes
    -----
    Where neither `schema` nor `features` is given, the features are all numeric columns
    that have no other role and are not in `exclude`. Other scores of the target's model
    are none, where columns are named as `proxylm experiment` does: of
    `big_ft_BLEU_mean` not `big_ft_BLEU_se` or `big_ft_TER_mean`. Columns with scores of
    other large models would be among them, and would tell what is to be predicted: name
    them in `exclude`. Of a long table the scores without a role are left out by
    themselves. A text column in which most cells are numbers, or look like some
    (`1,250` and `7 %`), counts as numeric, so that the cells that are not are reported.

    Examples
    --------
    >>> import pandas as pd
    >>> from proxylm import load_records
    >>> frame = pd.DataFrame(
    ...     {"source_lang": ["eng", "eng"], "target_lang": ["ind", "jav"],
    ...      "size": [100, 200], "small": [11.0, 9.0], "big": [31.5, 20.0]}
    ... )
    >>> records = load_records(frame, target="big", proxies=["small"], metric="BLEU")
    >>> records.feature_names
    ['size', 'small']
    """
    if layout not in ("wide", "long"):
        raise ValueError(f"layout expects 'wide' or 'long'. Got {layout!r}.")
    known = [field.name for field in fields(RecordSchema)]
    for name in roles:
        if name not in known:
            raise TypeError(
                f"load_records expects roles among {known}. Got {name!r}."
                f"{nearest(name, known)}"
            )
    find_features = schema is None and roles.get("features") is None
    if exclude and not find_features:
        raise ValueError(
            "exclude is for tables whose features are not named. Got exclude together "
            "with features or a schema. Remove the columns from the features instead."
        )
    indicators = roles.pop("indicators", ()) if find_features else ()
    schema = replace(schema or RecordSchema(), **roles)
    frame = path if isinstance(path, pd.DataFrame) else read_records(path, schema)
    if layout == "long":
        record_columns = set(frame.columns)
        error = "standard_error" if "standard_error" in frame.columns else None
        frame = long_to_wide(frame, standard_error=error)
        scores = [name for name in frame.columns if name not in record_columns]
        exclude = [*exclude, *scores]
    if find_features:
        features = _find_features(frame, schema, exclude)
        schema = replace(schema, features=features, indicators=indicators)
    name = "a table in memory" if isinstance(path, pd.DataFrame) else str(path)
    return make_records(frame, schema, DESCR=f"{len(frame)} records from {name}.")
