"""What can be wrong with a record table, in words."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_LABELS_SHOWN = 5


def shorten(items: Iterable[Any], limit: int) -> str:
    """Write the first items, and how many more there are."""
    items = list(items)
    text = ", ".join(str(item) for item in items[:limit])
    more = len(items) - limit
    return f"{text} and {more} more" if more > 0 else text


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a record table.

    Parameters
    ----------
    column : str or None
        The column, or None if it is about several columns or the whole table.
    rows : tuple
        Labels of the rows in the index of the table; empty if it is about all rows.
    message : str
        What was expected and what came.
    remedy : str
        How to mend it.

    Examples
    --------
    >>> from proxylm.records import Problem
    >>> print(Problem("big_bleu", (4, 7), "Expected scores. Got nan.", "Drop them."))
    column 'big_bleu', rows 4, 7: Expected scores. Got nan. Drop them.
    """

    column: str | None
    rows: tuple
    message: str
    remedy: str

    def __str__(self) -> str:
        places = []
        if self.column is not None:
            places.append(f"column {self.column!r}")
        if self.rows:
            word = "row" if len(self.rows) == 1 else "rows"
            places.append(f"{word} {shorten(self.rows, _LABELS_SHOWN)}")
        return f"{', '.join(places) or 'table'}: {self.message} {self.remedy}"


class RecordError(ValueError):
    """A record table that can't be used, with everything that is wrong with it.

    Parameters
    ----------
    problems : list of Problem
        What is wrong.

    Attributes
    ----------
    problems : list of Problem
        What is wrong, in the order of the schema.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return f"The record table has a problem: {self.problems[0]}"
        lines = "\n".join(f"- {problem}" for problem in self.problems)
        return f"The record table has {len(self.problems)} problems:\n{lines}"
