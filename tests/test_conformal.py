import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student_t
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import LeaveOneGroupOut
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from proxylm import LanguageConformalRegressor, ProxyRegressor, RecordSchema
from proxylm.regression._conformal import (
    IntervalCalibrator,
    conformal_quantile,
    conformal_survival,
    language_scores,
    normal_quantile,
    spread_features,
    unit_mass,
    unseen_sides,
)


def table(n_languages=24, n_rows=8, language_std=2.0, seed=0, noise=None):
    """One language column, a proxy, and scores with an effect of the language."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(n_languages), n_rows)
    proxy = rng.uniform(0, 40, len(codes))
    X = pd.DataFrame({"source_lang": [f"l{code:03}" for code in codes], "proxy": proxy})
    std = 1.0 if noise is None else noise(proxy)
    y = proxy + language_std * rng.normal(size=n_languages)[codes]
    return X, y + std * rng.normal(size=len(codes))


def pairs_table(n_languages=10, seed=0):
    """Every ordered pair of languages, with effects of both sides."""
    rng = np.random.default_rng(seed)
    source, target = np.divmod(np.arange(n_languages**2), n_languages)
    proxy = rng.uniform(0, 40, n_languages**2)
    effects = rng.normal(size=(2, n_languages))
    X = pd.DataFrame(
        {
            "source_lang": [f"l{code:02}" for code in source],
            "target_lang": [f"l{code:02}" for code in target],
            "proxy": proxy,
        }
    )
    y = proxy + 2 * effects[0][source] + 3 * effects[1][target]
    return X, y + 0.3 * rng.normal(size=len(y))


def calibrated(n_languages, n_rows, *, noise=1.0, language_std=2.0, seed=0):
    """A calibrator of languages that were all left out, predictions being 0."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(n_languages), n_rows)
    X = rng.uniform(size=(len(codes), 1))
    y = language_std * rng.normal(size=n_languages)[codes]
    y = y + noise * rng.normal(size=len(codes))
    unseen = np.ones((len(codes), 1), dtype=bool)
    oof = np.zeros(len(codes))
    return IntervalCalibrator().fit(y, oof, X, codes[:, None], unseen), y


# Quantiles


def test_quantile_gives_each_language_the_same_mass():
    # Languages a, b and c of 1, 2 and 4 rows; each has a quarter, infinity has one.
    values = np.array([5.0, 1.0, 9.0, 2.0, 3.0, 4.0, 8.0])
    mass = unit_mass(np.array([0, 1, 1, 2, 2, 2, 2]), np.ones(7))
    np.testing.assert_allclose(mass, [1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25])
    # In order: 1 (.125), 2, 3, 4 (.0625 each), 5 (.25), 8 (.0625), 9 (.125).
    assert conformal_quantile(values, mass, 0.3) == 4.0
    assert conformal_quantile(values, mass, 0.3125) == 4.0
    assert conformal_quantile(values, mass, 0.32) == 5.0
    assert conformal_quantile(values, mass, 0.6) == 8.0
    assert conformal_quantile(values, mass, 0.75) == 9.0
    assert conformal_quantile(values, mass, 0.76) == np.inf


def test_rows_without_languages_have_the_quantile_of_split_conformal():
    values = np.arange(1.0, 20.0)  # the ceil(0.9 * 20)th smallest of 19
    assert conformal_quantile(values, np.ones(19), 0.9) == 18.0


def test_weights_share_the_mass_of_a_language():
    mass = unit_mass(np.array([0, 0, 1]), np.array([3.0, 1.0, 7.0]))
    np.testing.assert_allclose(mass, [0.75, 0.25, 1.0])


def test_few_languages_fall_back_to_normal_components():
    calibrator, y = calibrated(7, 6)
    assert calibrator.exact_level(1) == 7 / 8
    means = y.reshape(7, 6).mean(axis=1)
    between, noise = np.mean(means**2), y.reshape(7, 6).var(axis=1).mean()
    freedom = (between + noise) ** 2 / (between**2 / 7 + noise**2 / 35)
    expected = np.sqrt(between + noise) * student_t.ppf(0.95, freedom)
    assert calibrator.quantile(0.9, 1) == pytest.approx(expected)
    # Below the exact level nothing is assumed.
    assert calibrator.quantile(0.8, 1) in np.abs(y)


