"""Counts of things by their 64-bit hashes, in sorted arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

# Parts wait for so many keys before they are merged.
PENDING = 1 << 20
HASH_BITS = 64


def hash_texts(texts: Sequence[str]) -> np.ndarray:
    """Return the SipHash of each text as uint64: the same on every machine."""
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return pd.util.hash_array(array, categorize=False)


def combine(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return a hash of each ordered pair of hashes (the finaliser of SplitMix64)."""
    with np.errstate(over="ignore"):
        mixed = first * np.uint64(0x9E3779B97F4A7C15) + (second ^ (second >> 32))
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


@dataclass
class HashCounts:
    """Counts by hash.

    With `level` k only hashes below 2^(64-k) are there: of every two tables the same
    things are sampled, so that what they share can be estimated.
    """

    keys: np.ndarray  # (n_keys,) sorted uint64
    values: np.ndarray  # (n_keys, n_columns) int64
    level: int = 0

    def __len__(self):
        return len(self.keys)

    def at_level(self, level):
        """Return the sample of a level that is no lower than its own."""
        if level == self.level:
            return self
        n = np.searchsorted(self.keys, _bound(level))
        return HashCounts(self.keys[:n], self.values[:n], level)


def _bound(level):
    """Return what hashes of a level above 0 are smaller than."""
    return np.uint64(1 << (HASH_BITS - level))


def at_same_level(first: HashCounts, second: HashCounts):
    """Return the samples of two tables that can be compared."""
    level = max(first.level, second.level)
    return first.at_level(level), second.at_level(level)


def shared_positions(first: HashCounts, second: HashCounts):
    """Return where the keys are that two tables share, in each of them."""
    small, large = sorted((first, second), key=len)
    if not len(small):
        return np.empty(0, dtype=int), np.empty(0, dtype=int)
    position = np.searchsorted(large.keys, small.keys)
    position = np.minimum(position, len(large) - 1)
    found = large.keys[position] == small.keys
    in_small, in_large = np.flatnonzero(found), position[found]
    return (in_small, in_large) if small is first else (in_large, in_small)


class HashCounter:
    """Adds counts up by hash, in bounded memory if it has a limit.

    Parameters
    ----------
    n_columns : int
        How many counts each key has.
    limit : int or None
        With more keys than this, half of them are dropped: those with large hashes.
    """

    def __init__(self, n_columns: int = 1, limit: int | None = None):
        self._limit = limit
        empty = np.empty(0, dtype=np.uint64)
        self._total = HashCounts(empty, np.empty((0, n_columns), dtype=np.int64))
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []
        self._pending = 0

    def add(self, keys: np.ndarray, *columns: np.ndarray):
        """Add counts; a key may stand several times."""
        values = np.column_stack(columns).astype(np.int64, copy=False)
        if self._total.level:
            kept = keys < _bound(self._total.level)
            keys, values = keys[kept], values[kept]
        self._parts.append((keys, values))
        self._pending += len(keys)
        # The larger the total, the rarer the merge: time stays linear.
        if self._pending > max(PENDING, len(self._total)):
            self._merge()

    def _merge(self):
        parts = [(self._total.keys, self._total.values), *self._parts]
        self._parts, self._pending = [], 0
        keys = np.concatenate([part[0] for part in parts])
        values = np.concatenate([part[1] for part in parts])
        del parts
        order = np.argsort(keys, kind="stable")
        keys, values = keys[order], values[order]
        starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]][: len(keys)])
        if len(starts):
            keys, values = keys[starts], np.add.reduceat(values, starts, axis=0)
        self._total = HashCounts(keys, values, self._total.level)
        while self._limit is not None and len(self._total) > self._limit:
            self._total = self._total.at_level(self._total.level + 1)

    def result(self) -> HashCounts:
        """Return all counts."""
        self._merge()
        return self._total
