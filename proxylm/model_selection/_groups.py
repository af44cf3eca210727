"""Groups of records: labels become numbers, and numbers become rows."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

SIDE_COLUMNS = {"either": [0, -1], "source": [0], "target": [1]}


def some(values: Iterable[Any], limit: int = 10) -> str:
    """Name a few values for an error message."""
    values = list(values)
    more = f" and {len(values) - limit} more" if len(values) > limit else ""
    return ", ".join(map(repr, values[:limit])) + more


def as_labels(values: Any, name: str, splitter: Any) -> tuple[Any, ...]:
    """Freeze an iterable of labels; one string alone is refused."""
    kind = type(splitter).__name__
    if isinstance(values, str):
        raise TypeError(
            f"{kind} expects {name} to be a list. Got the string {values!r}. "
            f"Pass {name}=[{values!r}]."
        )
    if not isinstance(values, Iterable):
        raise TypeError(
            f"{kind} expects {name} to be a list. Got {values!r} of type "
            f"{type(values).__name__}. Pass {name}=[...]."
        )
    if isinstance(values, set | frozenset):
        values = sorted(values, key=str)
    if hasattr(values, "tolist"):  # plain Python labels give a plain repr
        values = values.tolist()
    return tuple(values)


def encode_groups(
    groups: Any, *, splitter: Any, content: str, example: str, max_columns: int
) -> tuple[np.ndarray, np.ndarray]:
    """Encode labels as codes (n_samples, n_columns) and the sorted labels."""
    kind = type(splitter).__name__
    advice = f"Pass groups={example}."
    if groups is None:
        raise ValueError(f"{kind} expects groups with {content}. Got None. {advice}")
    # dtype=object, as a missing value would otherwise become the language "nan".
    values = np.asarray(groups, dtype=object)
    if values.ndim == 1 and values.size and isinstance(values[0], tuple | list):
        values = np.array(values.tolist(), dtype=object)
    columns = values[:, None] if values.ndim == 1 else values
    if columns.ndim != 2 or not 1 <= columns.shape[1] <= max_columns:
        raise ValueError(
            f"{kind} expects groups with {content}. "
            f"Got groups of shape {values.shape}. {advice}"
        )
    if not len(columns):
        raise ValueError(f"{kind} expects at least one row. Got empty groups.")
    try:
        codes, labels = pd.factorize(columns.ravel(), sort=True)
        nested = [label for label in labels if np.ndim(label)]
    except TypeError as error:
        raise TypeError(
            f"{kind} expects groups with {content}. Got labels that cannot be "
            f"compared or differ in length ({error}). {advice}"
        ) from error
    if nested:
        raise ValueError(
            f"{kind} expects groups with {content}, the same number of them in "
            f"every row. Got {some(nested)}. {advice}"
        )
    blank = [i for i, x in enumerate(labels) if isinstance(x, str) and not x.strip()]
    missing = np.isin(codes, [-1, *blank]).reshape(columns.shape).any(axis=1)
    if missing.any():
        raise ValueError(
            f"{kind} expects a label in every row of groups. Got {missing.sum()} "
            f"missing, in rows {some(np.flatnonzero(missing).tolist())} (counted "
            "from 0). Fill them in or drop these rows."
        )
    return codes.reshape(columns.shape), labels


def _rows_by_code(codes: np.ndarray, n_codes: int) -> list[np.ndarray]:
    """Give for each code the ascending rows with it in any column, each row once."""
    n_columns = codes.shape[1]
    if n_columns == 2:  # a language on both sides counts once; n_codes is dropped
        repeated = codes[:, 0] == codes[:, 1]
        codes = np.column_stack([codes[:, 0], np.where(repeated, n_codes, codes[:, 1])])
    # Small integers are radix-sorted, in linear time.
    flat = codes.ravel().astype(np.min_scalar_type(n_codes))
    rows = np.argsort(flat, kind="stable") // n_columns
    ends = np.bincount(flat, minlength=n_codes + 1).cumsum()[:n_codes]
    return np.split(rows, ends)[:n_codes]


@dataclass(frozen=True)
class LanguageRows:
    """Which rows have which language, and on which side."""

    codes: np.ndarray
    languages: np.ndarray

    @cached_property
    def either(self) -> list[np.ndarray]:
        return _rows_by_code(self.codes, len(self.languages))

    def on(self, side: str) -> list[np.ndarray]:
        """Give the rows of each language on one side or on either."""
        if side == "either":
            return self.either
        return _rows_by_code(self.codes[:, SIDE_COLUMNS[side]], len(self.languages))

    def having(self, numbers: Iterable[int]) -> np.ndarray:
        """Mark the rows with any of the languages, on either side."""
        mask = np.zeros(len(self.codes), dtype=bool)
        for number in numbers:
            mask[self.either[number]] = True
        return mask

    def names(self, numbers: Iterable[int]) -> list[Any]:
        return self.languages[numbers].tolist()
