import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import ElasticNet
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from proxylm._remote import RemoteFile, get_data_home
from proxylm.datasets import (
    fetch_intent,
    fetch_mt560,
    fetch_nusa,
    fetch_slot,
    list_datasets,
    load_published,
)
from proxylm.datasets._fetch import _fetch
from proxylm.datasets._tables import NUSA, TABLES
from proxylm.languages import to_iso639_3
from proxylm.records import concat

FETCH = {
    "mt560": fetch_mt560,
    "nusa": fetch_nusa,
    "intent": fetch_intent,
    "slot": fetch_slot,
}
DISTANCES = ["genetic", "geographic", "syntactic", "inventory"]
DISTANCES += ["phonological", "featural"]
MT_SCORES = ["spBLEU", "chrF2++", "BLEU", "chrF2", "TER", "comet"]
SETTINGS = [
    *[(name, m, s) for name in ("mt560", "nusa") for m in ("m2m100", "nllb")
      for s in MT_SCORES],
    *[("intent", m, "accuracy") for m in ("aya", "llama3")],
    *[("slot", m, "f1") for m in ("aya", "llama3")],
]  # fmt: skip


@pytest.fixture(scope="session")
def records_home():
    """Folder with the four record tables."""
    folder = get_data_home()
    missing = [
        table.remote.filename
        for table in TABLES
        if not (folder / table.remote.filename).is_file()
    ]
    if missing:
        pytest.skip(f"{folder} lacks {', '.join(missing)}; set PROXYLM_DATA")
    return folder


@pytest.fixture(scope="session")
def published_source(records_home):
    """Folder with the figures that the embedded table was made from."""
    folder = records_home.parent / "published"
    if not folder.is_dir():
        pytest.skip(f"no folder published beside {records_home}")
    return folder


def raw_table(folder, name):
    """The file with the two spellings unified, apart from the code under test."""
    frame = pd.read_csv(folder / f"{name}_experiments.csv", dtype=str)
    text = ["source_lang", "target_lang", "train_dataset", "test_dataset"]
    for column in frame.columns.difference(text):
        frame[column] = frame[column].map(float)  # to the last digit
    return frame.rename(
        columns=lambda c: c.replace("comet_score", "comet").replace(
            "directional_", "direction_"
        )
    )


def columns_by_prefix(frame, model, score):
    """Ensemble and target columns, recognised by the names of the models."""
    models = "m2m100 nllb small100 trfm aya llama3 smollm bloomz".split()
    text = ["source_lang", "target_lang", "train_dataset", "test_dataset"]
    base = [c for c in frame if c not in text and c.split("_")[0] not in models]
    if "trfm_TER_mean" in frame:
        proxies = ["trfm", "small100_noft", "small100_ft", f"{model}_noft"]
        return base + [f"{p}_{score}_mean" for p in proxies], f"{model}_ft_{score}_mean"
    proxies = ["smollm_135m", "smollm_360m", "bloomz_560m"]
    return base + [f"{p}_{score}" for p in proxies], f"{model}_{score}"


@pytest.mark.records
@pytest.mark.parametrize(
    ("name", "rows", "languages", "ensemble", "nlperf", "target", "strata"),
    [
        ("mt560", 1954, 51, 38, 22, "m2m100_ft_spBLEU_mean", 2),
        ("nusa", 224, 8, 29, 16, "m2m100_ft_spBLEU_mean", 8),
        ("intent", 2601, 51, 21, 14, "aya_accuracy", 51),
        ("slot", 2601, 51, 21, 14, "aya_f1", 51),
    ],
)
def test_default_records_have_the_published_shape(
    records_home, name, rows, languages, ensemble, nlperf, target, strata
):
    records = FETCH[name](data_home=records_home)
    assert records.data.shape == (rows, 2 + ensemble)
    assert np.unique(records.groups).size == languages
    assert records.target.name == records.schema.target == target
    assert records.strata.nunique() == strata
    few = FETCH[name](features="nlperf", data_home=records_home)
    assert few.data.shape == (rows, 2 + nlperf)
    assert few.schema.proxies == ()
    assert few.feature_names[:6] == DISTANCES


