"""Alternating ridge regressions for the factor model, with an exact line search."""

from contextlib import nullcontext
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array
from sklearn.utils import check_random_state
from threadpoolctl import threadpool_limits

from proxylm.regression._factor_model import FactorModel, add_interactions
from proxylm.regression._segments import Segments

# Up to this many linear coefficients their normal matrix is factorised once.
DENSE_COEFFICIENTS = 1_500
# Relative size of the gradient at which conjugate gradients stop: where the linear
# part is all there is, and within a sweep.
CG_TOL_ALONE = 1e-12
CG_TOL_SWEEP = 0.1
CG_MAX_ITER = 1_000
# Where data and penalties leave a null space, relative to the largest diagonal.
RIDGE_FLOOR = 1e-12
START_ITERATIONS = 8
# From here on one thread of BLAS, whose own threads only wait for each other on
# products as thin as these; the limit itself takes a millisecond.
LARGE_ROWS = 4_000
LONGEST_STEP = 10.0


class _Problem(NamedTuple):
    """What stays the same over the sweeps."""

    columns: list[Segments]
    seen: list[np.ndarray]  # per column the ids whose rows have any weight
    weights: np.ndarray | None
    # Of [intercept, coef], and of [factors, bias] per column, for each id or for all.
    penalties: list[np.ndarray]


def _times(values, weights):
    """Multiply rows by their weights, if there are any."""
    if weights is None:
        return values
    return values * (weights if values.ndim == 1 else weights[:, None])


def _totals(column, weights):
    """Return the number of rows of each id, or the sum of their weights."""
    return column.counts if weights is None else column.sums(weights)


class _LinearPart:
    """Intercept, coefficients of features and all biases: one joint ridge regression.

    Its coefficients in a row are the intercept, those of the features, and the biases
    of each id column; `bounds` says where each of them starts.
    """

    def __init__(self, columns, Z, weights, alpha_coef, alphas_bias):
        self.columns = columns
        self.weights = weights
        self.dense = np.column_stack([np.ones(len(Z)), Z])
        self.bounds = np.cumsum(
            [0, self.dense.shape[1], *(column.n_ids for column in columns)]
        )
        self.penalty = np.full(self.bounds[-1], float(alpha_coef))
        self.penalty[0] = 0.0
        for pair, alpha in zip(pairwise(self.bounds[1:]), alphas_bias, strict=True):
            self.penalty[slice(*pair)] = alpha
        self.is_dense = self.bounds[-1] <= DENSE_COEFFICIENTS
        matrix = self._normal_matrix() if self.is_dense else self._preconditioner()
        self.cholesky = cho_factor(matrix, overwrite_a=True, check_finite=False)

    def _normal_matrix(self):
        """Return X^T W X plus the penalty, block by block."""
        bounds = self.bounds
        blocks = [slice(*pair) for pair in pairwise(bounds)]
        head = blocks[0]
        normal = np.zeros((bounds[-1], bounds[-1]))
        weighted = _times(self.dense, self.weights)
        normal[head, head] = self.dense.T @ weighted
        for k, (column, rows) in enumerate(zip(self.columns, blocks[1:], strict=True)):
            sums = column.sums(weighted)
            normal[rows, head] = sums
            normal[head, rows] = sums.T
            normal[rows, rows] = np.diag(sums[:, 0])
            for other, others in zip(self.columns[:k], blocks[1:], strict=False):
                shape = column.n_ids, other.n_ids
                cells = column.codes * other.n_ids + other.codes
                table = np.bincount(cells, self.weights, minlength=np.prod(shape))
                normal[rows, others] = table.reshape(shape)
                normal[others, rows] = table.reshape(shape).T
        return self._penalised(normal)

    def _preconditioner(self):
        """Return the block of the features; keep the diagonal of the biases."""
        weighted = _times(self.dense, self.weights)
        totals = [_totals(column, self.weights) for column in self.columns]
        self.bias_diagonal = np.concatenate(totals) + self.penalty[self.bounds[1] :]
        self.bias_diagonal[self.bias_diagonal == 0] = 1.0
        return self._penalised(self.dense.T @ weighted)

    def _penalised(self, matrix):
        """Add the penalty and a floor against null spaces to the diagonal, in place."""
        diagonal = np.einsum("ii->i", matrix)
        diagonal += self.penalty[: len(matrix)] + RIDGE_FLOOR * diagonal.max()
        return matrix

    def _preconditioned(self, gradient):
        n_head = self.bounds[1]
        head = cho_solve(self.cholesky, gradient[:n_head], check_finite=False)
        return np.concatenate([head, gradient[n_head:] / self.bias_diagonal])

    def _fitted(self, coefficients):
        """Return X coefficients of shape (n_rows,)."""
        head, *biases = np.split(coefficients, self.bounds[1:-1])
        fitted = self.dense @ head
        for column, bias in zip(self.columns, biases, strict=True):
            fitted += bias.take(column.codes)
        return fitted

    def _gradient(self, residual, coefficients):
        """Return X^T W residual less the pull of the penalty."""
        residual = _times(residual, self.weights)
        sums = [column.sums(residual) for column in self.columns]
        gradient = np.concatenate([residual @ self.dense, *sums])
        gradient -= self.penalty * coefficients
        return gradient

    def step(self, head, states, residual, tol):
        """Minimise over all linear coefficients; update every array in place.

        Conjugate gradients, where they are used, start at the present coefficients
        and never raise the objective, wherever they stop.
        """
        biases = [state[:, -1] for state in states]
        start = np.concatenate([head, *biases])
        gradient = self._gradient(residual, start)
        if self.is_dense:
            change = cho_solve(self.cholesky, gradient, check_finite=False)
            residual -= self._fitted(change)
        else:
            change = self._conjugate_gradients(gradient, start, residual, tol)
        for values, part in zip(
            [head, *biases], np.split(change, self.bounds[1:-1]), strict=True
        ):
            values += part

    def _conjugate_gradients(self, gradient, start, residual, tol):
        """Return the change of the coefficients and update the residual."""
        coefficients = start.copy()
        direction = self._preconditioned(gradient)
        size = gradient @ direction
        enough = tol**2 * size
        for _ in range(CG_MAX_ITER):
            if size <= enough:
                break
            fitted = self._fitted(direction)
            curvature = fitted @ _times(fitted, self.weights)
            curvature += direction @ (self.penalty * direction)
            length = size / curvature
            coefficients += length * direction
            residual -= length * fitted
            gradient = self._gradient(residual, coefficients)
            scaled = self._preconditioned(gradient)
            previous, size = size, gradient @ scaled
            direction = scaled + size / previous * direction
        return coefficients - start


