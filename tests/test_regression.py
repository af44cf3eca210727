import pickle
import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import loguniform, norm, randint
from sklearn import config_context
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from sklearn.linear_model import ElasticNet, LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from proxylm import LeaveOneLanguageOut, ProxyRegressor, RecordSchema
from proxylm.regression._search import inner_folds

LANGUAGES = ["deu", "fra", "ind", "jav", "swh", "tam", "yor", "zul"]
QUICK = {"n_estimators": 30, "learning_rate": 0.3}


@pytest.fixture
def table():
    """Records with two language columns, a proxy, an indicator and a known law."""
    rng = np.random.default_rng(7)
    pairs = [(s, t) for s in LANGUAGES for t in LANGUAGES if s != t]
    X = pd.DataFrame(pairs, columns=["source_lang", "target_lang"])
    X["size"] = rng.uniform(1, 10, len(X))
    X["distance"] = rng.uniform(0, 1, len(X))
    X["flag"] = rng.integers(0, 2, len(X)).astype(float)
    X["proxy"] = rng.uniform(0, 60, len(X))
    y = 0.9 * X["proxy"] + X["size"] - 5 * X["distance"] + 3 * X["flag"]
    y += rng.normal(scale=0.3, size=len(X))
    return X, y.rename("score")


def schema(**changes):
    roles = {
        "features": ["size", "distance", "flag"],
        "proxies": ["proxy"],
        "indicators": ["flag"],
        "target": "score",
        "metric": "spBLEU",
    }
    return RecordSchema(**(roles | changes))


@pytest.mark.parametrize("name", ["xgboost", "lightgbm", "gp", "poly", "ridge"])
def test_each_named_regressor_learns_and_predicts_new_languages(table, name):
    X, y = table
    new = (X["source_lang"] == "zul") | (X["target_lang"] == "zul")
    regressor = ProxyRegressor(name, random_state=0).fit(X[~new], y[~new])
    assert regressor.regressor_name_ == name
    assert regressor.score(X[new], y[new]) > 0.7


def test_lightgbm_splits_tables_of_a_few_records(table):
    X, y = table
    predicted = ProxyRegressor("lightgbm").fit(X[:12], y[:12]).predict(X)
    assert np.std(predicted) > 1


def test_poly_equals_a_second_implementation(table):
    X, y = table
    X.attrs["schema"] = schema(metric=None)
    powered = X[["size", "distance", "proxy"]].to_numpy()
    powers = StandardScaler().fit_transform(
        np.hstack([powered, powered**2, powered**3])
    )
    design = np.column_stack([powers, X["flag"]])
    expected = ElasticNet(alpha=0.1, l1_ratio=0.9).fit(design, y).predict(design)
    regressor = ProxyRegressor("poly", regressor_params={"degree": 3}).fit(X, y)
    np.testing.assert_allclose(regressor.predict(X), expected)


def test_ridge_equals_scikit_learn(table):
    X, y = table
    features = X.iloc[:, 2:]
    expected = make_pipeline(StandardScaler(), Ridge(alpha=10)).fit(features, y)
    regressor = ProxyRegressor("ridge").fit(X, y)
    np.testing.assert_allclose(regressor.predict(X), expected.predict(features))


def test_any_scikit_learn_regressor_is_cloned_and_seeded(table):
    X, y = table
    given = ExtraTreesRegressor(n_estimators=5)
    first = ProxyRegressor(given, random_state=3).fit(X, y).predict(X)
    second = ProxyRegressor(given, random_state=3).fit(X, y).predict(X)
    np.testing.assert_array_equal(first, second)
    assert not hasattr(given, "estimators_")
    assert given.random_state is None


def test_a_seed_of_the_given_regressor_is_kept(table):
    X, y = table
    given = ExtraTreesRegressor(n_estimators=5, random_state=11)
    regressor = ProxyRegressor(given, random_state=3).fit(X, y)
    features = X.iloc[:, 2:].to_numpy()
    expected = clone(given).fit(features, y).predict(features)
    np.testing.assert_allclose(regressor.predict(X), expected)