@pytest.mark.records
@pytest.mark.parametrize(("name", "model", "score"), SETTINGS)
def test_ensemble_is_the_table_in_its_own_order(records_home, name, model, score):
    frame = raw_table(records_home, name)
    columns, target = columns_by_prefix(frame, model, score)
    if name == "nusa":
        columns = [c for c in columns if frame[c].nunique() > 1]
    if (name, score) == ("mt560", "comet"):
        english = frame["source_lang"] == "eng"
        other = frame["source_lang"].mask(english, frame["target_lang"])
        known = (
            "afr amh bel cym deu fra guj hau hye ind jav kan kat kaz khm kir kor mar "
            "mya pan plt rus sin snd som tam vie xho zho"
        )
        frame = frame[other.isin(known.split())]
        assert len(frame) == 1714
    records = FETCH[name](target=model, score=score, data_home=records_home)
    assert records.feature_names == columns
    np.testing.assert_array_equal(records.data[columns], frame[columns].astype(float))
    np.testing.assert_array_equal(records.target, frame[target])
    np.testing.assert_array_equal(
        records.groups, frame[["source_lang", "target_lang"]].astype(str)
    )


@pytest.mark.records
def test_feature_order_of_mt560_by_hand(records_home):
    records = fetch_mt560(target="nllb", score="chrF2++", data_home=records_home)
    names = records.feature_names
    assert names[:9] == ["dataset_size", *DISTANCES, "dev_size", "test_size"]
    assert names[-6:] == [
        "dev_test_st_similarity",
        "eng_target",
        "trfm_chrF2++_mean",
        "small100_noft_chrF2++_mean",
        "small100_ft_chrF2++_mean",
        "nllb_noft_chrF2++_mean",
    ]
    assert records.schema.proxies == tuple(names[-4:])


@pytest.mark.records
def test_roles_of_mt560(records_home):
    schema = fetch_mt560(data_home=records_home).schema
    assert schema.indicators == ("eng_target",)
    assert schema.pivots == ("eng",)
    assert (schema.train_dataset, schema.test_dataset) == (
        "train_dataset",
        "test_dataset",
    )
    assert schema.standard_error == "m2m100_ft_spBLEU_se"
    assert (schema.metric, schema.range_) == ("spBLEU", (0, 100))
    assert (
        fetch_mt560(features="nlperf", data_home=records_home).schema.indicators == ()
    )


@pytest.mark.records
@pytest.mark.parametrize("name", ["nusa", "intent", "slot"])
def test_other_tables_have_no_pivot_and_no_indicator(records_home, name):
    schema = FETCH[name](data_home=records_home).schema
    assert schema.pivots == schema.indicators == ()
    assert (schema.standard_error is None) == (name != "nusa")


@pytest.mark.records
def test_strata_of_mt560_are_the_domains(records_home):
    records = fetch_mt560(data_home=records_home)
    same = records.frame["train_dataset"] == records.frame["test_dataset"]
    assert records.strata.value_counts().to_dict() == {"other": 1686, "same": 268}
    assert (records.strata == "same").equals(same)


@pytest.mark.records
def test_strata_of_the_others_are_the_source_languages(records_home):
    records = fetch_nusa(data_home=records_home)
    assert records.strata.tolist() == records.frame["source_lang"].tolist()


@pytest.mark.records
@pytest.mark.parametrize("name", FETCH)
def test_codes_of_every_table_map_to_iso639_3(records_home, name):
    codes = np.unique(FETCH[name](data_home=records_home).groups)
    mapped = {to_iso639_3(code) for code in codes}
    # zh-CN and zh-TW are one language.
    assert len(mapped) == len(codes) - (name in ("intent", "slot"))


@pytest.mark.records
def test_every_published_feature_set_loads(records_home, published_source):
    published = pd.read_csv(published_source / "published_rmse.csv")
    sets = published[["dataset", "features"]].drop_duplicates()
    sets = sets[sets["dataset"].isin(list(FETCH))]
    assert len(sets) == 20 + 9 + 5 + 5
    for name, features in sets.itertuples(index=False):
        records = FETCH[name](features=features, data_home=records_home)
        n_proxies = {"ensemble": 4 if name in ("mt560", "nusa") else 3, "nlperf": 0}
        parts = set(features.split("+")) - {"dataset", "language"}
        expected = n_proxies.get(features, len(parts))
        assert len(records.schema.proxies) == expected


@pytest.mark.records
def test_feature_sets_are_made_of_parts(records_home):
    def names(features):
        return fetch_mt560(
            target="nllb", features=features, data_home=records_home
        ).feature_names

    assert names("language") == DISTANCES
    dataset = names("dataset")
    assert set(names("dataset+language")) == {*dataset, *DISTANCES}
    assert "eng_target" in dataset
    assert names("small100_ft+model_noft+language") == [
        *DISTANCES,
        "small100_ft_spBLEU_mean",
        "nllb_noft_spBLEU_mean",
    ]
    everything = "dataset+language+trfm+small100_noft+small100_ft+model_noft"
    assert names(everything) == names("ensemble")