def test_normal_quantile_of_many_languages_is_that_of_the_normal_distribution():
    rng = np.random.default_rng(0)
    units = np.repeat(np.arange(4000), 3)
    scores = 2 * rng.normal(size=4000)[units] + rng.normal(size=12_000)
    quantile = normal_quantile(scores, units, np.ones(12_000), 0.9)
    assert quantile == pytest.approx(1.645 * np.sqrt(5), rel=0.03)


def test_perfect_predictions_have_intervals_of_no_width():
    X, y = table(language_std=0.0, noise=np.zeros_like)
    regressor = LanguageConformalRegressor(LinearRegression(), cv=4).fit(X, y)
    low, high = regressor.predict_interval(X.assign(source_lang="new")).T
    np.testing.assert_allclose(high - low, 0, atol=1e-9)


def test_survival_is_interpolated_and_never_certain():
    survival = conformal_survival(
        np.array([1.0, -1.0]), np.ones(2), np.array([-9.0, -1.0, 0.0, 1.0, 9.0])
    )
    np.testing.assert_allclose(survival, [2 / 3, 2 / 3, 1 / 2, 1 / 3, 1 / 3])


# Coverage


def coverage_of_new_language(calibrate, n_repeats=400):
    """Mean share of the rows of a new language in an interval of 90% around 0."""
    rng = np.random.default_rng(1)
    held = []
    for seed in range(n_repeats):
        effect = 2.0 * rng.normal()
        new = effect + rng.normal(size=50)
        held.append(np.mean(np.abs(new) <= calibrate(seed)))
    return np.mean(held)


def test_intervals_hold_for_languages_never_seen_where_quantiles_of_rows_do_not():
    # A few languages have most rows, as in many tables.
    sizes = np.r_[np.full(17, 3), 150, 150, 150]
    codes = np.repeat(np.arange(20), sizes)

    def draw(seed):
        rng = np.random.default_rng(1000 + seed)
        return 2 * rng.normal(size=20)[codes] + rng.normal(size=len(codes))

    def by_language(seed):
        mass = unit_mass(codes, np.ones(len(codes)))
        return conformal_quantile(np.abs(draw(seed)), mass, 0.9)

    def by_row(seed):
        return conformal_quantile(np.abs(draw(seed)), np.ones(len(codes)), 0.9)

    assert 0.89 <= coverage_of_new_language(by_language) <= 0.94
    assert coverage_of_new_language(by_row) < 0.86


def test_fallback_of_seven_languages_holds_where_its_assumption_does():
    covered = coverage_of_new_language(
        lambda seed: calibrated(7, 6, seed=seed)[0].quantile(0.9, 1)
    )
    assert 0.88 <= covered <= 0.94


def test_wrapper_covers_new_languages():
    covered = []
    for seed in range(25):
        X, y = table(n_languages=36, seed=seed)
        new = X["source_lang"] >= "l026"
        regressor = LanguageConformalRegressor(Ridge(), cv=13, random_state=0)
        regressor.fit(X[~new], y[~new])
        low, high = regressor.predict_interval(X[new], confidence_level=0.8).T
        covered.append(np.mean((low <= y[new]) & (y[new] <= high)))
    assert 0.76 <= np.mean(covered) <= 0.88


def test_predicted_spread_narrows_intervals_at_the_same_coverage():
    def noise(proxy):
        return 0.2 + proxy / 5

    X, y = table(40, 20, language_std=0.0, noise=noise)
    new, truth = table(40, 20, language_std=0.0, noise=noise, seed=1)
    new["source_lang"] = "new" + new["source_lang"]
    regressor = LanguageConformalRegressor(LinearRegression(), random_state=0)
    predicted, interval = regressor.fit(X, y).predict(new, return_interval=True)
    inside = (interval[:, 0] <= truth) & (truth <= interval[:, 1])
    assert 0.86 <= inside.mean() <= 0.95
    constant = 2 * np.quantile(np.abs(truth - predicted), inside.mean())
    assert np.diff(interval).mean() < 0.85 * constant


def test_probability_above_is_calibrated_for_new_languages():
    said, happened = [], []
    for seed in range(25):
        X, y = table(n_languages=36, seed=seed)
        new = X["source_lang"] >= "l026"
        regressor = LanguageConformalRegressor(Ridge(), cv=13, random_state=0)
        regressor.fit(X[~new], y[~new])
        thresholds = regressor.predict(X[new]) + np.array([[-3.0], [0.0], [3.0]])
        said.append(
            [regressor.predict_proba_above(X[new], row).mean() for row in thresholds]
        )
        happened.append((y[new] > thresholds).mean(axis=1))
    np.testing.assert_allclose(
        np.mean(said, axis=0), np.mean(happened, axis=0), atol=0.06
    )


