"""The default: what it learns from, what it may not see, and what it weighs."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.utils import Bunch

from proxylm import LanguageKFold, ProxyRegressor, RecordSchema, evaluate
from proxylm.languages import web_share
from proxylm.records import make_records
from proxylm.regression import _gaussian_process, _members
from proxylm.regression._conformal import IntervalCalibrator
from proxylm.regression._design import StackDesign
from proxylm.regression._kernels import NO_ID, UNSEEN
from proxylm.regression._left_out import LanguageUnits
from proxylm.regression._profiles import LanguageProfiles, matrix_factors
from proxylm.regression._stack import StackedRegressor, simplex_weights

# Too small for what is known of languages to tell them apart.
LANGUAGES = ["aai", "aak", "aau", "abt", "abx", "acr", "adz", "agr"]
OTHERS = ["ain", "aly", "amf", "amp", "anv", "arl", "atd", "auy"]
PROXIES = ["small_ft", "small_noft"]
FOLDS = LanguageKFold(3)


def make_frame(seed=0, effect=0.0):
    """Draw a table of 8 by 8 languages; `effect` is the spread of a random effect."""
    rng = np.random.default_rng(seed)
    ease = pd.Series(rng.uniform(10, 40, len(LANGUAGES)), LANGUAGES)
    offset = pd.Series(effect * rng.standard_normal(len(LANGUAGES)), LANGUAGES)
    source, target = np.meshgrid(LANGUAGES, LANGUAGES)
    frame = pd.DataFrame({"source_lang": source.ravel(), "target_lang": target.ravel()})
    truth = (ease[frame["source_lang"]].to_numpy() + ease[frame["target_lang"]]) / 2
    truth = truth.to_numpy()
    frame["size"] = rng.uniform(0, 1, len(frame))
    frame["small_ft"] = truth + rng.normal(0, 2, len(frame))
    frame["small_noft"] = 0.5 * truth + rng.normal(0, 2, len(frame))
    frame["score"] = truth + 3 * frame["size"] + rng.normal(0, 0.5, len(frame))
    frame["score"] += offset[frame["source_lang"]].to_numpy()
    frame["score"] += offset[frame["target_lang"]].to_numpy()
    return frame


def as_records(frame, features=("size",)):
    schema = RecordSchema(features=features, proxies=PROXIES, target="score")
    return make_records(frame, schema)


@pytest.fixture(scope="module")
def records():
    return as_records(make_frame())


def without(records, language):
    """Return masks of the rows without and with a language."""
    has = records.groups.eq(language).any(axis=1).to_numpy()
    return ~has, has


@pytest.fixture(scope="module")
def fitted(records):
    """A regressor that knows nothing of yor but its features, in the context."""
    known, _ = without(records, "agr")
    regressor = ProxyRegressor(context=records.data, random_state=0)
    return regressor.fit(records.data[known], records.target[known])


def test_it_is_as_unsure_of_a_new_language_as_of_those_left_out():
    records = as_records(make_frame(effect=8.0))
    for language in LANGUAGES[:3]:
        known, new = without(records, language)
        regressor = ProxyRegressor(context=records.data, random_state=0)
        regressor.fit(records.data[known], records.target[known])
        stack = regressor.regressor_
        _, features, unseen = stack.predict_with_spread(records.data[new])
        one = unseen.sum(axis=1) == 1
        expected = stack.new_.deviation[stack.new_.unseen.sum(axis=1) == 1]
        ratio = np.median(features[one, -1]) / np.median(expected)
        assert 0.8 < ratio < 1.25


def test_it_is_better_than_each_naive_baseline_on_languages_left_out(records):
    summary = evaluate(ProxyRegressor(), records, FOLDS).summary()
    assert summary["rmse"].idxmin() == 0
    assert summary["rmse"][0] < 0.95 * summary["rmse"][1:].min()


def test_weights_are_shares_and_a_row_is_predicted_by_its_own(records, fitted):
    for weights in fitted.weights_.values():
        assert min(weights.values()) >= 0
        assert sum(weights.values()) == pytest.approx(1)
    stack = fitted.regressor_
    table = records.data
    rows = stack.design_.transform(table)
    members = stack.predict_members(rows)
    stack._far, kept = None, stack._far  # nothing is far
    predicted = stack.predict(table)
    stack._far = kept
    names = list(stack.members_)
    for regime, chosen in [("known", rows.n_unseen == 0), ("new", rows.n_unseen > 0)]:
        weights = np.array([stack.weights_[regime][name] for name in names])
        np.testing.assert_allclose(
            predicted[chosen], (weights @ members)[chosen], atol=1e-9
        )


def test_without_context_a_new_language_has_no_profile_and_is_predicted(records):
    known, new = without(records, "agr")
    regressor = ProxyRegressor(random_state=0)
    regressor.fit(records.data[known], records.target[known])
    rows = regressor.regressor_.design_.transform(records.data[new])
    assert not rows.is_profiled.any()
    used = {name for name, w in regressor.weights_["unprofiled"].items() if w > 0}
    assert used and not any(name.endswith("profiles") for name in used)
    error = regressor.predict(records.data[new]) - records.target[new]
    assert np.sqrt(np.mean(error**2)) < 0.5 * records.target.std()


def expected_deviation(stack, rows, *, with_profiles=True):
    """Return the mean of what the processes expect, by their own hand."""
    found = [
        member.predict_with_deviation(rows)[1]
        for member in stack.members_.values()
        if with_profiles or not member.uses_profiles
    ]
    return np.mean([each for each in found if each is not None], axis=0)


def test_intervals_know_how_sure_the_processes_are(records, monkeypatch):
    learned = []

    def fit(self, y, oof, X, *rest):
        learned.append(X)
        return original(self, y, oof, X, *rest)

    original = IntervalCalibrator.fit
    monkeypatch.setattr(IntervalCalibrator, "fit", fit)
    stack = ProxyRegressor(random_state=0).fit(records.data, records.target).regressor_
    deviations = stack.known_.deviation, stack.new_.deviation
    np.testing.assert_array_equal(learned[0][:, -1], np.concatenate(deviations))
    # Of a language that was left out they know less.
    assert deviations[1].mean() > 1.1 * deviations[0].mean()
    # Without the row, or all records of its unseen languages, and nothing else.
    rows = stack.design_.transform(records.data)
    row, unseen = stack.new_.rows[0], stack.new_.unseen[0]
    theirs = records.groups.iloc[row][unseen].tolist()
    unit = np.flatnonzero(records.groups.isin(theirs).any(axis=1))
    y, weights = records.target.to_numpy(), np.ones(len(rows))
    found = [
        member.left_out(rows, y, weights, [], [unit])
        for member in stack.members_.values()
        if isinstance(member, _members.ProcessMember)
    ]
    expected = np.mean([each.units[0] for each in found], axis=0)
    assert deviations[1][0] == pytest.approx(expected[unit == row].item())
    expected = np.mean([each.alone for each in found], axis=0)
    np.testing.assert_allclose(deviations[0], expected[stack.known_.rows])
    _, features, _ = stack.predict_with_spread(records.data)
    np.testing.assert_allclose(features[:, -1], expected_deviation(stack, rows))


def test_a_row_leaves_with_all_records_of_its_unseen_languages_alone():
    """Not with the other languages of its fold: 0 and 1 are one fold, 2 and 3 stay."""
    languages = np.array([[0, 2], [0, 1], [2, 0], [3, 2], [1, 3], [-1, 1], [3, 3]])
    fold = np.array([0, 1, 2, 4, 5])
    unseen = np.isin(languages[fold], [-1, 0, 1])
    # The last row has no language that the fold has not.
    folds, sides = [fold, np.array([6])], [unseen, np.zeros((1, 2), dtype=bool)]
    left = LanguageUnits(languages, folds, sides)
    with_each = [[0, 1, 2], [0, 1, 2, 4, 5], [0, 1, 2], [1, 4, 5], [1, 4, 5], [6]]
    places = [0, 1, 2, 1, 2, 0]
    found = left.pick([100 * k + np.arange(len(u)) for k, u in enumerate(left.units)])
    for value, unit, place in zip(found, with_each, places, strict=True):
        assert left.units[value // 100].tolist() == unit
        assert value % 100 == place
    assert len(left.units) == 4


def test_a_row_without_a_profile_has_no_say_of_processes_that_use_some(records):
    known, new = without(records, "agr")
    regressor = ProxyRegressor(random_state=0)
    regressor.fit(records.data[known], records.target[known])
    stack, table = regressor.regressor_, records.data[new]
    rows = stack.design_.transform(table)
    _, features, _ = stack.predict_with_spread(table)
    own = expected_deviation(stack, rows, with_profiles=False)
    np.testing.assert_allclose(features[:, -1], own)
    assert not np.allclose(own, expected_deviation(stack, rows))


def test_a_prediction_does_not_depend_on_the_rows_beside_it(records, fitted):
    together = fitted.predict_interval(records.data)
    alone = [fitted.predict_interval(records.data[i : i + 1]) for i in (0, 31, 63)]
    np.testing.assert_allclose(np.vstack(alone), together[[0, 31, 63]], atol=1e-8)


def test_predictions_do_not_depend_on_the_names_of_languages(records, fitted):
    known, new = without(records, "agr")
    renamed = records.data.replace(
        dict(zip(LANGUAGES, sorted(OTHERS), strict=True))  # the same order
    )
    again = clone(fitted).set_params(context=renamed)
    again.fit(renamed[known], records.target[known])
    np.testing.assert_allclose(
        again.predict(renamed[new]), fitted.predict(records.data[new]), atol=1e-6
    )


def test_names_that_nobody_knows_are_languages_all_the_same(records):
    table = records.data.copy()
    for name in ("source_lang", "target_lang"):
        table[name] = "my " + table[name]
    regressor = ProxyRegressor(random_state=0).fit(table, records.target)
    error = regressor.predict(table) - records.target
    assert np.sqrt((error**2).mean()) < 0.2 * records.target.std()
    assert np.isfinite(regressor.predict_interval(table)).all()


def test_no_score_of_a_left_out_language_reaches_the_fit(records):
    """Predictions for a language stay the same whatever its own scores are."""
    rng = np.random.default_rng(0)
    first = evaluate(ProxyRegressor(), records, FOLDS, baselines=False).predictions
    changed = Bunch(**records)
    _, new = without(records, "abx")
    changed.target = records.target.copy()
    changed.target[new] = rng.permutation(records.target[new]) + 50
    again = evaluate(ProxyRegressor(), changed, FOLDS, baselines=False).predictions

    fold = first["fold"] == first.loc[first["source"] == "abx", "fold"].mode()[0]
    columns = ["record", "prediction"]
    pd.testing.assert_frame_equal(first.loc[fold, columns], again.loc[fold, columns])
    assert (first["prediction"] - again["prediction"]).abs().max() > 1


@pytest.mark.parametrize("leaks", [False, True])
def test_what_only_leakage_could_know_is_missed(leaks):
    """A random effect of each language is in its scores and nowhere else."""
    effect = 10.0
    frame = make_frame(seed=1, effect=effect)
    features = ["size"]
    if leaks:
        frame["leak"] = frame["score"].groupby(frame["source_lang"]).transform("mean")
        frame["leak"] += frame["score"].groupby(frame["target_lang"]).transform("mean")
        features.append("leak")
    evaluation = evaluate(
        ProxyRegressor(), as_records(frame, features), FOLDS, baselines=False
    )
    error = evaluation.summary()["rmse"].item()
    finds_it = error < 0.6 * effect
    assert finds_it == leaks


def test_context_is_features_only_and_must_have_the_columns_of_x(records):
    with pytest.raises(ValueError, match="context expects the columns of X"):
        ProxyRegressor(context=records.data.drop(columns="size")).fit(
            records.data, records.target
        )
    spoiled = records.data.assign(score=1e9)  # a further column is never read
    plain = ProxyRegressor(context=records.data, random_state=0)
    given = ProxyRegressor(context=spoiled, random_state=0)
    known, new = without(records, "agr")
    fits = [
        model.fit(records.data[known], records.target[known]).predict(records.data[new])
        for model in (plain, given)
    ]
    np.testing.assert_array_equal(*fits)


def test_evaluate_hands_over_the_features_of_all_records_unless_told_not_to(records):
    kept = [
        evaluate(ProxyRegressor(), records, FOLDS, baselines=False, context=context)
        for context in (True, False)
    ]
    assert [run.signature["context"] for run in kept] == [True, False]
    first, second = (run.predictions["prediction"] for run in kept)
    assert np.abs(first - second).max() > 1e-6


def test_intervals_are_wider_for_a_language_that_was_never_seen(records, fitted):
    known, new = without(records, "agr")
    width = np.diff(fitted.predict_interval(records.data), axis=1).ravel()
    assert np.median(width[new]) > np.median(width[known])
    wide = np.diff(fitted.predict_interval(records.data, 0.99), axis=1).ravel()
    assert (wide >= width).all()
    predicted, interval = fitted.predict(records.data, return_interval=True)
    assert ((interval[:, 0] <= predicted) & (predicted <= interval[:, 1])).all()


def test_intervals_hold_about_what_they_promise_on_languages_left_out():
    coverage = [
        evaluate(
            ProxyRegressor(),
            as_records(make_frame(seed)),
            LanguageKFold(4),
            baselines=False,
            confidence_level=0.8,
        ).summary()["coverage"]
        for seed in (3, 4)
    ]
    assert 0.7 < np.mean(coverage) < 0.95


def test_probability_falls_with_the_threshold_and_agrees_with_the_prediction(
    records, fitted
):
    predicted = fitted.predict(records.data)
    low, middle, high = (
        fitted.predict_proba_above(records.data, predicted + shift)
        for shift in (-20, 0, 20)
    )
    assert (low > 0.9).all() and (high < 0.1).all()
    assert np.abs(middle - 0.5).max() < 0.3


def test_a_named_regressor_says_how_it_gets_intervals(records):
    regressor = ProxyRegressor("ridge").fit(records.data, records.target)
    with pytest.raises(AttributeError, match="has no attribute") as caught:
        regressor.predict_interval(records.data)
    assert "LanguageConformalRegressor" in str(caught.value.__cause__)


def test_parameters_of_one_regressor_are_refused():
    X, y = np.zeros((20, 1)), np.arange(20.0)
    with pytest.raises(ValueError, match="regressor_params expects a named regressor"):
        ProxyRegressor(regressor_params={"alpha": 1}).fit(X, y)
    with pytest.raises(ValueError, match="search expects a named regressor"):
        ProxyRegressor(search="grid").fit(X, y)


def test_groups_serve_where_the_table_has_no_languages(records):
    features = records.data[records.feature_names]
    regressor = ProxyRegressor(random_state=0, languages=None)
    regressor.fit(features, records.target, groups=records.groups)
    assert regressor.weights_["known"] == regressor.weights_["new"]
    assert regressor.predict_interval(features).shape == (64, 2)


def test_a_pickle_predicts_the_same(records, fitted):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(
        again.predict_interval(records.data), fitted.predict_interval(records.data)
    )


@pytest.mark.filterwarnings("ignore:ProxyRegressor found no languages:UserWarning")
@pytest.mark.parametrize("n_samples", [2, 5, 12])
def test_few_records_and_constant_columns_are_no_error(n_samples):
    X = np.column_stack([np.ones(n_samples), np.arange(n_samples)])
    y = np.arange(float(n_samples))
    regressor = ProxyRegressor(random_state=0).fit(X, y)
    assert np.isfinite(regressor.predict(X)).all()
    if n_samples < 10:
        with pytest.raises(ValueError, match="at least 10 records"):
            regressor.predict_interval(X)
    constant = ProxyRegressor(random_state=0).fit(np.ones((n_samples, 1)), y)
    np.testing.assert_allclose(constant.predict(np.ones((1, 1))), y.mean())


def test_importances_add_up_and_find_the_column_that_matters(fitted):
    importances = pd.Series(fitted.feature_importances_, index=fitted.feature_names_in_)
    assert importances.sum() == pytest.approx(1)
    assert importances[["source_lang", "target_lang"]].eq(0).all()
    assert importances.idxmax() in PROXIES


def test_missing_features_and_proxies_are_allowed(records):
    data = records.data.copy()
    data.loc[::5, "small_ft"] = np.nan
    data.loc[::7, "size"] = np.nan
    regressor = ProxyRegressor(random_state=0).fit(data, records.target)
    assert np.isfinite(regressor.predict(data)).all()


class TestSimplexWeights:
    def test_they_are_the_best_of_a_grid(self):
        rng = np.random.default_rng(0)
        y = rng.standard_normal(200)
        predictions = y + rng.standard_normal((2, 200)) * [[0.5], [1.0]]
        weights = simplex_weights(predictions, y, np.ones(200), shrinkage=0.0)
        grid = np.linspace(0, 1, 1001)
        errors = [np.mean((a * predictions[0] + (1 - a) * predictions[1] - y) ** 2)
                  for a in grid]  # fmt: skip
        assert weights[0] == pytest.approx(grid[np.argmin(errors)], abs=2e-3)

    def test_a_member_that_does_harm_has_no_weight(self):
        y = np.arange(50.0)
        predictions = np.vstack([y + 0.1, -y])
        weights = simplex_weights(predictions, y, np.ones(50), shrinkage=0.1)
        np.testing.assert_allclose(weights, [1, 0], atol=1e-2)

    def test_much_shrinkage_makes_them_equal(self):
        rng = np.random.default_rng(0)
        y = rng.standard_normal(50)
        predictions = y + rng.standard_normal((4, 50))
        weights = simplex_weights(predictions, y, np.ones(50), shrinkage=1e6)
        np.testing.assert_allclose(weights, 0.25, atol=1e-4)

    def test_a_weight_of_two_is_two_records(self):
        rng = np.random.default_rng(0)
        y = rng.standard_normal(30)
        predictions = y + rng.standard_normal((3, 30))
        weighted = simplex_weights(predictions, y, np.r_[np.ones(29), 2.0])
        doubled = np.r_[np.arange(30), 29]
        repeated = simplex_weights(predictions[:, doubled], y[doubled], np.ones(31))
        np.testing.assert_allclose(weighted, repeated, atol=1e-8)


class TestProfiles:
    def test_means_and_spreads_are_those_of_the_proxies_by_side(self):
        table = pd.DataFrame(
            {"source_lang": ["a", "a", "b"], "target_lang": "c", "p": [1.0, 3.0, 5.0]}
        )
        profiles = LanguageProfiles(["source_lang", "target_lang"], ["p"]).fit(table)
        source, target = profiles.transform(table.assign(source_lang="a"))
        np.testing.assert_allclose(source, [[2.0, 1.0]] * 3)
        np.testing.assert_allclose(target, [[3.0, np.std([1, 3, 5])]] * 3)
        new, _ = profiles.transform(table.assign(source_lang="new"))
        assert np.isnan(new).all()

    def test_factors_are_those_of_a_planted_matrix(self):
        rng = np.random.default_rng(0)
        u, v = rng.standard_normal((2, 9))
        u, v = u - u.mean(), v - v.mean()
        matrix = np.outer(u, v) + rng.standard_normal(9)[:, None] + 30
        own = np.eye(9, dtype=bool)
        rows, columns = matrix_factors(np.where(own, 1e6, matrix), own)
        assert abs(np.corrcoef(rows[:, 0], u)[0, 1]) > 0.99
        assert abs(np.corrcoef(columns[:, 0], v)[0, 1]) > 0.99

    @pytest.mark.parametrize("shape", [(3, 30), (9, 9)])
    def test_small_or_empty_matrices_have_none(self, shape):
        matrix = np.full(shape, np.nan)
        matrix[0] = 1.0
        assert matrix_factors(matrix, np.zeros(shape, dtype=bool)) is None


class TestDesign:
    def test_a_language_that_meets_itself_keeps_its_number_but_shares_an_id(self):
        table = make_frame().drop(columns="score")
        design = StackDesign(["source_lang", "target_lang"], PROXIES).fit(table, None)
        rows = design.transform(table)
        own = (table["source_lang"] == table["target_lang"]).to_numpy()
        assert len(np.unique(rows.ids[own, 0])) == 1
        assert len(np.unique(rows.languages[own, 0])) == len(LANGUAGES)
        assert (rows.ids[own, 2] == NO_ID).all()
        assert len(np.unique(rows.ids[~own, 2])) == (~own).sum()
        new = design.transform(table[~own].assign(target_lang="ain"))
        assert (new.ids[:, 1:] == UNSEEN).all()

    def test_the_best_proxy_is_the_largest_of_the_row(self):
        table = make_frame().drop(columns="score")
        table.loc[0, "small_ft"] = np.nan
        design = StackDesign(["source_lang", "target_lang"], PROXIES).fit(table, None)
        best = design.transform(table).raw[:, 3]
        np.testing.assert_allclose(best, table[PROXIES].max(axis=1))

    def test_what_is_known_of_languages_are_columns(self):
        names = ["source_lang", "target_lang"]
        table = make_frame().drop(columns="score")
        table[names] = table[names].replace({"aai": "deu", "aak": "fr"})
        design = StackDesign(names, PROXIES, "aya").fit(table, None)
        values = design.transform(table).raw
        shares = table[names].map(web_share).to_numpy()
        np.testing.assert_allclose(10 ** values[:, 5:7], shares)
        seen = table[names].isin(["deu", "fr"]).to_numpy()
        np.testing.assert_array_equal(values[:, 7:9], seen)
        new = design.transform(table[:1].assign(source_lang="nobody's")).raw[0, 5:9]
        assert np.isnan(new[[0, 2]]).all() and np.isfinite(new[[1, 3]]).all()
        other = StackDesign(names, PROXIES, "no such model").fit(table, None)
        assert other.n_columns == design.n_columns - 2

    def test_columns_without_variance_are_in_no_block(self):
        table = make_frame().drop(columns="score").assign(size=1.0)
        design = StackDesign(["source_lang", "target_lang"], PROXIES).fit(table, None)
        assert 0 not in design.row


def test_threads_leave_predictions_unchanged(records):
    table, y = records.data, records.target.to_numpy()
    languages = ("source_lang", "target_lang")
    folds = [np.arange(16), np.arange(16, 32)]
    one, two = (
        StackedRegressor(languages, tuple(PROXIES), n_jobs=n_jobs)
        .fit(table, y, language_folds=folds)
        .predict(table)
        for n_jobs in (1, 2)
    )
    np.testing.assert_allclose(one, two, atol=1e-9)


def test_far_from_all_that_was_seen_the_median_without_profiles_predicts(records):
    regressor = ProxyRegressor(random_state=0).fit(records.data, records.target)
    stack = regressor.regressor_
    rows = stack.design_.transform(records.data)
    own = [k for k, name in enumerate(stack.members_) if not name.endswith("_profiles")]
    expected = np.median(stack.predict_members(rows)[own], axis=0)
    near = stack.predict(records.data)
    stack._far = np.full((2, 2), -1.0)  # all are far
    np.testing.assert_allclose(stack.predict(records.data), expected)
    assert np.abs(near - expected).max() > 0.1


def test_pairs_are_functions_of_what_is_known_of_the_other_side(records):
    design = StackDesign(["source_lang", "target_lang"], PROXIES)
    design.fit(records.data, None)
    member = _members.make_members(design, 401, 0)["gp_pairs"]
    assert member.uses_profiles and member.draws == ("languages",)
    of_source, of_target = member.kernels[-2:]
    source, target = design.sides
    assert source and target and not set(source) & set(target)
    assert (of_source.ids, of_source.columns) == ((0,), target + design.own)
    assert (of_target.ids, of_target.columns) == ((1,), source + design.own)
    # A table that all processes learn from as a whole has none.
    assert "gp_pairs" not in _members.make_members(design, 400, 0)


def test_of_a_large_table_processes_have_a_random_part(records, monkeypatch):
    monkeypatch.setattr(_members, "LARGEST_PROCESS", 40)
    table = records.data
    regressor = ProxyRegressor(random_state=0).fit(table, records.target)
    stack = regressor.regressor_
    rows, y = stack.design_.transform(table), records.target.to_numpy()
    member = stack.members_["gp"]
    kept = member._kept
    assert len(kept) == 40
    beside = np.setdiff1d(np.arange(len(y)), kept)
    # Of the others they know nothing, so leaving them out changes nothing.
    fold = np.r_[beside[:5], kept[:5]]
    found = member.left_out(rows, y, np.ones(len(y)), [fold, beside], [fold])
    np.testing.assert_allclose(found.means[1], member.predict(rows.take(beside)))
    assert np.abs(found.means[0][:5] - found.means[1][:5]).max() > 1e-4
    assert np.isnan(found.units[0][:5]).all() and (found.units[0][5:] > 0).all()
    assert np.isnan(found.alone[beside]).all() and (found.alone[kept] > 0).all()
    low, high = regressor.predict_interval(table).T
    assert np.isfinite(high - low).all() and (high > low).all()
    assert np.mean((low <= y) & (y <= high)) > 0.8


def test_a_table_of_many_rows_has_the_mean_of_several_processes(records, monkeypatch):
    monkeypatch.setattr(_members, "DRAWN_ROWS", 30)
    monkeypatch.setattr(_gaussian_process, "DRAWN_ROWS", 30)
    monkeypatch.setattr(_gaussian_process, "LEARNING_BLOCK", 15)
    design = StackDesign(["source_lang", "target_lang"], PROXIES)
    rows = design.fit(records.data, None).transform(records.data)
    y, weights = records.target.to_numpy(), np.ones(len(rows))
    member = _members.make_members(design, len(rows), 0)["gp"].fit(rows, y, weights)
    assert len(member.processes) == 2
    thetas = [process.theta for process in member.processes]
    assert not np.allclose(thetas[0], thetas[1])
    scale = y.mean(), y.std()
    means = [process.predict(rows.gp_rows) for process in member.processes]
    expected = scale[0] + scale[1] * np.mean(means, axis=0)
    np.testing.assert_allclose(member.predict(rows), expected)
    fold, unit, nothing = np.arange(10), np.arange(5, 9), [rows.take([]).gp_rows] * 2
    found = member.left_out(rows, y, weights, [fold], [unit])
    precisions = [process.precision() for process in member.processes]
    left_out, alone, everything = [], [], []
    for process, precision in zip(member.processes, precisions, strict=True):
        left_out.append(process.leave_out(precision, [fold, unit], nothing))
        alone.append(process.leave_one_out(precision))
        everything.append(process.predict_with_variance(rows.gp_rows))

    def mixture(parts):
        means, variances = np.moveaxis(np.array(parts), 1, 0)
        deviation = np.sqrt(variances.mean(axis=0) + means.var(axis=0))
        return scale[0] + scale[1] * means.mean(axis=0), scale[1] * deviation

    of_fold = mixture([parts[0][0] for parts in left_out])
    of_unit = mixture([parts[1][0] for parts in left_out])
    np.testing.assert_allclose(found.means, [of_fold[0]])
    np.testing.assert_allclose(found.units, [of_unit[1]])
    np.testing.assert_allclose(found.alone, mixture(alone)[1])
    np.testing.assert_allclose(member.predict_with_deviation(rows), mixture(everything))
