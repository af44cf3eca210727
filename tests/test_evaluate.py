import json
import os
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold, KFold
from sklearn.model_selection import train_test_split as split_once
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from proxylm import (
    CrossDatasetSplit,
    Evaluation,
    LanguageConformalRegressor,
    LeaveOneLanguageOut,
    ProxyRegressor,
    RecordSchema,
    StratifiedRandomSplit,
    UnseenLanguageSplit,
    evaluate,
    fetch_intent,
    fetch_mt560,
    fetch_nusa,
    fetch_slot,
    load_published,
)
from proxylm.model_selection._protocols import INCREMENTAL_SIZES, PROTOCOLS
from proxylm.model_selection._scores import (
    mae,
    pairwise_accuracy,
    r2,
    rmse,
    spearman,
)
from proxylm.records import concat, make_records

LANGUAGES = ["deu", "fra", "ind", "jav", "swh", "tam"]
BASELINES = [
    "baseline: mean",
    "baseline: language mean",
    "baseline: best proxy",
    "baseline: line on best proxy",
]


def make_table(seed=0, languages=LANGUAGES):
    rng = np.random.default_rng(seed)
    pairs = [(s, t) for s in languages for t in languages]
    frame = pd.DataFrame(pairs, columns=["source_lang", "target_lang"])
    frame["size"] = rng.uniform(1, 10, len(frame))
    frame["weak"] = rng.uniform(0, 40, len(frame))
    frame["strong"] = rng.uniform(0, 40, len(frame))
    frame["score"] = frame["strong"] + 0.2 * frame["weak"] + frame["size"] + 3
    frame["score"] += rng.normal(scale=0.5, size=len(frame))
    return frame


SCHEMA = RecordSchema(
    features=["size"], proxies=["weak", "strong"], target="score", metric="spBLEU"
)


@pytest.fixture
def records():
    return make_records(make_table(), SCHEMA)


class Memory(RegressorMixin, BaseEstimator):
    """Fail if a row is predicted that was in the training set."""

    def fit(self, X, y):
        self.seen_ = set(map(tuple, X.to_numpy()))
        return self

    def predict(self, X):
        assert self.seen_.isdisjoint(map(tuple, X.to_numpy()))
        return np.full(len(X), len(self.seen_), dtype=float)


def test_leave_one_language_out_equals_a_plain_loop(records):
    evaluation = evaluate(LinearRegression(), records, "lolo", name="line")
    X, y = records.data[["size", "weak", "strong"]], records.target
    groups = records.groups.to_numpy()
    for language in LANGUAGES:
        sides = groups == language
        train = ~sides.any(axis=1)
        model = LinearRegression().fit(X[train], y[train])
        for side, name in enumerate(["source", "target"]):
            test = sides[:, side]
            expected = rmse(y[test].to_numpy(), model.predict(X[test]))
            measured = evaluation.by_language().loc[language, f"rmse_as_{name}"]
            assert measured == pytest.approx(expected, abs=1e-12)
    table = evaluation.by_language()
    summary = evaluation.summary().set_index("model").loc["line"]
    for column in ["rmse_as_source", "rmse_as_target", "rmse"]:
        assert summary[column] == pytest.approx(table[column].mean())
    assert (table["n"] == 11).all()


def test_no_row_is_tested_by_a_model_that_saw_it(records):
    evaluation = evaluate(Memory(), records, "lolo", baselines=False)
    assert set(evaluation.predictions["prediction"]) == {25.0}
    assert set(evaluation.predictions["n_train"]) == {25}


def test_predictions_have_one_row_each_with_side_and_fold(records):
    rows = evaluate(LinearRegression(), records, "lolo").predictions
    ours = rows[rows["model"] == "LinearRegression"]
    assert len(ours) == len(LANGUAGES) * 11
    assert ours["side"].value_counts().to_dict() == {
        "source": 30,
        "target": 30,
        "both": 6,
    }
    on_source = ours[ours["side"] == "source"]
    assert (on_source["source"] == on_source["language"]).all()
    np.testing.assert_array_equal(
        ours["truth"], records.target.loc[ours["record"]].to_numpy()
    )
    assert list(rows["model"].unique()) == ["LinearRegression", *BASELINES]