def test_class_instead_of_instance_is_refused(table):
    with pytest.raises(TypeError, match="Got the class LinearRegression"):
        ProxyRegressor(LinearRegression).fit(*table)


def test_unknown_regressor_names_the_known_and_the_nearest(table):
    with pytest.raises(ValueError, match=r"Got 'xgbost'[.] Did you mean 'xgboost'"):
        ProxyRegressor("xgbost").fit(*table)


def test_roles_come_from_the_attached_schema(table):
    X, y = table
    renamed = X.rename(columns={"source_lang": "from", "target_lang": "to"})
    renamed.attrs["schema"] = schema(source="from", target_language="to")
    regressor = ProxyRegressor("ridge").fit(renamed, y)
    assert regressor.languages_ == ("from", "to")
    assert regressor.proxies_ == ("proxy",)
    assert regressor.score_range_ == (0.0, 100.0)


def test_roles_come_from_names_given(table):
    X, y = table
    renamed = X.rename(columns={"source_lang": "from", "target_lang": "to"})
    regressor = ProxyRegressor(
        "ridge", languages=["from", "to"], proxies=["proxy"], score_range=(0, 50)
    ).fit(renamed, y)
    assert regressor.languages_ == ("from", "to")
    assert regressor.predict(renamed).max() == 50


def test_language_columns_are_never_guessed_from_their_type(table):
    X, y = table
    renamed = X.rename(columns={"source_lang": "from", "target_lang": "to"})
    with pytest.raises(ValueError, match=r"'from' .* hold numbers. Got 'deu' in row 0"):
        ProxyRegressor("ridge").fit(renamed, y)


def test_numeric_language_codes_are_allowed(table):
    X, y = table
    codes = {language: i for i, language in enumerate(LANGUAGES)}
    numbered = X.assign(
        source_lang=X["source_lang"].map(codes), target_lang=X["target_lang"].map(codes)
    )
    text = ProxyRegressor("ridge").fit(X, y).predict(X)
    np.testing.assert_array_equal(
        ProxyRegressor("ridge").fit(numbered, y).predict(numbered), text
    )


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        ("languages", ["source", "target_lang"], r"Got \['source'\].*Did you mean"),
        ("languages", ["size", "flag", "proxy"], "one or two columns"),
        ("proxies", ["prxy"], "Did you mean .proxy"),
        ("score_range", (5, 1), "low < high"),
        ("score_range", "spBLUE", "expects a metric among"),
    ],
)
def test_wrong_roles_are_refused_with_a_remedy(table, parameter, value, message):
    with pytest.raises(ValueError, match=message):
        ProxyRegressor("ridge", **{parameter: value}).fit(*table)


def test_named_columns_need_a_data_frame(table):
    X, y = table
    with pytest.raises(TypeError, match="needs X to be a pandas DataFrame"):
        ProxyRegressor("ridge", proxies=["proxy"]).fit(X.iloc[:, 2:].to_numpy(), y)


def test_array_at_predict_after_language_columns_in_fit_is_refused(table):
    X, y = table
    regressor = ProxyRegressor("ridge").fit(X, y)
    with pytest.raises(TypeError, match="expects a pandas DataFrame"):
        regressor.predict(X.to_numpy())


def test_array_and_data_frame_without_languages_agree(table):
    X, y = table
    features = X.iloc[:, 2:]
    framed = ProxyRegressor("ridge").fit(features, y).predict(features)
    plain = ProxyRegressor("ridge").fit(features.to_numpy(), y)
    np.testing.assert_allclose(plain.predict(features.to_numpy()), framed)


