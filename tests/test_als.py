import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import Ridge

from proxylm.regression import _als, _segments
from proxylm.regression._als import fit_als
from proxylm.regression._factor_model import FactorModel
from proxylm.regression._segments import Segments

ALPHAS = {"alpha_bias": 0.7, "alpha_factor": 0.5, "alpha_coef": 2.0}


def planted(n_rows, n_ids, n_components, *, n_features=3, noise=0.1, seed=0):
    """Draw ids, features, noiseless and noisy scores of a factor model."""
    rng = np.random.default_rng(seed)
    ids = np.column_stack([rng.integers(0, size, n_rows) for size in n_ids])
    Z = rng.standard_normal((n_rows, n_features))
    model = FactorModel(
        intercept=30.0,
        coef=rng.standard_normal(n_features),
        biases=[rng.standard_normal(size) for size in n_ids],
        factors=[rng.standard_normal((size, n_components)) for size in n_ids],
    )
    truth = model.predict(ids, Z)
    return ids, Z, truth, truth + noise * rng.standard_normal(n_rows)


def objective_of(model, ids, Z, y, weights, alphas):
    """Return the objective from its formula."""
    weights = np.ones(len(y)) if weights is None else weights
    value = np.sum(weights * (y - model.predict(ids, Z)) ** 2)
    value += alphas["alpha_coef"] * np.sum(model.coef**2)
    for bias, factors in zip(model.biases, model.factors, strict=True):
        value += alphas["alpha_bias"] * np.sum(bias**2)
        value += alphas["alpha_factor"] * np.sum(factors**2)
    return value


@pytest.fixture(params=["cholesky", "conjugate gradients"])
def linear_solver(request, monkeypatch):
    if request.param != "cholesky":
        monkeypatch.setattr(_als, "DENSE_COEFFICIENTS", 0)


@pytest.fixture
def small_batches(monkeypatch):
    """Cut batches so small that a small table has many of every kind."""
    monkeypatch.setattr(_segments, "SMALL_BATCH", 8)
    monkeypatch.setattr(_segments, "LARGE_BATCH", 32)
    monkeypatch.setattr(_segments, "IDS_OF_A_BATCH", 3)


@settings(deadline=None, max_examples=40)
@given(counts=st.lists(st.integers(0, 30), min_size=1, max_size=12), many=st.booleans())
def test_batches_hold_every_row_of_every_id_once(counts, many):
    codes = np.random.default_rng(0).permutation(
        np.repeat(np.arange(len(counts)), counts)
    )
    with pytest.MonkeyPatch.context() as patch:
        if many:
            patch.setattr(_segments, "SMALL_BATCH", 4)
            patch.setattr(_segments, "LARGE_BATCH", 16)
        segments = Segments(codes, len(counts))
    rows = []
    for batch in segments.batches:
        assert_array_equal(
            codes[batch.rows], np.repeat(batch.ids[:, None], batch.rows.shape[1], 1)
        )
        rows.append(np.delete(batch.rows.ravel(), batch.pads))
    assert_array_equal(np.sort(np.concatenate([*rows, []])), np.arange(len(codes)))


@pytest.mark.parametrize("weighted", [False, True])
def test_sums_and_normal_equations_equal_a_loop_over_ids(small_batches, weighted):
    rng = np.random.default_rng(1)
    codes = rng.choice(9, 200, p=np.arange(9) / 36)  # id 0 has no row
    H, r = rng.standard_normal((200, 4)), rng.standard_normal(200)
    weights = rng.uniform(0.5, 2, 200) if weighted else None
    segments = Segments(codes, 10)
    G, h = segments.normal_equations(H, r, weights)
    G_lazy, h_lazy = segments.normal_equations(lambda rows: H[rows], r, weights)
    sums, many_sums = segments.sums(r), segments.sums(H)
    for i in range(10):
        own = codes == i
        w = weights[own] if weighted else np.ones(own.sum())
        assert_allclose(G[i], (H[own].T * w) @ H[own], atol=1e-12)
        assert_allclose(h[i], (H[own].T * w) @ r[own], atol=1e-12)
        assert_allclose(sums[i], r[own].sum(), atol=1e-12)
        assert_allclose(many_sums[i], H[own].sum(axis=0), atol=1e-12)
    assert_array_equal(G, G_lazy)
    assert_array_equal(h, h_lazy)