def test_baselines_are_what_their_names_say(records):
    rows = evaluate(LinearRegression(), records, "lolo").predictions
    fold = rows[rows["language"] == "ind"]
    groups, y = records.groups, records.target
    train = ~(groups == "ind").any(axis=1)
    by_name = dict(iter(fold.groupby("model")))
    mean = by_name["baseline: mean"]
    np.testing.assert_allclose(mean["prediction"], y[train].mean())
    proxy = by_name["baseline: best proxy"]
    np.testing.assert_array_equal(
        proxy["prediction"], records.frame.loc[proxy["record"], "strong"]
    )
    line = by_name["baseline: line on best proxy"]
    slope, intercept = np.polyfit(records.frame.loc[train, "strong"], y[train], 1)
    np.testing.assert_allclose(
        line["prediction"],
        intercept + slope * records.frame.loc[line["record"], "strong"].to_numpy(),
    )
    of_language = by_name["baseline: language mean"]
    row = of_language[of_language["side"] == "source"].iloc[0]
    known = train & (groups["target_lang"] == row["target_language"])
    expected = (y[train].mean() + y[known].mean()) / 2
    assert row["prediction"] == pytest.approx(expected)


def test_baselines_need_no_proxies_and_no_languages():
    frame = make_table()
    schema = RecordSchema(
        source=None, target_language=None, features=["size"], target="score"
    )
    evaluation = evaluate(LinearRegression(), make_records(frame, schema), KFold(3))
    assert list(evaluation.summary()["model"]) == ["LinearRegression", "baseline: mean"]


def test_one_language_column_counts_on_its_own_side():
    frame = make_table(languages=LANGUAGES).drop(columns="source_lang")
    schema = RecordSchema(source=None, features=["size"], target="score")
    evaluation = evaluate(LinearRegression(), make_records(frame, schema), "lolo")
    summary = evaluation.summary().iloc[0]
    assert np.isnan(summary["rmse_as_source"])
    assert summary["rmse"] == summary["rmse_as_target"]
    assert set(evaluation.predictions["side"]) == {"target"}


def test_a_language_that_occurs_once_has_one_side_and_no_ranks():
    frame = make_table()
    once = frame.iloc[[0]].assign(source_lang="yor", target_lang="deu")
    records = make_records(pd.concat([frame, once], ignore_index=True), SCHEMA)
    evaluation = evaluate(LinearRegression(), records)
    errors = evaluation.by_language().loc["yor"]
    assert errors["rmse"] == errors["rmse_as_source"]
    assert np.isnan(errors["rmse_as_target"])
    assert errors["n"] == 1
    assert np.isfinite(evaluation.summary().loc[0, "spearman"])


def test_languages_that_stand_on_one_side_only():
    frame = make_table().assign(target_lang="eng")
    schema = replace(SCHEMA, pivots=["eng"])
    summary = evaluate(LinearRegression(), make_records(frame, schema)).summary()
    assert summary["rmse_as_target"].isna().all()
    np.testing.assert_allclose(summary["rmse"], summary["rmse_as_source"])


def test_a_pivot_that_empties_the_training_set_is_named():
    records = make_records(make_table().assign(target_lang="eng"), SCHEMA)
    with pytest.raises(ValueError, match=r"eng.*exclude"):
        evaluate(LinearRegression(), records, LeaveOneLanguageOut())


def test_constant_proxy_leaves_the_line_at_the_mean():
    records = make_records(make_table().assign(weak=1.0, strong=1.0), SCHEMA)
    rows = evaluate(LinearRegression(), records, "lolo").predictions
    wide = rows.pivot_table(
        index=["record", "language"], columns="model", values="prediction"
    )
    np.testing.assert_allclose(
        wide["baseline: line on best proxy"], wide["baseline: mean"]
    )


def test_random_protocol_is_the_published_split(records):
    rows = evaluate(
        LinearRegression(), records, "random", seeds=[42, 43], baselines=False
    ).predictions
    for seed in (42, 43):
        _, test = split_once(
            np.arange(len(records.target)),
            test_size=0.3,
            random_state=seed,
            stratify=records.strata,
        )
        np.testing.assert_array_equal(rows.loc[rows["seed"] == seed, "record"], test)
    assert set(rows["side"]) == {""}


