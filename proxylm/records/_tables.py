"""Record tables in files, and their wide and long layouts."""

import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.fixes import parse_version

from proxylm._files import write_whole
from proxylm._nearest import nearest
from proxylm.records._schema import RecordSchema

# Options of pandas.read_csv: before 3.1 the last digit is right only on request.
EXACT_NUMBERS: dict[str, Any] = (
    {}
    if parse_version(pd.__version__).release >= (3, 1)
    else {"float_precision": "round_trip"}
)

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_SUFFIXES = [*_SEPARATORS, ".parquet"]
_MISSING = [
    "",
    "NA",
    "N/A",
    "#N/A",
    "<NA>",
    "n/a",
    "NaN",
    "nan",
    "NULL",
    "null",
    "None",
]


def table_suffix(path: Path) -> str:
    """Return what the name of a table ends in, without the mark of compression."""
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    if suffix not in _SUFFIXES:
        raise ValueError(
            f"The name of a record table is expected to end in one of {_SUFFIXES}. "
            f"Got {str(path)!r}. Convert it or rename it."
        )
    return suffix


def _read_text(path: Path, separator: str, labels: Iterable[str]) -> pd.DataFrame:
    """Read a delimited table; the columns in `labels` stay text as it is written."""
    options = {"sep": separator, "keep_default_na": False, **EXACT_NUMBERS}
    header = pd.read_csv(path, header=None, nrows=1, dtype=str, **options)
    names = header.iloc[0].tolist()
    if len(names) == 1 and any(mark in names[0] for mark in ",;\t|"):
        raise ValueError(
            f"its first line has one column name, {names[0]!r}, as if another mark "
            f"separated the columns. Separate them by {separator!r}"
        )
    # pandas would take surplus cells of the second line for an index.
    pd.read_csv(path, header=None, nrows=2, dtype=str, **options)
    indexed = names[0] == "" and len(names) > 1
    # `nan` is a language, and a data set may be called `null`: labels are never NaN.
    frame = pd.read_csv(
        path,
        index_col=0 if indexed else None,
        dtype={name: str for name in names if name in labels},
        na_values={name: _MISSING for name in names if name not in labels},
        **options,
    )
    names = names[indexed:]
    if len(set(names)) < len(names):
        frame.columns = names
    return frame


def read_records(
    path: str | os.PathLike, schema: RecordSchema | None = None
) -> pd.DataFrame:
    """Read a record table from a CSV, TSV or parquet file.

    Language codes and names of data sets are read as they are written: `nan` is a
    language (Min Nan), not a missing value. A first column without a name, as pandas
    writes the index, becomes the index.

    Parameters
    ----------
    path : str or path-like
        File with the suffix `.csv`, `.tsv` or `.parquet`; text in UTF-8, with column
        names in the first line, perhaps compressed (`.csv.gz`).
    schema : RecordSchema, default=None
        Names the columns of the languages and data sets. None means a schema with its
        defaults, `source_lang` and `target_lang`.

    Returns
    -------
    DataFrame of shape (n_records, n_columns)
        The table as it is in the file, not yet validated.

    Raises
    ------
    ValueError
        If the file can't be understood.
    OSError
        If the file is not there or can't be opened.

    See Also
    --------
    load_records : Read a table, validate it and take it apart.
    write_records : Write such a file.
    """
    path = Path(path)
    schema = RecordSchema() if schema is None else schema
    suffix = table_suffix(path)
    labels = (schema.train_dataset, schema.test_dataset, schema.dataset)
    labels = [*schema.languages, *filter(None, labels)]
    try:
        path.open("rb").close()
    except OSError as error:
        raise OSError(
            error.errno,
            f"Could not open {path}: {error.strerror}. Give a file that can be read.",
        ) from error
    try:
        if suffix == ".parquet":
            return pd.read_parquet(path)
        return _read_text(path, _SEPARATORS[suffix], labels)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is expected to be a text in UTF-8. Got the byte "
            f"0x{error.object[error.start]:02x}. Save it in that encoding."
        ) from error
    except (ValueError, OSError, EOFError, zlib.error) as error:
        cause = " ".join(str(error).split()).removesuffix(".")
        raise ValueError(
            f"Could not read {path} as a {suffix[1:]} table: {cause}. "
            "Mend the file, or write it anew."
        ) from error