def test_ridge_step_equals_a_ridge_regression_per_id(small_batches):
    rng = np.random.default_rng(2)
    codes = rng.choice(7, 150, p=np.arange(7) / 21)
    H, y = rng.standard_normal((150, 3)), rng.standard_normal(150)
    weights = rng.uniform(0.5, 2, 150)
    values = rng.standard_normal((7, 3))
    values[0] = 0.0
    residual = y - np.sum(H * values[codes], axis=1)
    penalty = np.array([1.0, 2.0, 3.0])
    Segments(codes, 7).ridge_step(H, values, residual, weights, penalty)
    assert_allclose(residual, y - np.sum(H * values[codes], axis=1), atol=1e-12)
    assert_array_equal(values[0], 0.0)
    for i in range(1, 7):
        own = codes == i
        # A column divided by the root of its penalty has the penalty 1.
        ridge = Ridge(alpha=1.0, fit_intercept=False)
        ridge.fit(H[own] / np.sqrt(penalty), y[own], sample_weight=weights[own])
        assert_allclose(values[i], ridge.coef_ / np.sqrt(penalty), rtol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_ids", [(6,), (6, 9), (5, 6, 4)])
def test_rank_0_equals_ridge_on_biases_and_features(linear_solver, weighted, n_ids):
    ids, Z, _, y = planted(120, n_ids, 2, n_features=4)
    weights = np.random.default_rng(3).uniform(0.2, 3, 120) if weighted else None
    model, objectives = fit_als(
        ids, Z, y, weights, n_components=0, max_iter=10, tol=1e-6, **ALPHAS
    )
    # A column divided by the root of its penalty has the penalty 1.
    scale = np.sqrt(ALPHAS["alpha_bias"])
    design = [Z / np.sqrt(ALPHAS["alpha_coef"])]
    design += [np.eye(size)[ids[:, k]] / scale for k, size in enumerate(n_ids)]
    ridge = Ridge(alpha=1.0, solver="cholesky").fit(
        np.hstack(design), y, sample_weight=weights
    )
    biases = np.split(ridge.coef_[4:], np.cumsum(n_ids)[:-1])
    assert_allclose(model.predict(ids, Z), ridge.predict(np.hstack(design)), rtol=1e-8)
    assert_allclose(model.intercept, ridge.intercept_, rtol=1e-8)
    for bias, expected in zip(model.biases, biases, strict=True):
        assert_allclose(bias, expected / scale, rtol=1e-7, atol=1e-8)
    assert len(objectives) == 1


def test_one_id_column_has_nothing_to_factorise():
    ids, Z, _, y = planted(60, (6,), 2)
    kwargs = {"max_iter": 10, "tol": 1e-6, **ALPHAS}
    factored, _ = fit_als(ids, Z, y, n_components=3, **kwargs)
    plain, _ = fit_als(ids, Z, y, n_components=0, **kwargs)
    assert_array_equal(factored.predict(ids, Z), plain.predict(ids, Z))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_ids", [(12, 15), (8, 9, 4), (5, 4, 3, 6)])
def test_objective_is_the_formula_and_never_rises(linear_solver, weighted, n_ids):
    ids, Z, _, y = planted(250, n_ids, 3, noise=1.0)
    weights = np.random.default_rng(4).uniform(0.2, 3, 250) if weighted else None
    model, objectives = fit_als(
        ids,
        Z,
        y,
        weights,
        n_components=4,
        max_iter=60,
        tol=0.0,
        random_state=0,
        **ALPHAS,
    )
    assert np.all(np.diff(objectives) <= 1e-10 * objectives[0])
    expected = objective_of(model, ids, Z, y, weights, ALPHAS)
    assert_allclose(objectives[-1], expected, rtol=1e-9)


def test_no_block_step_raises_the_objective(monkeypatch):
    ids, Z, _, y = planted(150, (9, 7, 5), 3, noise=1.0)
    penalty = np.append(np.full(4, ALPHAS["alpha_factor"]), ALPHAS["alpha_bias"])
    values, names = [], []

    def objective(head, states, residual):
        value = residual @ residual + ALPHAS["alpha_coef"] * np.sum(head[1:] ** 2)
        return value + sum(np.sum(penalty * state**2) for state in states)

    linear_step, extrapolate = _als._LinearPart.step, _als._extrapolate

    def watched_linear(self, head, states, residual, tol):
        values.append(objective(head, states, residual))  # after the ridge steps
        linear_step(self, head, states, residual, tol)
        values.append(objective(head, states, residual))
        names.extend(["ridge steps", "linear step"])

    def watched_extrapolate(coefficients, before, residual, *rest):
        extrapolate(coefficients, before, residual, *rest)
        values.append(objective(coefficients[0], coefficients[1:], residual))
        names.append("line search")

    monkeypatch.setattr(_als._LinearPart, "step", watched_linear)
    monkeypatch.setattr(_als, "_extrapolate", watched_extrapolate)
    fit_als(ids, Z, y, n_components=4, max_iter=30, tol=0.0, random_state=0, **ALPHAS)
    changes = np.diff(values[2:])  # the first linear step comes before the start
    assert set(names[3:]) == {"ridge steps", "linear step", "line search"}
    assert changes.max() <= 1e-12 * values[0]


def test_line_search_stops_at_the_minimum_along_the_line():
    ids, Z, _, y = planted(150, (9, 7, 5), 3, noise=1.0)
    rng = np.random.default_rng(8)
    weights = rng.uniform(0.5, 2, 150)
    columns = [Segments(ids[:, k], size) for k, size in enumerate((9, 7, 5))]
    penalty = np.append(np.full(3, ALPHAS["alpha_factor"]), ALPHAS["alpha_bias"])
    head_penalty = np.array([0.0, *[ALPHAS["alpha_coef"]] * 3])
    problem = _als._Problem(columns, None, weights, [head_penalty, *[penalty] * 3])

    def residual_of(point):
        head, *states = point
        model = FactorModel(
            head[0],
            head[1:],
            [state[:, -1] for state in states],
            [state[:, :-1] for state in states],
        )
        return y - model.predict(ids, Z), objective_of(
            model, ids, Z, y, weights, ALPHAS
        )

    before = [np.r_[30.0, np.zeros(3)], *(np.zeros((m, 4)) for m in (9, 7, 5))]
    full, _ = fit_als(
        ids,
        Z,
        y,
        weights,
        n_components=3,
        max_iter=5,
        tol=0.0,
        random_state=0,
        **ALPHAS,
    )
    full = [
        np.append(full.intercept, full.coef),
        *map(np.column_stack, zip(full.factors, full.biases, strict=True)),
    ]
    point = [a + 0.4 * (b - a) for a, b in zip(before, full, strict=True)]
    start = [values.copy() for values in point]
    residual, residual_before = residual_of(point)[0], residual_of(before)[0]
    _als._extrapolate(point, before, residual, residual_before, problem)
    moved = (point[0][1] - start[0][1]) / (start[0][1] - before[0][1])
    lengths = np.linspace(0, 3, 3001)
    values = [
        residual_of([a + t * (a - b) for a, b in zip(start, before, strict=True)])[1]
        for t in lengths
    ]
    assert lengths[np.argmin(values)] > 0.5
    assert_allclose(moved, lengths[np.argmin(values)], atol=1e-3)
    assert_allclose(residual, residual_of(point)[0], atol=1e-10)


def test_converged_fit_is_stationary(linear_solver):
    ids, Z, _, y = planted(200, (10, 8), 2, noise=0.5)
    weights = np.random.default_rng(5).uniform(0.5, 2, 200)
    model, _ = fit_als(
        ids,
        Z,
        y,
        weights,
        n_components=2,
        max_iter=500,
        tol=1e-15,
        random_state=0,
        **ALPHAS,
    )
    residual = weights * (y - model.predict(ids, Z))
    assert abs(residual.sum()) < 1e-4
    assert_allclose(Z.T @ residual, ALPHAS["alpha_coef"] * model.coef, atol=1e-4)
    for own, other in ((0, 1), (1, 0)):
        bias, factors = np.zeros(len(model.biases[own])), np.zeros((10, 2))
        np.add.at(bias, ids[:, own], residual)
        others = model.factors[other][ids[:, other]]
        np.add.at(factors, ids[:, own], residual[:, None] * others)
        assert_allclose(bias, ALPHAS["alpha_bias"] * model.biases[own], atol=1e-4)
        pull = ALPHAS["alpha_factor"] * model.factors[own]
        assert_allclose(factors[: len(pull)], pull, atol=1e-4)


def test_conjugate_gradients_reach_the_objective_of_the_direct_solution(monkeypatch):
    ids, Z, _, y = planted(300, (14, 12), 3, noise=0.5)
    kwargs = {"n_components": 3, "max_iter": 300, "tol": 1e-12, "random_state": 0}
    _, direct = fit_als(ids, Z, y, **kwargs, **ALPHAS)
    monkeypatch.setattr(_als, "DENSE_COEFFICIENTS", 0)
    _, iterated = fit_als(ids, Z, y, **kwargs, **ALPHAS)
    assert_allclose(iterated[-1], direct[-1], rtol=1e-6)


@pytest.mark.parametrize("n_ids", [(40, 30), (12, 10, 8)])
def test_planted_factors_are_recovered_to_the_noise(n_ids):
    noise = 0.1
    ids, Z, truth, y = planted(6_000, n_ids, 3, noise=noise)
    train, test = slice(0, 5_000), slice(5_000, None)
    model, objectives = fit_als(
        ids[train],
        Z[train],
        y[train],
        n_components=3,
        alpha_bias=1e-2,
        alpha_factor=1e-2,
        alpha_coef=1e-2,
        max_iter=200,
        tol=1e-6,
        random_state=0,
        n_ids=n_ids,
    )
    assert len(objectives) <= 200
    error = model.predict(ids[test], Z[test]) - truth[test]
    # 3 + 1 parameters an id and column on 5,000 rows: their error is below the noise.
    assert np.sqrt(np.mean(error**2)) < 0.5 * noise


def test_weights_equal_duplicated_rows():
    ids, Z, _, y = planted(150, (9, 7), 3, noise=0.5)
    weights = np.random.default_rng(6).integers(1, 4, 150)
    repeated = np.repeat(np.arange(150), weights)
    kwargs = {"n_components": 3, "max_iter": 15, "tol": 0.0, "random_state": 0}
    weighted, _ = fit_als(ids, Z, y, weights.astype(float), **kwargs, **ALPHAS)
    duplicated, _ = fit_als(ids[repeated], Z[repeated], y[repeated], **kwargs, **ALPHAS)
    assert_allclose(weighted.predict(ids, Z), duplicated.predict(ids, Z), rtol=1e-8)


@pytest.mark.parametrize("n_ids", [(9, 7), (40, 30), (6, 5, 4)])
def test_row_order_leaves_predictions_unchanged(linear_solver, n_ids):
    ids, Z, _, y = planted(400, n_ids, 3, noise=0.5)
    order = np.random.default_rng(7).permutation(400)
    kwargs = {"n_components": 3, "max_iter": 15, "tol": 0.0, "random_state": 0}
    straight, _ = fit_als(ids, Z, y, **kwargs, **ALPHAS)
    shuffled, _ = fit_als(ids[order], Z[order], y[order], **kwargs, **ALPHAS)
    assert_allclose(straight.predict(ids, Z), shuffled.predict(ids, Z), rtol=1e-8)


def test_renamed_ids_start_elsewhere_and_arrive_at_the_same_fit():
    ids, Z, _, y = planted(600, (12, 9), 2, noise=0.2)
    names = [np.random.default_rng(k).permutation(m) for k, m in enumerate((12, 9))]
    renamed = np.column_stack([names[k][ids[:, k]] for k in range(2)])
    kwargs = {"n_components": 2, "max_iter": 500, "tol": 1e-14, "random_state": 0}
    first, _ = fit_als(ids, Z, y, **kwargs, **ALPHAS)
    second, _ = fit_als(renamed, Z, y, **kwargs, **ALPHAS)
    assert_allclose(first.predict(ids, Z), second.predict(renamed, Z), rtol=1e-5)


def test_threads_leave_the_fit_unchanged(small_batches, monkeypatch):
    monkeypatch.setattr(_segments, "ROWS_OF_A_THREAD", 100)
    ids, Z, _, y = planted(500, (20, 30), 3)
    kwargs = {"n_components": 3, "max_iter": 5, "tol": 0.0, "random_state": 0}
    one, _ = fit_als(ids, Z, y, **kwargs, **ALPHAS)
    two, _ = fit_als(ids, Z, y, n_jobs=2, **kwargs, **ALPHAS)
    assert_array_equal(one.predict(ids, Z), two.predict(ids, Z))


def test_id_without_rows_is_zero():
    ids, Z, _, y = planted(100, (6, 5), 2)
    kwargs = {"n_components": 2, "max_iter": 10, "tol": 1e-6, "random_state": 0}
    model, _ = fit_als(ids + np.array([1, 0]), Z, y, n_ids=(9, 5), **kwargs, **ALPHAS)
    empty = [0, 7, 8]
    assert_array_equal(model.biases[0][empty], 0.0)
    assert_array_equal(model.factors[0][empty], 0.0)
    assert np.all(np.delete(model.biases[0], empty) != 0)


def test_unseen_id_adds_nothing():
    ids, Z, _, y = planted(100, (6, 5), 2)
    kwargs = {"n_components": 2, "max_iter": 10, "tol": 1e-6, "random_state": 0}
    model, _ = fit_als(ids, Z, y, **kwargs, **ALPHAS)
    side = model.intercept + Z @ model.coef
    unseen = np.full_like(ids, -1)
    assert_allclose(model.predict(unseen, Z), side)
    unseen[:, 0] = ids[:, 0]
    assert_allclose(model.predict(unseen, Z), side + model.biases[0][ids[:, 0]])


def test_a_score_of_0_is_a_score():
    ids, Z, _, y = planted(120, (8, 7), 2, noise=0.5)
    kwargs = {"n_components": 2, "max_iter": 15, "tol": 0.0, "random_state": 0}
    plain, _ = fit_als(ids, Z, y, **kwargs, **ALPHAS)
    shifted, _ = fit_als(ids, Z, y - y[3], **kwargs, **ALPHAS)
    assert_allclose(shifted.predict(ids, Z) + y[3], plain.predict(ids, Z), rtol=1e-8)


def test_zero_weights_and_constant_scores_are_fitted():
    ids, Z, _, y = planted(80, (6, 5), 2)
    kwargs = {"n_components": 2, "max_iter": 10, "tol": 1e-6, "random_state": 0}
    alphas = {**ALPHAS, "alpha_bias": 0.0}
    weights = (ids[:, 0] != 2).astype(float)
    model, _ = fit_als(ids, Z, y, weights, **kwargs, **alphas)
    assert_array_equal(model.factors[0][2], 0.0)
    constant, _ = fit_als(ids, Z, np.full(80, 7.0), **kwargs, **alphas)
    assert_allclose(constant.predict(ids, Z), 7.0)


def test_more_components_than_ids_and_large_tables_are_fitted(monkeypatch):
    monkeypatch.setattr(_als, "LARGE_ROWS", 10)
    ids, Z, truth, y = planted(157, (8, 8), 2, n_features=5)
    model, objectives = fit_als(
        ids, Z, y, n_components=20, max_iter=50, tol=1e-5, random_state=0, **ALPHAS
    )
    assert len(objectives) <= 50
    assert np.sqrt(np.mean((model.predict(ids, Z) - truth) ** 2)) < 0.5


@pytest.mark.parametrize("n_ids", [(12, 15), (8, 9, 4)])
def test_a_penalty_per_record_counts_the_weights_of_an_id(linear_solver, n_ids):
    ids, Z, _, y = planted(250, n_ids, 3, noise=1.0)
    weights = np.random.default_rng(4).uniform(0.2, 3, 250)
    model, objectives = fit_als(
        ids,
        Z,
        y,
        weights,
        n_components=4,
        per_record=True,
        max_iter=60,
        tol=0.0,
        random_state=0,
        alpha_bias=0.01,
        alpha_factor=0.05,
        alpha_coef=0.02,
    )
    expected = np.sum(weights * (y - model.predict(ids, Z)) ** 2)
    expected += 0.02 * weights.sum() * np.sum(model.coef**2)
    for codes, bias, factors in zip(ids.T, model.biases, model.factors, strict=True):
        totals = np.bincount(codes, weights)
        expected += 0.01 * totals @ bias**2
        expected += 0.05 * totals @ np.sum(factors**2, axis=1)
    assert_allclose(objectives[-1], expected, rtol=1e-9)
    assert np.all(np.diff(objectives) <= 1e-10 * objectives[0])
