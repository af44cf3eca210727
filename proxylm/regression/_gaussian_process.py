"""Gaussian process regression with closed-form predictions for left-out groups."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_solve, lapack
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

# Parameters are logarithms with normal priors this wide around their starts.
PRIOR_SCALE = 1.5 * np.sqrt(2)
BOUND = 6.0
# Variance of the intercept, in units of the variance of y.
INTERCEPT = 10.0
JITTER = 1e-6
NOISE = 0.3


class Rows(NamedTuple):
    """What covariances are functions of: numbers, and codes of ids, -1 for none."""

    Z: np.ndarray  # (n_rows, n_features)
    ids: np.ndarray  # (n_rows, n_id_columns)

    def take(self, index):
        """Return some of the rows."""
        return Rows(self.Z[index], self.ids[index])


def _split(theta, kernels):
    """Return the parameters of each kernel; the last of all is the noise."""
    ends = np.cumsum([len(kernel.start) for kernel in kernels])
    return np.split(theta[:-1], ends[:-1])


def _covariance(kernels, theta, rows, others):
    """Return the sum of all kernels and the intercept."""
    total = np.full((len(rows.Z), len(others.Z)), INTERCEPT)
    for kernel, part in zip(kernels, _split(theta, kernels), strict=True):
        total += kernel.value(part, rows, others)[0]
    return total


def _cholesky(K, theta, weights):
    """Return the lower Cholesky factor of K plus noise, or None; overwrites K."""
    K[np.diag_indices_from(K)] += np.exp(2 * theta[-1]) / weights + JITTER
    # The transpose is Fortran-ordered, so that LAPACK works in place.
    factor, failed = lapack.dpotrf(K.T, lower=1, clean=1, overwrite_a=1)
    return None if failed else factor


def _inverse(factor):
    """Return the symmetric inverse from a lower Cholesky factor."""
    inverse, _ = lapack.dpotri(factor, lower=1)
    lower = np.tril(inverse, -1)
    return np.tril(inverse) + lower.T


def negative_log_posterior(theta, kernels, rows, y, weights):
    """Return the negative log marginal likelihood plus prior, and its gradient.

    Parameters
    ----------
    theta : ndarray
        Logarithms of the parameters of every kernel and of the noise.
    kernels : list of kernels
    rows : Rows
    y : ndarray of shape (n_rows,)
        Scores with mean 0 and variance 1.
    weights : ndarray of shape (n_rows,)
        The noise variance of a row is divided by its weight.

    Returns
    -------
    value : float
    gradient : ndarray of the shape of theta

    References
    ----------
    .. [1] Rasmussen and Williams (2006). Gaussian Processes for Machine Learning,
       equations 5.8 and 5.9.
    """
    parts = _split(theta, kernels)
    K = np.full((len(y), len(y)), INTERCEPT)
    values = []
    for kernel, part in zip(kernels, parts, strict=True):
        value, kept = kernel.value(part, rows, rows)
        values.append((value, kept))
        K += value
    factor = _cholesky(K, theta, weights)
    if factor is None:
        return 1e10, np.zeros_like(theta)
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
    deviation = (theta - _start(kernels)) / PRIOR_SCALE
    value += 0.5 * deviation @ deviation
    return value, np.append(np.concatenate(gradient), noise) + deviation / PRIOR_SCALE


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

    def leave_out(self, groups, others):
        """Return what the process without each group predicts, in closed form.

        Parameters
        ----------
        groups : list of ndarray
            Row numbers of each group; a row may be in several.
        others : list of Rows
            For each group, rows that the process does not have.

        Returns
        -------
        predictions : list of (ndarray, ndarray)
            For the rows of each group, and for its others.

        Notes
        -----
        With the covariance K of the training scores, noise included, a = K^-1 y and
        d = [K^-1]_GG^-1 a_G, the mean at the group G without it is y_G - d [1]_, and
        elsewhere the weights of the training rows are a - [K^-1]_.G d: no refit. The
        parameters of the kernels stay those of all rows.

        References
        ----------
        .. [1] Rasmussen and Williams (2006). Gaussian Processes for Machine Learning,
           equation 5.12, for groups in place of single rows.
        """
        precision = _inverse(self.factor)
        predictions = []
        for group, rows in zip(groups, others, strict=True):
            block = precision[np.ix_(group, group)]
            change = np.linalg.solve(block, self.alpha[group])
            alpha = self.alpha - precision[:, group] @ change
            beside = _covariance(self.kernels, self.theta, rows, self.rows) @ alpha
            predictions.append((self.y[group] - change, beside))
        return predictions


def fit_gaussian_process(
    kernels, rows, y, weights, *, max_rows=500, max_iter=25, random_state=0
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
    max_rows : int, default=500
        The parameters maximise the posterior of so many rows, drawn at random; the
        process itself takes all rows. Time is cubic in it.
    max_iter : int, default=25
        Iterations of L-BFGS.
    random_state : int, default=0
        Seed of the draw.

    Returns
    -------
    process : GaussianProcess
    """
    drawn = slice(None)
    if len(y) > max_rows:
        rng = np.random.RandomState(random_state)
        drawn = np.sort(rng.choice(len(y), max_rows, replace=False))
    start = _start(kernels)
    # Threads of BLAS wait for each other on matrices of a few hundred rows.
    with threadpool_limits(1, user_api="blas"):
        found = minimize(
            negative_log_posterior,
            start,
            args=(kernels, rows.take(drawn), y[drawn], weights[drawn]),
            jac=True,
            method="L-BFGS-B",
            bounds=[(value - BOUND, value + BOUND) for value in start],
            options={"maxiter": max_iter},
        )
    theta = found.x
    factor = _cholesky(_covariance(kernels, theta, rows, rows), theta, weights)
    if factor is None:
        theta = start
        factor = _cholesky(_covariance(kernels, theta, rows, rows), theta, weights)
    alpha = cho_solve((factor, True), y, check_finite=False)
    return GaussianProcess(kernels, theta, rows, factor, alpha, y)
