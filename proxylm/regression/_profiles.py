"""What the proxies say of a language, before any score of the target is known."""

import numpy as np
import pandas as pd

from proxylm.regression._frames import from_arrays, to_arrays

# Factors of a language are read off a table of proxy scores that is filled this far.
LEAST_FILL = 0.5
LEAST_LANGUAGES = 5
N_FACTORS = 2
FILLS = 10


class LanguageProfiles:
    """Means, spreads and factors of the proxies' scores of each language, by side.

    A table of features alone, without scores of the target, is all that they are
    learned from. Where the proxies' scores of most pairs of languages are known, the
    leading factors of that matrix describe with which others a language goes.

    Parameters
    ----------
    languages : sequence of str
        One or two columns with languages.
    proxies : sequence of str
        Columns with scores of proxies.

    Attributes
    ----------
    tables : list of DataFrame
        The profiles of each language column, a row per language.
    """

    def __init__(self, languages, proxies):
        self.languages = tuple(languages)
        self.proxies = tuple(proxies)

    def fit(self, table):
        """Learn the profiles of every language in a table."""
        self.tables = []
        for name in self.languages:
            grouped = table[list(self.proxies)].groupby(table[name])
            parts = grouped.mean(), grouped.std(ddof=0)
            profile = pd.concat(parts, axis=1, keys=("mean", "std"))
            profile.columns = [f"{proxy}|{kind}" for kind, proxy in profile.columns]
            self.tables.append(profile)
        if len(self.languages) == 2:
            for proxy in self.proxies:
                self._add_factors(table, proxy)
        return self

    def __getstate__(self):
        tables = [to_arrays(table) for table in self.tables]
        return {**self.__dict__, "tables": tables}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.tables = [from_arrays(table) for table in state["tables"]]

    def transform(self, table):
        """Return the profiles of the languages of each row, one array per side.

        A language without a profile has NaN.
        """
        return [
            profile.reindex(table[name]).to_numpy(dtype=np.float64)
            for name, profile in zip(self.languages, self.tables, strict=True)
        ]

    def _add_factors(self, table, proxy):
        """Add the leading factors of the matrix of one proxy's scores."""
        source, target = self.languages
        matrix = table.pivot_table(
            index=source, columns=target, values=proxy, aggfunc="mean", dropna=False
        )
        matrix = matrix.reindex(self.tables[0].index).reindex(
            self.tables[1].index, axis=1
        )
        factors = matrix_factors(
            matrix.to_numpy(dtype=np.float64),
            matrix.index.to_numpy()[:, None] == matrix.columns.to_numpy()[None],
        )
        if factors is None:
            return
        for profile, values in zip(self.tables, factors, strict=True):
            for k in range(values.shape[1]):
                profile[f"{proxy}|factor{k}"] = values[:, k]


def matrix_factors(matrix, own):
    """Return factors of the rows and the columns of a matrix with holes, or None.

    Parameters
    ----------
    matrix : ndarray of shape (n_rows, n_columns)
        Scores, NaN where there is none.
    own : ndarray of bool of shape (n_rows, n_columns)
        Cells in which a language meets itself, and which count as holes: there is no
        transfer in them.

    Returns
    -------
    rows : ndarray of shape (n_rows, n_factors)
    columns : ndarray of shape (n_columns, n_factors)
        The singular vectors of the doubly centred matrix, times the roots of the
        singular values. None if the matrix is small or has too many holes.
    """
    known = np.isfinite(matrix) & ~own
    if min(matrix.shape) < LEAST_LANGUAGES or known.mean() < LEAST_FILL:
        return None
    if not (known.any(axis=0).all() and known.any(axis=1).all()):
        return None
    filled = np.where(known, matrix, matrix[known].mean())
    for _ in range(FILLS):
        rows, columns = filled.mean(axis=1), filled.mean(axis=0)
        additive = rows[:, None] + columns[None] - filled.mean()
        filled = np.where(known, matrix, additive)
    left, singular, right = np.linalg.svd(filled - additive, full_matrices=False)
    n_factors = min(N_FACTORS, len(singular))
    roots = np.sqrt(singular[:n_factors])
    return left[:, :n_factors] * roots, right[:n_factors].T * roots