def test_incremental_protocol_keeps_the_test_rows_and_grows_the_training_rows():
    records = make_records(make_table(), SCHEMA)
    evaluation = evaluate(LinearRegression(), records, "incremental", seeds=[1, 2, 3])
    rows = evaluation.predictions
    assert sorted(rows["train_size"].unique()) == list(INCREMENTAL_SIZES)
    sizes = rows.groupby("train_size")["n_train"].first()
    assert sizes.is_monotonic_increasing
    tests = rows.groupby(["seed", "train_size"])["record"].agg(lambda r: tuple(set(r)))
    assert (tests.groupby("seed").nunique() == 1).all()
    curve = evaluation.learning_curve()
    ours = curve[curve["model"] == "LinearRegression"]
    assert list(ours["n_train"]) == sorted(ours["n_train"])
    assert ours["rmse"].iloc[0] > ours["rmse"].iloc[-1]
    assert (ours["rmse_std"] > 0).all()


def test_train_sizes_work_with_any_splitter(records):
    evaluation = evaluate(
        LinearRegression(), records, LeaveOneLanguageOut(), train_sizes=[0.4, 1.0]
    )
    n_train = evaluation.predictions.groupby("train_size")["n_train"].unique()
    assert n_train[0.4].tolist() == [10]
    assert n_train[1.0].tolist() == [25]


def test_folds_that_share_their_training_rows_share_one_fit(records):
    class Counting(LinearRegression):
        n_fits = 0

        def fit(self, X, y):
            Counting.n_fits += 1
            return super().fit(X, y)

    shared = UnseenLanguageSplit(["jav", "tam"])
    evaluation = evaluate(Counting(), records, shared, seeds=[1, 2], name="line")
    assert Counting.n_fits == 2
    table = evaluation.by_language()
    assert list(table.index) == ["jav", "tam"]
    groups = records.groups
    train = ~groups.isin(["jav", "tam"]).any(axis=1)
    X = records.data[["size", "weak", "strong"]]
    model = LinearRegression().fit(X[train], records.target[train])
    for language in ["jav", "tam"]:
        test = groups["target_lang"] == language
        expected = rmse(records.target[test].to_numpy(), model.predict(X[test]))
        assert table.loc[language, "rmse_as_target"] == pytest.approx(expected)


def test_every_protocol_has_a_splitter_for_suitable_records():
    schema = replace(SCHEMA, model="m2m100")
    both = concat(
        {
            "first": make_records(make_table(0), schema),
            "second": make_records(make_table(1, ["min", "bew", "ind"]), schema),
        }
    )
    for name in PROTOCOLS:
        evaluation = evaluate(LinearRegression(), both, name, baselines=False)
        assert len(evaluation.predictions), name
    crossed = evaluate(LinearRegression(), both, "cross_dataset", baselines=False)
    labels = both.dataset.loc[crossed.predictions["record"]]
    assert set(labels) == {"second"}
    with pytest.raises(ValueError, match="with a language left out"):
        crossed.by_language()


def test_cross_dataset_needs_several_data_sets(records):
    with pytest.raises(ValueError, match="Join tables with"):
        evaluate(LinearRegression(), records, "cross_dataset")


def test_unseen_are_the_languages_that_the_target_model_has_not_seen():
    tested = {}
    for model in ("m2m100", "nllb"):
        schema = replace(SCHEMA, model=model)
        records = make_records(make_table(1, ["min", "bew", "ind", "jav"]), schema)
        evaluation = evaluate(LinearRegression(), records, "unseen", baselines=False)
        tested[model] = set(evaluation.predictions["language"])
    assert tested == {"m2m100": {"min", "bew"}, "nllb": {"bew"}}


@pytest.mark.parametrize("protocol", ["unseen", "unseen_reverse"])
@pytest.mark.parametrize("model", [None, "llama3"])
def test_unseen_by_a_model_that_nobody_knows_is_refused(protocol, model):
    records = make_records(make_table(), replace(SCHEMA, model=model))
    said = rf"\(m2m100, nllb, aya\). Got model={model!r} in"
    with pytest.raises(ValueError, match=said):
        evaluate(LinearRegression(), records, protocol)


@pytest.mark.parametrize("protocol", ["lolo", "unseen_reverse"])
def test_a_language_in_every_record_is_to_be_named_as_a_pivot(protocol):
    table = make_table().assign(source_lang="eng")
    schema = replace(SCHEMA, model="m2m100")
    with pytest.raises(ValueError, match=r"\['eng'\] in every record. Name it in piv"):
        evaluate(LinearRegression(), make_records(table, schema), protocol)
    schema = replace(schema, pivots=["eng", *LANGUAGES])
    with pytest.raises(ValueError, match=r"in pivots\. Name fewer pivots"):
        evaluate(LinearRegression(), make_records(table, schema), protocol)