@pytest.mark.records
def test_a_list_of_columns_keeps_its_order_and_knows_the_proxies(records_home):
    chosen = ["test_size", "trfm_spBLEU_mean", "nllb_ft_spBLEU_mean", "genetic"]
    records = fetch_nusa(features=chosen, data_home=records_home)
    assert records.schema.features == ("test_size", "nllb_ft_spBLEU_mean", "genetic")
    assert records.schema.proxies == ("trfm_spBLEU_mean",)
    assert records.data["test_size"].unique().tolist() == [2000]
    same = fetch_nusa(features=pd.Index(chosen), data_home=records_home)
    assert same.feature_names == records.feature_names


@pytest.mark.records
def test_constant_columns_are_dropped_on_request(records_home):
    constant = {"dev_size", "test_size", "train_word_vocab_size"}
    constant |= {"dev_word_vocab_size", "test_word_vocab_size"}
    constant |= {f"{p}_word_overlap" for p in ("train_dev", "train_test", "dev_test")}
    dropped = fetch_nusa(data_home=records_home).feature_names
    kept = fetch_nusa(drop_constant=False, data_home=records_home).feature_names
    assert set(kept) - set(dropped) == constant
    assert [name for name in kept if name not in constant] == dropped


@pytest.mark.records
@pytest.mark.parametrize("score", ["spBLEU", "comet"])
def test_a_column_can_be_added_to_the_frame_without_a_warning(records_home, score):
    records = fetch_mt560(score=score, data_home=records_home)
    records.frame["note"] = ""
    assert "note" not in records.data


@pytest.mark.records
@pytest.mark.parametrize("score", ["spBLEU", "comet"])
def test_mt560_and_nusa_join_without_eng_target(records_home, score):
    mt560 = fetch_mt560(score=score, data_home=records_home)
    nusa = fetch_nusa(score=score, drop_constant=False, data_home=records_home)
    both = concat({"mt560": mt560, "nusa": nusa})
    expected = [name for name in mt560.feature_names if name != "eng_target"]
    assert both.feature_names == expected
    assert both.dataset.value_counts().to_dict() == {
        "mt560": len(mt560.data),
        "nusa": 224,
    }


@pytest.mark.records
@pytest.mark.parametrize("name", FETCH)
def test_description_tells_origin_licence_and_citation(records_home, name):
    text = FETCH[name](data_home=records_home).DESCR
    for needle in ("Apache License 2.0", "arXiv:2406.09334", "SHA-256", "Traps"):
        assert needle in text
    assert f"ad0c95e1429cd419c10a1fbcb9b8146bf3e27b28/src/proxy_regressor/csv_datasets/{name}_experiments.csv" in text  # fmt: skip  # noqa: E501
    assert "{" not in text.replace("{target}", "").replace("{score}", "")


def poly2(X, y, X_test, indicators):
    """Second powers, standardised, and an elastic net, as published."""
    numeric = [name for name in X if name not in indicators]
    powers = np.hstack([X[numeric], X[numeric] ** 2])
    scaler = StandardScaler().fit(powers)

    def expand(X):
        Z = scaler.transform(np.hstack([X[numeric], X[numeric] ** 2]))
        return np.hstack([Z, X[list(indicators)]])

    model = ElasticNet(alpha=0.1, l1_ratio=0.9).fit(expand(X), y)
    return model.predict(expand(X_test))


