"""The fitted factor model: intercept, features, biases and factors of ids."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

ROWS_OF_A_CHUNK = 16_384


@dataclass
class FactorModel:
    """Scores as a sum of an intercept, features, id biases and factor products.

    Attributes
    ----------
    intercept : float
    coef : ndarray of shape (n_features,)
    biases : list of ndarray of shape (n_ids,)
        One array per id column.
    factors : list of ndarray of shape (n_ids, n_components)
        One array per id column.

    Notes
    -----
    A row with ids i_1, ..., i_C and features z has the score

        mu + c . z + sum_k b_k[i_k] + sum_{k < l} v_k[i_k] . v_l[i_l],

    the biased matrix factorization of [1]_ for two id columns, and for more of them
    the factorization machine of [2]_ whose fields are the id columns.

    References
    ----------
    .. [1] Koren, Bell & Volinsky (2009). Matrix factorization techniques for
       recommender systems. Computer 42(8). https://doi.org/10.1109/MC.2009.263
    .. [2] Rendle (2010). Factorization machines. ICDM.
       https://doi.org/10.1109/ICDM.2010.127
    """

    intercept: float
    coef: np.ndarray
    biases: list[np.ndarray]
    factors: list[np.ndarray]

    def predict(self, ids, Z):
        """Return the scores of rows; an unseen id adds nothing.

        Parameters
        ----------
        ids : ndarray of shape (n_rows, n_id_columns)
            Codes of the ids, -1 for an unseen one.
        Z : ndarray of shape (n_rows, n_features)

        Returns
        -------
        scores : ndarray of shape (n_rows,)
        """
        # The code -1 picks the appended zeros.
        biases = [np.append(bias, 0.0) for bias in self.biases]
        factors = [np.pad(factor, ((0, 1), (0, 0))) for factor in self.factors]
        scores = self.intercept + Z @ self.coef
        for column, bias in enumerate(biases):
            scores += bias.take(ids[:, column])
        return add_interactions(scores, ids.T, factors)


def add_interactions(scores, codes, factors):
    """Add the factor products of every pair of id columns to scores, in place.

    Both lists have an entry per id column: its ids of shape (n_rows,), and the
    factors of its ids of shape (n_ids, n_components).
    """
    for start in range(0, len(scores), ROWS_OF_A_CHUNK):
        rows = slice(start, start + ROWS_OF_A_CHUNK)
        gathered = [
            factor.take(code[rows], axis=0)
            for code, factor in zip(codes, factors, strict=True)
        ]
        for left, right in combinations(gathered, 2):
            scores[rows] += np.einsum("ij,ij->i", left, right)
    return scores