@pytest.mark.parametrize("cv", [5, [([0, 1], [2])], None])
def test_cv_that_is_no_splitter_is_refused(records, cv):
    with pytest.raises(TypeError, match=r"cv expects a splitter or one of \['random'"):
        evaluate(LinearRegression(), records, cv)


@pytest.mark.parametrize("estimator", ["ridge", LinearRegression, None])
def test_what_is_no_estimator_is_refused(records, estimator):
    with pytest.raises(
        TypeError, match=r"expects an estimator, such as ProxyReg.* Got"
    ):
        evaluate(estimator, records)


@pytest.mark.parametrize("seeds", [[], [1, 1], -1, 0.5, ["a"]])
def test_wrong_seeds_are_refused(records, seeds):
    with pytest.raises(ValueError, match="seeds expects different whole numbers"):
        evaluate(LinearRegression(), records, seeds=seeds)


def test_records_without_scores_are_refused():
    records = make_records(make_table(), replace(SCHEMA, target=None))
    with pytest.raises(ValueError, match="Got a schema without a target"):
        evaluate(LinearRegression(), records)


def test_a_splitter_of_one_column_asks_which_language_is_meant(records):
    with pytest.raises(ValueError, match=r"records.groups\['target_lang'\]"):
        evaluate(LinearRegression(), records, GroupKFold(2))
    evaluate(
        LinearRegression(), records, GroupKFold(2), groups=records.groups["target_lang"]
    )
    one = make_records(make_table(), replace(SCHEMA, target_language=None))
    evaluation = evaluate(LinearRegression(), one, GroupKFold(2), baselines=False)
    assert len(evaluation.predictions) == len(one.target)


def test_cross_dataset_split_needs_labels(records):
    with pytest.raises(ValueError, match="CrossDatasetSplit expects records of sev"):
        evaluate(LinearRegression(), records, CrossDatasetSplit("a", "b"))


def test_unknown_protocol_names_the_nearest(records):
    with pytest.raises(ValueError, match=r"Got 'lol'[.] Did you mean 'lolo'"):
        evaluate(LinearRegression(), records, "lol")


@pytest.mark.parametrize("sizes", [[], [0.0], [0.5, 1.5], [0.5, 0.5], 2])
def test_wrong_train_sizes_are_refused(records, sizes):
    with pytest.raises(ValueError, match="train_sizes expects different portions"):
        evaluate(LinearRegression(), records, train_sizes=sizes)


def test_a_bare_table_is_refused_with_a_remedy(records):
    with pytest.raises(TypeError, match="load_records"):
        evaluate(LinearRegression(), records.frame)


def test_language_columns_reach_only_estimators_that_accept_them(records):
    class Columns(Memory):
        def fit(self, X, y):
            self.columns_ = list(X.columns)
            assert self.columns_ == ["size", "weak", "strong"]
            return super().fit(X, y)

    evaluate(Columns(), records, baselines=False)
    evaluate(make_pipeline(StandardScaler(), LinearRegression()), records)

    class Wide(ProxyRegressor):
        def fit(self, X, y, groups=None, sample_weight=None):
            assert list(X.columns)[:2] == ["source_lang", "target_lang"]
            assert X.attrs["schema"] == SCHEMA
            return super().fit(X, y, groups, sample_weight)

    evaluate(Wide("ridge"), records)


def test_seeds_reach_the_estimator_and_its_parts(records):
    trees = make_pipeline(StandardScaler(), ExtraTreesRegressor(n_estimators=3))
    first = evaluate(trees, records, seeds=[5, 6], baselines=False).predictions
    second = evaluate(trees, records, seeds=[5, 6], baselines=False).predictions
    pd.testing.assert_frame_equal(first, second)
    per_seed = [part["prediction"].to_numpy() for _, part in first.groupby("seed")]
    assert not np.array_equal(*per_seed)
    assert trees[-1].random_state is None


def test_parallel_runs_give_the_same_predictions(records):
    alone = evaluate(LinearRegression(), records)
    together = evaluate(LinearRegression(), records, n_jobs=2)
    pd.testing.assert_frame_equal(alone.predictions, together.predictions)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_dask_cluster_of_two_workers_gives_the_same_predictions(records):
    distributed = pytest.importorskip("distributed", reason="needs proxylm[dask]")
    alone = evaluate(ProxyRegressor("ridge"), records)
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    )
    with cluster, distributed.Client(cluster), parallel_config("dask"):
        spread = evaluate(ProxyRegressor("ridge"), records, n_jobs=-1)
    pd.testing.assert_frame_equal(alone.predictions, spread.predictions)


