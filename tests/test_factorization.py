import pickle
import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge

from proxylm import (
    MatrixFactorizationRegressor,
    ProxyRegressor,
    evaluate,
    fetch_intent,
    fetch_nusa,
    fetch_slot,
    load_published,
)
from proxylm.regression._bayes import fit_bayes
from proxylm.regression._cold_start import fit_cold_start, leave_out_folds


def planted(n_rows=30, n_columns=24, rank=2, noise=0.1, share=0.7, seed=0):
    """Return known and held-out cells of a noisy low-rank table with biases."""
    rng = np.random.default_rng(seed)
    left, right = rng.normal(size=(n_rows, rank)), rng.normal(size=(n_columns, rank))
    truth = 50 + 4 * rng.normal(size=(n_rows, 1)) + 2 * rng.normal(size=n_columns)
    truth = truth + 3 * left @ right.T
    i, j = np.meshgrid(np.arange(n_rows), np.arange(n_columns), indexing="ij")
    X = pd.DataFrame(
        {
            "model": [f"m{k:02d}" for k in i.ravel()],
            "task": [f"t{k:02d}" for k in j.ravel()],
        }
    )
    y = truth.ravel() + rng.normal(scale=noise, size=truth.size)
    known = rng.uniform(size=len(y)) < share
    return X, y, known