def _other_factors(columns, states, k):
    """Return a function from rows to [sum of the factors of their other ids, 1]."""
    others = []
    for other, (column, state) in enumerate(zip(columns, states, strict=True)):
        if other != k:
            regressors = state.copy()
            regressors[:, -1] = 0.0 if others else 1.0
            others.append((column.codes, regressors))

    def gather(rows):
        total, *more = (
            values.take(codes.take(rows), axis=0) for codes, values in others
        )
        for gathered in more:
            total += gathered
        return total

    return gather


def _first_factors(columns, residual, weights, n_components, rng):
    """Return factors to start from, as long as the variance of the residual implies.

    The first column's are zero, as its step comes first. For two columns the second's
    come from subspace iterations on the matrix of residuals, each divided by the
    roots of the counts of its ids, so that ids with few rows start as long as others.
    The draws depend on the codes of the ids alone, not on the order of the rows.
    """
    total = len(residual) if weights is None else weights.sum()
    variance = residual @ _times(residual, weights) / total
    length = (variance / n_components) ** 0.25
    sizes = [column.n_ids for column in columns]
    factors = [length * rng.standard_normal((size, n_components)) for size in sizes]
    if len(columns) == 2 and n_components < min(sizes):
        first, second = columns
        totals = [_totals(column, weights) for column in columns]
        roots = [np.sqrt(np.where(each > 0, each, 1.0)) for each in totals]
        scaled = residual / (roots[0][first.codes] * roots[1][second.codes])
        scaled = _times(scaled, weights)
        matrix = csr_array((scaled, (first.codes, second.codes)), shape=sizes)
        subspace = factors[1] * roots[1][:, None]
        for _ in range(START_ITERATIONS):
            subspace = np.linalg.qr(matrix.T @ (matrix @ subspace))[0]
        subspace /= roots[1][:, None]
        factors[1] = subspace * (length / np.sqrt(np.mean(subspace**2)))
    factors[0][:] = 0.0
    return factors


def _interactions(columns, states):
    """Return the factor products of every pair of columns, of shape (n_rows,)."""
    codes = [column.codes for column in columns]
    factors = [state[:, :-1] for state in states]
    return add_interactions(np.zeros(len(codes[0])), codes, factors)


def _inner(penalties, left, right):
    """Return the penalties' inner product of two lists of coefficient arrays."""
    return sum(
        np.sum(penalty * a * b)
        for penalty, a, b in zip(penalties, left, right, strict=True)
    )


