"""Gaussian processes: gradients, closed forms and what they go back to."""

import numpy as np
import pytest
from scipy.linalg import cho_solve
from scipy.optimize import approx_fprime
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process import kernels as peers

from proxylm.regression import _gaussian_process as gp
from proxylm.regression._kernels import (
    NO_ID,
    UNSEEN,
    Identity,
    LanguageFunctions,
    Matern,
    SquaredExponential,
    Trend,
)

N = 60


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    ids = rng.integers(-1, 5, (N, 2))
    ids[ids < 0] = NO_ID
    rows = gp.Rows(rng.standard_normal((N, 4)), ids)
    y = rows.Z[:, 0] + np.sin(2 * rows.Z[:, 1]) + 0.1 * rng.standard_normal(N)
    return rows, (y - y.mean()) / y.std(), rng.uniform(0.5, 2, N)


KERNELS = [
    Trend((0, 1)),
    Matern((0, 1, 2, 3)),
    SquaredExponential((1, 2)),
    Identity(0),
    Identity(1),
    LanguageFunctions((0, 1), (0, 2)),
]


def refitted(process, rows, y, weights):
    """Fit the weights of a process to other rows, its parameters kept."""
    K = gp._covariance(process.kernels, process.theta, rows, rows)
    factor = gp._cholesky(K, process.theta, weights)
    alpha = cho_solve((factor, True), y)
    return gp.GaussianProcess(process.kernels, process.theta, rows, factor, alpha, y)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: type(k).__name__)
def test_gradient_is_that_of_finite_differences(problem, kernel):
    rows, y, weights = problem
    kernels = [kernel, Matern((0, 1))]
    theta = gp._start(kernels) + 0.1

    halves = [np.arange(N) < N / 2, np.arange(N) >= N / 2]
    blocks = [(rows.take(half), y[half], weights[half]) for half in halves]

    def value(theta):
        return gp.negative_log_posterior(theta, kernels, blocks)[0]

    _, gradient = gp.negative_log_posterior(theta, kernels, blocks)
    np.testing.assert_allclose(gradient, approx_fprime(theta, value, 1e-6), atol=1e-3)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: type(k).__name__)
def test_a_variance_is_the_covariance_of_a_row_with_itself(problem, kernel):
    rows, *_ = problem
    theta = kernel.start + np.linspace(0.1, 0.5, len(kernel.start))
    K, _ = kernel.value(theta, rows, rows)
    np.testing.assert_allclose(kernel.variance(theta, rows), np.diag(K), atol=1e-7)


def test_leaving_groups_out_in_closed_form_equals_refits(problem):
    rows, y, weights = problem
    process = gp.fit_gaussian_process(KERNELS, rows, y, weights)
    groups = [np.arange(10), np.array([3, 30, 44]), np.array([59]), np.array([], int)]
    beside = gp.Rows(rows.Z[:4] + 0.3, rows.ids[:4])
    left_out = process.leave_out(process.precision(), groups, [beside] * 4)
    alone = process.leave_one_out(process.precision())
    last = np.array(left_out[2][0])[:, 0]  # of the row that is a group
    np.testing.assert_allclose(np.array(alone)[:, 59], last)
    for group, (inside, outside) in zip(groups, left_out, strict=True):
        rest = np.delete(np.arange(N), group)
        alone = refitted(process, rows.take(rest), y[rest], weights[rest])
        means, variances = alone.predict_with_variance(rows.take(group))
        noise = np.exp(2 * process.theta[-1])
        variances += noise / weights[group] - noise
        np.testing.assert_allclose(inside[0], means, atol=1e-9)
        np.testing.assert_allclose(inside[1], variances, atol=2 * gp.JITTER)
        np.testing.assert_allclose(outside, alone.predict(beside), atol=1e-9)


@pytest.mark.parametrize("side", [0, 1])
def test_an_unseen_id_is_as_uncertain_as_one_that_was_left_out(problem, side):
    rows, y, weights = problem
    process = gp.fit_gaussian_process(KERNELS, rows, y, weights)
    group = np.flatnonzero(rows.ids[:, side] == 3)
    nothing = [rows.take([])]
    [(inside, _)] = process.leave_out(process.precision(), [group], nothing)
    rest = np.flatnonzero(rows.ids[:, side] != 3)
    new = rows.take(group)
    new.ids[:, side] = UNSEEN
    alone = refitted(process, rows.take(rest), y[rest], weights[rest])
    means, variances = alone.predict_with_variance(new)
    noise = np.exp(2 * process.theta[-1])
    np.testing.assert_allclose(inside[0], means, atol=1e-9)
    expected = variances + noise / weights[group] - noise
    np.testing.assert_allclose(inside[1], expected, atol=2 * gp.JITTER)