def with_features(n=200, seed=1):
    """Return records with ids and side features, one of which is a proxy."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "source_lang": rng.choice(list("abcdefgh"), n),
            "target_lang": rng.choice(list("abcdefgh"), n),
            "proxy": rng.uniform(0, 40, n),
            "size": rng.normal(size=n),
        }
    )
    bias = X["source_lang"].map(dict(zip("abcdefgh", rng.normal(size=8), strict=True)))
    y = 0.8 * X["proxy"] + 3 * bias + rng.normal(scale=0.3, size=n)
    return X, y.to_numpy()


def rmse(a, b):
    return float(np.sqrt(np.mean((np.asarray(a) - np.asarray(b)) ** 2)))


def test_a_planted_low_rank_table_is_recovered_to_the_noise():
    X, y, known = planted(noise=0.2)
    regressor = MatrixFactorizationRegressor(n_components=6, tol=1e-4, random_state=0)
    regressor.fit(X[known], y[known])
    assert rmse(regressor.predict(X[~known]), y[~known]) < 0.4
    assert regressor.noise_std_ == pytest.approx(0.2, rel=0.3)


def test_superfluous_components_vanish():
    X, y, known = planted(rank=2, noise=0.2)
    regressor = MatrixFactorizationRegressor(n_components=8, tol=1e-5, max_iter=2000)
    regressor.set_params(random_state=0).fit(X[known], y[known])
    scale = regressor.factors_["model"].std(0) * regressor.factors_["task"].std(0)
    assert (scale > 0.05 * scale.max()).sum() == 2


@pytest.mark.parametrize("n_components", [5, 20])
def test_a_sparse_table_keeps_its_components_among_many(n_components):
    """Eight records an id: many components are at first all variance."""
    X, y, known = planted(100, 100, rank=1, noise=1.0, share=0.08)
    regressor = MatrixFactorizationRegressor(n_components, random_state=0)
    regressor.fit(X[known], y[known])
    error = rmse(regressor.predict(X[~known]), y[~known])
    additive = regressor.set_params(n_components=0).fit(X[known], y[known])
    assert error < 0.6 * rmse(additive.predict(X[~known]), y[~known])


def fit_planted(n_components, max_iter, tol=0.0):
    """Return the model of the Bayesian solver, and its records."""
    X, y, known = planted(20, 15, rank=1, noise=1.0)
    ids = np.column_stack([pd.factorize(X[name])[0] for name in X])[known]
    y = (y[known] - y[known].mean()) / y[known].std()
    Z = np.random.default_rng(0).normal(size=(len(y), 2))
    model = fit_bayes(
        ids,
        Z,
        y,
        np.ones(len(y)),
        [np.empty((20, 0)), np.empty((15, 0))],
        n_components=n_components,
        max_iter=max_iter,
        tol=tol,
        rng=np.random.RandomState(0),
    )
    return model, ids, Z, y


def test_the_bound_rises_with_every_sweep():
    bounds = [fit_planted(3, sweeps)[0].bound for sweeps in range(1, 25)]
    assert np.diff(bounds).min() > -0.01  # the hyperpriors are not in it


def test_the_bound_without_components_is_the_evidence():
    model, ids, Z, y = fit_planted(0, 500, tol=1e-12)
    same = ids[:, None] == ids
    spread = 1e6 + (Z * model.coef_variances) @ Z.T + same @ model.bias_variances
    spread += model.noise_variance * np.eye(len(y))
    evidence = multivariate_normal(np.zeros(len(y)), spread).logpdf(y)
    constant = len(y) / 2 * np.log(2 * np.pi)
    assert model.bound == pytest.approx(evidence + constant, abs=0.01)


def test_without_components_it_is_a_ridge_regression_with_learned_penalties():
    model, ids, Z, y = fit_planted(0, 500, tol=1e-12)
    blocks = [Z, np.eye(20)[ids[:, 0]], np.eye(15)[ids[:, 1]]]
    biases = np.repeat(model.bias_variances, [20, 15])
    variances = np.concatenate([model.coef_variances, biases])
    design = np.hstack(blocks) * np.sqrt(variances / model.noise_variance)
    ridge = Ridge(alpha=1.0).fit(design, y)
    predicted, _ = model.predict(ids, Z, [np.empty((len(y), 0))] * 2)
    np.testing.assert_allclose(predicted, ridge.predict(design), atol=1e-6)


def test_without_components_it_is_additive():
    X, y, known = planted(rank=1)
    additive = MatrixFactorizationRegressor(n_components=0).fit(X[known], y[known])
    design = pd.get_dummies(X).astype(float)
    ridge = Ridge(alpha=0.05).fit(design[known], y[known])
    predicted = additive.predict(X[~known])
    assert rmse(predicted, ridge.predict(design[~known])) < 0.2
    assert rmse(predicted, y[~known]) > 2


def test_intervals_cover_what_they_promise():
    X, y, known = planted(n_rows=40, n_columns=40, noise=1.0)
    regressor = MatrixFactorizationRegressor(random_state=0).fit(X[known], y[known])
    mean, std = regressor.predict(X[~known], return_std=True)
    covered = np.abs(mean - y[~known]) < 1.645 * std
    assert 0.86 < covered.mean() < 0.94


def test_an_interval_is_wider_where_less_is_known():
    X, y, known = planted(n_rows=20, n_columns=20, noise=0.5)
    rare = (X["model"] == "m00") & (X["task"] > "t01")
    known &= ~rare
    regressor = MatrixFactorizationRegressor(random_state=0).fit(X[known], y[known])
    _, std = regressor.predict(X, return_std=True)
    assert std[rare].mean() > 1.15 * std[known].mean()
    new = X[:1].assign(model="never seen")
    assert regressor.predict(new, return_std=True)[1][0] > std.mean()


def test_a_new_id_on_both_sides_gets_the_prediction_of_the_side_features():
    X, y = with_features()
    regressor = MatrixFactorizationRegressor(random_state=0).fit(X, y)
    new = X.assign(source_lang="new", target_lang="newer")
    features = X[["proxy", "size"]].to_numpy()
    predicted = regressor.predict(new)
    line = features @ regressor.cold_start_coef_
    np.testing.assert_allclose(predicted - line, (predicted - line)[0])
    assert regressor.cold_start_coef_[0] == pytest.approx(0.8, abs=0.05)
    assert regressor.cold_start_coef_[1] == 0


def test_a_new_id_meets_the_bias_of_the_known_one():
    rng = np.random.default_rng(0)
    X, y, _ = planted(n_rows=12, n_columns=15, rank=0, noise=0.3)
    new = X["model"] == "m05"
    regressor = MatrixFactorizationRegressor(random_state=rng.integers(10))
    regressor.fit(X[~new], y[~new])
    predicted = regressor.predict(X[new])
    assert np.corrcoef(predicted, y[new])[0, 1] > 0.9


def test_predictions_of_new_ids_do_not_depend_on_their_neighbours():
    X, y = with_features()
    regressor = MatrixFactorizationRegressor(random_state=0).fit(X, y)
    new = X.assign(source_lang="new")
    together = regressor.predict(new)
    alone = np.concatenate([regressor.predict(new[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(alone, together[:20])


def test_a_new_id_gets_the_bias_and_the_factors_that_its_features_imply():
    rng = np.random.default_rng(0)
    size, age = rng.normal(size=(2, 40))
    skill = rng.normal(size=(30, 2))
    cells = [(m, t) for m in range(40) for t in range(30)]
    m, t = np.array(cells).T
    y = 50 + 4 * size[m] + 3 * size[m] * skill[t, 0] - 2 * age[m] * skill[t, 1]
    y = y + rng.normal(scale=0.3, size=len(y))
    X = pd.DataFrame({"model": [f"m{i:02d}" for i in m], "task": [f"t{j}" for j in t]})
    X = X.assign(size=size[m], age=age[m])
    known = m < 30
    options = {"n_components": 4, "tol": 1e-4, "random_state": 0}
    features = {"model": ["size", "age"]}
    told = MatrixFactorizationRegressor(id_features=features, **options)
    told.fit(X[known], y[known])
    untold = MatrixFactorizationRegressor(**options).fit(X[known], y[known])
    mean, std = told.predict(X[~known], return_std=True)
    assert rmse(mean, y[~known]) < 1
    assert rmse(untold.predict(X[~known]), y[~known]) > 2
    assert 0.8 < np.mean(np.abs(mean - y[~known]) < 1.645 * std) <= 1
    assert told.coef_.size == 0


def test_features_of_ids_that_do_not_exist_are_refused():
    X, y = with_features()
    for features in ({"source": ["size"]}, {"source_lang": ["bulk"]}):
        with pytest.raises(ValueError, match="id_features expects"):
            MatrixFactorizationRegressor(id_features=features).fit(X, y)


def test_a_language_with_itself_has_an_id_of_its_own():
    rng = np.random.default_rng(0)
    codes = [f"l{k:02d}" for k in range(20)]
    X = pd.DataFrame(
        [(s, t) for s in codes for t in codes], columns=["source_lang", "target_lang"]
    )
    level = pd.Series(rng.normal(scale=5, size=20), index=codes)
    y = 40 + level[X["target_lang"]].to_numpy() + rng.normal(scale=0.3, size=len(X))
    same = (X["source_lang"] == X["target_lang"]).to_numpy()
    y[same] = 80 + rng.normal(scale=0.3, size=20)
    known = np.ones(len(X), dtype=bool)
    known[np.flatnonzero(same)[:8]] = False
    regressor = MatrixFactorizationRegressor(random_state=0).fit(X[known], y[known])
    np.testing.assert_allclose(regressor.predict(X[~known]), 80, atol=1)


def test_an_id_that_meets_itself_leaves_the_other_columns_alone():
    rng = np.random.default_rng(0)
    cells = [(m, s, t) for m in "xyz" for s in "abcde" for t in "abcde"]
    X = pd.DataFrame(cells, columns=["model", "source_lang", "target_lang"])
    y = X["model"].map({"x": 0.0, "y": 20.0, "z": 40.0}).to_numpy()
    y = y + rng.normal(scale=0.3, size=len(y))
    regressor = MatrixFactorizationRegressor(random_state=0).fit(X, y)
    np.testing.assert_allclose(regressor.predict(X), y, atol=2)


def test_rows_may_come_in_any_order():
    X, y, known = planted()
    X, y = X[known].reset_index(drop=True), y[known]
    order = np.random.default_rng(0).permutation(len(X))
    first = MatrixFactorizationRegressor(random_state=0).fit(X, y).predict(X)
    second = MatrixFactorizationRegressor(random_state=0)
    second = second.fit(X.iloc[order], y[order]).predict(X)
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_ids_may_have_any_name():
    X, y, known = planted(noise=0.2)
    renamed = X.assign(model=X["model"].str.replace("m", "z"), task=X["task"] + "!")
    options = {"random_state": 0, "tol": 1e-4}
    first = MatrixFactorizationRegressor(**options).fit(X[known], y[known])
    second = MatrixFactorizationRegressor(**options).fit(renamed[known], y[known])
    np.testing.assert_allclose(first.predict(X), second.predict(renamed))
    # Another order of the ids starts from other factors and ends in the same place.
    turned = X.assign(model=X["model"].map(lambda m: f"m{99 - int(m[1:]):02d}"))
    third = MatrixFactorizationRegressor(**options).fit(turned[known], y[known])
    assert rmse(third.predict(turned), first.predict(X)) < 0.1


def test_a_weight_of_two_is_two_records():
    X, y = with_features()
    weights = np.random.default_rng(0).integers(1, 3, len(y))
    weighted = MatrixFactorizationRegressor(random_state=0)
    weighted.fit(X, y, sample_weight=weights)
    repeated = MatrixFactorizationRegressor(random_state=0)
    repeated.fit(X.loc[X.index.repeat(weights)], np.repeat(y, weights))
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-6)


@pytest.mark.parametrize("solver", ["bayes", "als"])
def test_known_errors_of_scores_as_weights_lower_the_error(solver):
    X, truth, known = planted(noise=0.0)
    rng = np.random.default_rng(0)
    error = rng.choice([0.3, 6.0], len(X))
    y = truth + error * rng.normal(size=len(X))
    regressor = MatrixFactorizationRegressor(3, solver=solver, random_state=0)
    plain = rmse(regressor.fit(X[known], y[known]).predict(X), truth)
    weights = 1 / error[known] ** 2
    regressor.fit(X[known], y[known], sample_weight=weights / weights.mean())
    assert rmse(regressor.predict(X), truth) < 0.7 * plain


def test_a_score_of_zero_is_a_score():
    X, y, known = planted(rank=0, noise=0.01)
    zero = X["task"] == "t03"
    y = np.where(zero, 0.0, y)
    regressor = MatrixFactorizationRegressor(random_state=0).fit(X[known], y[known])
    assert np.abs(regressor.predict(X[zero & ~known])).max() < 8
    assert regressor.predict(X[~zero]).min() > 20


def test_more_than_two_id_columns_interact():
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 8, (900, 3))
    v = rng.normal(size=(3, 8))
    y = sum(
        v[a][ids[:, a]] * v[b][ids[:, b]] for a, b in [(0, 1), (0, 2), (1, 2)]
    ) + rng.normal(scale=0.1, size=900)
    X = pd.DataFrame(ids, columns=["a", "b", "c"]).astype(str)
    X = X.assign(b=X["b"] + "b", c=X["c"] + "c")
    regressor = MatrixFactorizationRegressor(n_components=3, tol=1e-5, max_iter=2000)
    regressor.set_params(random_state=0).fit(X[:700], y[:700])
    assert rmse(regressor.predict(X[700:]), y[700:]) < 0.25


def test_least_squares_recover_a_planted_table_of_many_ids():
    X, y, known = planted(n_rows=150, n_columns=120, rank=3, noise=0.2)
    regressor = MatrixFactorizationRegressor(
        n_components=3, solver="als", alpha_factor=0.1, alpha_bias=0.1, tol=1e-6
    )
    regressor.fit(X[known], y[known])
    assert rmse(regressor.predict(X[~known]), y[~known]) < 0.3
    assert regressor.noise_std_ == pytest.approx(0.2, rel=0.2)
    with pytest.raises(ValueError, match='expects solver="bayes"'):
        regressor.predict(X, return_std=True)
    described = regressor.set_params(id_features={"model": ["size"]})
    with pytest.raises(ValueError, match="id_features expects solver"):
        described.fit(X[known].assign(size=1.0), y[known])


def test_least_squares_without_components_are_a_ridge_regression():
    X, y = with_features()
    X = X[X["source_lang"] != X["target_lang"]]
    y = y[X.index]
    regressor = MatrixFactorizationRegressor(
        0, solver="als", alpha_bias=2.0, alpha_coef=3.0
    ).fit(X, y)
    numbers = X[["proxy", "size"]]
    scaled = (numbers - numbers.mean()) / numbers.std(ddof=0) / np.sqrt(3)
    ids = pd.get_dummies(X.iloc[:, :2], dtype=float) / np.sqrt(2)
    design = np.hstack([scaled, ids])
    ridge = Ridge(alpha=1.0).fit(design, y)
    np.testing.assert_allclose(regressor.predict(X), ridge.predict(design), rtol=1e-8)


def test_least_squares_give_a_new_id_nothing():
    X, y = with_features()
    regressor = MatrixFactorizationRegressor(solver="als").fit(X, y)
    new = X.assign(source_lang="new", target_lang="newer")
    line = X[["proxy", "size"]].to_numpy() @ regressor.coef_
    np.testing.assert_allclose(np.ptp(regressor.predict(new) - line), 0, atol=1e-9)


def test_numbers_alone_are_a_linear_model():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4))
    y = X @ [1.0, 2.0, 0.0, -1.0] + 5
    regressor = MatrixFactorizationRegressor().fit(X, y)
    np.testing.assert_allclose(regressor.coef_, [1, 2, 0, -1], atol=1e-3)
    np.testing.assert_allclose(regressor.predict(X), y, atol=1e-2)


def test_missing_features_count_as_the_mean_and_missing_ids_as_unknown():
    X, y = with_features()
    holes = X.copy()
    holes.loc[::7, "size"] = np.nan
    holes.loc[::11, "source_lang"] = None
    regressor = MatrixFactorizationRegressor(random_state=0).fit(holes, y)
    assert rmse(regressor.predict(holes), y) < 2
    assert regressor.ids_["source_lang"].tolist() == list("abcdefgh")


def test_id_columns_may_be_named_and_hold_numbers():
    X, y, known = planted()
    numbered = pd.DataFrame(
        {
            "model": X["model"].str[1:].astype(int),
            "task": 100 + X["task"].str[1:].astype(int),
        }
    )
    options = {"random_state": 0}
    named = MatrixFactorizationRegressor(id_columns=["model", "task"], **options)
    named.fit(numbered[known], y[known])
    text = MatrixFactorizationRegressor(**options).fit(X[known], y[known])
    np.testing.assert_allclose(named.predict(numbered), text.predict(X))


def test_wrong_id_columns_are_refused_with_a_remedy():
    X, y = with_features()
    with pytest.raises(ValueError, match=r"Got \['source'\]"):
        MatrixFactorizationRegressor(id_columns=["source"]).fit(X, y)
    with pytest.raises(TypeError, match="needs X to be a pandas DataFrame"):
        MatrixFactorizationRegressor(id_columns=["a"]).fit(np.ones((4, 2)), y[:4])
    regressor = MatrixFactorizationRegressor().fit(X, y)
    with pytest.raises(TypeError, match="expects a pandas DataFrame"):
        regressor.predict(X.to_numpy())


def test_too_large_a_table_is_refused_before_memory_runs_out(monkeypatch):
    monkeypatch.setattr("proxylm.regression._factorization.LARGEST_DESIGN", 100)
    X, y = with_features()
    with pytest.raises(ValueError, match="200 records and 18 ids"):
        MatrixFactorizationRegressor().fit(X, y)


def test_stopping_too_early_warns():
    X, y, known = planted()
    with pytest.warns(ConvergenceWarning, match="Increase max_iter"):
        MatrixFactorizationRegressor(max_iter=2).fit(X[known], y[known])
    with pytest.warns(ConvergenceWarning, match="Increase max_iter"):
        MatrixFactorizationRegressor(solver="als", max_iter=1, tol=1e-9).fit(
            X[known], y[known]
        )


def test_two_fits_and_a_pickle_predict_the_same():
    X, y, known = planted()
    regressor = MatrixFactorizationRegressor(random_state=4).fit(X[known], y[known])
    first = regressor.predict(X)
    np.testing.assert_array_equal(regressor.fit(X[known], y[known]).predict(X), first)
    again = pickle.loads(pickle.dumps(regressor))
    np.testing.assert_array_equal(again.predict(X), first)


def test_folds_leave_ids_out_and_keep_what_is_everywhere():
    units = np.array([[0, 3], [1, 3], [2, 3], [0, 3]])
    folds = leave_out_folds(units)
    assert [fold.tolist() for fold in folds] == [
        [True, False, False, True],
        [False, True, False, False],
        [False, False, True, False],
    ]


def test_cold_start_biases_follow_from_the_other_ids():
    """Equal to the sums written out, for the penalty that was chosen."""
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 5, (60, 2))
    units = ids + np.array([0, 5])
    y = rng.normal(size=5)[ids[:, 0]] + rng.normal(scale=0.1, size=60)
    model = fit_cold_start(ids, units, np.empty((60, 0)), y, np.ones(60), [5, 5])
    residual = y - model.intercept
    penalty = [
        residual[ids[:, 0] == i].sum() / model.biases[0][i] - (ids[:, 0] == i).sum()
        for i in range(5)
    ]
    np.testing.assert_allclose(penalty, penalty[0])
    errors = []
    for column, other in [(0, 1), (1, 0)]:
        for row in range(60):
            kept = units[:, column] != units[row, column]
            mine = kept & (ids[:, other] == ids[row, other])
            known = residual[mine].sum() / (mine.sum() + penalty[0])
            errors.append((residual[row] - known) ** 2)
    assert model.variance == pytest.approx(np.mean(errors))


def test_it_is_a_regressor_of_proxy_regressor():
    X, y = with_features()
    wrapped = ProxyRegressor("mf", random_state=0).fit(X, y)
    assert isinstance(wrapped.regressor_, MatrixFactorizationRegressor)
    assert wrapped.regressor_.id_columns_ == ("source_lang", "target_lang")
    assert wrapped.score(X, y) > 0.95
    new = wrapped.predict(X.assign(source_lang="new", target_lang="newer"))
    assert np.corrcoef(new, X["proxy"])[0, 1] > 0.999
    assert wrapped.feature_importances_.shape == (4,)
    assert wrapped.feature_importances_.argmax() == 2
    components = ProxyRegressor(
        "mf", search="grid", param_space={"n_components": [0, 2]}
    )
    assert components.fit(X, y).best_params_["n_components"] in (0, 2)


def test_documented_attributes_are_the_fitted_ones():
    text = MatrixFactorizationRegressor.__doc__
    documented = set(re.findall(r"^    (\w+_) : ", text, re.M))
    X, y = with_features()
    regressor = MatrixFactorizationRegressor().fit(X, y)
    fitted = {name for name in vars(regressor) if re.fullmatch(r"[a-z]\w*_", name)}
    assert fitted == documented


@pytest.mark.records
@pytest.mark.parametrize("target", ["m2m100", "nllb"])
@pytest.mark.parametrize("protocol", ["random", "lolo"])
def test_it_beats_the_published_factorization(target, protocol):
    published = load_published()
    keys = {"dataset": "nusa", "model": target, "protocol": protocol}
    keys |= {"regressor": "mf", "features": "ensemble"}
    row = published[np.all([published[k] == v for k, v in keys.items()], axis=0)]
    seeds = range(42, 47) if protocol == "random" else [42]
    regressor = MatrixFactorizationRegressor()
    evaluation = evaluate(regressor, fetch_nusa(target=target), protocol, seeds=seeds)
    assert evaluation.summary().loc[0, "rmse"] < 0.9 * row["rmse"].item()


@pytest.mark.records
@pytest.mark.parametrize(
    ("fetch", "target", "published"),
    [
        (fetch_intent, "aya", 6.087),
        (fetch_intent, "llama3", 1.644),
        (fetch_slot, "aya", 5.612),
        (fetch_slot, "llama3", 5.076),
    ],
)
def test_it_beats_published_boosting_on_massive(fetch, target, published):
    evaluation = evaluate(
        MatrixFactorizationRegressor(), fetch(target=target), "random", baselines=False
    )
    assert evaluation.summary().loc[0, "rmse"] < 0.85 * published
