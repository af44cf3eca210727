"""Gaussian process regression with closed-form predictions for left-out groups."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_solve, lapack, solve_triangular
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

# Parameters are logarithms with normal priors this wide around their starts.
PRIOR_SCALE = 1.5 * np.sqrt(2)
BOUND = 6.0
# Variance of the intercept, in units of the variance of y.
INTERCEPT = 10.0
JITTER = 1e-6
# Variances are found for so many rows at a time.
PREDICTED_ROWS = 1_000
NOISE = 0.3
BLOCK = 128
# Of L-BFGS: 25 take a third longer and change errors by -2% to 2%.
MAX_ITERATIONS = 18
# Parameters are learned from a third of the rows, at least so many, in blocks of about
# so many: the time for each step is cubic in a block.
DRAWN_ROWS = 400
LEARNING_BLOCK = 200
LEAST_LANGUAGES = 14
PIVOT_SHARE = 0.25


class Rows(NamedTuple):
    """What covariances are functions of: numbers, and codes of ids.

    A code is `UNSEEN` for an id that was not in the training rows, `NO_ID` for none.
    """

    Z: np.ndarray  # (n_rows, n_features)
    ids: np.ndarray  # (n_rows, n_id_columns)

    def take(self, index):
        """Return some of the rows."""
        return Rows(self.Z[index], self.ids[index])


def _split(theta, kernels):
    """Return the parameters of each kernel; the last of all is the noise."""
    ends = np.cumsum([len(kernel.start) for kernel in kernels])
    return np.split(theta[:-1], ends[:-1])


def _covariance(kernels, theta, rows, others, *, is_symmetric=False):
    """Return the sum of all kernels and the intercept.

    Of a symmetric one only the upper triangle is filled, which `_cholesky` reads.
    """
    total = np.zeros((len(rows.Z), len(others.Z)))
    parts = _split(theta, kernels)
    # Blocks of rows stay in the processor's cache.
    for start in range(0, len(rows.Z), BLOCK):
        block = slice(start, start + BLOCK)
        columns = slice(start if is_symmetric else 0, None)
        filled = total[block, columns]
        filled += INTERCEPT
        for kernel, part in zip(kernels, parts, strict=True):
            filled += kernel.value(part, rows.take(block), others.take(columns))[0]
    return total


def _cholesky(K, theta, weights):
    """Return the lower Cholesky factor of K plus noise, or None; overwrites K."""
    K[np.diag_indices_from(K)] += np.exp(2 * theta[-1]) / weights + JITTER
    # The transpose is Fortran-ordered, so that LAPACK works in place.
    factor, failed = lapack.dpotrf(K.T, lower=1, clean=1, overwrite_a=1)
    return None if failed else factor


def _training_factor(kernels, theta, rows, weights):
    """Return the lower Cholesky factor of the training rows' covariance, or None."""
    K = _covariance(kernels, theta, rows, rows, is_symmetric=True)
    return _cholesky(K, theta, weights)


def _inverse(factor):
    """Return the symmetric inverse from a lower Cholesky factor."""
    # Above the diagonal are the zeros of the factor.
    lower, _ = lapack.dpotri(factor, lower=1)
    inverse = lower + lower.T
    inverse[np.diag_indices_from(inverse)] /= 2
    return inverse


def _inverse_root(matrix):
    """Return R with R'R the inverse of a symmetric positive definite matrix."""
    if not len(matrix):
        return matrix
    root, failed = lapack.dpotrf(matrix, lower=1, clean=1)
    if not failed:
        return lapack.dtrtri(root, lower=1)[0]
    # Rounding has made it indefinite.
    values, vectors = np.linalg.eigh(matrix)
    least = np.finfo(float).eps * len(matrix) * values[-1]
    return (vectors / np.sqrt(np.maximum(values, least))).T


