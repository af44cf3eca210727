"""Ids of a table as numbers."""

import numpy as np
import pandas as pd


class IdCoder:
    """Numbers for the ids of some columns.

    Every column has one number more than it has ids, the last. In `fit` it stands
    for a missing id, and everywhere for an id that meets itself in another column:
    such records share an id of their own.

    Attributes
    ----------
    labels : dict of str to ndarray
        The ids of each column, sorted.
    n_codes : list of int
        One more than the number of ids of each column.
    has_self : bool
        Whether an id met itself in `fit`.
    """

    def __init__(self, columns):
        self.columns = columns
        self.labels, self.n_codes, self.has_self = {}, [], False

    def fit(self, X, n_samples):
        """Learn the ids of a table.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_columns)
            Numbers per column.
        units : ndarray of shape (n_samples, n_columns)
            Numbers that are equal where ids of two columns are.
        """
        if not self.columns:
            empty = np.empty((n_samples, 0), dtype=int)
            return empty, empty
        table = self._table(X)
        self.has_self = bool(_meets_itself(table).any())
        for name in self.columns:
            known = sorted(table[name].dropna().unique(), key=_order)
            self.labels[name] = np.array(known, dtype=object)
            self.n_codes.append(len(known) + 1)
        codes = self._codes(table)
        codes = np.where(codes < 0, np.array(self.n_codes) - 1, codes)
        units = pd.factorize(table.to_numpy(dtype=object).ravel())[0]
        units = units.reshape(table.shape)
        return codes, np.where(units < 0, units.max() + 1, units)

    def codes(self, X, n_samples):
        """Return numbers of shape (n_samples, n_columns), -1 for a new id."""
        if not self.columns:
            return np.empty((n_samples, 0), dtype=int)
        return self._codes(self._table(X))

    def _codes(self, table):
        codes = np.column_stack(
            [
                pd.Index(self.labels[name], dtype=object).get_indexer(
                    pd.Index(table[name], dtype=object)
                )
                for name in table
            ]
        )
        if self.has_self:
            own = np.broadcast_to(np.array(self.n_codes) - 1, codes.shape)
            codes = np.where(_meets_itself(table), own, codes)
        return codes

    def _table(self, X):
        """Return the columns as objects, missing ids as None."""
        table = X[list(self.columns)].astype(object)
        present = table.notna()
        return table if present.all(axis=None) else table.where(present, None)


def _order(label):
    """Key that sorts labels of one type in their order, types apart."""
    return type(label).__name__, label


def _meets_itself(table):
    """Say which cells of the table have an id that stands in another column too."""
    columns = [table[name].to_numpy() for name in table]
    meets = np.zeros(table.shape, dtype=bool)
    for i, left in enumerate(columns):
        for j in range(i + 1, len(columns)):
            same = (left == columns[j]) & pd.notna(left)
            meets[:, i] |= same
            meets[:, j] |= same
    return meets