class Interrupted(LinearRegression):
    """Count fits in a file and stop at one of them."""

    def __init__(self, log=None, stop_at=None):
        self.log = log
        self.stop_at = stop_at
        super().__init__()

    def fit(self, X, y):
        with open(self.log, "a") as file:
            file.write("x")
        if os.path.exists(self.stop_at) and os.path.getsize(self.log) > 3:
            raise KeyboardInterrupt
        return super().fit(X, y)


def test_an_interrupted_run_goes_on_where_it_stopped(records, tmp_path):
    log, stop = tmp_path / "log", tmp_path / "stop"
    stop.touch()
    model = Interrupted(log, stop)
    with pytest.raises(KeyboardInterrupt):
        evaluate(model, records, checkpoint=tmp_path / "kept")
    assert log.read_text() == "xxxx"
    stop.unlink()
    resumed = evaluate(model, records, checkpoint=tmp_path / "kept", name="line")
    assert log.read_text() == "xxxx" + "xxx"
    fresh = evaluate(LinearRegression(), records, name="line")
    pd.testing.assert_frame_equal(resumed.predictions, fresh.predictions)


def test_a_broken_checkpoint_is_computed_again(records, tmp_path):
    evaluate(LinearRegression(), records, checkpoint=tmp_path)
    kept = sorted(tmp_path.rglob("*.npy"))
    assert len(kept) == len(LANGUAGES)
    kept[0].write_bytes(kept[0].read_bytes()[:50])
    kept[1].write_bytes(b"")
    again = evaluate(LinearRegression(), records, checkpoint=tmp_path)
    fresh = evaluate(LinearRegression(), records)
    pd.testing.assert_frame_equal(again.predictions, fresh.predictions)


@pytest.mark.parametrize("change", ["data", "estimator", "seeds", "split"])
def test_a_checkpoint_of_another_run_is_not_used(records, tmp_path, change):
    evaluate(ProxyRegressor("ridge"), records, checkpoint=tmp_path)
    estimator, cv, seeds = ProxyRegressor("ridge"), "lolo", (42,)
    if change == "data":
        records = make_records(make_table(seed=5), SCHEMA)
    elif change == "estimator":
        estimator = ProxyRegressor("ridge", regressor_params={"alpha": 500.0})
    elif change == "seeds":
        seeds = (43,)
    else:
        cv = LeaveOneLanguageOut(exclude=["deu"])
    again = evaluate(estimator, records, cv, seeds=seeds, checkpoint=tmp_path)
    fresh = evaluate(estimator, records, cv, seeds=seeds)
    pd.testing.assert_frame_equal(again.predictions, fresh.predictions)


def with_intervals():
    return LanguageConformalRegressor(LinearRegression(), cv=3, random_state=0)


def test_intervals_are_in_the_predictions_of_the_estimator_alone(records):
    evaluation = evaluate(with_intervals(), records, confidence_level=0.8, name="line")
    table = evaluation.predictions
    own = table[table["model"] == "line"]
    assert (own["lower"] <= own["prediction"]).all()
    assert (own["prediction"] <= own["upper"]).all()
    others = table[table["model"] != "line"]
    assert others[["lower", "upper"]].isna().all(axis=None)
    assert evaluation.signature["confidence_level"] == 0.8
    plain = evaluate(with_intervals(), records, name="line")
    pd.testing.assert_frame_equal(table[plain.predictions.columns], plain.predictions)
    assert "coverage" not in plain.summary()
    assert "coverage" not in plain.by_language()


def test_coverage_and_width_are_means_over_languages_then_sides(records):
    evaluation = evaluate(with_intervals(), records, confidence_level=0.5, name="line")
    table = evaluation.predictions.query("model == 'line'")
    inside = (table["lower"] <= table["truth"]) & (table["truth"] <= table["upper"])
    figures = pd.DataFrame(
        {"coverage": inside, "width": table["upper"] - table["lower"]}
    )
    sides = [
        figures[table["side"].isin([side, "both"])].groupby(table["language"]).mean()
        for side in ("source", "target")
    ]
    row = evaluation.summary().set_index("model").loc["line"]
    expected = pd.DataFrame([side.mean() for side in sides]).mean()
    assert 0 < expected["coverage"] < 1
    by_language = evaluation.by_language()
    for name in ("coverage", "width"):
        assert row[name] == pytest.approx(expected[name])
        means = pd.concat([side[name] for side in sides], axis=1).mean(axis=1)
        np.testing.assert_allclose(by_language[name], means)
    assert evaluation.summary().set_index("model").drop("line")["width"].isna().all()