def _negative_log_likelihood(theta, kernels, rows, y, weights):
    """Return the negative log marginal likelihood of a block, and its gradient."""
    parts = _split(theta, kernels)
    K = np.full((len(y), len(y)), INTERCEPT)
    values = []
    for kernel, part in zip(kernels, parts, strict=True):
        value, kept = kernel.value(part, rows, rows)
        values.append((value, kept))
        K += value
    factor = _cholesky(K, theta, weights)
    if factor is None:
        return np.inf, np.zeros_like(theta)
    alpha = cho_solve((factor, True), y, check_finite=False)
    W = _inverse(factor)
    W -= np.outer(alpha, alpha)
    W *= 0.5
    value = 0.5 * y @ alpha + np.log(np.diag(factor)).sum()
    gradient = [
        kernel.gradient(part, rows, *kernel_value, W)
        for kernel, part, kernel_value in zip(kernels, parts, values, strict=True)
    ]
    noise = 2 * np.exp(2 * theta[-1]) * np.sum(np.diag(W) / weights)
    return value, np.append(np.concatenate(gradient), noise)


def negative_log_posterior(theta, kernels, blocks):
    """Return the negative composite log likelihood plus prior, and its gradient.

    Parameters
    ----------
    theta : ndarray
        Logarithms of the parameters of every kernel and of the noise.
    kernels : list of kernels
    blocks : list of (Rows, ndarray, ndarray)
        Rows, their scores with mean 0 and variance 1, and their weights, by which the
        noise variance of a row is divided. Blocks count as independent.

    Returns
    -------
    value : float
    gradient : ndarray of the shape of theta

    References
    ----------
    .. [1] Rasmussen and Williams (2006). Gaussian Processes for Machine Learning,
       equations 5.8 and 5.9.
    .. [2] Varin, Reid and Firth (2011). "An overview of composite likelihood methods".
       Statistica Sinica 21.
    """
    deviation = (theta - _start(kernels)) / PRIOR_SCALE
    value = 0.5 * deviation @ deviation
    gradient = deviation / PRIOR_SCALE
    for rows, y, weights in blocks:
        found = _negative_log_likelihood(theta, kernels, rows, y, weights)
        if not np.isfinite(found[0]):
            return 1e10, np.zeros_like(theta)
        value, gradient = value + found[0], gradient + found[1]
    return value, gradient


def _start(kernels):
    return np.append(np.concatenate([k.start for k in kernels]), np.log(NOISE))


@dataclass
class GaussianProcess:
    """A fitted Gaussian process, in units of standardised y."""

    kernels: list
    theta: np.ndarray
    rows: Rows
    factor: np.ndarray
    alpha: np.ndarray
    y: np.ndarray

    def predict(self, rows):
        """Return posterior means of shape (n_rows,)."""
        return _covariance(self.kernels, self.theta, rows, self.rows) @ self.alpha

    def predict_with_variance(self, rows):
        """Return posterior means, and variances of scores, of shape (n_rows,) each.

        The variance is that of a score of weight one, its noise included [1]_.

        References
        ----------
        .. [1] Rasmussen and Williams (2006). Gaussian Processes for Machine Learning,
           equation 2.26.
        """
        means, variance = np.empty(len(rows.Z)), self._prior_variance(rows)
        for start in range(0, len(rows.Z), PREDICTED_ROWS):
            part = slice(start, start + PREDICTED_ROWS)
            covariance = _covariance(
                self.kernels, self.theta, rows.take(part), self.rows
            )
            means[part] = covariance @ self.alpha
            explained = solve_triangular(
                self.factor, covariance.T, lower=True, check_finite=False
            )
            variance[part] -= np.einsum("ij,ij->j", explained, explained)
        return means, np.maximum(variance, JITTER)

    def _prior_variance(self, rows):
        """Return the variances of scores of which nothing is known."""
        parts = _split(self.theta, self.kernels)
        total = np.full(len(rows.Z), INTERCEPT + np.exp(2 * self.theta[-1]))
        for kernel, part in zip(self.kernels, parts, strict=True):
            total += kernel.variance(part, rows)
        return total

    def precision(self):
        """Return the inverse of the training scores' covariance."""
        return _inverse(self.factor)

    def leave_one_out(self, precision):
        """Return means and variances at each row by the process without it."""
        diagonal = np.diag(precision)
        return self.y - self.alpha / diagonal, 1 / diagonal

    def leave_out(self, precision, groups, others):
        """Return what the process without each group predicts, in closed form.

        Parameters
        ----------
        precision : ndarray of shape (n_rows, n_rows)
            As the process returns it.
        groups : list of ndarray
            Row numbers of each group; a row may be in several.
        others : list of Rows
            For each group, rows that the process does not have.

        Returns
        -------
        predictions : list of ((ndarray, ndarray), ndarray)
            For each group the means and variances of its rows, and the means of its
            others.

        Notes
        -----
        With the covariance K of the training scores, noise included, P = K^-1,
        a = P y and d = [P]_GG^-1 a_G, the mean at the group G without it is
        y_G - d [1]_, its covariance [P]_GG^-1, and elsewhere the weights of the
        training rows are a - [P]_.G d: no refit. The parameters of the kernels stay
        those of all rows. The variance of a row of the group is that of its own score,
        noise and weight included.

        References
        ----------
        .. [1] Rasmussen and Williams (2006). Gaussian Processes for Machine Learning,
           equation 5.12, for groups in place of single rows.
        """
        predictions = []
        for group, rows in zip(groups, others, strict=True):
            inverse = _inverse_root(precision[np.ix_(group, group)])
            change = inverse.T @ (inverse @ self.alpha[group])
            inside = self.y[group] - change, np.einsum("ij,ij->j", inverse, inverse)
            outside = np.empty(0)
            if len(rows.Z):
                alpha = self.alpha - change @ precision[group]
                beside = _covariance(self.kernels, self.theta, rows, self.rows)
                outside = beside @ alpha
            predictions.append((inside, outside))
        return predictions