@pytest.mark.records
@pytest.mark.parametrize("features", ["ensemble", "nlperf"])
@pytest.mark.parametrize(
    ("name", "model", "score"),
    [
        ("mt560", "m2m100", "spBLEU"),
        ("mt560", "nllb", "comet"),
        ("nusa", "m2m100", "spBLEU"),
        ("nusa", "nllb", "spBLEU"),
        ("intent", "aya", "accuracy"),
        ("intent", "llama3", "accuracy"),
    ],
)
def test_published_random_split_errors_are_reached_to_five_digits(
    records_home, name, model, score, features
):
    records = FETCH[name](
        target=model, score=score, features=features, data_home=records_home
    )
    X, y = records.data[records.feature_names], records.target
    errors = []
    for seed in range(42, 47):
        train, test = train_test_split(
            np.arange(len(y)), test_size=0.3, stratify=records.strata, random_state=seed
        )
        predicted = poly2(
            X.iloc[train], y.iloc[train], X.iloc[test], records.schema.indicators
        )
        errors.append(np.sqrt(np.mean((y.iloc[test] - predicted) ** 2)))
    published = load_published().query(
        "dataset == @name and model == @model and score == @score and "
        "protocol == 'random' and regressor == 'poly2' and features == @features"
    )
    assert np.mean(errors) == pytest.approx(published["rmse"].item(), abs=6e-6)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            "mt560",
            {"target": "m2m"},
            r"fetch_mt560 expects target to be one of \['m2m100', 'nllb'\]\. "
            r"Got 'm2m'\. Did you mean 'm2m100'\?",
        ),
        ("nusa", {"score": "spBLUE"}, r"score .* Got 'spBLUE'\. Did you mean 'spBLEU'"),
        ("intent", {"score": "f1"}, r"fetch_intent .*\['accuracy'\]\. Got 'f1'"),
        ("slot", {"target": None}, r"\['aya', 'llama3'\]\. Got None"),
        ("mt560", {"features": "ensembel"}, r"Got 'ensembel' .* mean 'ensemble'"),
        (
            "nusa",
            {"features": "language+small100"},
            r"'model_noft'\], or a list of columns\. Got 'small100' in "
            r"'language\+small100'\. Did you mean 'small100_ft'",
        ),
        ("slot", {"features": "dataset+"}, r"Got '' in 'dataset\+'"),
        ("slot", {"features": "language+trfm"}, r"'smollm_135m'.* Got 'trfm'"),
    ],
)
def test_unknown_names_are_answered_with_the_known_ones(
    tmp_path, name, arguments, message
):
    # Before anything is downloaded: the folder stays empty.
    with pytest.raises(ValueError, match=message):
        FETCH[name](data_home=tmp_path, **arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.records
@pytest.mark.parametrize(
    ("features", "message"),
    [
        (["genetic", "geografic"], r"Got 'geografic'\. Did you mean 'geographic'\?"),
        (["source_lang"], "numeric columns of the table .* Got 'source_lang'"),
        (["m2m100_ft_spBLEU_mean"], "other than the score to predict"),
        (["m2m100_ft_spBLEU_se"], "other than the score to predict"),
        (["trfm_comet_score_mean"], "Did you mean 'trfm_comet_mean'"),
        ([], r"at least 1 column\. Got \[\]"),
        (3, r"a feature set or a list of at least 1 column\. Got 3"),
        (["genetic", "genetic"], "each name in features once"),
    ],
)
def test_unusable_lists_of_columns_are_refused(records_home, features, message):
    with pytest.raises(ValueError, match=message):
        fetch_nusa(features=features, data_home=records_home)


def digests(text):
    return re.findall(r"\b[0-9a-f]{64}\b", text)


@pytest.mark.records
@pytest.mark.parametrize("damage", ["tampered", "truncated"])
@pytest.mark.parametrize("name", FETCH)
def test_a_damaged_file_is_named_with_both_digests_and_not_used(
    records_home, tmp_path, name, damage
):
    path = tmp_path / f"{name}_experiments.csv"
    content = (records_home / path.name).read_bytes()
    content = content.replace(b"0.5", b"0.6", 1) if damage == "tampered" else content
    path.write_bytes(content if damage == "tampered" else content[:-100])
    with pytest.raises(ValueError, match=f"{name}_experiments.csv") as caught:
        FETCH[name](data_home=tmp_path, download_if_missing=False)
    expected = list_datasets().set_index("name").loc[name, "sha256"]
    assert expected in str(caught.value)
    assert len(set(digests(str(caught.value)))) == 2


@pytest.mark.records
def test_a_damaged_file_is_replaced_by_a_good_download(records_home, tmp_path):
    source = (records_home / NUSA.remote.filename).absolute()
    table = replace(NUSA, remote=replace(NUSA.remote, url=source.as_uri()))
    (tmp_path / source.name).write_bytes(b"not a table")
    records = _fetch(table, "nllb", "TER", "ensemble", tmp_path, True, True)
    assert len(records.data) == 224
    assert (tmp_path / source.name).read_bytes() == source.read_bytes()


@pytest.mark.records
def test_a_tampered_download_is_refused_and_leaves_nothing(records_home, tmp_path):
    source = tmp_path / "mirror.csv"
    shutil.copy(records_home / NUSA.remote.filename, source)
    source.write_bytes(source.read_bytes() + b"\n")
    remote = RemoteFile(NUSA.remote.filename, source.as_uri(), NUSA.remote.sha256)
    home = tmp_path / "home"
    with pytest.raises(ValueError, match=NUSA.remote.sha256) as caught:
        _fetch(
            replace(NUSA, remote=remote),
            *("m2m100", "BLEU", "nlperf", home, True, True),
        )
    assert len(set(digests(str(caught.value)))) == 2
    assert not home.exists() or list(home.iterdir()) == []


@pytest.mark.parametrize("fetch", FETCH.values())
def test_a_missing_file_is_not_downloaded_against_the_will(tmp_path, fetch):
    with pytest.raises(OSError, match="PROXYLM_DATA"):
        fetch(data_home=tmp_path, download_if_missing=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.records
def test_tables_are_found_through_the_environment(records_home, monkeypatch):
    monkeypatch.setenv("PROXYLM_DATA", str(records_home))
    assert len(fetch_nusa(download_if_missing=False).data) == 224


def test_list_datasets_tells_sizes_and_that_nothing_is_cached(tmp_path):
    ours, *fetched = list_datasets(tmp_path).to_dict("records")
    assert ours["name"] == "udhr"
    assert ours["rows"] >= 200
    assert Path(ours["cached"]).is_file()
    table = pd.DataFrame(fetched)
    assert table["name"].tolist() == list(FETCH)
    assert table["rows"].tolist() == [1954, 224, 2601, 2601]
    assert table["languages"].tolist() == [51, 8, 51, 51]
    assert table.loc[0, "scores"] == "spBLEU, chrF2++, BLEU, chrF2, TER, comet"
    assert table["cached"].tolist() == [""] * 4
    assert table["sha256"].str.len().tolist() == [64] * 4


@pytest.mark.records
def test_list_datasets_tells_where_files_are_cached(records_home):
    table = list_datasets(records_home)
    assert [Path(path).is_file() for path in table["cached"]] == [True] * 5


def test_published_table_is_consistent():
    published = load_published()
    assert published.shape == (214, 12)
    key = ["dataset", "protocol", "model", "score", "regressor", "features"]
    assert not published.duplicated([*key, "train_portion"]).any()
    assert set(published["regressor"]) == {
        "xgboost",
        "lightgbm",
        "poly2",
        "poly3",
        "mf",
    }
    assert (published["rmse"] > 0).all()
    sides = published.dropna(subset="rmse_as_source")
    mean = sides[["rmse_as_source", "rmse_as_target"]].mean(axis=1)
    np.testing.assert_allclose(sides["rmse"], mean, atol=1.1e-5)
    setting = ["dataset", "protocol", "model", "score"]
    compared = published[published["protocol"] != "incremental"]
    lowest = compared.groupby(setting)["rmse"].transform("min")
    assert published["best"].sum() == compared[setting].drop_duplicates().shape[0] == 24
    assert (compared.loc[compared["best"], "rmse"] == lowest[compared["best"]]).all()


def test_incremental_figures_carry_their_portion_and_a_note():
    published = load_published()
    incremental = published["protocol"] == "incremental"
    assert incremental.sum() == 14
    assert published["train_portion"].notna().equals(incremental)
    assert (published["note"] != "").equals(incremental)
    assert set(published.loc[incremental, "note"]) == {
        "older table with 830 training records"
    }


@pytest.mark.records
def test_published_table_equals_its_source_to_five_digits(published_source):
    source = pd.read_csv(published_source / "published_rmse.csv")
    source["regressor"] = source["regressor"].replace(
        {"xgb": "xgboost", "lgbm": "lightgbm"}
    )
    key = ["dataset", "protocol", "model", "score", "regressor", "features"]
    key = [*key, "train_portion"]
    figures = ["rmse", "rmse_as_source", "rmse_as_target"]
    ours = load_published().set_index(key)[figures].sort_index()
    theirs = source.set_index(key)[figures].sort_index()
    pd.testing.assert_frame_equal(
        ours, theirs[theirs.index.isin(ours.index)], rtol=0, atol=5e-6
    )
    everything = source["features"].isin(["ensemble", "nlperf"]).sum()
    ours = load_published()
    assert ours["features"].isin(["ensemble", "nlperf"]).sum() == everything == 206


@pytest.mark.records
def test_best_figures_equal_their_source(published_source):
    source = pd.read_csv(published_source / "best_published.csv")
    source["regressor"] = source["regressor"].replace(
        {"xgb": "xgboost", "lgbm": "lightgbm"}
    )
    columns = list(source)
    ours = load_published().query("best")[columns]
    order = ["dataset", "model", "score", "protocol"]
    pd.testing.assert_frame_equal(
        ours.sort_values(order, ignore_index=True),
        source.sort_values(order, ignore_index=True),
        rtol=0,
        atol=5e-6,
    )
