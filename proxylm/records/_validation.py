"""Everything that can be wrong with a record table, told at once."""

from collections.abc import Iterator
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from proxylm._nearest import nearest
from proxylm.languages import to_iso639_3
from proxylm.records._problems import Problem, RecordError, shorten
from proxylm.records._schema import RecordSchema

_VALUES_SHOWN = 3
_UNKNOWN_CODES_SHOWN = 20
_REMEDY_NUMBERS = (
    "Write numbers with a decimal point, and leave the cell empty where the value is "
    "not known."
)


def _labels(frame: pd.DataFrame, mask: np.ndarray) -> tuple:
    return tuple(frame.index[np.asarray(mask, dtype=bool)].tolist())


def _check_columns(frame: pd.DataFrame, schema: RecordSchema) -> Iterator[Problem]:
    names = list(frame.columns)
    for name in frame.columns[frame.columns.duplicated()].unique():
        yield Problem(
            name,
            (),
            f"Expected each column name once. Got it {names.count(name)} times.",
            "Rename or remove all but one.",
        )
    for column, role in schema.columns.items():
        if column not in names:
            remedy = f"Add the column, or name another one as {role}."
            if column in schema.languages:
                remedy = f"{remedy[:-1]} ({role}=None if the records have none)."
            guess = nearest(column, [name for name in names if isinstance(name, str)])
            yield Problem(
                column,
                (),
                f"Expected this column, which the schema names as {role}. Got a table "
                f"of {len(names)} columns without it.{guess}",
                remedy,
            )


def _check_codes(frame: pd.DataFrame, column: str) -> Iterator[Problem]:
    values = frame[column].astype(object)
    missing = values.isna() | (values == "")
    if missing.any():
        yield Problem(
            column,
            _labels(frame, missing),
            "Expected a language code in every row. Got an empty cell.",
            "Fill in the code or drop these rows.",
        )
    written = values.map(repr)
    codes = dict(zip(written[~missing], values[~missing], strict=True))
    unknown = 0
    for text, code in codes.items():
        try:
            to_iso639_3(code)
        except (TypeError, ValueError) as error:
            unknown += 1
            if unknown > _UNKNOWN_CODES_SHOWN:
                yield Problem(
                    column,
                    (),
                    f"Expected language codes. Got more than {_UNKNOWN_CODES_SHOWN} "
                    "unknown ones.",
                    "Name the right column in the schema.",
                )
                return
            yield Problem(
                column,
                _labels(frame, written == text),
                "Expected a language code that maps to ISO 639-3, such as ind, id, "
                f"id-ID or ind_Latn. Got {text}.",
                str(error),
            )


def _check_languages(
    frame: pd.DataFrame, columns: list[str], *, teaches: bool
) -> Iterator[Problem]:
    for column in columns:
        yield from _check_codes(frame, column)
    cells = frame[columns].astype(object).to_numpy().ravel()
    known = {cell for cell in cells if isinstance(cell, str) and cell}
    # Those to be predicted may be of one language.
    if teaches and len(frame) and columns and len(known) < 2:
        yield Problem(
            columns[0] if len(columns) == 1 else None,
            (),
            f"Expected at least 2 languages. Got {sorted(known)}.",
            "Add records of other languages: there is nothing to transfer from.",
        )


def _is_number(cell: Any) -> bool:
    return isinstance(cell, (Real, Decimal, np.bool_))