def _draw_blocks(rows, learn_from, random_state):
    """Return the row numbers of the blocks that parameters are learned from."""
    n_rows = len(rows.Z)
    if n_rows <= DRAWN_ROWS:
        return [np.arange(n_rows)]
    rng = np.random.RandomState(random_state)
    n_drawn = max(DRAWN_ROWS, n_rows // 3)
    n_blocks = round(n_drawn / LEARNING_BLOCK)
    if learn_from == "languages" and rows.ids.shape[1]:
        return [_draw_languages(rows.ids[:, :2], rng) for _ in range(n_blocks)]
    return np.array_split(rng.permutation(n_rows)[:n_drawn], n_blocks)


def _draw_languages(ids, rng):
    """Return the row numbers of a block of all records among a few languages.

    Languages are drawn on each side, `LEAST_LANGUAGES` or as many as have enough
    records; those of a great part of all records, such as English in translation from
    and into it, are always among them.
    """
    last = np.zeros(len(ids))
    for side in ids.T:
        counts = np.bincount(side)
        rank = rng.permutation(len(counts)) + 1
        rank[counts > PIVOT_SHARE * len(ids)] = 0
        last = np.maximum(last, rank[side])
    n_languages = max(LEAST_LANGUAGES, np.sort(last)[LEARNING_BLOCK - 1])
    return rng.permutation(np.flatnonzero(last <= n_languages))[:LEARNING_BLOCK]


def fit_gaussian_process(
    kernels, rows, y, weights, *, learn_from="records", random_state=0
):
    """Fit a Gaussian process whose covariance is a sum of kernels.

    Parameters
    ----------
    kernels : list of kernels
    rows : Rows
        The training rows.
    y : ndarray of shape (n_rows,)
        Scores with mean 0 and variance 1.
    weights : ndarray of shape (n_rows,)
        Positive; the noise variance of a row is divided by its weight.
    random_state : int, default=0
        Seed of the rows that the parameters are learned from, all if there are no more
        than `DRAWN_ROWS`. The process itself takes all rows.

    Returns
    -------
    process : GaussianProcess
    """
    blocks = [
        (rows.take(block), y[block], weights[block])
        for block in _draw_blocks(rows, learn_from, random_state)
    ]
    start = _start(kernels)
    # Threads of BLAS wait for each other on matrices of a few hundred rows.
    with threadpool_limits(1, user_api="blas"):
        found = minimize(
            negative_log_posterior,
            start,
            args=(kernels, blocks),
            jac=True,
            method="L-BFGS-B",
            bounds=[(value - BOUND, value + BOUND) for value in start],
            options={"maxiter": MAX_ITERATIONS},
        )
    theta = found.x
    factor = _training_factor(kernels, theta, rows, weights)
    if factor is None:
        theta = start
        factor = _training_factor(kernels, theta, rows, weights)
    alpha = cho_solve((factor, True), y, check_finite=False)
    return GaussianProcess(kernels, theta, rows, factor, alpha, y)