def test_a_block_that_rounding_made_indefinite_has_an_inverse_root():
    rng = np.random.default_rng(0)
    A = rng.standard_normal((5, 5))
    good = A @ A.T + np.eye(5)
    bad = np.diag([1.0, 2.0, -1e-18])
    for matrix in (good, bad):
        root = gp._inverse_root(matrix)
        inverse = root.T @ root
        assert np.isfinite(inverse).all()
        np.testing.assert_allclose(matrix @ inverse @ matrix, matrix, atol=1e-9)
    np.testing.assert_allclose(root.T @ root @ bad[:, :2], np.eye(3)[:, :2])


def test_it_predicts_what_scikit_learn_does_with_the_same_kernel(problem, monkeypatch):
    rows, y, _ = problem
    process = gp.fit_gaussian_process([Matern((0, 1))], rows, y, np.ones(N))
    amplitude, *lengths, noise = np.exp(process.theta)
    kernel = peers.ConstantKernel(gp.INTERCEPT) + amplitude**2 * peers.Matern(
        lengths, nu=2.5
    )
    peer = GaussianProcessRegressor(kernel, alpha=noise**2 + gp.JITTER, optimizer=None)
    peer.fit(rows.Z[:, :2], y)
    new = gp.Rows(rows.Z[:5] + 0.1, rows.ids[:5])
    mean, deviation = peer.predict(new.Z[:, :2], return_std=True)
    np.testing.assert_allclose(process.predict(new), mean, atol=1e-8)
    monkeypatch.setattr(gp, "PREDICTED_ROWS", 2)
    found = process.predict_with_variance(new)
    np.testing.assert_allclose(found[0], mean, atol=1e-8)
    np.testing.assert_allclose(found[1], deviation**2 + noise**2, atol=1e-6)


def test_a_weight_of_two_is_two_records(problem):
    rows, y, _ = problem
    theta = gp._start(KERNELS)
    once = gp.GaussianProcess(KERNELS, theta, rows, None, None, y)
    doubled = np.r_[np.arange(N), 0]
    weights = np.ones(N)
    weights[0] = 2
    weighted = refitted(once, rows, y, weights)
    repeated = refitted(once, rows.take(doubled), y[doubled], np.ones(N + 1))
    np.testing.assert_allclose(
        weighted.predict(rows), repeated.predict(rows), atol=1e-5
    )


def test_far_away_it_goes_back_to_the_line():
    rng = np.random.default_rng(1)
    Z = rng.uniform(-1, 1, (80, 1))
    y = 0.9 * Z[:, 0] + 0.2 * np.sin(6 * Z[:, 0]) + 0.01 * rng.standard_normal(80)
    ids = np.empty((80, 0), dtype=int)
    far = gp.Rows(np.array([[4.0]]), ids[:1])
    line = gp.fit_gaussian_process(
        [Trend((0,)), SquaredExponential((0,))], gp.Rows(Z, ids), y, np.ones(80)
    )
    flat = gp.fit_gaussian_process(
        [SquaredExponential((0,))], gp.Rows(Z, ids), y, np.ones(80)
    )
    assert abs(line.predict(far)[0] - 3.6) < 1.5
    assert abs(flat.predict(far)[0] - 3.6) > 1.5


def test_an_unknown_id_has_no_effect():
    ids = np.repeat([0, 1, 2, 3], 10)[:, None]
    rng = np.random.default_rng(0)
    y = np.array([-1.5, -0.5, 0.5, 1.5])[ids[:, 0]] + 0.1 * rng.standard_normal(40)
    Z = np.zeros((40, 0))
    process = gp.fit_gaussian_process([Identity(0)], gp.Rows(Z, ids), y, np.ones(40))
    new = gp.Rows(np.zeros((2, 0)), np.array([[3], [-1]]))
    known, unknown = process.predict(new)
    assert known == pytest.approx(1.5, abs=0.2)
    assert unknown == pytest.approx(y.mean(), abs=0.2)