@pytest.mark.parametrize(
    "regressor", ["xgboost", "lightgbm", "poly", "ridge", LinearRegression()]
)
def test_missing_features_are_allowed(table, regressor):
    X, y = table
    holes = X.copy()
    holes.loc[::5, "size"] = np.nan
    fitted = ProxyRegressor(regressor).fit(holes, y)
    assert np.isfinite(fitted.predict(holes)).all()


def test_regressor_that_knows_missing_values_gets_them(table):
    X, y = table
    fitted = ProxyRegressor(HistGradientBoostingRegressor(max_iter=5)).fit(X, y)
    assert isinstance(fitted.regressor_, HistGradientBoostingRegressor)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_refused(table, bad):
    X, y = table
    y.iloc[3] = bad
    with pytest.raises(ValueError, match="y contains"):
        ProxyRegressor("ridge").fit(X, y)


def test_infinite_features_are_refused(table):
    X, y = table
    X.loc[0, "size"] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        ProxyRegressor("ridge").fit(X, y)


def test_clipping_is_off_with_none_and_half_open_for_ter(table):
    X, y = table
    X.attrs["schema"] = schema()
    low = y - 60
    clipped = ProxyRegressor("ridge").fit(X, low).predict(X)
    free = ProxyRegressor("ridge", score_range=None).fit(X, low).predict(X)
    assert free.min() < 0
    np.testing.assert_array_equal(clipped, free.clip(0, 100))
    ter = ProxyRegressor("ridge", score_range="TER").fit(X, low + 1000).predict(X)
    assert ter.min() > 900


def test_sample_weight_moves_the_fit_to_the_heavy_records(table):
    X, y = table
    shifted = y.where(X["flag"] == 0, y + 40)
    weight = np.where(X["flag"] == 0, 1.0, 1e-6)
    features = X[["size", "distance", "proxy"]]
    kept = X["flag"] == 0

    def error(**options):
        regressor = ProxyRegressor("ridge").fit(features, shifted, **options)
        return (regressor.predict(features[kept]) - y[kept]).abs().mean()

    assert error(sample_weight=weight) < error() / 3


@pytest.mark.parametrize("name", ["xgboost", "lightgbm", "poly", "ridge"])
def test_importances_sum_to_one_and_find_the_proxy(table, name):
    X, y = table
    X.attrs["schema"] = schema()
    importances = ProxyRegressor(name).fit(X, y).feature_importances_
    assert importances.shape == (X.shape[1],)
    assert importances.sum() == pytest.approx(1)
    assert X.columns[importances.argmax()] == "proxy"
    assert (importances[:2] == 0).all()


def test_importances_are_absent_where_the_regressor_has_none(table):
    fitted = ProxyRegressor(HistGradientBoostingRegressor(max_iter=3)).fit(*table)
    assert not hasattr(fitted, "feature_importances_")


def test_inner_folds_share_no_language_and_leave_the_pivot_in():
    groups = np.array([(s, "eng") for s in LANGUAGES for _ in range(4)], dtype=object)
    folds = inner_folds(len(groups), groups, (), 4, 0)
    assert len(folds) == 4
    for train, test in folds:
        assert set(groups[train, 0]).isdisjoint(groups[test, 0])
        assert len(train)
    tested = np.concatenate([test for _, test in folds])
    assert sorted(tested) == list(range(len(groups)))


def test_without_languages_a_search_warns_and_splits_rows(table):
    X, y = table
    features = X.iloc[:, 2:]
    with pytest.warns(UserWarning, match="found no languages"):
        ProxyRegressor("ridge", search="grid").fit(features, y)


def test_groups_passed_to_fit_take_the_place_of_language_columns(table):
    X, y = table
    grouped = ProxyRegressor("ridge", search="grid", random_state=0).fit(
        X.iloc[:, 2:], y, groups=X[["source_lang", "target_lang"]]
    )
    named = ProxyRegressor("ridge", search="grid", random_state=0).fit(X, y)
    assert grouped.cv_rmse_ == named.cv_rmse_


