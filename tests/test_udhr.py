"""The records that come with proxylm: what is in them, and that it adds up."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest

import proxylm
from proxylm.datasets._udhr import FOLDER, RECORDS, SCORES
from proxylm.languages import to_iso639_3

KEYS = ["target_lang", "dataset_size", "seed"]


@pytest.fixture(scope="module")
def records():
    return proxylm.load_udhr_records()


def test_there_are_many_languages_scripts_and_families(records):
    frame = records.frame
    assert frame["target_lang"].nunique() >= 100
    assert frame["script_code"].nunique() >= 15
    assert frame["family"].nunique() >= 30
    assert set(frame["dataset_size"]) == {4, 16}
    assert not frame.duplicated(KEYS).any()
    assert [to_iso639_3(code) for code in frame["target_lang"]] == list(
        frame["target_lang"]
    )


def test_a_third_of_the_rows_has_two_seeds(records):
    seeds = records.frame.groupby(KEYS[:2])["seed"].agg(sorted)
    twice = seeds.map(lambda found: found == [0, 1])
    assert twice.mean() >= 0.3
    assert (twice | seeds.map(lambda found: found == [0])).all()


def test_noise_is_the_pooled_deviation_between_seeds(records):
    scores = records.frame.pivot(
        index=KEYS[:2], columns="seed", values=records.target.name
    ).dropna()
    expected = np.sqrt(np.mean((scores[0] - scores[1]) ** 2) / 2)
    assert records.noise == pytest.approx(expected, rel=1e-9)


def test_bits_per_text_and_per_byte_are_of_the_same_bits(records):
    frame = records.frame
    for model in ("smollm2_ft", "smollm2_noft", "scratch", "ngram"):
        per_text = frame[f"{model}_bits_per_byte"] * frame["test_bytes"] / 10
        np.testing.assert_allclose(per_text, frame[f"{model}_bits_per_text"], rtol=1e-4)


def test_more_articles_help_and_fine_tuning_does(records):
    frame = records.frame
    sizes = frame.pivot_table(
        index="target_lang", columns="dataset_size", values=records.target.name
    )
    assert (sizes[16] < sizes[4]).mean() > 0.95
    better = frame["smollm2_ft_bits_per_text"] < frame["smollm2_noft_bits_per_text"]
    assert better.mean() > 0.95


def test_costs_and_the_target_are_no_features(records):
    names = list(records.data)
    assert not [name for name in names if name.endswith(("_seconds", "_flops"))]
    assert not [name for name in names if name.startswith("smollm2_ft")]
    assert {"seed", "family", "script_code"}.isdisjoint(names)
    assert (records.frame[[c for c in records.frame if c.endswith("_flops")]] > 0).all(
        axis=None
    )


@pytest.mark.parametrize("score", SCORES)
def test_feature_sets_are_disjoint_and_make_up_everything(score):
    def chosen(features):
        records = proxylm.load_udhr_records(score=score, features=features)
        return records.schema.feature_names

    parts = ["dataset", "language", "smollm2_noft", "scratch", "ngram"]
    found = [chosen(part) for part in parts]
    everything = chosen("ensemble")
    assert sorted(name for part in found for name in part) == sorted(everything)
    assert chosen("+".join(parts)) == everything
    assert len(set(everything)) == len(everything)
    assert chosen("ngram") == (f"ngram_{score}",)


def test_columns_can_be_listed():
    names = ["train_bytes", "ngram_bits_per_text", "scratch_bits_per_byte"]
    schema = proxylm.load_udhr_records(features=names).schema
    assert schema.features == ("train_bytes", "scratch_bits_per_byte")
    assert schema.proxies == ("ngram_bits_per_text",)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target": "smolm2"}, "target to be one of .* Did you mean 'smollm2'"),
        ({"score": "bits"}, "score to be one of"),
        ({"features": "dataset+ngrams"}, "features to be one of .* Got 'ngrams'"),
        ({"features": []}, "at least 1 column"),
        ({"features": ["smollm2_ft_bits_per_byte"]}, "features to be one of"),
    ],
)
def test_bad_choices_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        proxylm.load_udhr_records(**options)


def test_description_tells_what_was_measured(records):
    text = records.DESCR
    frame = records.frame
    assert f"{len(frame)} records" in text
    assert f"{records.noise:.3g} bits per text" in text
    measured = json.loads((FOLDER / "measured.json").read_text())
    for name in ("versions", "hardware", "signatures"):
        for value in measured[name]:
            assert value in text
    for word in ("Limits", "CC BY-SA 4.0", "Apache", "udhr 6.0.0"):
        assert word in text
    title, rule = text.splitlines()[:2]
    assert len(title) == len(rule)


def test_files_are_small_and_languages_of_uriel_in_a_file_of_their_own(records):
    raw = (FOLDER / RECORDS).read_bytes()
    uriel = (FOLDER / "uriel.csv").read_bytes()
    assert len(raw) + len(uriel) < 1_000_000
    assert b"genetic" not in gzip.decompress(raw).splitlines()[0]
    assert b"ShareAlike" in (FOLDER / "uriel.LICENSE.txt").read_bytes()


def test_distances_are_those_of_the_featurizer(records):
    pytest.importorskip("urielplus")
    codes = ["swh", "jpn", "fra"]
    pairs = pd.DataFrame({"source": "eng", "target": codes})
    featurizer = proxylm.LanguageFeaturizer().set_output(transform="pandas")
    expected = featurizer.fit_transform(pairs).set_axis(codes)
    rows = records.frame.drop_duplicates("target_lang").set_index("target_lang")
    names = list(expected)
    np.testing.assert_allclose(rows.loc[codes, names], expected, atol=1e-5)


def test_they_are_predicted_better_than_by_the_best_line(records):
    evaluation = proxylm.evaluate(
        proxylm.ProxyRegressor("ridge"), records, proxylm.LanguageKFold(5)
    )
    rmse = evaluation.summary().set_index("model")["rmse"]
    assert rmse["ridge"] < 0.8 * rmse["baseline: line on best proxy"]