def test_probability_falls_with_the_threshold_and_is_certain_beyond_the_range():
    X, y = table()
    X.attrs["schema"] = RecordSchema(target_language=None, score_range=(0, 50))
    regressor = LanguageConformalRegressor(LinearRegression(), cv=4).fit(X, y)
    above = [
        regressor.predict_proba_above(X, threshold)
        for threshold in (-1, 0, 10, 20, 30, 49, 50)
    ]
    assert (np.diff(above, axis=0) <= 0).all()
    assert (above[0] == 1).all()
    assert (above[-1] == 0).all()


# What was seen


def test_unseen_is_told_by_side():
    languages = np.array([["ind", "jav"], ["jav", "ind"], ["ind", None]], dtype=object)
    unseen = unseen_sides(languages, [{"ind"}, {"ind", "jav"}])
    assert unseen.tolist() == [[False, False], [True, False], [False, True]]


def test_unseen_languages_have_wider_intervals_and_both_sides_the_widest():
    X, y = pairs_table()
    # Biases of the languages are what a known language tells and a new one does not.
    regressor = LanguageConformalRegressor(
        ProxyRegressor("mf"), cv=5, random_state=0
    ).fit(X, y)
    new = [
        X,
        X.assign(source_lang="new"),
        X.assign(target_lang="new"),
        X.assign(source_lang="new", target_lang="new"),
    ]
    widths = [np.diff(regressor.predict_interval(part)).mean() for part in new]
    assert widths[0] < 0.5 * min(widths[1:3])
    assert max(widths[1:3]) < widths[3]


def test_no_interval_is_narrower_than_it_were_with_known_languages():
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(20), 10)
    known, new = np.zeros((200, 1), bool), np.ones((200, 1), bool)
    X = rng.uniform(size=(400, 2))
    y = np.r_[5 * rng.normal(size=200), 0.1 * rng.normal(size=200)]
    calibrator = IntervalCalibrator().fit(
        y, np.zeros(400), X, np.r_[codes, codes][:, None], np.r_[known, new]
    )
    seen = calibrator.half_width(np.zeros(200), X[:200], known, 0.9)
    unseen = calibrator.half_width(np.zeros(200), X[:200], new, 0.9)
    np.testing.assert_array_equal(unseen >= seen, True)


def test_a_pair_that_was_never_left_out_together_borrows():
    X, y = pairs_table()
    X["target_lang"] = "eng"  # in every record, so it is never left out
    regressor = LanguageConformalRegressor(Ridge(), cv=5, random_state=0).fit(X, y)
    one = regressor.predict_interval(X.assign(source_lang="new"))
    two = regressor.predict_interval(X.assign(source_lang="new", target_lang="neu"))
    assert (np.diff(two) > 0).all()
    np.testing.assert_allclose(np.diff(two).mean(), np.diff(one).mean(), rtol=0.5)
    assert regressor.exact_level_.round(3).tolist() == [0.99, 0.909, 0.909]


def test_known_rows_borrow_from_languages_where_no_rows_were_left_out():
    X, y = table()
    regressor = LanguageConformalRegressor(Ridge(), cv=LeaveOneGroupOut()).fit(X, y)
    assert regressor.exact_level_.tolist() == [24 / 25, 24 / 25]
    np.testing.assert_allclose(
        regressor.predict_interval(X),
        regressor.predict_interval(X.assign(source_lang="new")),
        rtol=0.5,
    )


def test_languages_given_as_groups_all_count_as_unseen():
    X, y = table()
    named = LanguageConformalRegressor(Ridge(), cv=6, random_state=0).fit(X, y)
    groups = X["source_lang"].to_numpy()
    grouped = clone(named).fit(X[["proxy"]], y, groups=groups)
    np.testing.assert_allclose(
        grouped.predict_interval(X[["proxy"]]),
        named.predict_interval(X.assign(source_lang="new")),
    )


def test_array_without_languages_has_intervals_for_rows():
    X, y = table(language_std=0.0, n_languages=60)
    X = X[["proxy"]].to_numpy()
    regressor = LanguageConformalRegressor(Ridge(), random_state=0).fit(X[::2], y[::2])
    low, high = regressor.predict_interval(X[1::2]).T
    assert 0.85 <= np.mean((low <= y[1::2]) & (y[1::2] <= high)) <= 0.95
    assert regressor.exact_level_.tolist() == [240 / 241]


