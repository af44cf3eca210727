"""Prediction for ids that were never seen, chosen by leaving ids out."""

from dataclasses import dataclass

import numpy as np

MAX_FOLDS = 20
# A feature is taken if it lowers the error over left-out ids by a tenth: with few
# ids to leave out, smaller gains are mostly chance.
GAIN = 0.9
RIDGE = 1.0
BIAS_PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, np.inf)


@dataclass
class ColdStart:
    """Intercept, sparse coefficients, and shrunken biases of the ids that are known.

    `variance` is the mean squared error of rows with one id left out.
    """

    intercept: float
    coef: np.ndarray
    biases: list
    variance: float

    def predict(self, ids, Z):
        """Return predictions; code -1 stands for an unseen id."""
        total = self.intercept + Z @ self.coef
        for column, biases in zip(ids.T, self.biases, strict=True):
            total += np.where(column >= 0, biases[column], 0.0)
        return total


def leave_out_folds(units):
    """Return masks of the rows of each fold of left-out ids.

    Parameters
    ----------
    units : ndarray of shape (n_samples, n_columns)
        Codes of the ids; equal codes in two columns are the same id.

    Returns
    -------
    folds : list of ndarray of bool
        At most 20; ids that are in every row are left out of none.
    """
    n_units = int(units.max()) + 1
    member = np.zeros((len(units), n_units), dtype=bool)
    for column in units.T:
        member[np.arange(len(units)), column] = True
    member = member[:, ~member.all(axis=0)]
    n_folds = min(MAX_FOLDS, member.shape[1])
    folds = [member[:, start::n_folds].any(axis=1) for start in range(n_folds)]
    return [fold for fold in folds if 0 < fold.sum() < len(units)]


def _select(X, y, weights, folds):
    """Return the columns of X that carry over to left-out rows, the first among them.

    Forward selection by the error over the folds. Ridge regression without a fold
    needs the Gram matrix less that of the fold, and so does its error on the fold, so
    all candidates and folds are solved at once and no fold is fitted anew.
    """
    table = np.column_stack([X, y])
    n_columns = X.shape[1]
    held = np.array([(table[f] * weights[f, None]).T @ table[f] for f in folds])
    gram = (table * weights[:, None]).T @ table
    totals = np.maximum([weights[f].sum() for f in folds], 1e-12)
    rest = gram - held  # the Gram matrix of [X, y] without each fold

    def errors(columns):
        """Return the errors of the sets of columns in the rows of `columns`."""
        left, right = columns[:, :, None], columns[:, None, :]
        penalty = np.diag([0.0] + [RIDGE] * (columns.shape[1] - 1))
        moments = rest[:, columns, n_columns, None]
        solution = np.linalg.solve(rest[:, left, right] + penalty, moments)
        signs = np.concatenate([solution, -np.ones_like(solution[:, :, :1])], axis=2)
        full = np.pad(columns, ((0, 0), (0, 1)), constant_values=n_columns)
        squares = signs.mT @ held[:, full[:, :, None], full[:, None, :]] @ signs
        squares = np.maximum(squares[..., 0, 0], 0.0)
        return np.sqrt(squares / totals[:, None]).mean(axis=0)

    chosen = [0]
    best = errors(np.array([chosen]))[0]
    while len(chosen) < n_columns:
        others = [j for j in range(n_columns) if j not in chosen]
        candidates = errors(np.array([[*chosen, j] for j in others]))
        if candidates.min() > GAIN * best:
            break
        chosen.append(others[int(candidates.argmin())])
        best = candidates.min()
    penalty = np.diag([0.0] + [RIDGE] * (len(chosen) - 1))
    system = gram[np.ix_(chosen, chosen)] + penalty
    return chosen, np.linalg.solve(system, gram[chosen, n_columns])


def _known_biases(ids, units, residual, weights, n_ids):
    """Return biases of the ids, shrunk as far as leaving the other ids out asks for.

    The bias of an id without the rows of a unit u is
    (S_i - S_iu) / (N_i - N_iu + penalty), with sums S of the residual and N of the
    weights, so every penalty is judged without a fit.
    """
    n_units = int(units.max()) + 1
    sums, counts, predictors = [], [], []
    for k, n in enumerate(n_ids):
        sums.append(np.bincount(ids[:, k], weights * residual, minlength=n))
        counts.append(np.bincount(ids[:, k], weights, minlength=n))
        for left_out in range(ids.shape[1]):
            if left_out == k:
                continue
            pair = ids[:, k] * n_units + units[:, left_out]
            _, pair = np.unique(pair, return_inverse=True)
            without = np.bincount(pair, weights * residual)[pair]
            rows = np.bincount(pair, weights)[pair]
            predictors.append(
                (left_out, sums[k][ids[:, k]] - without, counts[k][ids[:, k]] - rows)
            )
    best = np.inf, None
    for penalty in BIAS_PENALTIES:
        squares = []
        for left_out in range(ids.shape[1]):
            known = sum(
                total / np.maximum(count + penalty, 1e-12)
                for column, total, count in predictors
                if column == left_out
            )
            squares.append(np.average((residual - known) ** 2, weights=weights))
        if np.mean(squares) < best[0]:
            best = np.mean(squares), penalty
    variance, penalty = best
    biases = [
        total / np.maximum(count + penalty, 1e-12)
        for total, count in zip(sums, counts, strict=True)
    ]
    return biases, float(variance)


def fit_cold_start(ids, units, Z, y, weights, n_ids):
    """Fit what is used where an id is new.

    Parameters
    ----------
    ids : ndarray of shape (n_samples, n_columns)
        Codes of the ids of each column.
    units : ndarray of shape (n_samples, n_columns)
        Codes that are equal where ids of two columns are the same.
    Z : ndarray of shape (n_samples, p)
        Standardised side features.
    y : ndarray of shape (n_samples,)
    weights : ndarray of shape (n_samples,)
    n_ids : list of int

    Returns
    -------
    model : ColdStart
    """
    X = np.hstack([np.ones((len(Z), 1)), Z])
    folds = leave_out_folds(units)
    if len(folds) < 2:
        chosen, solution = [0], np.array([np.average(y, weights=weights)])
    else:
        chosen, solution = _select(X, y, weights, folds)
    coef = np.zeros(X.shape[1])
    coef[chosen] = solution
    residual = y - X @ coef
    biases, variance = _known_biases(ids, units, residual, weights, n_ids)
    return ColdStart(coef[0], coef[1:], biases, variance)
