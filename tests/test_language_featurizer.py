"""LanguageFeaturizer: distances, coverage, what is known of a language, bad codes."""

import logging
import random
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

pytest.importorskip("urielplus.database", reason="needs the extra uriel")

from proxylm.languages import LanguageFeaturizer, to_iso639_3, web_share
from proxylm.languages._uriel import KINDS, REPRESENTATIVE, angular_distances, vectors

KIND_NAMES = list(KINDS)


@pytest.fixture(scope="module")
def peer():
    """The package's own code for distances."""
    logging.disable(logging.CRITICAL)
    from urielplus import urielplus

    yield urielplus.URIELPlus()
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_distances_are_those_of_uriel_plus(peer, kind):
    rng = random.Random(0)
    of = vectors(kind)
    current = [code for code in of.rows if to_iso639_3(code, errors="coerce") == code]
    known = [code for code in current if np.isfinite(of.values[of.rows[code]]).any()]
    known = [code for code in known if code not in REPRESENTATIVE]
    compared = 0
    while compared < 25:
        pair = rng.sample(known, 2)
        distance, coverage = angular_distances(np.array([of.of(code) for code in pair]))
        try:
            expected = peer.new_distance(kind, *pair)
        except ValueError:  # no feature in common
            assert np.isnan(distance[0, 1]) and coverage[0, 1] == 0
            continue
        assert distance[0, 1] == pytest.approx(expected, abs=1e-4)  # it rounds
        compared += 1


def test_distances_are_those_of_a_plain_restatement():
    rng = np.random.default_rng(0)
    vectors = rng.integers(0, 2, (24, 30)) * rng.uniform(0.5, 2, (24, 30))
    vectors[rng.random(vectors.shape) < 0.4] = np.nan
    vectors[[0, 12], :20] = 0.0  # zeros against zeros and against others
    vectors[3] = np.nan
    distances, coverage = angular_distances(vectors)
    for i, u in enumerate(vectors):
        for j, v in enumerate(vectors):
            both = np.isfinite(u) & np.isfinite(v)
            assert coverage[i, j] == pytest.approx(both.mean())
            if not both.any():
                assert np.isnan(distances[i, j])
                continue
            a, b = (w[both] if w[both].any() else np.ones(both.sum()) for w in (u, v))
            cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
            expected = 2 / np.pi * np.arccos(np.clip(cosine, -1, 1))
            assert distances[i, j] == pytest.approx(expected, abs=1e-7)


def test_names_are_those_of_the_record_tables_and_rows_keep_their_order():
    X = pd.DataFrame(
        {"source_lang": ["eng", "deu", "eng"], "target_lang": ["ind", "deu", "deu"]},
        index=[7, 3, 5],
    )
    featurizer = LanguageFeaturizer(
        coverage=True, knowledge=["population", "web_share"]
    ).set_output(transform="pandas")
    table = featurizer.fit_transform(X)
    assert list(table.index) == [7, 3, 5]
    expected = [name for kind in KINDS for name in (kind, f"{kind}_coverage")]
    for side in ("source_lang", "target_lang"):
        expected += [f"{side}_population", f"{side}_web_share"]
    assert list(table.columns) == expected
    assert (table.loc[3, KIND_NAMES] == 0).all()  # a language and itself
    share = 10 ** table["target_lang_web_share"]
    np.testing.assert_allclose(share, [web_share(code) for code in X["target_lang"]])
    assert (table["source_lang_population"] > 7).all()
    swapped = featurizer.fit_transform(
        X.set_axis(["target_lang", "source_lang"], axis=1)[
            ["source_lang", "target_lang"]
        ]
    )
    pd.testing.assert_frame_equal(swapped[KIND_NAMES], table[KIND_NAMES])
    assert (table.filter(like="coverage").max() <= 1).all()


def test_every_way_to_write_a_language_is_the_same_language():
    ways = [["zho_Hans", "ms-MY"], ["zh-CN", "msa"], ["cmn", "zsm"], ["ZH", "ms"]]
    features = LanguageFeaturizer().fit_transform(ways)
    np.testing.assert_array_equal(features, features[[0]].repeat(len(ways), axis=0))
    assert np.isfinite(features).all()


@pytest.mark.parametrize("code", sorted(REPRESENTATIVE))
def test_macrolanguages_have_vectors(code):
    assert np.isfinite(vectors("featural").of(code)).any()


def test_without_a_feature_in_common_there_is_no_distance():
    featurizer = LanguageFeaturizer(["phonological"], coverage=True)
    row = featurizer.fit_transform([["kat", "tam"]])
    assert np.isnan(row[0, 0]) and row[0, 1] == 0


