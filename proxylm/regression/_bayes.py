"""Variational Bayes for factorization with biases and side features."""

from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from proxylm.regression._als import fit_als

# Hyperpriors that only keep precisions finite.
SHAPE, RATE = 1e-3, 1e-3
PRECISIONS = (1e-6, 1e8)
START_NOISE = 10.0
# One start has random factors, and few: the variances of many would at first be
# taken for noise, in which all of them vanish. The other has those of least squares.
FEW_COMPONENTS = 5
START_ALPHAS = {"alpha_bias": 0.1, "alpha_coef": 0.1}
START_ALPHA_FACTOR = 0.3  # times the root of the number of components
START_SWEEPS = 30
# A component that explains less of the variance of the scores has vanished.
VANISHED = 1e-8


@dataclass
class BayesFactorModel:
    """Posterior of mu + sum of biases + c.z + sum over pairs of v.v, in units of y.

    Attributes
    ----------
    weights : ndarray of shape (1 + p + sum of n_ids,)
        Posterior mean of the intercept, the coefficients of Z and all biases.
    covariance : ndarray of shape (len(weights), len(weights))
        Their posterior covariance.
    factors : list of ndarray of shape (n_ids, n_components)
        Posterior means of the factors of each id column.
    factor_covariances : list of ndarray of shape (n_ids, n_components, n_components)
    noise_variance : float
        Of a record of weight one.
    coef_variances : ndarray of shape (p,)
        Prior variances of the coefficients.
    bias_variances : ndarray of shape (n_columns,)
        Prior variances of the biases around what the features of the ids imply.
    component_variances : ndarray of shape (n_columns, n_components)
        Prior variances of the factors, likewise.
    implied : list of (ndarray of shape (q,), ndarray of shape (q, n_components))
        Coefficients of the features of the ids for their biases and factors.
    n_iter : int
    change : float
        Last relative change of the fitted values.
    bound : float
        Lower bound of the log evidence, up to a constant.
    """

    weights: np.ndarray
    covariance: np.ndarray
    factors: list
    factor_covariances: list
    noise_variance: float
    coef_variances: np.ndarray
    bias_variances: np.ndarray
    component_variances: np.ndarray
    implied: list
    n_iter: int
    change: float
    bound: float

    @property
    def coef(self):
        """Posterior means of the coefficients of Z."""
        end = len(self.weights) - sum(map(len, self.factors))
        return self.weights[1:end]

    @property
    def biases(self):
        """Posterior means of the biases of each id column."""
        ends = np.cumsum([len(factor) for factor in self.factors])
        start = len(self.weights) - (ends[-1] if len(ends) else 0)
        return np.split(self.weights[start:], ends[:-1]) if len(ends) else []

    def predict(self, ids, Z, features):
        """Return means and variances (noise included).

        Code -1 stands for a new id, which has the bias and the factors that its
        features, `features[k]` of shape (n_samples, q), imply.
        """
        design = _design(ids, Z, [len(factor) for factor in self.factors])
        mean = design @ self.weights
        variance = np.einsum("ij,ij->i", design @ self.covariance, design)
        rows = []
        for k, (factor, covariance) in enumerate(
            zip(self.factors, self.factor_covariances, strict=True)
        ):
            new = ids[:, k] < 0
            coefficients, loadings = self.implied[k]
            mean[new] += features[k][new] @ coefficients
            variance[new] += self.bias_variances[k]
            centre, spread = factor[ids[:, k]], covariance[ids[:, k]]
            centre[new] = features[k][new] @ loadings
            spread[new] = np.diag(self.component_variances[k])
            rows.append((centre, spread))
        mean += _interactions([centre for centre, _ in rows])
        variance += _interaction_variances(rows)
        return mean, variance + self.noise_variance


def _design(ids, Z, n_ids):
    """Return the dense design [1, Z, one column per id]; code -1 has none."""
    blocks = [np.ones((len(Z), 1)), Z]
    for column, n in zip(ids.T, n_ids, strict=True):
        block = np.zeros((len(Z), n + 1))
        block[np.arange(len(Z)), column] = 1
        blocks.append(block[:, :n])
    return np.hstack(blocks)


def _interactions(rows):
    """Return the sum over pairs of id columns of inner products of their factors."""
    total = 0.0
    for left, right in combinations(rows, 2):
        total = total + np.einsum("nk,nk->n", left, right)
    return total


def _interaction_variances(rows):
    """Return the posterior variances of the interactions.

    For independent a and b, Var(a.b) = a'S_b a + b'S_a b + tr(S_a S_b).
    """
    total = 0.0
    for (a, cov_a), (b, cov_b) in combinations(rows, 2):
        total = total + np.einsum("ni,nij,nj->n", a, cov_b, a)
        total = total + np.einsum("ni,nij,nj->n", b, cov_a, b)
        total = total + np.einsum("nij,nij->n", cov_a, cov_b)
    return total


def _precision(squares, count):
    """Return the expected precision of `count` values with a sum of E[x^2]."""
    return np.clip((count + 2 * SHAPE) / (squares + 2 * RATE), *PRECISIONS)