def _balance(left, right):
    """Give two factor matrices the least norms that keep their product, in place.

    With the product's singular value decomposition U S W^T these are U S^1/2 R and
    W S^1/2 R; the rotation R is chosen to move the factors as little as possible.
    """
    (Q_left, R_left), (Q_right, R_right) = np.linalg.qr(left), np.linalg.qr(right)
    U, singular, Wt = np.linalg.svd(R_left @ R_right.T, full_matrices=False)
    roots = np.sqrt(singular)[:, None]
    A, _, Bt = np.linalg.svd(roots * (U.T @ R_left + Wt @ R_right), full_matrices=False)
    rotated = roots * (A @ Bt)
    left[:] = Q_left @ (U @ rotated)
    right[:] = Q_right @ (Wt.T @ rotated)


def _lower_penalty(problem, states):
    """Lower the penalty along the directions that leave every fitted score alone.

    Blocks move slowly there, as they share them: factors of two columns may be
    multiplied by a matrix and its inverse, and a common shift a of the factors of a
    column is undone by the biases of the others, b - V a.
    """
    if len(states) == 2:
        _balance(*(state[:, :-1] for state in states))
    for seen, penalty, state in zip(
        problem.seen, problem.penalties[1:], states, strict=True
    ):
        state[~seen] = 0.0
        others = [other for other in states if other is not state]
        gram = sum(other[:, :-1].T @ other for other in others)  # V^T [V, b]
        pull = penalty[-1] * gram[:, -1] - penalty[:-1] * state[:, :-1].sum(axis=0)
        curvature = penalty[-1] * gram[:, :-1] + np.diag(seen.sum() * penalty[:-1])
        shift = np.linalg.solve(curvature, pull)
        state[seen, :-1] += shift
        for other in others:
            other[:, -1] -= other[:, :-1] @ shift


def _extrapolate(coefficients, before, residual, residual_before, problem):
    """Go on in the direction of the last sweep as far as the objective falls.

    Along a line the fit is quadratic and the objective a quartic in the length t,
    whose minimum is found from the roots of its derivative; t = 0 stays allowed.
    """
    columns, _, weights, penalties = problem
    changes = [now - old for now, old in zip(coefficients, before, strict=True)]
    bend = _interactions(columns, changes[1:])
    slope = residual_before - residual + bend  # the residual is e - t slope - t^2 bend
    bend_w, slope_w = _times(bend, weights), _times(slope, weights)
    quartic = [
        bend_w @ bend,
        2 * (bend_w @ slope),
        slope_w @ slope - 2 * (bend_w @ residual) + _inner(penalties, changes, changes),
        2 * (_inner(penalties, changes, coefficients) - slope_w @ residual),
        0.0,
    ]
    roots = np.roots(np.polyder(quartic))
    lengths = roots.real[(np.abs(roots.imag) < 1e-9) & (roots.real > 0)]
    lengths = np.append(np.minimum(lengths, LONGEST_STEP), 0.0)
    length = lengths[np.argmin(np.polyval(quartic, lengths))]
    for values, change in zip(coefficients, changes, strict=True):
        values += length * change
    residual -= length * slope + length**2 * bend


def _alternate(problem, linear, residual, n_components, max_iter, tol, rng):
    """Return [intercept, coef], the [factors, bias] of each column, and objectives."""
    columns, seen, weights, penalties = problem
    head = np.zeros(linear.bounds[1])
    states = [np.zeros((column.n_ids, n_components + 1)) for column in columns]
    coefficients = [head, *states]

    def objective():
        fit = residual @ _times(residual, weights)
        return float(fit + _inner(penalties, coefficients, coefficients))

    cg_tol = CG_TOL_SWEEP if n_components else CG_TOL_ALONE
    linear.step(head, states, residual, cg_tol)
    if n_components:
        factors = _first_factors(columns, residual, weights, n_components, rng)
        for own, state, start in zip(seen, states, factors, strict=True):
            state[own, :-1] = start[own]
        residual -= _interactions(columns, states)
    objectives = [objective()]
    for sweep in range(max_iter if n_components else 0):
        before = [values.copy() for values in coefficients]
        residual_before = residual.copy()
        for k, column in enumerate(columns):
            others = _other_factors(columns, states, k)
            column.ridge_step(others, states[k], residual, weights, penalties[k + 1])
        linear.step(head, states, residual, cg_tol)
        if penalties[-1].ndim == 1:
            _lower_penalty(problem, states)
        if sweep > 0:  # the first one leads away from a random start
            _extrapolate(coefficients, before, residual, residual_before, problem)
        objectives.append(objective())
        if objectives[-2] - objectives[-1] <= tol * objectives[-2]:
            break
    return head, states, objectives


