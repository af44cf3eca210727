"""The cells of X: a text, a pair of texts, or a corpus of either."""

from typing import Any

import numpy as np
import pandas as pd

from proxylm._unicode import valid_unicode

from ._encoding import Item


def _is_missing(cell: Any) -> bool:
    return cell is None or cell is pd.NA or (isinstance(cell, float) and np.isnan(cell))


def _is_pair(cell: Any) -> bool:
    return (
        isinstance(cell, tuple)
        and len(cell) == 2
        and all(isinstance(part, str) for part in cell)
    )


def _as_item(cell: Any, languages: tuple[str | None, str | None], where: str) -> Item:
    if isinstance(cell, str):
        return Item(valid_unicode(cell), None, *languages)
    if _is_pair(cell):
        source, text = cell
        return Item(valid_unicode(text), valid_unicode(source), *languages)
    raise TypeError(
        f"{where} expects a text or a tuple (source, text). Got {cell!r:.60} of type "
        f"{type(cell).__name__}."
    )


def parse_cell(
    cell: Any, row: int, languages: tuple[str | None, str | None] = (None, None)
) -> list[Item] | None:
    """Return the texts of a cell, or None where there is none.

    Parameters
    ----------
    cell : str, (str, str), or list of either
        A text; a pair of a source and a text; or a corpus.
    row : int
        Number of the row, for messages.
    languages : (str or None, str or None)
        Languages of source and text.
    """
    if _is_missing(cell):
        return None
    where = f"X, row {row},"
    if isinstance(cell, str) or _is_pair(cell):
        return [_as_item(cell, languages, where)]
    if isinstance(cell, list | tuple | np.ndarray | pd.Series):
        return [
            _as_item(part, languages, f"{where} text {number}")
            for number, part in enumerate(cell)
        ] or None
    raise TypeError(
        f"{where} expects a text, a tuple (source, text) or a list of them. Got "
        f"{cell!r:.60} of type {type(cell).__name__}."
    )