def test_too_few_languages_for_folds_fall_back_to_rows(table):
    X, y = table
    one = X.assign(source_lang="deu", target_lang="eng")
    assert ProxyRegressor("ridge", search="grid").fit(one, y).best_params_


@pytest.mark.parametrize(
    ("search", "space"),
    [
        ("grid", {"alpha": [0.01, 1e5]}),
        ("random", {"alpha": loguniform(1e-3, 1e6)}),
        ("bayes", {"alpha": loguniform(1e-3, 1e6)}),
        ("bayes", {"alpha": [0.01, 1e5]}),
    ],
)
def test_every_search_finds_the_better_half(table, search, space):
    X, y = table
    regressor = ProxyRegressor(
        "ridge", search=search, param_space=space, n_iter=8, random_state=0
    ).fit(X, y)
    assert set(regressor.best_params_) == {"alpha"}
    assert regressor.best_params_["alpha"] < 100
    assert len(regressor.cv_results_["params"]) == (2 if search == "grid" else 8)
    assert (
        regressor.regressor_.named_steps["ridge"].alpha
        == (regressor.best_params_["alpha"])
    )


def test_folds_may_be_given_as_a_splitter_or_as_pairs(table):
    X, y = table
    splitter = LeaveOneLanguageOut()
    groups = X[["source_lang", "target_lang"]]
    given = [splitter, list(splitter.split(X, y, groups))]
    results = [
        ProxyRegressor("ridge", search="grid", cv=cv).fit(X, y).cv_rmse_ for cv in given
    ]
    assert results[0] == results[1]
    assert results[0] != ProxyRegressor("ridge", search="grid").fit(X, y).cv_rmse_


@pytest.mark.parametrize("name", ["xgboost", "lightgbm", "poly", "ridge"])
def test_parameters_that_would_be_ignored_are_refused(table, name):
    with pytest.raises(ValueError, match=r"Got 'lerning_rate'.*Known are"):
        ProxyRegressor(name, regressor_params={"lerning_rate": 1.0}).fit(*table)


def test_native_parameters_of_lightgbm_are_taken(table):
    params = {"extra_trees": True}
    extra = ProxyRegressor("lightgbm", regressor_params=params).fit(*table)
    plain = ProxyRegressor("lightgbm").fit(*table)
    assert not np.allclose(extra.predict(table[0]), plain.predict(table[0]))


@pytest.mark.parametrize("search", ["grid", "random", "bayes"])
@pytest.mark.parametrize("name", ["poly", "ridge"])
def test_default_spaces_suit_their_regressor(table, name, search):
    regressor = ProxyRegressor(name, search=search, n_iter=3, cv=2, random_state=0)
    assert regressor.fit(*table).best_params_


def test_integers_stay_integers_in_a_bayesian_search(table):
    space = {"n_estimators": randint(5, 20), "learning_rate": loguniform(0.1, 0.9)}
    regressor = ProxyRegressor(
        "xgboost", search="bayes", param_space=space, n_iter=3, cv=2, random_state=0
    ).fit(*table)
    assert isinstance(regressor.best_params_["n_estimators"], int)
    assert 5 <= regressor.best_params_["n_estimators"] < 20


def test_search_over_a_given_regressor_uses_its_own_names(table):
    regressor = ProxyRegressor(
        Ridge(), search="grid", param_space={"alpha": [0.1, 1e5]}
    ).fit(*table)
    assert regressor.best_params_ == {"alpha": 0.1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"param_space": {"alfa": [1.0]}}, r"Got \['alfa'\]"),
        ({"search": "bayes", "param_space": {"alpha": norm()}}, "bounded"),
        ({"regressor": LinearRegression()}, "expects a param_space"),
    ],
)
def test_wrong_search_spaces_are_refused(table, options, message):
    options = {"regressor": "ridge", "search": "grid"} | options
    with pytest.raises(ValueError, match=message):
        ProxyRegressor(**options).fit(*table)


