"""Configurations: what YAML and JSON may say, and how errors in them read."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from proxylm import ProxyRegressor, load_records
from proxylm.cli._config import RunConfig
from proxylm.cli._files import parse_yaml, read_json, read_yaml, write_yaml
from proxylm.cli._original import MODES, translate
from proxylm.cli._overrides import override, parse_assignment
from proxylm.cli._protocol import SPLITTERS
from proxylm.cli._regressor import REGRESSORS
from proxylm.cli._space import parse_space
from proxylm.cli._values import look_up
from proxylm.model_selection._protocols import PROTOCOLS


def parse(folder, **values):
    return RunConfig.parse({"records": "nusa"} | values, folder)


def estimator(folder, regressor):
    return parse(folder, regressor=regressor).regressor.build()


# YAML and JSON files


@pytest.mark.parametrize(
    "text, value",
    [
        ("1e-3", 0.001),
        ("-2E5", -2e5),
        ("1.5e+3", 1500.0),
        ("3", 3),
        ("e3", "e3"),
        ("1e", "1e"),
        (".inf", float("inf")),
        ("[a, b]", ["a", "b"]),
        ("", None),
    ],
)
def test_yaml_reads_numbers_as_people_write_them(text, value):
    assert parse_yaml(text, "here") == value


@pytest.mark.parametrize(
    "text, message",
    [
        ("a: 1\na: 2", "here is no valid YAML: the key 'a' stands twice in line 2, c"),
        ("a: [1\nb: 2", "expected ',' or ']', but got ':' in line 2, column 2"),
        ("a: \x00", "here is no valid YAML: unacceptable character"),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constr"),
    ],
)
def test_bad_yaml_is_one_line_with_its_place(text, message):
    with pytest.raises(ValueError) as caught:
        parse_yaml(text, "here")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text_names_the_byte(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_bytes(b"records: \xff")
    with pytest.raises(ValueError, match=r"run.yaml .* UTF-8. Got the byte 0xff"):
        read_yaml(path)


def test_broken_json_names_the_line(tmp_path):
    path = tmp_path / "xgb.json"
    path.write_text('{"cv": 10,\n "n_iter" 5}')
    with pytest.raises(ValueError, match=r"xgb.json is no valid JSON: .* in line 2"):
        read_json(path)


def test_a_missing_or_unreadable_file_is_named(tmp_path):
    with pytest.raises(OSError, match=r"Could not read .*none.yaml: No such file"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(OSError, match=r"Could not read .*: Is a directory"):
        read_yaml(tmp_path)


# The whole configuration


def test_defaults_are_written_out(tmp_path):
    assert parse(tmp_path).to_dict() == {
        "records": {
            "dataset": ["nusa"],
            "target": "m2m100",
            "score": "spBLEU",
            "features": "ensemble",
        },
        "protocol": {"name": "lolo", "languages": "all"},
        "regressor": {
            "name": "auto",
            "params": {},
            "search": None,
            "param_space": None,
            "n_iter": 25,
            "cv": 5,
            "score_range": "auto",
        },
        "output": "proxylm_results/nusa_m2m100_spBLEU_ensemble_lolo_auto",
        "seeds": [42],
        "train_sizes": None,
        "baselines": True,
        "n_jobs": -1,
    }


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"records": {"dataset": ["mt560", "nusa"]}, "protocol": "cross_dataset"},
        {"records": {"dataset": "slot", "features": ["genetic", "syntactic"]}},
        {"records": {"table": "a.csv", "schema": {"target": "b", "pivots": ["eng"]}}},
        {"protocol": {"name": "lolo", "languages": ["ind", "jav"]}},
        {"protocol": {"splitter": "LeaveOneLanguageOut", "exclude": ["eng"]}},
        {"protocol": "StratifiedRandomSplit"},
        {"regressor": {"name": "poly3", "score_range": [0, 50]}},
        {
            "regressor": {
                "name": "xgb",
                "params": {"eta": 0.1},
                "search": "bayes",
                "param_space": {"max_depth": {"type": "Integer", "low": 2, "high": 6}},
            }
        },
        {"seeds": [1, 2], "train_sizes": [0.5, 1], "baselines": False, "n_jobs": 1},
    ],
)
def test_a_written_configuration_reads_back_as_the_same(tmp_path, values):
    config = parse(tmp_path, **values)
    path = tmp_path / "config.yaml"
    write_yaml(path, config.to_dict(), "A comment.")
    assert RunConfig.parse(read_yaml(path), tmp_path) == config


@pytest.mark.parametrize(
    "values, error, message",
    [
        ({"regresor": "xgb"}, ValueError, "Got 'regresor'. Did you mean 'regressor'?"),
        ({"records": None}, TypeError, "records expects keys with values"),
        ({"records": {"target": "m2m100"}}, ValueError, "either dataset, a published"),
        ({"records": {"table": "a", "dataset": "nusa"}}, ValueError, "records expects"),
        ({"records": {"table": "a.csv"}}, ValueError, "schema expects target"),
        (
            {"records": {"table": "a", "schema": {"target": "b", "proxy": "c"}}},
            ValueError,
            "records.schema expects known keys. Got 'proxy'. Did you mean 'proxies'?",
        ),
        (
            {"records": {"table": "a", "schema": {"target": "b"}, "layout": "tall"}},
            ValueError,
            "layout expects a known name. Got 'tall'. Known are: long, wide",
        ),
        ({"records": "nusaa"}, ValueError, "Got 'nusaa'. Did you mean 'nusa'?"),
        ({"records": ["nusa", "nusa"]}, ValueError, "each data set once"),
        ({"records": {"dataset": "nusa", "target": 3}}, TypeError, "text. Got 3"),
        ({"protocol": "lollo"}, ValueError, "Did you mean 'lolo'? Known are: cross_d"),
        (
            {"protocol": {"name": None}},
            ValueError,
            "protocol expects a known name. Got None",
        ),
        ({"protocol": ["lolo"]}, TypeError, "protocol expects keys with values"),
        ({"protocol": {"name": "lolo", "side": "source"}}, ValueError, "Got 'side'"),
        (
            {"protocol": {"splitter": "LanguageKFold", "n_split": 3}},
            ValueError,
            "the splitter LanguageKFold expects known keys. Got 'n_split'. Did you m",
        ),
        (
            {"protocol": {"splitter": "CrossDatasetSplit", "train": "nusa"}},
            ValueError,
            "expects the keys train, test. Got no test.",
        ),
        ({"protocol": {"splitter": "LanguageKfold"}}, ValueError, "'LanguageKFold'?"),
        (
            {"protocol": {"splitter": "LeaveOneLanguageOut", "side": "left"}},
            ValueError,
            "side to be one of 'either', 'source', 'target'. Got 'left'",
        ),
        (
            {"protocol": {"name": "lolo", "languages": [False]}},
            TypeError,
            'write them in quotes ("no")',
        ),
        ({"regressor": "svm"}, ValueError, "Got 'svm'. Known are: auto, gp, lgbm"),
        ({"regressor": {"nam": "xgb"}}, ValueError, "Did you mean 'name'?"),
        (
            {"regressor": {"name": "xgb", "params": {"max_dept": 3}}},
            ValueError,
            "Got 'max_dept'. Did you mean 'max_depth'?",
        ),
        (
            {"regressor": {"name": "lgbm", "params": {"num_leafs": 3}}},
            ValueError,
            "regressor.params of lightgbm expects known keys. Got 'num_leafs'.",
        ),
        (
            {"regressor": {"name": "auto", "params": {"alpha": 3}}},
            ValueError,
            "regressor.params of auto expects known keys. Got 'alpha'. Known are: none",
        ),
        ({"regressor": {"params": [3]}}, TypeError, "parameters with values. Got [3]"),
        (
            {"regressor": {"name": "xgb", "params": {"eta": 1, "learning_rate": 1}}},
            ValueError,
            "each parameter once. Got 'learning_rate' twice",
        ),
        ({"regressor": {"search": "grids"}}, ValueError, "Did you mean 'grid'?"),
        (
            {"regressor": {"name": "xgb", "param_space": {"max_depth": [2]}}},
            ValueError,
            "a regressor.search over it (grid, random, bayes). Got none.",
        ),
        ({"regressor": {"cv": "ten"}}, TypeError, "cv expects a whole number. Got 'te"),
        ({"regressor": {"n_iter": True}}, TypeError, "whole number. Got True"),
        ({"regressor": {"score_range": "blue"}}, ValueError, "Known are: BLEU, TER"),
        ({"regressor": {"score_range": [3]}}, ValueError, "[low, high] with low < hig"),
        ({"seeds": []}, ValueError, "seeds expects different whole numbers"),
        ({"seeds": [1, 1]}, ValueError, "seeds expects different whole numbers"),
        ({"seeds": [-1]}, ValueError, "whole numbers from 0. Got [-1]"),
        ({"seeds": "42"}, TypeError, "seeds expects a whole number. Got '42'"),
        ({"train_sizes": [0.5, 2]}, ValueError, "above 0 and up to 1. Got [0.5, 2]"),
        ({"baselines": "yes"}, TypeError, "baselines expects true or false. Got 'yes'"),
        ({"n_jobs": 1.5}, TypeError, "n_jobs expects a whole number. Got 1.5"),
        ({"n_jobs": 0}, ValueError, "n_jobs expects a number of fits side by side, or"),
        ({"output": 3}, TypeError, "output expects text. Got 3"),
    ],
)
def test_what_is_wrong_is_said_with_what_is_known(tmp_path, values, error, message):
    with pytest.raises(error) as caught:
        parse(tmp_path, **values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("values", [None, [], "nusa", 3])
def test_a_file_without_keys_is_refused(tmp_path, values):
    with pytest.raises(TypeError, match=r"Known keys are: baselines, n_jobs"):
        RunConfig.parse(values, tmp_path)


def test_a_long_text_without_keys_is_not_told_in_full(tmp_path):
    with pytest.raises(TypeError) as caught:
        RunConfig.parse("source_lang,target_lang " * 100, tmp_path)
    assert len(str(caught.value)) < 300


def test_records_are_required(tmp_path):
    with pytest.raises(ValueError, match=r"the key records, .* Got seeds"):
        RunConfig.parse({"seeds": 1}, tmp_path)


@pytest.mark.parametrize(
    "values, name",
    [
        ({}, "nusa_m2m100_spBLEU_ensemble_lolo_auto"),
        ({"seeds": [1, 2]}, "nusa_m2m100_spBLEU_ensemble_lolo_auto_2seeds"),
        (
            {"protocol": {"name": "lolo", "languages": ["ind", "jav"]}},
            "nusa_m2m100_spBLEU_ensemble_lolo_ind-jav_auto",
        ),
        (
            {
                "records": {"dataset": ["mt560", "nusa"], "features": ["genetic"]},
                "protocol": "cross_dataset",
                "regressor": "poly3",
            },
            "mt560-nusa_m2m100_spBLEU_1-columns_cross_dataset_poly3",
        ),
        (
            {"records": {"table": "my.csv.gz", "schema": {"target": "a/b: c"}}},
            "my_a-b-c_lolo_auto",
        ),
    ],
)
def test_different_runs_have_different_folders(tmp_path, values, name):
    assert parse(tmp_path, **values).output == Path("proxylm_results") / name


def test_a_table_is_looked_for_beside_the_file_then_where_we_are(tmp_path, monkeypatch):
    folder, here = tmp_path / "configs", tmp_path / "here"
    folder.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    records = {"table": "scores.csv", "schema": {"target": "big"}}
    (here / "scores.csv").touch()
    assert parse(folder, records=records).records.table == here / "scores.csv"
    (folder / "scores.csv").touch()
    assert parse(folder, records=records).records.table == folder / "scores.csv"


@pytest.mark.parametrize("name", sorted(REGRESSORS))
def test_every_regressor_name_makes_an_estimator(tmp_path, name):
    assert isinstance(estimator(tmp_path, name), ProxyRegressor)


@pytest.mark.parametrize(
    "name", sorted({*PROTOCOLS, *SPLITTERS} - {"CrossDatasetSplit"})
)
def test_every_protocol_and_splitter_is_known(tmp_path, name):
    needed = {"splitter": name, "unseen": "nllb"}
    values = needed if name == "UnseenLanguageSplit" else name
    assert parse(tmp_path, protocol=values).protocol.label == name


def test_a_regressor_is_built_as_configured(tmp_path):
    built = estimator(
        tmp_path,
        {
            "name": "xgb",
            "params": {"eta": 0.1, "max_depth": 3},
            "search": "grid",
            "param_space": {"n_estimators": [10, 20]},
            "n_iter": 7,
            "cv": 3,
            "score_range": [0, 50],
        },
    )
    expected = ProxyRegressor(
        "xgboost",
        regressor_params={"learning_rate": 0.1, "max_depth": 3},
        search="grid",
        param_space={"n_estimators": [10, 20]},
        n_iter=7,
        cv=3,
        score_range=(0, 50),
    )
    assert built.get_params() == expected.get_params()


@pytest.mark.parametrize(
    "regressor, label",
    [
        ("xgb", "xgboost"),
        ("poly", "poly2"),
        ("poly3", "poly3"),
        ({"name": "poly", "params": {"degree": 1}}, "poly1"),
        ({"name": "poly", "search": "grid"}, "poly"),
    ],
)
def test_a_regressor_is_called_as_in_the_published_tables(tmp_path, regressor, label):
    assert parse(tmp_path, regressor=regressor).regressor.label == label


# Search spaces


def test_ranges_become_distributions_with_both_ends():
    space = parse_space(
        {
            "a": {"type": "Integer", "low": 2, "high": 4},
            "b": {"type": "Real", "low": 1, "high": 3},
            "c": {"type": "Real", "low": 0.01, "high": 0.1, "prior": "log-uniform"},
            "d": [True, None],
        },
        "bayes",
        "space",
    )
    assert set(space["a"].rvs(200, random_state=0)) == {2, 3, 4}
    assert space["b"].support() == (1, 3)
    assert space["c"].support() == pytest.approx((0.01, 0.1))
    assert space["c"].median() == pytest.approx(np.sqrt(0.001))
    assert space["d"] == [True, None]


@pytest.mark.parametrize(
    "values, expected",
    [
        ({"type": "Categorical", "low": 2000, "high": 3000, "step": 250}, 5),
        ({"type": "Categorical", "low": 1, "high": 3, "prior": "uniform"}, 3),
        ({"type": "Integer", "low": 10, "high": 30, "step": 10}, 3),
    ],
)
def test_steps_become_a_list_with_both_ends(values, expected):
    candidates = parse_space({"a": values}, "grid", "space")["a"]
    assert len(candidates) == expected
    assert (candidates[0], candidates[-1]) == (values["low"], values["high"])


def test_log_uniform_integers_are_whole_and_denser_below():
    values = {"type": "Integer", "low": 1, "high": 1000, "prior": "log-uniform"}
    candidates = parse_space({"a": values}, "bayes", "space")["a"]
    assert (candidates[0], candidates[-1]) == (1, 1000)
    assert all(isinstance(value, int) for value in candidates)
    assert np.median(candidates) < 100


@pytest.mark.parametrize(
    "values, search, message",
    [
        ({"type": "Intger", "low": 1, "high": 2}, "bayes", "Did you mean 'Integer'?"),
        ({"type": "Integer", "low": 1}, "bayes", "type, low and high. Got no high."),
        ({"typ": "Integer", "low": 1, "high": 2}, "bayes", "Did you mean 'type'?"),
        ({"type": "Integer", "low": 1.5, "high": 2}, "bayes", "low expects a whole nu"),
        ({"type": "Real", "low": "1", "high": 2}, "bayes", "low expects a number. Got"),
        ({"type": "Real", "low": 2, "high": 1}, "bayes", "low < high. Got low=2, hig"),
        (
            {"type": "Real", "low": 0, "high": 1, "prior": "log-uniform"},
            "bayes",
            "0 < low < high",
        ),
        (
            {"type": "Real", "low": 0, "high": 1, "prior": "loguniform"},
            "bayes",
            "a.prior expects a known name. Got 'loguniform'. Did you mean 'log-unif",
        ),
        ({"type": "Real", "low": 0, "high": 1, "step": 1}, "bayes", "Integer or Categ"),
        (
            {"type": "Integer", "low": 0, "high": 1, "step": 0},
            "bayes",
            "positive who",
        ),
        ({"type": "Real", "low": 0, "high": 1}, "grid", "a list of values for a grid"),
        ([], "grid", "a list of values or a range {type, low, high, prior, step}."),
        (3, "grid", "a list of values or a range"),
    ],
)
def test_a_bad_range_is_said_with_its_name(values, search, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        parse_space({"a": values}, search, "space")
    assert message in str(caught.value)
    assert "space.a" in str(caught.value)


def test_a_space_that_is_no_mapping_is_refused():
    with pytest.raises(TypeError, match=r"space expects parameters with lists or ran"):
        parse_space(["max_depth"], "grid", "space")


# --set


@pytest.mark.parametrize(
    "text, keys, value",
    [
        ("regressor=ridge", ("regressor",), "ridge"),
        ("regressor.params.max_depth=3", ("regressor", "params", "max_depth"), 3),
        ("records.features=[a, b]", ("records", "features"), ["a", "b"]),
        ("regressor.search=null", ("regressor", "search"), None),
        ("output=a=b", ("output",), "a=b"),
    ],
)
def test_an_assignment_has_keys_and_a_yaml_value(text, keys, value):
    assert parse_assignment(text) == (keys, value)


@pytest.mark.parametrize("text", ["seeds", "=3", "regressor..cv=3", ""])
def test_an_assignment_without_key_or_value_is_refused(text):
    with pytest.raises(ValueError, match=r"--set expects KEY=VALUE"):
        parse_assignment(text)


def test_an_override_opens_a_section_that_was_one_word():
    values = {"regressor": "xgb", "seeds": [1]}
    changed = override(values, ("regressor", "params", "max_depth"), 3)
    assert changed["regressor"] == {"name": "xgb", "params": {"max_depth": 3}}
    assert values == {"regressor": "xgb", "seeds": [1]}


def test_an_override_makes_a_section_that_was_not_there():
    assert override({}, ("regressor", "cv"), 3) == {"regressor": {"cv": 3}}
    assert override({"regressor": None}, ("regressor", "cv"), 3)["regressor"] == {
        "cv": 3
    }


def test_an_override_below_a_plain_value_is_refused():
    with pytest.raises(ValueError, match=r"seeds.first expects seeds to have keys"):
        override({"seeds": [1]}, ("seeds", "first"), 3)


# The original's files

ORIGINAL = {
    "exp_mode": "lolo",
    "regressor": "xgb",
    "dataset_name": "mt560",
    "model": "m2m100",
}
BAYES = {
    "hpm_search_mode": "bayes_search",
    "cv": 10,
    "n_iter": 50,
    "param_space": {
        "n_estimators": {
            "type": "Categorical",
            "low": 2000,
            "high": 5000,
            "step": 250,
            "prior": "uniform",
        },
        "eta": {"type": "Real", "low": 0.01, "high": 0.1, "prior": "log-uniform"},
    },
    "fixed_param": {"n_estimators": 2250, "eta": 0.1, "max_depth": 5},
}
GRID = {
    "hpm_search_mode": "grid_search",
    "cv": 10,
    "n_iter": 25,
    "param_space": {"learning_rate": [0.03, 0.1], "num_leaves": [16, 32]},
    "fixed_param": {"n_estimators": 100, "max_bin": 200000},
}


def original(folder, content=None, **values):
    """Parse a configuration of the original whose JSON has a content."""
    if content is not None:
        (folder / "regressor.json").write_text(json.dumps(content))
        values["regressor_config"] = "regressor.json"
    configs = translate(ORIGINAL | values, folder)
    return [RunConfig.parse(config, folder) for config in configs]


def test_the_original_runs_five_seeds_without_clipping(tmp_path):
    (config,) = original(tmp_path)
    assert config.seeds == (42, 43, 44, 45, 46)
    assert config.regressor.name == "xgboost"
    assert config.regressor.search is None
    assert config.regressor.score_range is None


@pytest.mark.parametrize(
    "dataset, model, score",
    [
        ("mt560", "nllb", "spBLEU"),
        ("nusa", "m2m100", "spBLEU"),
        ("intent", "aya", "accuracy"),
        ("slot", "llama3", "f1"),
    ],
)
def test_scores_have_the_original_defaults(tmp_path, dataset, model, score):
    (config,) = original(tmp_path, dataset_name=dataset, model=model)
    assert (config.records.target, config.records.score) == (model, score)


@pytest.mark.parametrize(
    "mode, protocols",
    [
        ("random", ["random"]),
        ("lolo", ["lolo"]),
        ("unseen", ["unseen", "unseen_reverse"]),
        ("seen_unseen", ["unseen", "unseen_reverse"]),
        ("cross_dataset", ["cross_dataset"]),
        ("incremental", ["incremental"]),
    ],
)
def test_modes_run_the_protocols_they_ran(tmp_path, mode, protocols):
    configs = original(tmp_path, exp_mode=mode)
    assert [config.protocol.name for config in configs] == protocols


@pytest.mark.parametrize("dataset", ["mt560", "nusa"])
def test_cross_dataset_trains_on_mt560_and_tests_on_nusa(tmp_path, dataset):
    (config,) = original(tmp_path, exp_mode="cross_dataset", dataset_name=dataset)
    assert config.records.dataset == ("mt560", "nusa")


def test_lang_leaves_out_one_language_in_lolo_only(tmp_path, caplog):
    (config,) = original(tmp_path, lang="ind")
    assert config.protocol.languages == ("ind",)
    (config,) = original(tmp_path, lang="all")
    assert config.protocol.languages is None
    assert not caplog.records
    (config,) = original(tmp_path, lang="ind", exp_mode="random")
    assert config.protocol.languages is None
    assert "lang is only for the mode lolo. 'ind' is left out." in caplog.text


def test_bayes_search_is_translated(tmp_path):
    (config,) = original(tmp_path, BAYES)
    built = config.regressor.build()
    assert (built.search, built.cv, built.n_iter) == ("bayes", 10, 50)
    assert built.param_space["n_estimators"] == list(range(2000, 5001, 250))
    assert built.param_space["learning_rate"].support() == pytest.approx((0.01, 0.1))
    assert built.regressor_params == {
        "n_estimators": 2250,
        "learning_rate": 0.1,
        "max_depth": 5,
    }


def test_grid_search_is_translated(tmp_path):
    (config,) = original(tmp_path, GRID, regressor="lgbm")
    built = config.regressor.build()
    assert (built.regressor, built.search, built.cv) == ("lightgbm", "grid", 10)
    assert built.param_space == GRID["param_space"]
    assert built.regressor_params == GRID["fixed_param"]


def test_without_a_space_nothing_is_searched(tmp_path):
    (config,) = original(tmp_path, GRID | {"param_space": {}})
    assert config.regressor.search is None


@pytest.mark.parametrize("given, degree", [({"degree": 3}, 3), ({}, 1)])
def test_basic_poly_has_a_degree_and_no_search(tmp_path, caplog, given, degree):
    content = {"cv": 10, "pipeline_type": "basic", "param_space": {}} | given
    (config,) = original(tmp_path, content, regressor="poly")
    assert config.regressor.search is None
    assert config.regressor.label == f"poly{degree}"
    assert not caplog.records


def test_basic_poly_says_that_it_leaves_out_a_space(tmp_path, caplog):
    content = {"cv": 10, "degree": 2, "param_space": {"alpha": [1]}}
    (config,) = original(tmp_path, content, regressor="poly")
    assert config.regressor.param_space is None
    assert 'pipeline_type "basic" does not search' in caplog.text


# The original's own file.
FACTORIZATION = {
    "cv": 10,
    "param_space": {
        "alpha": [0.001, 0.01],
        "beta_w": [0.1],
        "beta_h": [0.1],
        "beta_z": [0.01, 0.1],
        "beta_s": [0.01],
        "beta_t": [0.01],
    },
    "fixed_param": {"lr_decay": 0.001, "iterations": 2000},
}


def test_penalties_of_the_factorization_are_kept_and_rates_left_out(tmp_path, caplog):
    (config,) = original(tmp_path, FACTORIZATION, regressor="mf", dataset_name="nusa")
    built = config.regressor.build()
    assert (built.regressor, built.search, built.cv) == ("mf", "grid", 10)
    assert built.param_space == {"alpha_coef": [0.01, 0.1]}
    assert built.regressor_params == {
        "solver": "als",
        "n_components": 20,
        "alpha_per": "record",
        "alpha_factor": 0.1,
        "alpha_bias": 0.01,
        "max_iter": 2000,
    }
    (record,) = caplog.records
    assert "no learning rate: alpha, lr_decay are left out." in record.getMessage()


def test_a_factorization_without_lists_has_no_search(tmp_path, caplog):
    content = {"fixed_param": {"beta_z": 0.5, "beta_s": 0.2, "beta_t": 0.2}}
    (config,) = original(tmp_path, content, regressor="mf")
    assert config.regressor.search is None
    penalties = {k: v for k, v in config.regressor.params.items() if "alpha_" in k}
    assert penalties == {
        "alpha_per": "record",
        "alpha_factor": 0.1,
        "alpha_bias": 0.2,
        "alpha_coef": 0.5,
    }
    assert not caplog.records
    (config,) = original(tmp_path, regressor="mf")
    assert config.regressor.params == {}


def test_other_poly_searches_a_grid(tmp_path):
    space = {"poly_degree": [1, 2], "alpha": [0.1, 1], "l1_ratio": [0.5]}
    content = {"cv": 10, "pipeline_type": "grid", "param_space": space}
    (config,) = original(tmp_path, content, regressor="poly")
    built = config.regressor.build()
    assert (built.regressor, built.search, built.cv) == ("poly", "grid", 10)
    assert built.param_space == {"degree": [1, 2], "alpha": [0.1, 1], "l1_ratio": [0.5]}


def test_the_json_is_looked_for_beside_the_yaml_then_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "configs"
    folder.mkdir()
    (tmp_path / "regressor.json").write_text(json.dumps(GRID | {"cv": 3}))
    path = {"regressor_config": "regressor.json"}
    assert original(folder, regressor="lgbm", **path)[0].regressor.cv == 3
    (folder / "regressor.json").write_text(json.dumps(GRID | {"cv": 4}))
    assert original(folder, regressor="lgbm", **path)[0].regressor.cv == 4


@pytest.mark.parametrize(
    "values, message",
    [
        ({"exp_mod": "lolo"}, "Got 'exp_mod'. Did you mean 'exp_mode'? Known are: dat"),
        ({"exp_mode": "lollo"}, "exp_mode of mt560 expects a known name. Got 'lollo'."),
        ({"exp_mode": None}, "Got no exp_mode."),
        ({"model": None, "regressor": None}, "Got no regressor, model."),
        ({"regressor": "gp"}, "Got 'gp'. Known are: lgbm, mf, poly, xgb."),
        ({"regressor": "xgbost"}, "Got 'xgbost'. Did you mean 'xgb'?"),
        (
            {"dataset_name": "mt56"},
            "dataset_name expects a known name. Got 'mt56'.",
        ),
        (
            {"dataset_name": "intent", "exp_mode": "unseen"},
            "exp_mode of intent expects a known name. Got 'unseen'. Known are: lolo, r",
        ),
        ({"lang": False}, 'write them in quotes ("no")'),
        ({"regressor_config": "none.json"}, "Could not read"),
    ],
)
def test_bad_keys_and_values_of_the_original_are_explained(tmp_path, values, message):
    with pytest.raises((TypeError, ValueError, OSError)) as caught:
        original(tmp_path, **values)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "regressor, content, message",
    [
        ("xgb", GRID | {"hpm_search_mode": "bayes_serch"}, "mean 'bayes_search'?"),
        ("xgb", {"cv": 3}, "hpm_search_mode expects a known name. Got None."),
        ("xgb", BAYES | {"fixed_params": {}}, "Did you mean 'fixed_param'?"),
        (
            "xgb",
            BAYES | {"param_space": {"eta": {"type": "Float", "low": 1, "high": 2}}},
            "param_space.eta.type expects a known name. Got 'Float'. Known are: Categ",
        ),
        ("lgbm", GRID | {"param_space": {"num_leaves": 3}}, "param_space.num_leaves e"),
        ("lgbm", GRID | {"param_space": {"leaves": [3]}}, "Got 'leaves'."),
        ("lgbm", GRID | {"fixed_param": {"max_bins": 3}}, "Did you mean 'max_bin'?"),
        ("mf", {"fixed_param": {"beta": 1}}, "Did you mean 'beta_z'?"),
        (
            "mf",
            {"param_space": {"beta_w": [0.1, 0.2]}},
            "expects beta_w and beta_h to be equal, as sources and targets have one "
            "penalty here. Got [0.1, 0.2] and 0.1 (one that is left out has",
        ),
        ("mf", {"fixed_param": {"beta_z": -1}}, "beta_z expects a positive number."),
        ("mf", {"fixed_param": {"beta_z": "x"}}, "beta_z expects a number. Got 'x'."),
        ("mf", {"param_space": {"beta_z": 1}}, "param_space.beta_z expects a list"),
        ("poly", GRID, "Got 'hpm_search_mode'. Known are: cv, degree, param_space"),
        (
            "poly",
            {"pipeline_type": "grid", "param_space": {"degree": [1]}},
            "Got 'degree'. Did you mean 'poly_degree'?",
        ),
        ("poly", {"degree": 2, "cv": "ten"}, "regressor.cv expects a whole number."),
        ("xgb", [1], "regressor.json expects keys with values"),
    ],
)
def test_bad_json_is_explained(tmp_path, regressor, content, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        original(tmp_path, content, regressor=regressor)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_data_set_of_the_original_is_one_of_ours(tmp_path):
    for dataset in MODES:
        parse(tmp_path, records=dataset)


@pytest.mark.parametrize("name", [None, 3, ["a"], {}])
def test_a_name_that_is_no_text_is_unknown(name):
    with pytest.raises(ValueError, match=r"here expects a known name. Got"):
        look_up({"a": 1}, name, "here")


def test_chosen_languages_are_left_out_and_no_others(tmp_path):
    frame = pd.DataFrame(
        {
            "source_lang": ["eng", "eng", "ind", "jav"],
            "target_lang": ["ind", "sun", "jav", "eng"],
            "size": [1, 2, 3, 4],
            "big": [1.0, 2.0, 3.0, 4.0],
        }
    )
    records = load_records(frame, target="big", pivots=["eng"])
    protocol = parse(tmp_path, protocol={"name": "lolo", "languages": "jav"}).protocol
    splitter, sizes = protocol.build(records)
    assert sizes is None
    assert splitter.left_out(records.groups) == ["jav"]
    ((train, test),) = splitter.split(records.data, groups=records.groups)
    assert (train.tolist(), test.tolist()) == ([0, 1], [2, 3])