def test_parameters_of_many_rows_come_from_a_draw_that_a_seed_repeats(
    problem, monkeypatch
):
    monkeypatch.setattr(gp, "DRAWN_ROWS", 30)
    monkeypatch.setattr(gp, "LEARNING_BLOCK", 10)
    rows, y, weights = problem
    blocks = gp._draw_blocks(rows, "records", 0)
    assert [len(block) for block in blocks] == [10, 10, 10]
    assert len(np.unique(np.concatenate(blocks))) == 30
    fits = [
        gp.fit_gaussian_process(KERNELS, rows, y, weights, random_state=seed)
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(fits[0].theta, fits[1].theta)
    assert not np.array_equal(fits[0].theta, fits[2].theta)
    assert fits[0].alpha.shape == (N,)


def test_a_block_of_languages_has_the_records_among_a_few_of_them(monkeypatch):
    """Eight of 30 languages on each side have 64 records; English has them all."""
    monkeypatch.setattr(gp, "LEARNING_BLOCK", 60)
    monkeypatch.setattr(gp, "LEAST_LANGUAGES", 8)
    ids = np.stack(np.meshgrid(np.arange(30), np.arange(30)), axis=-1).reshape(-1, 2)
    rows = gp.Rows(np.zeros((900, 1)), np.column_stack([ids, np.arange(900)]))
    blocks = gp._draw_blocks(rows, "languages", 0)
    assert [len(block) for block in blocks] == [60] * 7
    for block in blocks:
        assert len(np.unique(block)) == 60
        assert [len(np.unique(side)) for side in ids[block].T] == [8, 8]
    assert len(np.unique(np.concatenate(blocks))) > 300
    again = gp._draw_blocks(rows, "languages", 0)
    np.testing.assert_array_equal(blocks, again)
    # English, 0, is in all records; the others of a block are of eight languages.
    other = np.repeat(np.arange(1, 31), 20)
    source = np.arange(600) % 2 * other
    pivoted = np.column_stack([source, other - source, np.zeros(600, dtype=int)])
    block = gp._draw_blocks(gp.Rows(np.zeros((600, 1)), pivoted), "languages", 0)[0]
    assert len(block) == 60
    assert all(8 <= len(np.unique(side)) <= 9 for side in pivoted[block, :2].T)
    nobody = gp.Rows(np.zeros((900, 1)), np.empty((900, 0), dtype=int))
    np.testing.assert_array_equal(
        np.concatenate(gp._draw_blocks(nobody, "languages", 0)),
        np.concatenate(gp._draw_blocks(rows, "records", 0)),
    )


def test_covariances_in_blocks_are_those_in_one_piece(problem, monkeypatch):
    rows, *_ = problem
    theta = gp._start(KERNELS)
    whole = gp._covariance(KERNELS, theta, rows, rows)
    monkeypatch.setattr(gp, "BLOCK", 16)  # 60 is no multiple of it
    blocks = gp._covariance(KERNELS, theta, rows, rows)
    np.testing.assert_allclose(blocks, whole)
    upper = gp._covariance(KERNELS, theta, rows, rows, is_symmetric=True)
    np.testing.assert_allclose(np.triu(upper), np.triu(whole))
    assert gp._covariance(KERNELS, theta, rows.take(slice(0)), rows).shape == (0, N)


def test_a_function_of_a_language_is_its_own(problem):
    """Rows without a common id have nothing of it in common, those with two more."""
    rows = gp.Rows(np.zeros((3, 4)), np.array([[0, 1], [0, 1], [0, -1]]))
    kernel = LanguageFunctions((0, 1), (0, 2))
    K, _ = kernel.value(np.log([0.5, 2.0, 1.0, 1.0]), rows, rows)
    np.testing.assert_allclose(K[0], [0.25 + 4, 0.25 + 4, 0.25])
    apart = gp.Rows(rows.Z, np.array([[1, 2], [-1, -1], [2, 0]]))
    np.testing.assert_array_equal(kernel.value(np.zeros(4), rows, apart)[0], 0)


def test_blocks_count_as_independent_and_the_prior_once(problem):
    rows, y, weights = problem
    theta = gp._start(KERNELS) + 0.3
    halves = [slice(0, N // 2), slice(N // 2, N)]
    blocks = [(rows.take(half), y[half], weights[half]) for half in halves]
    prior, prior_gradient = gp.negative_log_posterior(theta, KERNELS, [])
    assert prior > 0
    each = [gp.negative_log_posterior(theta, KERNELS, [block]) for block in blocks]
    value, gradient = gp.negative_log_posterior(theta, KERNELS, blocks)
    assert value == pytest.approx(each[0][0] + each[1][0] - prior)
    np.testing.assert_allclose(gradient, each[0][1] + each[1][1] - prior_gradient)