def fit_als(
    ids,
    Z,
    y,
    weights=None,
    *,
    n_components,
    alpha_bias,
    alpha_factor,
    alpha_coef,
    per_record=False,
    max_iter,
    tol,
    random_state=None,
    n_ids=None,
    n_jobs=None,
):
    """Fit the factor model by alternating ridge regressions.

    Parameters
    ----------
    ids : ndarray of shape (n_rows, n_id_columns)
        Code of the id in each column, from 0.
    Z : ndarray of shape (n_rows, n_features)
        Features, on a common scale.
    y : ndarray of shape (n_rows,)
    weights : ndarray of shape (n_rows,), default=None
        A weight of 2 counts as two equal rows.
    n_components : int
        Length of the factors. At 0, or with a single id column, the fit is the ridge
        regression on features and ids, and there is nothing to alternate.
    alpha_bias, alpha_factor, alpha_coef : float
        Penalties; `alpha_factor` is positive.
    per_record : bool, default=False
        Whether a penalty counts once for each record of the id, and those of the
        coefficients once for each record, as in gradient descent and in [4]_.
    max_iter : int
        Greatest number of sweeps over all blocks.
    tol : float
        Stop when a sweep lowers the objective by less than this portion of it.
    random_state : int, RandomState instance or None, default=None
        Draws the factors to start from, which depend on the codes of the ids.
    n_ids : sequence of int, default=None
        Number of ids of each column; by default what `ids` holds. An id without a
        row has a bias and factors of zero.
    n_jobs : int, default=None
        Threads over ids.

    Returns
    -------
    model : FactorModel
    objectives : list of float
        The objective at the start and after each sweep. It is longer than `max_iter`
        if the sweeps ran out.

    Notes
    -----
    With the score f of `FactorModel` the objective is

        sum_r w_r (y_r - f_r)^2 + alpha_coef |c|^2 + alpha_bias sum b^2
            + alpha_factor sum |v|^2.

    A sweep minimises it exactly over the bias and the factors of all ids of one
    column after the other [1]_ [2]_: given the rest, every id is a ridge regression
    on the q = sum of the other ids' factors of its rows,

        (v, b) = (sum_r w_r [q, 1] [q, 1]^T + alpha I)^-1 sum_r w_r [q, 1] residual_r.

    Then it minimises over the intercept, the coefficients and all biases together,
    by a Cholesky factor computed once or, where there are many, by preconditioned
    conjugate gradients; then over the rotations, scalings and shifts of the factors
    that leave every score alone; and last goes on along the line of the sweep to its
    exact minimum [3]_. No step raises the objective. The last two halve the number
    of sweeps.

    References
    ----------
    .. [1] Koren, Bell & Volinsky (2009). Matrix factorization techniques for
       recommender systems. Computer 42(8). https://doi.org/10.1109/MC.2009.263
    .. [2] Hu, Koren & Volinsky (2008). Collaborative filtering for implicit feedback
       datasets. ICDM. https://doi.org/10.1109/ICDM.2008.22
    .. [3] Rajih, Comon & Harshman (2008). Enhanced line search: a novel method to
       accelerate PARAFAC. SIAM J. Matrix Anal. Appl. 30(3).
       https://hal.science/hal-00327595
    .. [4] Zhou, Wilkinson, Schreiber & Pan (2008). Large-scale parallel collaborative
       filtering for the Netflix prize. AAIM.
       https://doi.org/10.1007/978-3-540-68880-8_32
    """
    rng = check_random_state(random_state)
    if ids.shape[1] < 2:
        n_components = 0
    if n_ids is None:
        n_ids = ids.max(axis=0) + 1
    # Neighbours share ids, and so what is in the cache.
    order = np.lexsort(ids.T) if ids.shape[1] else np.arange(len(y))
    ids, Z, residual = ids[order], Z[order], np.array(y[order], dtype=np.float64)
    if weights is not None:
        weights = weights[order]
    columns = [
        Segments(codes, size, n_jobs) for codes, size in zip(ids.T, n_ids, strict=True)
    ]
    totals = [_totals(column, weights) for column in columns]
    penalty = np.append(np.full(n_components, float(alpha_factor)), alpha_bias)
    penalties = [penalty] * len(columns)
    if per_record:
        alpha_coef = alpha_coef * (len(y) if weights is None else weights.sum())
        penalties = [each[:, None] * penalty for each in totals]
    with threadpool_limits(1, "blas") if len(y) >= LARGE_ROWS else nullcontext():
        alphas_bias = [each[..., -1] for each in penalties]
        linear = _LinearPart(columns, Z, weights, alpha_coef, alphas_bias)
        penalties = [linear.penalty[: linear.bounds[1]], *penalties]
        seen = [each > 0 for each in totals]
        problem = _Problem(columns, seen, weights, penalties)
        head, states, objectives = _alternate(
            problem, linear, residual, n_components, max_iter, tol, rng
        )
    model = FactorModel(
        intercept=float(head[0]),
        coef=head[1:],
        biases=[state[:, -1].copy() for state in states],
        factors=[state[:, :-1].copy() for state in states],
    )
    return model, objectives