def test_checkpoints_keep_intervals(records, tmp_path):
    options = {"checkpoint": tmp_path, "confidence_level": 0.8}
    first = evaluate(with_intervals(), records, **options)
    n_kept = len(list(tmp_path.rglob("*.npy")))
    again = evaluate(with_intervals(), records, **options)
    assert len(list(tmp_path.rglob("*.npy"))) == n_kept
    pd.testing.assert_frame_equal(again.predictions, first.predictions)
    other = evaluate(
        with_intervals(), records, checkpoint=tmp_path, confidence_level=0.5
    )
    assert other.summary()["width"][0] < first.summary()["width"][0]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_files_hold_intervals(records, tmp_path, suffix):
    evaluation = evaluate(with_intervals(), records, confidence_level=0.8)
    path = tmp_path / f"predictions.{suffix}"
    getattr(evaluation, f"to_{suffix}")(path)
    again = Evaluation.read(path)
    pd.testing.assert_frame_equal(again.predictions, evaluation.predictions)
    pd.testing.assert_frame_equal(again.summary(), evaluation.summary())


def test_intervals_of_an_estimator_without_them_are_refused(records):
    with pytest.raises(TypeError, match=r"predict_interval. Got LinearRegression"):
        evaluate(LinearRegression(), records, confidence_level=0.9)


def test_progress_shows_every_fit(records, capsys):
    evaluate(LinearRegression(), records, progress=True, name="line")
    error = capsys.readouterr().err
    assert "line" in error
    assert "6/6" in error


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_files_hold_the_predictions_and_the_signature(records, tmp_path, suffix):
    evaluation = evaluate(LinearRegression(), records)
    path = tmp_path / f"predictions.{suffix}"
    getattr(evaluation, f"to_{suffix}")(path)
    again = Evaluation.read(path)
    pd.testing.assert_frame_equal(
        again.predictions, evaluation.predictions, check_exact=True
    )
    assert again.signature == json.loads(json.dumps(evaluation.signature))
    assert (again.name, again.metric) == ("LinearRegression", "spBLEU")
    pd.testing.assert_frame_equal(again.summary(), evaluation.summary())


def test_a_csv_is_readable_without_proxylm(records, tmp_path):
    evaluate(LinearRegression(), records).to_csv(tmp_path / "p.csv")
    rows = pd.read_csv(tmp_path / "p.csv", comment="#")
    assert {"truth", "prediction", "language"} <= set(rows.columns)


def test_languages_named_like_missing_values_survive_a_csv(tmp_path):
    records = make_records(make_table(languages=["nan", "deu", "fra"]), SCHEMA)
    evaluation = evaluate(LinearRegression(), records)
    evaluation.to_csv(tmp_path / "p.csv")
    again = Evaluation.read(tmp_path / "p.csv")
    assert list(again.by_language().index) == ["deu", "fra", "nan"]


