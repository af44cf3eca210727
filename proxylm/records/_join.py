"""Record tables side by side: scores, features and proxies of the same records."""

import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from proxylm.records._problems import shorten
from proxylm.records._schema import RecordSchema

# Rows that a message names.
_N_SHOWN = 5


def _check_tables(tables: Mapping[str, pd.DataFrame], keys: Sequence[str]) -> None:
    if not isinstance(tables, Mapping) or len(tables) < 2:
        raise TypeError(
            "join_records expects a dict of two tables or more by label, such as "
            f'{{"scores": scores, "features": features}}. Got {tables!r:.80}.'
        )
    for label, table in tables.items():
        if not isinstance(table, pd.DataFrame):
            raise TypeError(
                f"join_records expects tables. Got {type(table).__name__} for "
                f"{label!r}."
            )
        repeated = table.columns[table.columns.duplicated()].tolist()
        if repeated:
            raise ValueError(
                f"join_records expects each column once. Got {repeated[0]!r} twice in "
                f"{label!r}. Rename one of them."
            )
        if not any(name in table for name in keys):
            raise ValueError(
                f"join_records expects columns that name records, among {list(keys)}. "
                f"Got {label!r} with the columns {list(table.columns)}."
            )


class _Table(NamedTuple):
    """A table, and what messages call it."""

    label: str
    frame: pd.DataFrame


def _shared_keys(
    done: Mapping[str, str], table: _Table, keys: Sequence[str]
) -> list[str]:
    """Return the keys that a table shares with the columns so far."""
    label, frame = table
    shared = [name for name in keys if name in done and name in frame]
    if not shared:
        before = shorten(map(repr, dict.fromkeys(done.values())), _N_SHOWN)
        raise ValueError(
            f"join_records expects a column among {keys} that {label!r} has in common "
            f"with {before}. Got none. Add the languages to it."
        )
    for name in frame:
        if name in done and name not in shared:
            raise ValueError(
                f"join_records expects each column but {keys} in one table only. Got "
                f"{name!r} in {done[name]!r} and in {label!r}. Remove or rename it in "
                "one of them."
            )
    return shared


def _is_missing(column: pd.Series) -> pd.Series:
    """Tell where there is nothing: an empty text, as names in files are read, too."""
    return column.isna() | column.astype(object).eq("")


def _check_sizes(left: _Table, right: _Table, schema: RecordSchema, size: str) -> None:
    """Refuse a table that leaves open how many pairs all are, where the other says."""
    unknown = []
    for _, frame in (left, right):
        is_open = _is_missing(frame[size])
        if schema.train_dataset in frame:  # a model that is run as it is has no size
            is_open &= ~_is_missing(frame[schema.train_dataset])
        unknown.append(frame.index[is_open.to_numpy()])
    for rows, others, table, other in (
        (*unknown, left, right),
        (*unknown[::-1], right, left),
    ):
        if len(rows) and not len(others):
            raise ValueError(
                f"join_records expects {size!r} in every row of {table.label!r} with a "
                f"training set, as in {other.label!r}. Got an empty cell in the rows "
                f"{shorten(rows, _N_SHOWN)}. Write how many training pairs there are."
            )


def _as_text(column: pd.Series) -> np.ndarray:
    """Return cells as they are written, None where there is nothing."""
    written = column.convert_dtypes().astype(str).astype(object)
    return written.where(~_is_missing(column), None).to_numpy()