def _ridge(features, values):
    """Return what features imply for values, with a unit normal prior."""
    if features.shape[1] == 0:
        return np.zeros((0, *values.shape[1:]))
    gram = features.T @ features + np.eye(features.shape[1])
    return np.linalg.solve(gram, features.T @ values)


class _Problem(NamedTuple):
    """What stays the same over the sweeps."""

    ids: np.ndarray
    y: np.ndarray
    weights: np.ndarray
    features: list[np.ndarray]
    design: np.ndarray
    weighted: np.ndarray  # the design with weights
    gram: np.ndarray
    groups: np.ndarray  # which precision a coefficient has
    pooled: list[csr_array]  # per column the (n_ids, n_samples) matrix of weights


def _problem(ids, Z, y, weights, features):
    """Return the problem of records; arrays as `fit_bayes` takes them."""
    n_samples, p = Z.shape
    n_ids = [len(block) for block in features]
    design = _design(ids, Z, n_ids)
    weighted = design * weights[:, None]
    # Each coefficient, and the biases of each id column, have a precision.
    groups = [[0], np.arange(1, p + 1)]
    groups += [np.full(n, p + 1 + k) for k, n in enumerate(n_ids)]
    pooled = [
        csr_array((weights, (column, np.arange(n_samples))), shape=(n, n_samples))
        for column, n in zip(ids.T, n_ids, strict=True)
    ]
    return _Problem(
        ids,
        y,
        weights,
        features,
        design,
        weighted,
        weighted.T @ design,
        np.concatenate(groups).astype(int),
        pooled,
    )


def fit_bayes(ids, Z, y, weights, features, *, n_components, max_iter, tol, rng):
    """Fit the factorization by mean-field variational inference.

    The linear part (intercept, coefficients, biases) has a joint Gaussian posterior,
    the factors of each id one of their own. Precisions of each coefficient, of the
    biases of each id column, of each component of its factors and of the noise are
    learned, so superfluous components shrink to zero (automatic relevance
    determination). Of two starts the one is kept that ends with the higher bound of
    the evidence.

    Parameters
    ----------
    ids : ndarray of shape (n_samples, n_columns)
        Codes from 0 to `n_ids` - 1.
    Z : ndarray of shape (n_samples, p)
        Standardised side features.
    y : ndarray of shape (n_samples,)
        Standardised scores.
    weights : ndarray of shape (n_samples,)
        A weight of two counts as two records.
    features : list of ndarray of shape (n_ids, q)
        Standardised features of the ids of each column. The prior means of biases
        and factors are linear in them; `q` may be zero.
    n_components : int
    max_iter : int
    tol : float
        Stop when the fitted values change by less, relative to their spread.
    rng : RandomState

    Returns
    -------
    model : BayesFactorModel

    References
    ----------
    .. [1] Lim and Teh (2007). "Variational Bayesian approach to movie rating
       prediction". KDD Cup and Workshop.
    .. [2] MacKay (1995). "Probable networks and plausible predictions".
    """
    problem = _problem(ids, Z, y, weights, features)
    if len(features) < 2:
        n_components = 0
    few = min(n_components, FEW_COMPONENTS)
    starts = [[rng.normal(scale=0.3, size=(len(block), few)) for block in features]]
    if n_components:
        least_squares, _ = fit_als(
            ids,
            Z,
            y,
            weights,
            n_components=n_components,
            alpha_factor=START_ALPHA_FACTOR * np.sqrt(n_components),
            max_iter=START_SWEEPS,
            tol=1e-3,
            random_state=rng,
            n_ids=[len(block) for block in features],
            **START_ALPHAS,
        )
        starts.append(least_squares.factors)
    models = [_fit_from(start, problem, max_iter, tol) for start in starts]
    model = max(models, key=lambda model: model.bound)
    return _padded(model, n_components)