def test_estimators_get_the_language_columns_only_if_they_take_them():
    X, y = table()
    seen = []

    class Spy(Ridge):
        def fit(self, X, y, sample_weight=None):
            seen.append(list(X.columns))
            return super().fit(X, y)

    class CategoricalSpy(ProxyRegressor):
        def fit(self, X, y, groups=None, sample_weight=None):
            seen.append(list(X.columns))
            return super().fit(X, y)

    LanguageConformalRegressor(Spy(), cv=2).fit(X, y)
    assert {tuple(columns) for columns in seen} == {("proxy",)}
    seen.clear()
    LanguageConformalRegressor(CategoricalSpy("ridge"), cv=2).fit(X, y)
    assert {tuple(columns) for columns in seen} == {("source_lang", "proxy")}


# No leakage, no dependence on other rows


def calibration_pairs(seed=0, n_languages=20):
    """Arrays of pairs of languages, each left out in turn on either side."""
    X, y = pairs_table(n_languages, seed)
    languages = X[["source_lang", "target_lang"]].to_numpy(dtype=object)
    names = np.unique(languages)
    rows, unseen = [], []
    for name in names:
        test = np.flatnonzero((languages == name).any(axis=1))
        rows.append(test)
        unseen.append(languages[test] == name)
    rows, unseen = np.concatenate(rows), np.concatenate(unseen)
    codes = np.unique(languages, return_inverse=True)[1].reshape(languages.shape)
    return X[["proxy"]].to_numpy()[rows], y[rows], codes[rows], unseen, rows


@pytest.mark.parametrize("language", [0, 7, 19])
def test_scores_of_a_language_are_not_in_the_spread_of_its_own_residuals(language):
    features, y, codes, unseen, _ = calibration_pairs()
    predicted = features[:, 0]
    inputs = spread_features(features, predicted, unseen)

    def divisors(residuals):
        """Spread of the rows in which the language was left out, by unseen sides."""
        all_scores = language_scores(residuals, inputs, np.ones(len(y)), codes, unseen)
        mine = (codes == language) & unseen
        found = []
        for regime, scores in enumerate(all_scores, start=1):
            rows = np.flatnonzero(unseen.sum(axis=1) == regime)
            found.append((residuals[rows] / scores.values)[mine[rows].any(axis=1)])
        return np.concatenate(found)

    own = (codes == language).any(axis=1)
    before = divisors(y - predicted)
    planted = np.where(own, 1000.0 * (y - predicted), y - predicted)
    assert len(np.unique(before)) > 2  # the spread is learned
    np.testing.assert_allclose(divisors(planted), before)
    # Scores of others are in it.
    others = np.where(own, y - predicted, 1000 * (y - predicted) ** 2)
    assert not np.allclose(divisors(others), before)


def test_order_of_the_rows_does_not_matter():
    features, y, codes, unseen, _ = calibration_pairs()
    order = np.random.default_rng(0).permutation(len(y))
    oof = features[:, 0]
    known = np.zeros_like(unseen[:100])
    widths = []
    for rows in (np.arange(len(y)), order):
        calibrator = IntervalCalibrator().fit(
            y[rows], oof[rows], features[rows], codes[rows], unseen[rows]
        )
        parts = [unseen[:100], known]
        widths.append(
            [
                calibrator.half_width(oof[:100], features[:100], part, 0.9)
                for part in parts
            ]
        )
    np.testing.assert_allclose(widths[0], widths[1])


def test_new_languages_do_not_depend_on_the_order_of_the_records_of_fit():
    X, y = table()
    order = np.random.default_rng(0).permutation(len(y))
    new = X.assign(source_lang="new")
    regressor = LanguageConformalRegressor(Ridge(), cv=6, random_state=0)
    # Rows alone are dealt by their order, so widths for known ones are left out here.
    folds = regressor.set_params(cv=_language_folds(X)).fit(X, y)
    before = folds.predict_interval(new)
    shuffled = X.iloc[order].reset_index(drop=True)
    regressor.set_params(cv=_language_folds(shuffled)).fit(shuffled, y[order])
    np.testing.assert_allclose(regressor.predict_interval(new), before)


def _language_folds(X):
    return list(LeaveOneGroupOut().split(X, groups=X["source_lang"]))


