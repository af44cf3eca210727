"""From cells of a table to numbers: which features, and of which corpora."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed

from proxylm._nearest import nearest

from ._chunks import chunk_distances
from ._corpus import check_corpus, identity, is_missing
from ._measures import MEASURES
from ._statistics import CorpusStatistics, Counting

SPLITS = ("train", "dev", "test")


class Feature(NamedTuple):
    """One column: a measure of one or two corpora of a row."""

    column: str
    measure: str
    splits: tuple[str, ...]


def list_features(splits: Iterable[str]) -> list[Feature]:
    """Return every feature of some splits, measure by measure."""
    ordered = tuple(split for split in SPLITS if split in splits)
    return [
        Feature(column, name, group)
        for name, measure in MEASURES.items()
        for column, group in measure.columns_of(ordered)
    ]


def choose_features(names: Sequence[str], splits: Sequence[str]) -> list[Feature]:
    """Return the features that names of measures and of columns stand for."""
    here, every = list_features(splits), list_features(SPLITS)
    chosen: dict[Feature, None] = {}
    for name in names:
        found = [feature for feature in here if name in feature[:2]]
        known = [feature for feature in every if name in feature[:2]]
        if not known:
            raise ValueError(
                f"features expects names among {list(MEASURES)}, or of their columns. "
                f"Got {name!r}."
                + nearest(
                    str(name), [*MEASURES, *(feature.column for feature in every)]
                )
            )
        if not found:
            raise ValueError(
                f"The feature {name!r} needs {' and '.join(known[0].splits)} texts. X "
                f"has columns for {list(splits)}."
            )
        chosen |= dict.fromkeys(found)
    return list(chosen)


class Table:
    """The corpora of a table's rows, each once.

    Parameters
    ----------
    cells : ndarray of shape (n_rows, n_splits)
    splits : tuple of str
        What each column is.

    Attributes
    ----------
    corpora : dict
        Each corpus by its identity, in the order of the rows.
    rows : list of dict
        The identities of each row's corpora by split; those that are missing are not
        there.
    """

    def __init__(self, cells: np.ndarray, splits: Sequence[str]):
        self.corpora: dict[Any, Any] = {}
        self.rows: list[dict[str, Any]] = []
        self._last: dict[Any, int] = {}
        for number, row in enumerate(cells):
            found = {}
            for split, cell in zip(splits, row, strict=True):
                check_corpus(cell)
                if not is_missing(cell):
                    key = found[split] = identity(cell)
                    self.corpora.setdefault(key, cell)
                    self._last[key] = number
            self.rows.append(found)

    def needed_last(self, number: int) -> set:
        """Return the identities of the corpora that no later row has."""
        return {key for key in self.rows[number].values() if self._last[key] == number}


def measure_rows(
    table: Table,
    features: Sequence[Feature],
    statistics: Iterator[CorpusStatistics],
    counting: Counting | None = None,
    n_jobs: int | None = None,
) -> np.ndarray:
    """Return the features of rows.

    Parameters
    ----------
    table : Table
    features : sequence of Feature
    statistics : iterator of CorpusStatistics
        Those of the table's corpora in their order. They are kept only as long as a
        row needs them.
    counting : Counting, default=None
        How they were counted, where the TF-IDF distance is that of chunks.
    n_jobs : int or None

    Returns
    -------
    values : ndarray of shape (n_rows, n_features)
        NaN where a corpus is missing; of type object if some of them are words.
    """
    arriving = zip(table.corpora, statistics, strict=True)
    present: dict[Any, CorpusStatistics] = {}
    known: dict[tuple, float | str] = {}
    has_words = any(MEASURES[name].is_word for _, name, _ in features)
    dtype = object if has_words else np.float64
    values = np.full((len(table.rows), len(features)), np.nan, dtype=dtype)
    chunked = []
    for number, row in enumerate(table.rows):
        while not all(key in present for key in row.values()):
            key, counted = next(arriving)
            present[key] = counted
        for j, (_, name, splits) in enumerate(features):
            keys = tuple(row.get(split) for split in splits)
            if None in keys:
                continue
            if counting is not None and name == "tf_idf":
                chunked.append((number, j, keys))
                continue
            if (name, keys) not in known:
                parts = [present[key] for key in keys]
                known[name, keys] = MEASURES[name].function(*parts)
            values[number, j] = known[name, keys]
        if counting is None:
            for key in table.needed_last(number):
                del present[key]
    next(arriving, None)  # ends a progress bar
    if chunked:
        found = _chunk_distances(table, features, present, chunked, counting, n_jobs)
        for (number, j, _), distance in zip(chunked, found, strict=True):
            values[number, j] = distance
    return values


def _chunk_distances(table, features, statistics, places, counting, n_jobs):
    """Return the TF-IDF distances of chunks at some places of a table."""
    pairs = []
    for _, j, (first, second) in places:
        # The training set is cut into chunks, else the larger of the two.
        is_shorter = statistics[first].size < statistics[second].size
        is_second = features[j].splits[0] != "train" and is_shorter
        pairs.append((second, first) if is_second else (first, second))
    partners: dict[Any, dict[Any, None]] = {}  # so that each is read once
    for longer, shorter in pairs:
        partners.setdefault(longer, {})[shorter] = None
    found = Parallel(n_jobs=n_jobs)(
        delayed(chunk_distances)(
            table.corpora[longer],
            statistics[longer],
            [(table.corpora[key], statistics[key]) for key in others],
            counting,
        )
        for longer, others in partners.items()
    )
    distances = {
        (longer, shorter): distance
        for (longer, others), values in zip(partners.items(), found, strict=True)
        for shorter, distance in zip(others, values, strict=True)
    }
    return [distances[pair] for pair in pairs]