def write_records(frame: pd.DataFrame, path: str | os.PathLike) -> None:
    """Write a record table to a CSV, TSV or parquet file, whole or not at all.

    Parameters
    ----------
    frame : DataFrame of shape (n_records, n_columns)
        The table; its index is not written.
    path : str or path-like
        File with the suffix `.csv`, `.tsv` or `.parquet`, perhaps compressed
        (`.csv.gz`).

    Raises
    ------
    ValueError
        If the name has another suffix.
    OSError
        If the file can't be written.

    See Also
    --------
    read_records : Read what was written.
    """
    path = Path(path)
    suffix = table_suffix(path)
    with write_whole(path) as temporary:
        if suffix == ".parquet":
            frame.to_parquet(temporary, index=False)
        else:
            frame.to_csv(temporary, sep=_SEPARATORS[suffix], index=False)


def _rows(frame: pd.DataFrame, mask: pd.Series) -> str:
    labels = frame.index[mask.to_numpy()].tolist()
    return f"the rows {labels[:5]}" + (" and others" if len(labels) > 5 else "")


def _check_present(frame: pd.DataFrame, columns: Iterable[str], caller: str) -> None:
    for column in columns:
        if column not in frame.columns:
            raise ValueError(
                f"{caller} expects the column {column!r}. Got a table with the columns "
                f"{list(frame.columns)}.{nearest(column, map(str, frame.columns))}"
            )


def _check_absent(frame: pd.DataFrame, columns: Iterable[str], caller: str) -> None:
    for column in columns:
        if column in frame.columns:
            raise ValueError(
                f"{caller} would write the column {column!r}, but the table has one of "
                "that name. Rename it first."
            )


def _score_names(pairs: list[tuple[str, str]]) -> list[str]:
    """Return the column `{model}_{metric}` of each pair, which must differ."""
    names = [f"{model}_{metric}" for model, metric in pairs]
    for name in names:
        if names.count(name) > 1:
            same = [p for p, other in zip(pairs, names, strict=True) if other == name]
            raise ValueError(
                "long_to_wide expects one column for each model and metric. "
                f"Got {name!r} from {same}. Rename one of the models."
            )
    return names


def long_to_wide(
    frame: pd.DataFrame,
    index: Sequence[str] | None = None,
    *,
    model: str = "model",
    metric: str = "metric",
    value: str = "value",
    standard_error: str | None = None,
) -> pd.DataFrame:
    """Turn one row a score into one row a record.

    Parameters
    ----------
    frame : DataFrame
        Long table: one row for each record, model and metric.
    index : sequence of str, default=None
        Columns that tell records apart. The other columns must then be constant within
        a record. With None all columns but those below tell records apart.
    model, metric, value : str, default="model", "metric", "value"
        Columns with the name of the model, the name of the metric, and the score.
    standard_error : str, default=None
        Column with the standard error of the score, if there is one.

    Returns
    -------
    DataFrame
        Wide table, in the order in which the records first appear: the columns of the
        records, then a column `{model}_{metric}` for each score (and
        `{model}_{metric}_se`), NaN where a record has none.

    See Also
    --------
    wide_to_long : The inverse.

    Examples
    --------
    >>> import pandas as pd
    >>> from proxylm.records import long_to_wide
    >>> long = pd.DataFrame(
    ...     {"lang": ["ind", "ind", "jav"], "model": ["small", "big", "small"],
    ...      "metric": ["bleu", "bleu", "bleu"], "value": [20.0, 30.0, 10.0]}
    ... )
    >>> long_to_wide(long)
      lang  small_bleu  big_bleu
    0  ind        20.0      30.0
    1  jav        10.0       NaN
    """
    written = {"": value}
    if standard_error is not None:
        written["_se"] = standard_error
    special = [model, metric, *written.values()]
    _check_present(frame, [*special, *(index or ())], "long_to_wide")
    rest = [column for column in frame.columns if column not in special]
    index = rest if index is None else list(index)
    if not index:
        raise ValueError(
            "long_to_wide expects at least one column that tells records apart. Got "
            f"only {special}. Add the language columns."
        )
    unnamed = frame[[model, metric]].isna().any(axis=1)
    if unnamed.any():
        raise ValueError(
            f"long_to_wide expects a name in {model!r} and {metric!r} of every row. "
            f"Got an empty cell in {_rows(frame, unnamed)}. Fill it in."
        )
    record = frame.groupby(index, dropna=False, sort=False).ngroup().to_numpy()
    repeated = frame[[model, metric]].assign(record=record).duplicated()
    if repeated.any():
        raise ValueError(
            "long_to_wide expects one score for each record, model and metric. Got "
            f"another one in {_rows(frame, repeated)}. Average repeated runs, or name "
            "the column that tells them apart in index."
        )
    for column in [column for column in rest if column not in index]:
        several = frame.groupby(record)[column].transform("nunique", dropna=False) > 1
        if several.any():
            raise ValueError(
                f"long_to_wide expects {column!r} to be constant within a record. Got "
                f"several values in {_rows(frame, several)}. Drop the column, or add "
                "it to index."
            )
    wide = frame.loc[~pd.Series(record, index=frame.index).duplicated(), rest]
    wide = wide.reset_index(drop=True)
    scores = frame[[model, metric]].drop_duplicates()
    pairs = list(scores.itertuples(index=False, name=None))
    columns = {}
    for name, pair in zip(_score_names(pairs), pairs, strict=True):
        chosen = ((frame[model] == pair[0]) & (frame[metric] == pair[1])).to_numpy()
        for suffix, column in written.items():
            cells = frame.loc[chosen, column].set_axis(record[chosen])
            columns[name + suffix] = cells.reindex(wide.index)
    _check_absent(wide, columns, "long_to_wide")
    return pd.concat([wide, pd.DataFrame(columns, index=wide.index)], axis=1)