def test_a_file_without_signature_is_refused(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("truth,prediction\n1,2\n")
    with pytest.raises(ValueError, match="begins with its signature"):
        Evaluation.read(path)


def test_signature_names_data_split_features_model_seeds_and_version(records):
    evaluation = evaluate(LinearRegression(), records, seeds=[3, 4])
    line = evaluation.signature_line
    assert re.fullmatch(
        r"data:[0-9a-f]{16}\|target:score\|split:LeaveOneLanguageOut\(.*\)\|features:3"
        r"\|model:LinearRegression\(\)\|seeds:3,4\|proxylm:\d+\.\d+\.\d+",
        line,
    )
    other = evaluate(
        LinearRegression(), make_records(make_table(seed=9), SCHEMA), seeds=[3, 4]
    )
    assert other.signature["data"] != evaluation.signature["data"]
    assert (
        repr(evaluation) == "Evaluation('LinearRegression', 5 models, 660 predictions)"
    )


def test_by_language_refuses_an_unknown_model(records):
    with pytest.raises(ValueError, match=r"expects one of .* Got 'tree'"):
        evaluate(LinearRegression(), records).by_language("tree")


def test_scores_equal_hand_computed_values():
    truth = np.array([1.0, 2.0, 3.0, 3.0])
    prediction = np.array([2.0, 2.0, 1.0, 5.0])
    assert rmse(truth, prediction) == pytest.approx(1.5)
    assert mae(truth, prediction) == pytest.approx(1.25)
    assert r2(truth, prediction) == pytest.approx(r2_score(truth, prediction))
    # pairs with different truth: 12 tie, 13 wrong, 14 right, 23 wrong, 24 right
    assert pairwise_accuracy(truth, prediction) == pytest.approx(2.5 / 5)
    expected = pd.Series(truth).corr(pd.Series(prediction), method="spearman")
    assert spearman(truth, prediction) == pytest.approx(expected)


def test_scores_of_constant_sides():
    constant, rising = np.ones(4), np.arange(4.0)
    assert np.isnan(r2(constant, rising))
    assert np.isnan(spearman(rising, constant))
    assert np.isnan(pairwise_accuracy(constant, rising))
    assert pairwise_accuracy(rising, constant) == 0.5


def test_pairwise_accuracy_equals_the_count_of_all_pairs():
    rng = np.random.default_rng(0)
    truth, prediction = rng.integers(0, 6, (2, 40)).astype(float)
    i, j = np.triu_indices(40, 1)
    decided = truth[i] != truth[j]
    signs = np.sign(truth[i] - truth[j]) * np.sign(prediction[i] - prediction[j])
    expected = ((signs + 1) / 2)[decided].mean()
    assert pairwise_accuracy(truth, prediction) == pytest.approx(expected)


def test_strata_may_be_given_as_groups(records):
    strata = np.arange(len(records.target)) % 2
    rows = evaluate(
        LinearRegression(), records, StratifiedRandomSplit(), groups=strata, seeds=0
    ).predictions
    share = strata[rows.loc[rows["model"] == "LinearRegression", "record"]].mean()
    assert share == pytest.approx(0.5, abs=0.06)


PUBLISHED = [
    *[("nusa", m, "spBLEU", p) for m in ("m2m100", "nllb") for p in ("random", "lolo")],
    *[("mt560", m, "spBLEU", p) for m in ("m2m100", "nllb") for p in ("random",)],
    ("mt560", "m2m100", "comet", "lolo"),
    ("mt560", "m2m100", "spBLEU", "unseen"),
    ("mt560", "m2m100", "spBLEU", "unseen_reverse"),
    ("intent", "aya", "accuracy", "random"),
    ("intent", "llama3", "accuracy", "lolo"),
    ("slot", "aya", "f1", "lolo"),
    ("mt560->nusa", "m2m100", "spBLEU", "cross_dataset"),
]
FETCH = {
    "mt560": fetch_mt560,
    "nusa": fetch_nusa,
    "intent": fetch_intent,
    "slot": fetch_slot,
}


@pytest.mark.records
@pytest.mark.parametrize("degree", [2, 3])
@pytest.mark.parametrize("features", ["ensemble", "nlperf"])
@pytest.mark.parametrize(("dataset", "model", "score", "protocol"), PUBLISHED)
def test_polynomial_regression_gives_the_published_figures(
    dataset, model, score, protocol, features, degree
):
    options = {"target": model, "score": score, "features": features}
    if protocol == "cross_dataset":
        records = concat(
            {
                "mt560": fetch_mt560(**options),
                "nusa": fetch_nusa(drop_constant=False, **options),
            }
        )
    else:
        records = FETCH[dataset](**options)
    poly = ProxyRegressor("poly", regressor_params={"degree": degree}, score_range=None)
    seeds = range(42, 47) if protocol == "random" else [42]
    evaluation = evaluate(poly, records, protocol, seeds=seeds, baselines=False)
    published = load_published()
    keys = {
        "dataset": dataset,
        "model": model,
        "score": score,
        "protocol": protocol,
        "features": features,
        "regressor": f"poly{degree}",
    }
    row = published[np.all([published[k] == v for k, v in keys.items()], axis=0)]
    ours = evaluation.summary().iloc[0]
    for column in ["rmse", "rmse_as_source", "rmse_as_target"]:
        assert ours[column] == pytest.approx(
            row[column].item(), rel=1e-3, nan_ok=True
        ), column