def test_a_language_is_at_no_distance_from_itself_however_little_is_known():
    featurizer = LanguageFeaturizer(["phonological"], coverage=True)
    assert np.isnan(vectors("phonological").of("tam")).all()
    np.testing.assert_array_equal(featurizer.fit_transform([["tam", "ta"]]), [[0, 0]])


def test_one_column_has_facts_and_no_distances():
    X = pd.Series(["eng", "min"], name="lang")
    featurizer = LanguageFeaturizer(knowledge=["web_share"]).fit(X)
    assert featurizer.transform(X).shape == (2, 1)
    assert featurizer.get_feature_names_out().tolist() == ["lang_web_share"]
    with pytest.raises(ValueError, match="distances expects two columns"):
        LanguageFeaturizer(["genetic"]).fit(X)


def test_a_population_that_nobody_estimated_is_missing_and_not_one_person():
    features = LanguageFeaturizer(knowledge=["population"]).fit_transform(
        [["eng"], ["aai"]]
    )
    assert features[0, 0] > 9 and np.isnan(features[1, 0])


def test_unknown_codes_are_refused_or_have_no_features():
    X = [["eng", "idn"], ["eng", "ind"]]
    with pytest.raises(ValueError, match="nearest known codes are id, ind"):
        LanguageFeaturizer().fit_transform(X)
    featurizer = LanguageFeaturizer(knowledge=["population"], unknown="nan")
    with pytest.warns(UserWarning, match="No language is known by 'idn'"):
        features = featurizer.fit_transform(X)
    assert np.isnan(features[0, :7]).all() and np.isnan(features[0, 8])
    assert np.isfinite(features[1]).all() and features[0, 7] == features[1, 7]
    featurizer = LanguageFeaturizer(coverage=True, unknown="nan")
    with pytest.warns(UserWarning, match="No language is known by 'idn'"):
        assert np.isnan(
            featurizer.fit_transform([["idn", "idn"], ["eng", "idn"]])
        ).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"distances": ["genetics"]}, "distances expects names among .* 'genetics'"),
        ({"knowledge": ["size"]}, "knowledge expects names among .* Got 'size'"),
        ({"unknown": "skip"}, "'unknown' parameter"),
    ],
)
def test_bad_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        LanguageFeaturizer(**parameters).fit([["eng", "ind"]])


def test_bad_tables_are_refused():
    with pytest.raises(ValueError, match="one or two columns of language codes"):
        LanguageFeaturizer().fit([["eng", "ind", "jav"]])
    featurizer = LanguageFeaturizer().fit([["eng", "ind"]])
    with pytest.raises(ValueError, match="expecting 2 features"):
        featurizer.transform([["eng"]])
    X = pd.DataFrame({"source_lang": ["eng"], "target_lang": ["ind"]})
    featurizer.fit(X)
    with pytest.raises(ValueError, match="feature names should match"):
        featurizer.transform(X[["target_lang", "source_lang"]])
    with pytest.raises(ValueError, match=r"Got an array of shape \(2,\)"):
        featurizer.fit(["eng", "ind"])


def test_it_stands_in_a_pipeline_and_is_cloned():
    X = pd.DataFrame({"s": ["eng", "deu", "ind"], "t": ["ind"] * 3, "n": [1.0, 2, 3]})
    columns = make_column_transformer(
        (LanguageFeaturizer(), ["s", "t"]), remainder="passthrough"
    )
    pipeline = clone(make_pipeline(columns, Ridge())).fit(X, [1.0, 2.0, 3.0])
    assert pipeline.predict(X).shape == (3,)
    assert pipeline[0].get_feature_names_out()[-1] == "remainder__n"


@pytest.mark.filterwarnings("ignore:Can't test estimator")
def test_it_follows_scikit_learn():
    checks = check_estimator(LanguageFeaturizer(), on_skip=None, on_fail=None)
    assert {check["status"] for check in checks} <= {"passed", "skipped"}
    assert any(check["status"] == "passed" for check in checks)


def test_without_the_package_it_says_what_to_install(monkeypatch):
    from proxylm.languages import _uriel

    _uriel._archive.cache_clear()
    _uriel.vectors.cache_clear()
    monkeypatch.setitem(sys.modules, "urielplus.database", None)
    with pytest.raises(ImportError, match=r'pip install "proxylm\[uriel\]"'):
        LanguageFeaturizer().fit([["eng", "ind"]])
    # What needs no distances needs no package.
    assert LanguageFeaturizer((), knowledge=["web_share"]).fit([["eng"]])