def wide_to_long(
    frame: pd.DataFrame,
    models: Sequence[str],
    metrics: Sequence[str],
    *,
    model: str = "model",
    metric: str = "metric",
    value: str = "value",
    standard_error: str | None = None,
) -> pd.DataFrame:
    """Turn one row a record into one row a score.

    Parameters
    ----------
    frame : DataFrame
        Wide table with columns `{model}_{metric}`.
    models, metrics : sequence of str
        Names of the models and of the metrics. A model need not have every metric.
    model, metric, value : str, default="model", "metric", "value"
        Columns to write the name of the model, of the metric, and the score to.
    standard_error : str, default=None
        Column to write the standard errors to, from columns `{model}_{metric}_se`.

    Returns
    -------
    DataFrame
        Long table: the other columns, then the model, the metric and the score. Scores
        that are missing have no row.

    See Also
    --------
    long_to_wide : The inverse.

    Examples
    --------
    >>> import pandas as pd
    >>> from proxylm.records import wide_to_long
    >>> wide = pd.DataFrame(
    ...     {"lang": ["ind", "jav"], "small_bleu": [20, 10], "big_bleu": [30, None]}
    ... )
    >>> wide_to_long(wide, models=["small", "big"], metrics=["bleu"])
      lang  model metric  value
    0  ind  small   bleu   20.0
    1  ind    big   bleu   30.0
    2  jav  small   bleu   10.0
    """
    pairs = {(m, k): f"{m}_{k}" for m in models for k in metrics}
    pairs = {pair: name for pair, name in pairs.items() if name in frame.columns}
    for place, names in enumerate((models, metrics)):
        for name in names:
            if name not in {pair[place] for pair in pairs}:
                kind = ("model", "metric")[place]
                raise ValueError(
                    "wide_to_long expects a column {model}_{metric} for the "
                    f"{kind} {name!r}. Got a table with the columns "
                    f"{list(frame.columns)}."
                )
    errors = {}
    if standard_error is not None:
        errors = {pair: f"{name}_se" for pair, name in pairs.items()}
        _check_present(frame, errors.values(), "wide_to_long")
    scores = {*pairs.values(), *errors.values()}
    rest = frame[[column for column in frame.columns if column not in scores]]
    new = [model, metric, value, *filter(None, [standard_error])]
    _check_absent(rest, new, "wide_to_long")
    pieces = []
    for pair, name in pairs.items():
        columns = {model: pair[0], metric: pair[1], value: frame[name]}
        if standard_error is not None:
            columns[standard_error] = frame[errors[pair]]
        piece = rest.assign(**columns).set_axis(np.arange(len(frame)))
        pieces.append(piece[piece[value].notna()])
    return pd.concat(pieces).sort_index(kind="stable").reset_index(drop=True)