def _fit_from(factors, problem, max_iter, tol):
    """Sweep from given factors until the fitted values stand still."""
    ids, y, weights, features, design, weighted, gram, groups, pooled = problem
    n_ids = [len(block) for block in features]
    n_columns, n_components = len(n_ids), factors[0].shape[1] if factors else 0
    counts = np.bincount(groups)
    precisions = np.ones(len(counts))
    precisions[0] = PRECISIONS[0]
    implied = [
        (np.zeros(block.shape[1]), np.zeros((block.shape[1], n_components)))
        for block in features
    ]
    ends = np.cumsum([len(groups) - sum(n_ids), *n_ids])
    centre = np.zeros(len(groups))  # prior mean of the linear part
    covariances = [np.tile(0.1 * np.eye(n_components), (n, 1, 1)) for n in n_ids]
    spreads = [None] * n_columns  # expected squares of factors around prior means
    component_precisions = np.ones((n_columns, n_components))
    noise = START_NOISE
    total_weight = weights.sum()
    fitted = np.zeros(len(y))
    interactions = _interactions([v[i] for v, i in zip(factors, ids.T, strict=True)])
    n_iter = 0
    for _ in range(max_iter):
        prior = precisions[groups]
        covariance = np.linalg.inv(noise * gram + np.diag(prior))
        moments = noise * (weighted.T @ (y - interactions)) + prior * centre
        coefficients = covariance @ moments
        linear = design @ coefficients
        linear_variance = np.einsum("ij,ij->i", design @ covariance, design)
        for k, block in enumerate(features):
            ids_of_k = slice(ends[k], ends[k + 1])
            slopes = _ridge(block, coefficients[ids_of_k])
            implied[k] = slopes, implied[k][1]
            centre[ids_of_k] = block @ slopes
        deviations = (coefficients - centre) ** 2 + np.diag(covariance)
        squares = np.bincount(groups, deviations)
        precisions[1:] = _precision(squares[1:], counts[1:])
        interaction_variance = 0.0
        if n_components:
            kept = _alive(factors)
            if not kept.all():
                n_components = kept.sum()
                factors = [each[:, kept] for each in factors]
                covariances = [each[:, kept][:, :, kept] for each in covariances]
                component_precisions = component_precisions[:, kept]
                implied = [(slopes, each[:, kept]) for slopes, each in implied]
            for k in range(n_columns):
                _update_factors(
                    k,
                    ids,
                    y - linear,
                    pooled[k],
                    factors,
                    covariances,
                    component_precisions[k],
                    features[k] @ implied[k][1],
                    noise,
                )
                loadings = _ridge(features[k], factors[k])
                implied[k] = implied[k][0], loadings
                squares = (factors[k] - features[k] @ loadings) ** 2
                spreads[k] = squares + np.einsum("mii->mi", covariances[k])
                component_precisions[k] = _precision(spreads[k].sum(axis=0), n_ids[k])
            rows = [
                (mean[codes], spread[codes])
                for mean, spread, codes in zip(factors, covariances, ids.T, strict=True)
            ]
            interactions = _interactions([mean for mean, _ in rows])
            interaction_variance = _interaction_variances(rows)
        n_iter += 1
        previous, fitted = fitted, linear + interactions
        expected = (y - fitted) ** 2 + linear_variance + interaction_variance
        misfit = weights @ expected
        noise = _precision(misfit, total_weight)
        moved = np.average((fitted - previous) ** 2, weights=weights)
        change = np.sqrt(moved / max(np.average(fitted**2, weights=weights), 1e-12))
        if change < tol:
            break
    bound = (total_weight * np.log(noise) - noise * misfit) / 2
    bound -= _divergence(covariance, deviations, precisions[groups])
    if n_components:
        for parts in zip(covariances, spreads, component_precisions, strict=True):
            bound -= _divergence(*parts)
    return BayesFactorModel(
        coefficients,
        covariance,
        factors,
        covariances,
        1 / noise,
        1 / precisions[1 : len(counts) - n_columns],
        1 / precisions[len(counts) - n_columns :],
        1 / component_precisions,
        implied,
        n_iter,
        change,
        float(bound),
    )


def _alive(factors):
    """Say which components explain anything."""
    sizes = [np.mean(each**2, axis=0) for each in factors]
    return sum(a * b for a, b in combinations(sizes, 2)) > VANISHED


def _padded(model, n_components):
    """Give vanished components back to a model, as zeros."""
    lost = n_components - model.component_variances.shape[1]
    return replace(
        model,
        factors=[np.pad(each, ((0, 0), (0, lost))) for each in model.factors],
        factor_covariances=[
            np.pad(each, ((0, 0), (0, lost), (0, lost)))
            for each in model.factor_covariances
        ],
        component_variances=np.pad(model.component_variances, ((0, 0), (0, lost))),
        implied=[
            (slopes, np.pad(loadings, ((0, 0), (0, lost))))
            for slopes, loadings in model.implied
        ],
    )


def _divergence(covariances, squares, precisions):
    """Return the sum of divergences of normal posteriors from their priors.

    `squares` are the expected squares around the prior means.
    """
    value = np.sum(precisions * squares - np.log(precisions) - 1)
    return 0.5 * (value - np.linalg.slogdet(covariances)[1].sum())


def _update_factors(
    k, ids, rest, pooled, factors, covariances, precisions, centre, noise
):
    """Set the posterior of the factors of id column k, in place."""
    others = [j for j in range(len(factors)) if j != k]
    n_ids, n_components = factors[k].shape
    rows = [factors[j][ids[:, j]] for j in others]
    partners = sum(rows)
    uncertain = sum(covariances[j][ids[:, j]] for j in others)
    rest = rest - _interactions(rows)
    outer = np.einsum("ni,nj->nij", partners, partners) + uncertain
    flat = pooled @ outer.reshape(len(ids), -1)
    information = noise * flat.reshape(n_ids, n_components, n_components)
    information += np.diag(precisions)
    covariances[k] = np.linalg.inv(information)
    moments = noise * (pooled @ (partners * rest[:, None])) + precisions * centre
    factors[k] = np.einsum("mij,mj->mi", covariances[k], moments)