def _numbers_of(
    left: pd.DataFrame, right: pd.DataFrame, keys: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return a number for each row of two tables: the same where the keys are."""
    columns = {}
    for name in keys:
        sides = left[name], right[name]
        if all(pd.api.types.is_numeric_dtype(side) for side in sides):
            cells = [side.to_numpy(dtype=float, na_value=np.nan) for side in sides]
        else:
            cells = [_as_text(side) for side in sides]
        columns[name] = np.concatenate(cells)
    groups = pd.DataFrame(columns).groupby(list(keys), dropna=False, sort=False)
    numbers = groups.ngroup().to_numpy()
    return numbers[: len(left)], numbers[len(left) :]


def _find_rows(left: _Table, right: _Table, keys: list[str]) -> np.ndarray:
    """Return the place of the row of a table that each row of another agrees with.

    Rows that agree with none have -1; one that agrees with several is an error.
    """
    ours, theirs = _numbers_of(left.frame, right.frame, keys)
    counts = np.bincount(theirs, minlength=ours.max(initial=0) + 1)
    several = np.flatnonzero(counts[ours] > 1)
    if len(several):
        row = several[0]
        (cells,) = left.frame[keys].iloc[[row]].to_dict("records")
        named = ", ".join(f"{name} {cell!r}" for name, cell in cells.items())
        rows = right.frame.index[theirs == ours[row]]
        raise ValueError(
            f"join_records expects at most one row of {right.label!r} for a row of "
            f"{left.label!r}. Got the rows {shorten(rows, _N_SHOWN)} for {named}, and "
            f"several for {len(several)} rows in all. Remove what is repeated, or put "
            "the table that tells more records apart first."
        )
    places = np.full(len(counts), -1)
    places[theirs] = np.arange(len(theirs))
    return places[ours]


def _warn_of_rest(left: _Table, right: _Table, places: np.ndarray) -> None:
    """Warn of rows of either table that agree with none of the other."""
    n_missing = int((places < 0).sum())
    n_left, n_right = len(left.frame), len(right.frame)
    n_unused = n_right - len(np.unique(places[places >= 0]))
    parts = []
    if n_missing:
        parts.append(
            f"{n_missing} of {n_left} rows of {left.label!r} have no match in "
            f"{right.label!r}, and missing values in its columns"
        )
    if n_unused:
        parts.append(
            f"{n_unused} of {n_right} rows of {right.label!r} match no row of "
            f"{left.label!r}, and are left out"
        )
    if parts:
        warnings.warn(
            f"{'; '.join(parts)}. Codes and names are compared as they are written.",
            UserWarning,
            stacklevel=3,
        )


def join_records(
    tables: Mapping[str, pd.DataFrame],
    schema: RecordSchema | None = None,
    *,
    size: str = "dataset_size",
) -> pd.DataFrame:
    """Put tables about the same records side by side.

    The rows are those of the first table. From left to right, each further table gives
    its columns to the rows that it agrees with in all columns which name records and
    are in both: languages, training set, its size, and test set. One that has fewer of
    these gives them to several rows, as one with the features of languages does.

    Parameters
    ----------
    tables : dict of str to DataFrame
        Tables by label, which is what messages call them.
    schema : RecordSchema, default=None
        Names the columns of languages and data sets. None means `source_lang`,
        `target_lang`, `train_dataset` and `test_dataset`.
    size : str, default="dataset_size"
        Column with the number of training pairs.

    Returns
    -------
    DataFrame of shape (n_records, n_columns)
        The columns of all tables, those that are shared once. Cells are missing where a
        table has no match.

    Raises
    ------
    ValueError
        If a table shares no such column with those before it, another column is in two
        tables, a row matches several rows of a table, or a size is missing in one of
        two tables.

    Warns
    -----
    UserWarning
        If rows have no match. Codes and names are compared as they are written: `id` is
        not `ind`.

    See Also
    --------
    concat : Tables of different records, one below the other.
    write_records : Write the table to a file.

    Examples
    --------
    >>> import pandas as pd
    >>> from proxylm.records import join_records
    >>> scores = pd.DataFrame(
    ...     {"source_lang": "eng", "target_lang": ["ind", "ind", "jav"],
    ...      "dataset_size": [100, 500, 100], "bleu": [20.0, 30.0, 10.0]}
    ... )
    >>> features = pd.DataFrame(
    ...     {"source_lang": "eng", "target_lang": ["jav", "ind"], "genetic": [0.8, 0.7]}
    ... )
    >>> join_records({"scores": scores, "features": features})
      source_lang target_lang  dataset_size  bleu  genetic
    0         eng         ind           100  20.0      0.7
    1         eng         ind           500  30.0      0.7
    2         eng         jav           100  10.0      0.8
    """
    if schema is None:
        schema = RecordSchema(
            train_dataset="train_dataset", test_dataset="test_dataset"
        )
    names = (*schema.languages, schema.train_dataset, size, schema.test_dataset)
    keys = [name for name in names if name is not None]
    _check_tables(tables, keys)
    first, *others = (_Table(str(label), frame) for label, frame in tables.items())
    done = dict.fromkeys(first.frame.columns, first.label)  # where a column is from
    for table in others:
        shared = _shared_keys(done, table, keys)
        if size in shared:
            _check_sizes(first, table, schema, size)
        places = _find_rows(first, table, shared)
        _warn_of_rest(first, table, places)
        new = [name for name in table.frame if name not in shared]
        cells = table.frame[new].reset_index(drop=True).reindex(places)
        cells = cells.set_axis(first.frame.index)
        first = first._replace(frame=pd.concat([first.frame, cells], axis=1))
        done |= dict.fromkeys(new, table.label)
    return first.frame.reset_index(drop=True)