def test_intervals_do_not_depend_on_the_rows_predicted_together():
    X, y = pairs_table()
    regressor = LanguageConformalRegressor(Ridge(), cv=5, random_state=0).fit(X, y)
    new = pd.concat([X[:20], X[20:40].assign(source_lang="new")])
    together = regressor.predict_interval(new)
    alone = [regressor.predict_interval(new.iloc[[i]])[0] for i in range(len(new))]
    np.testing.assert_allclose(alone, together)


# The estimator


def test_prediction_is_that_of_the_estimator_fitted_to_all_records():
    X, y = table()
    regressor = LanguageConformalRegressor(Ridge(), cv=3).fit(X, y)
    expected = Ridge().fit(X[["proxy"]], y).predict(X[["proxy"]])
    np.testing.assert_array_equal(regressor.predict(X), expected)
    predicted, interval = regressor.predict(X, return_interval=True)
    np.testing.assert_array_equal(predicted, expected)
    np.testing.assert_allclose(interval.mean(axis=1), predicted)
    np.testing.assert_array_equal(interval, regressor.predict_interval(X))


def test_two_fits_clones_and_pickles_agree():
    X, y = pairs_table()
    regressor = LanguageConformalRegressor(Ridge(), cv=4, random_state=3).fit(X, y)
    expected = regressor.predict_interval(X)
    copy = pickle.loads(pickle.dumps(regressor))
    np.testing.assert_array_equal(copy.predict_interval(X), expected)
    again = clone(regressor).fit(X, y)
    np.testing.assert_array_equal(again.predict_interval(X), expected)
    np.testing.assert_array_equal(regressor.fit(X, y).predict_interval(X), expected)


def test_intervals_reach_through_a_pipeline():
    X, y = table()
    regressor = LanguageConformalRegressor(Ridge(), cv=3, random_state=0)
    pipeline = make_pipeline(FunctionTransformer(), regressor).fit(X, y)
    _, interval = pipeline.predict(X, return_interval=True, confidence_level=0.8)
    expected = regressor.fit(X, y).predict_interval(X, confidence_level=0.8)
    np.testing.assert_array_equal(interval, expected)


def test_higher_levels_have_wider_intervals():
    X, y = table()
    regressor = LanguageConformalRegressor(Ridge(), cv=4, random_state=0).fit(X, y)
    new = X.assign(source_lang="new")
    widths = [
        np.diff(regressor.predict_interval(new, level)).mean()
        for level in (0.5, 0.8, 0.95)
    ]
    assert widths == sorted(set(widths))


def test_predictions_and_intervals_stay_in_the_range_of_the_metric():
    X, y = table()
    X.attrs["schema"] = RecordSchema(target_language=None, score_range=(0, 40))
    regressor = LanguageConformalRegressor(Ridge(), cv=4).fit(X, np.clip(y, 0, 40))
    predicted, interval = regressor.predict(
        X.assign(proxy=3 * X["proxy"] - 40), return_interval=True
    )
    assert regressor.score_range_ == (0, 40)
    assert predicted.min() == interval.min() == 0
    assert predicted.max() == interval.max() == 40


def test_weights_reach_the_estimator_and_the_calibration():
    X, y = table()
    weight = np.where(X["source_lang"] < "l012", 1.0, 0.0)
    regressor = LanguageConformalRegressor(LinearRegression(), cv=_language_folds(X))
    weighted = regressor.fit(X, y, sample_weight=weight).exact_level_
    assert weighted[1] == 12 / 13
    mean = LanguageConformalRegressor(DummyRegressor(), cv=3)
    mean.fit(X, y, sample_weight=weight)
    assert mean.predict(X)[0] == pytest.approx(y[weight > 0].mean())


@pytest.mark.parametrize("level", [0, 1, 1.5, -0.1, "0.9", None])
def test_impossible_levels_are_refused(level):
    X, y = table(6)
    regressor = LanguageConformalRegressor(Ridge(), cv=2).fit(X, y)
    with pytest.raises(ValueError, match="between 0 and 1"):
        regressor.predict_interval(X, confidence_level=level)


def test_arrays_are_refused_after_a_fit_with_language_columns():
    X, y = table(6)
    regressor = LanguageConformalRegressor(Ridge(), cv=2).fit(X, y)
    with pytest.raises(TypeError, match=r"language columns \['source_lang'\]"):
        regressor.predict_interval(X.to_numpy())