def to_numbers(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return a column as floats, and a mask of the cells that are no numbers.

    Numbers as text are in that mask too, and have their values.
    """
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        values = column.to_numpy(dtype=float)
        return values, np.zeros(len(values), dtype=bool)
    cells = column.astype(object)
    number = cells.map(_is_number).to_numpy(dtype=bool)
    text = cells.map(lambda cell: isinstance(cell, str)).to_numpy(dtype=bool)
    values = np.full(len(cells), np.nan)
    values[number] = cells[number].astype(float)
    values[text] = pd.to_numeric(cells[text], errors="coerce")
    return values, ~number & column.notna().to_numpy()


def _check_strings(
    frame: pd.DataFrame, column: str, wrong: np.ndarray, values: np.ndarray
) -> Iterator[Problem]:
    if not wrong.any():
        return
    # One stray cell makes a whole column of a file text: it is the stray that is wrong.
    stray = wrong & np.isnan(values)
    remedy = _REMEDY_NUMBERS
    if not stray.any():
        stray = wrong
        remedy = "These are numbers as text: convert the column with pandas.to_numeric."
    cells = frame[column].astype(object)[stray]
    examples = shorten(dict.fromkeys(map(repr, cells)), _VALUES_SHOWN)
    rows = () if stray.all() else _labels(frame, stray)
    yield Problem(column, rows, f"Expected numbers. Got {examples}.", remedy)


def _check_feature(
    frame: pd.DataFrame, schema: RecordSchema, column: str
) -> Iterator[Problem]:
    values, wrong = to_numbers(frame[column])
    yield from _check_strings(frame, column, wrong, values)
    is_empty = len(values) and not wrong.any() and np.isnan(values).all()
    # Of rows to be predicted all may miss a value that those with scores have.
    if is_empty and schema.target is not None:
        yield Problem(
            column,
            (),
            "Expected a value in at least one row. Got an empty column.",
            "Remove it from the schema.",
        )
    infinite = np.isinf(values)
    if infinite.any():
        yield Problem(
            column,
            _labels(frame, infinite),
            "Expected finite numbers. Got an infinite one.",
            "Leave the cell empty where the value is not known.",
        )
    if column in schema.indicators:
        stranger = ~np.isnan(values) & ~np.isin(values, (0.0, 1.0))
        if stranger.any():
            examples = shorten(np.unique(values[stranger]), _VALUES_SHOWN)
            yield Problem(
                column,
                _labels(frame, stranger),
                f"Expected 0 or 1 in a column named as indicator. Got {examples}.",
                "Remove it from indicators; it stays a feature.",
            )


def _check_target(frame: pd.DataFrame, column: str) -> Iterator[Problem]:
    values, wrong = to_numbers(frame[column])
    yield from _check_strings(frame, column, wrong, values)
    missing = np.isnan(values) & ~wrong
    if missing.any():
        yield Problem(
            column,
            _labels(frame, missing),
            "Expected a score in every row. Got an empty cell (NaN).",
            f"Drop these rows: frame.dropna(subset=[{column!r}]).",
        )
    infinite = np.isinf(values)
    if infinite.any():
        yield Problem(
            column,
            _labels(frame, infinite),
            "Expected finite scores. Got an infinite one.",
            "Correct the score or drop these rows.",
        )


def _check_standard_error(frame: pd.DataFrame, column: str) -> Iterator[Problem]:
    values, wrong = to_numbers(frame[column])
    yield from _check_strings(frame, column, wrong, values)
    impossible = np.isinf(values) | (values < 0)
    if impossible.any():
        examples = shorten(np.unique(values[impossible]), _VALUES_SHOWN)
        yield Problem(
            column,
            _labels(frame, impossible),
            f"Expected standard errors of at least 0. Got {examples}.",
            "Leave the cell empty where it is not known.",
        )


def _check_range(
    frame: pd.DataFrame, schema: RecordSchema, column: str
) -> Iterator[Problem]:
    low, high = schema.range_
    values, _ = to_numbers(frame[column])
    outside = np.isfinite(values) & ((values < low) | (values > high))
    if not outside.any():
        return
    examples = shorten(np.unique(values[outside]), _VALUES_SHOWN)
    yield Problem(
        column,
        _labels(frame, outside),
        f"Expected {schema.metric or 'scores'} between {low:g} and {high:g}. "
        f"Got {examples}.",
        "Correct the scores, or name another metric or score_range in the schema.",
    )


def _check_duplicates(frame: pd.DataFrame, schema: RecordSchema) -> Iterator[Problem]:
    # A column without a role, such as the size of a subset, may tell records apart.
    key = {}
    for name, column in frame.items():
        if name not in (schema.target, schema.standard_error):
            numeric = pd.api.types.is_numeric_dtype(column)
            key[name] = column if numeric else column.map(repr)
    key = pd.DataFrame(key)
    repeated = key.duplicated().to_numpy()
    if repeated.any():
        record = key.groupby(list(key), dropna=False).ngroup()
        _, first, record = np.unique(record, return_index=True, return_inverse=True)
        rows = frame.index
        pairs = [
            f"{rows[i]} repeats {rows[first[record[i]]]}"
            for i in np.flatnonzero(repeated)
        ]
        yield Problem(
            None,
            _labels(frame, repeated),
            "Expected each record once. Got rows that differ in nothing but the score "
            f"({shorten(pairs, _VALUES_SHOWN)}).",
            "Drop them, or average repeated runs into one record.",
        )


def validate(frame: pd.DataFrame, schema: RecordSchema) -> list[Problem]:
    """List everything that is wrong with a record table.

    Missing and duplicated columns, an empty table, empty cells and unknown codes in
    language columns, fewer than two languages, text in numeric columns, missing or
    infinite targets, infinite or entirely empty features, indicators that are not 0 or
    1, negative standard errors, scores outside the range of the metric, and records
    that agree in all columns but the target and its standard error. Features may have
    missing values.

    Parameters
    ----------
    frame : DataFrame of shape (n_records, n_columns)
        The table.
    schema : RecordSchema
        The roles of its columns.

    Returns
    -------
    list of Problem
        Every problem, in the order above; empty if there is none.

    See Also
    --------
    check_records : Raise an error if there is a problem.

    Examples
    --------
    >>> import pandas as pd
    >>> from proxylm.records import RecordSchema, validate
    >>> frame = pd.DataFrame(
    ...     {"source_lang": ["eng", "eng"], "target_lang": ["ind", "jav"],
    ...      "size": [100, 200], "bleu": [31.5, 131.5]}
    ... )
    >>> schema = RecordSchema(features=["size"], target="bleu", metric="BLEU")
    >>> for problem in validate(frame, schema):
    ...     print(problem)
    column 'bleu', row 1: Expected BLEU between 0 and 100. Got 131.5. Correct the
    scores, or name another metric or score_range in the schema.
    """
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(
            f"Records are expected in a pandas DataFrame. Got {type(frame).__name__}. "
            "Read a file with proxylm.records.read_records."
        )
    if not isinstance(schema, RecordSchema):
        raise TypeError(
            "The roles of the columns are expected in a RecordSchema. "
            f"Got {type(schema).__name__}."
        )
    problems = list(_check_columns(frame, schema))
    if frame.empty:
        problems.append(
            Problem(None, (), "Expected records. Got an empty table.", "Add rows.")
        )
    # A column that is there twice has no one meaning: it is reported above.
    usable = set(frame.columns[~frame.columns.duplicated(keep=False)])
    frame = frame.loc[:, [name for name in frame.columns if name in usable]]
    languages = [c for c in schema.languages if c in usable]
    problems += _check_languages(frame, languages, teaches=schema.target is not None)
    for column in schema.feature_names:
        if column in usable:
            problems += _check_feature(frame, schema, column)
    if schema.target in usable:
        problems += _check_target(frame, schema.target)
    if schema.standard_error in usable:
        problems += _check_standard_error(frame, schema.standard_error)
    for column in (*schema.proxies, schema.target):
        if column in usable:
            problems += _check_range(frame, schema, column)
    problems += _check_duplicates(frame, schema)
    return problems


def check_records(frame: pd.DataFrame, schema: RecordSchema) -> None:
    """Raise an error that lists everything that is wrong with a record table.

    Parameters
    ----------
    frame : DataFrame of shape (n_records, n_columns)
        The table.
    schema : RecordSchema
        The roles of its columns.

    Raises
    ------
    RecordError
        If there is a problem; its attribute `problems` has all of them.

    See Also
    --------
    validate : Return the problems instead.
    """
    problems = validate(frame, schema)
    if problems:
        raise RecordError(problems)