def test_parallel_search_gives_the_same_result(table):
    X, y = table
    one = ProxyRegressor("ridge", search="grid", random_state=0).fit(X, y)
    two = ProxyRegressor("ridge", search="grid", random_state=0, n_jobs=2).fit(X, y)
    assert one.best_params_ == two.best_params_
    np.testing.assert_array_equal(one.predict(X), two.predict(X))


def test_row_order_of_predict_does_not_matter(table):
    X, y = table
    regressor = ProxyRegressor("xgboost", regressor_params=QUICK, random_state=0)
    regressor.fit(X, y)
    shuffled = X.sample(frac=1, random_state=1)
    np.testing.assert_array_equal(
        regressor.predict(shuffled),
        pd.Series(regressor.predict(X), index=X.index)[shuffled.index],
    )


def test_pickle_predicts_the_same(table):
    X, y = table
    regressor = ProxyRegressor("lightgbm", regressor_params=QUICK).fit(X, y)
    again = pickle.loads(pickle.dumps(regressor))
    np.testing.assert_array_equal(again.predict(X), regressor.predict(X))


@pytest.mark.parametrize("routing", [False, True])
def test_it_works_in_the_loops_of_scikit_learn(table, routing):
    X, y = table
    groups = X[["source_lang", "target_lang"]]
    with config_context(enable_metadata_routing=routing):
        passed = {"params": {"groups": groups}} if routing else {"groups": groups}
        scores = cross_val_score(
            ProxyRegressor("ridge"),
            X,
            y,
            cv=LeaveOneLanguageOut(),
            scoring="neg_root_mean_squared_error",
            **passed,
        )
        assert len(scores) == len(LANGUAGES)
        assert scores.min() > -5
        grid = GridSearchCV(
            ProxyRegressor("ridge"),
            {"regressor_params": [{"alpha": 0.1}, {"alpha": 1e5}]},
            cv=LeaveOneLanguageOut(),
        )
        grid.fit(X, y, groups=groups)
        assert grid.best_params_ == {"regressor_params": {"alpha": 0.1}}


def test_groups_are_routed_to_fit_when_asked_for(table):
    X, y = table
    features = X.iloc[:, 2:]
    with config_context(enable_metadata_routing=True):
        regressor = ProxyRegressor("ridge", search="grid").set_fit_request(groups=True)
        pipeline = make_pipeline(StandardScaler(), regressor)
        pipeline.fit(features, y, groups=X[["source_lang", "target_lang"]])
    assert pipeline[-1].best_params_


def test_documented_attributes_are_the_fitted_ones(table):
    documented = set(re.findall(r"^    (\w+_) : ", ProxyRegressor.__doc__, re.M))
    regressor = ProxyRegressor("ridge", search="grid").fit(*table)
    fitted = {name for name in vars(regressor) if name.endswith("_")}
    assert fitted | {"feature_importances_"} == documented


def test_documented_defaults_are_the_defaults():
    text = ProxyRegressor.__doc__.replace("\\\n", " ")
    documented = dict(re.findall(r"^    (\w+) : .*?default=(.+)$", text, re.M))
    defaults = ProxyRegressor().get_params()
    assert {k: str(v) for k, v in defaults.items()} == {
        k: v.strip('"') for k, v in documented.items()
    }


def test_several_targets_are_predicted_as_each_alone(table):
    from sklearn.multioutput import MultiOutputRegressor

    X, y = table
    targets = np.column_stack([y, 2 * y + 1])
    regressor = ProxyRegressor("ridge")
    several = MultiOutputRegressor(regressor).fit(X, targets)
    predicted = several.predict(X)
    for k in range(2):
        alone = clone(regressor).fit(X, targets[:, k])
        np.testing.assert_allclose(predicted[:, k], alone.predict(X))
