"""LanguageFeaturizer: distances, coverage, what is known of a language, bad codes."""

import logging
import pickle
import random
import sys
from functools import cache

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.estimator_checks import check_estimator

pytest.importorskip("urielplus.database", reason="needs the extra uriel")

from proxylm.languages import LanguageFeaturizer, to_iso639_3, web_share
from proxylm.languages._imputation import (
    CLOSEST,
    distances_to_all,
    plain_distances,
    vote_of_neighbors,
)
from proxylm.languages._uriel import KINDS, REPRESENTATIVE, angular_distances, vectors

KIND_NAMES = list(KINDS)


@pytest.fixture(scope="module")
def peer():
    """The package's own code for distances."""
    logging.disable(logging.CRITICAL)
    from urielplus import urielplus

    yield urielplus.URIELPlus()
    logging.disable(logging.NOTSET)


def random_pairs(kind, peer_distance, n_languages=None, n_pairs=500):
    """Pairs of languages, and the distance that the peer has between them.

    Languages that have a vector of their own: where that of a macrolanguage or of its
    usual member stands in, the peer goes another way.
    """
    rng = random.Random(0)
    table = vectors(kind)
    codes = [
        code
        for code in table.rows
        if to_iso639_3(code, errors="coerce") == code
        and np.isfinite(table.values[table.rows[code]]).any()
        and np.shares_memory(table.of(code), table.values[table.rows[code]])
    ]
    codes = rng.sample(codes, n_languages or len(codes))
    pairs, expected = [], []
    while len(pairs) < n_pairs:
        pair = rng.sample(codes, 2)
        try:
            expected.append(peer_distance(*pair))
        except ValueError:  # no feature in common
            distance, coverage = angular_distances(table.of_all(pair))
            assert np.isnan(distance[0, 1]) and coverage[0, 1] == 0
            continue
        pairs.append(pair)
    return pairs, np.array(expected)


def assert_distances(kind, pairs, expected):
    of_pairs = LanguageFeaturizer([kind]).fit_transform(pairs)[:, 0]
    np.testing.assert_allclose(of_pairs, expected, atol=1e-4, rtol=0)  # it rounds


@pytest.mark.parametrize("kind", [kind for kind in KIND_NAMES if kind != "genetic"])
def test_500_distances_are_those_of_uriel_plus(peer, kind):
    assert_distances(
        kind, *random_pairs(kind, lambda *pair: peer.new_distance(kind, *pair))
    )


def test_500_genetic_distances_are_those_of_uriel_plus(peer):
    # Its search for the features that two languages share takes 0.1 s a pair. Of
    # genetic ones all are shared, so that its vectors go straight to its distance.
    @cache
    def vector(code):
        return peer.get_vector("genetic", [code])[code]

    pairs, expected = random_pairs(
        "genetic",
        lambda *pair: peer._angular_distance(*map(vector, pair)),
        n_languages=120,
    )
    assert_distances("genetic", pairs, expected)
    searched = [peer.new_distance("genetic", *pair) for pair in pairs[:20]]
    assert_distances("genetic", pairs[:20], searched)


def test_equal_vectors_are_0_apart_where_the_peer_rounds_in_32_bits(peer):
    pair = ["bne", "blf"]
    assert np.array_equal(*vectors("genetic").of_all(pair))
    assert LanguageFeaturizer(["genetic"]).fit_transform([pair]) == 0
    assert peer.new_distance("genetic", *pair) <= 3e-4


def test_distances_are_those_of_a_plain_restatement():
    rng = np.random.default_rng(0)
    vectors = rng.integers(0, 2, (24, 30)) * rng.uniform(0.5, 2, (24, 30))
    vectors[rng.random(vectors.shape) < 0.4] = np.nan
    vectors[[0, 12], :20] = 0.0  # zeros against zeros and against others
    vectors[3] = np.nan
    distances, coverage = angular_distances(vectors)
    for part, whole in zip(
        angular_distances(vectors[:5], vectors), (distances, coverage), strict=True
    ):
        np.testing.assert_allclose(part, whole[:5], atol=1e-7)
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


LITTLE_KNOWN = ["kat", "tam", "aai", "btz", "eus", "swh", "zho", "ekk", "mak", "aaa"]


def test_what_is_filled_is_a_vote_of_the_nearest_that_know():
    rng = np.random.default_rng(0)
    donors = rng.integers(0, 2, (40, 12)).astype(float)
    donors[rng.random(donors.shape) < 0.6] = np.nan
    donors[:, 3] = np.nan  # known of none
    donors[3:, 4] = np.nan  # of fewer than there are neighbours to ask
    donors[:3, 4] = [1, 0, 0]
    donors[:, 6] = np.where(np.isnan(donors[:, 5]), np.nan, donors[:, 0] == 1)
    values = donors[:9].copy()
    # Holes where the feature that the same donors know has none.
    values[:, 6] = [0, 1, np.nan] * 3
    distances = np.round(rng.random((9, 40)), 1)  # with ties, and zeros
    distances[8] = np.nan  # without neighbours
    filled = vote_of_neighbors(values, donors, distances, n_neighbors=5)
    for row, column in np.ndindex(values.shape):
        votes = donors[:, column]
        knows = np.isfinite(votes)
        if np.isfinite(values[row, column]):
            assert filled[row, column] == values[row, column]
        elif row == 8 or not knows.any():
            assert np.isnan(filled[row, column])
        else:
            far = distances[row, knows]
            near = far <= np.sort(far)[:5][-1]
            weights = 1 / np.maximum(far[near], CLOSEST)
            share = np.average(votes[knows][near], weights=weights)
            assert filled[row, column] == (share >= 0.5)


def test_a_known_value_stays_where_all_neighbours_disagree():
    values = np.array([[1.0, np.nan]])
    filled = vote_of_neighbors(values, np.zeros((3, 2)), np.ones((1, 3)), 2)
    np.testing.assert_array_equal(filled, [[1, 0]])


def test_nearness_is_the_mean_of_three_distances():
    codes = ["eng", "tam", "eus", "zho"]
    names = list(vectors("genetic").rows)
    far = distances_to_all(codes)
    assert far.shape == (4, len(names))
    near = [names[column] for column in far[0].argsort()[:15]]
    assert near[0] == "eng" and "sco" in near and "ind" not in near
    others = ["deu", "ind", "kat", "bsk"]
    pairs = [[code, other] for code in codes for other in others]
    kinds = ["genetic", "geographic", "featural"]
    table = (
        LanguageFeaturizer(kinds, coverage=True)
        .set_output(transform="pandas")
        .fit_transform(pairs)
    )
    # Basque and Burushaski are isolates, which URIEL+ has as relatives.
    assert table["genetic"].min() == 0
    isolated = [{"eus", "bsk"} & set(pair) for pair in pairs]
    table.loc[[bool(pair) for pair in isolated], "genetic"] = 1.0
    weight = np.sqrt(table["featural_coverage"])
    total = table["genetic"] + table["geographic"] + weight * table["featural"]
    expected = (total / (2 + weight)).to_numpy().reshape(4, 4)
    columns = [names.index(other) for other in others]
    np.testing.assert_allclose(far[:, columns], expected, atol=1e-6)


def test_filling_keeps_what_is_observed_and_leaves_no_hole():
    X = pd.DataFrame({"s": LITTLE_KNOWN, "t": LITTLE_KNOWN[::-1]})
    options = {"coverage": True, "vectors": ["featural", "script", "genetic"]}
    plain = LanguageFeaturizer(**options).set_output(transform="pandas")
    filled = clone(plain).set_params(fill="knn").set_output(transform="pandas")
    before, after = plain.fit_transform(X), filled.fit_transform(X)
    assert list(before.columns) == list(after.columns)
    shares = [f"{kind}_coverage" for kind in KINDS]
    pd.testing.assert_frame_equal(before[shares], after[shares])
    of_vectors = [name for name in after if name.startswith(("s_", "t_"))]
    known = before[of_vectors].notna()
    assert not known.all(axis=None)
    assert (after[of_vectors] == before[of_vectors])[known].all(axis=None)
    assert after.notna().all(axis=None)
    assert after[of_vectors].isin([0, 1]).all(axis=None)


def test_distances_are_those_of_the_filled_vectors():
    X = [["kat", "tam"], ["aai", "swh"], ["eus", "mak"]]
    featurizer = LanguageFeaturizer(
        ["syntactic", "script"], vectors=["syntactic", "script"], fill="knn"
    )
    features = featurizer.fit_transform(X)
    names = featurizer.get_feature_names_out()
    for column, prefix in enumerate(("S_", "SC_")):
        u, v = (
            features[:, [n.startswith(f"{side}_{prefix}") for n in names]]
            for side in ("x0", "x1")
        )
        expected = [
            angular_distances(np.array(pair))[0][0, 1]
            for pair in zip(u, v, strict=True)
        ]
        np.testing.assert_allclose(features[:, column], expected, atol=1e-7)


def test_filling_does_not_depend_on_the_other_rows():
    X = np.array([LITTLE_KNOWN, LITTLE_KNOWN[::-1]], dtype=object).T
    featurizer = LanguageFeaturizer(vectors=["featural"], fill="knn").fit(X)
    together = featurizer.transform(X)
    backwards = featurizer.transform(X[::-1])[::-1]
    alone = np.concatenate([featurizer.transform(row[None]) for row in X])
    for features in (backwards, alone):
        np.testing.assert_allclose(features, together, atol=1e-7)


def test_one_neighbour_is_copied_and_more_are_another_opinion():
    names = list(vectors("inventory").rows)
    knows = vectors("inventory").informative
    far = np.where(knows, distances_to_all(["fry"])[0], np.inf)
    assert not knows[names.index("fry")]
    features = [
        LanguageFeaturizer(
            (), vectors=["inventory"], fill="knn", n_neighbors=n_neighbors
        ).fit_transform([["fry"]])[0]
        for n_neighbors in (1, 10)
    ]
    nearest = vectors("inventory").values[far.argmin()]
    np.testing.assert_array_equal(features[0], nearest)
    assert (features[1] != nearest).any()


def test_neighbours_know_more_than_the_majority():
    rng = np.random.default_rng(0)
    table = vectors("syntactic")
    well_known = np.flatnonzero(np.isfinite(table.values).mean(axis=1) > 0.5)
    rows = rng.choice(well_known, 150, replace=False)
    donors = table.values.copy()
    donors[rows] = np.nan
    distances = sum(
        plain_distances(vectors(kind).values[rows], vectors(kind).values)
        for kind in ("genetic", "geographic")
    )
    filled = vote_of_neighbors(donors[rows], donors, distances / 2, 10)
    truth = table.values[rows]
    known = np.isfinite(truth)
    usual = np.broadcast_to(np.nanmean(donors, axis=0) >= 0.5, truth.shape)
    accuracy = np.mean(filled[known] == truth[known])
    assert accuracy > 0.82 > np.mean(usual[known] == truth[known]) + 0.05


def test_a_language_that_uriel_does_not_list_stays_unknown():
    code = "lsb"  # Burundian Sign Language, in ISO 639-3 since 2021
    assert to_iso639_3(code) == code and code not in vectors("genetic").rows
    features = LanguageFeaturizer(
        coverage=True, vectors=["phonological"], fill="knn"
    ).fit_transform([[code, "eng"], ["deu", "eng"]])
    assert np.isnan(features[0, :14:2]).all() and (features[0, 1:14:2] == 0).all()
    assert np.isnan(features[0, 14:42]).all()
    assert np.isfinite(features[0, 42:]).all() and np.isfinite(features[1]).all()


def test_vectors_have_a_column_for_each_feature_of_each_language():
    X = pd.DataFrame({"source_lang": ["eng", "tam"], "target_lang": ["jpn", "eng"]})
    featurizer = LanguageFeaturizer(
        ["genetic"], vectors=["syntactic", "phonological"], knowledge=["web_share"]
    ).set_output(transform="pandas")
    table = featurizer.fit_transform(X)
    assert table.shape == (2, 1 + 2 * (1 + 103 + 28))
    assert table["source_lang_S_SVO"].tolist() == [1, 0]
    assert table["target_lang_S_SOV"].tolist() == [1, 0]
    assert table.loc[1].filter(like="source_lang_P_").isna().all()
    assert (table.dtypes == np.float64).all()
    # A feature of two kinds is there once.
    both = LanguageFeaturizer((), vectors=["syntactic", "featural"]).fit(X)
    names = both.get_feature_names_out()
    assert len(names) == len(set(names)) == 2 * 289
    np.testing.assert_array_equal(
        both.transform(X)[:, :103], table.filter(like="source_lang_S_")
    )


def test_vectors_and_facts_need_one_column_only():
    X = pd.DataFrame({"lang": ["eng", "ind"]})
    featurizer = LanguageFeaturizer(
        (), vectors=["script"], knowledge=["family"], fill="knn"
    ).fit(X)
    features = featurizer.transform(X)
    assert features.shape == (2, 1 + 42)
    assert features[:, 0].tolist() == ["Indo-European", "Austronesian"]
    assert featurizer.get_feature_names_out()[:2].tolist() == [
        "lang_family",
        "lang_SC_ABJAD",
    ]


@pytest.mark.parametrize(
    ("code", "script", "family"),
    [
        ("eng", "Latn", "Indo-European"),
        ("zh-Hans", "Hans", "Sino-Tibetan"),
        ("zh-Hant", "Hant", "Sino-Tibetan"),
        ("zho_Hant", "Hant", "Sino-Tibetan"),
        ("zh_TW", "Hant", "Sino-Tibetan"),
        ("zho", "Hans", "Sino-Tibetan"),
        ("srp", "Cyrl", "Indo-European"),
        ("srp_Latn", "Latn", "Indo-European"),
        ("iw", "Hebr", "Afro-Asiatic"),
        ("arb", "Arab", "Afro-Asiatic"),
        ("azj", "Latn", "Turkic"),
        ("azb", "Arab", "Turkic"),
        ("mn-MN", "Cyrl", "Mongolic-Khitan"),
        ("mvf", "Mong", "Mongolic-Khitan"),
        ("pga", "Latn", "Afro-Asiatic"),  # Juba Arabic
        ("bho_Zyyy", "Deva", "Indo-European"),  # undetermined
        ("en_XX", "Latn", "Indo-European"),
        ("ekk", "Latn", "Uralic"),
        ("nob", "Latn", "Indo-European"),
        ("plt", "Latn", "Austronesian"),
        ("luy", "Latn", "Atlantic-Congo"),
        ("eus", "Latn", "Basque"),  # an isolate
        ("jpn", "Jpan", "Japonic"),
        ("lus", "Latn", "Sino-Tibetan"),
        ("und-Latn", np.nan, np.nan),
        ("xak", np.nan, "Máku"),
    ],
)
def test_script_and_family(code, script, family):
    featurizer = LanguageFeaturizer((), knowledge=["script", "family"])
    if code.startswith("und"):
        featurizer.set_params(unknown="nan")
        with pytest.warns(UserWarning, match="No language is known by"):
            features = featurizer.fit_transform([[code]])
    else:
        features = featurizer.fit_transform([[code]])
    assert features.dtype == object
    assert [str(value) for value in features[0]] == [str(script), str(family)]


def test_words_beside_numbers_keep_the_numbers_numbers():
    X = pd.DataFrame(
        {"source_lang": ["eng", "xak"], "target_lang": ["zh-TW", "zh-CN"]}, index=[5, 2]
    )
    featurizer = LanguageFeaturizer(
        ["genetic"], knowledge=["script", "population", "family"], vectors=["syntactic"]
    )
    assert featurizer.fit_transform(X).dtype == object
    table = featurizer.set_output(transform="pandas").fit_transform(X)
    words = [f"{side}_{fact}" for side in X for fact in ("script", "family")]
    assert (table.drop(columns=words).dtypes == np.float64).all()
    assert not any(pd.api.types.is_numeric_dtype(table[word]) for word in words)
    assert list(table.index) == [5, 2]
    assert table["target_lang_script"].tolist() == ["Hant", "Hans"]
    assert table["source_lang_script"].isna().tolist() == [False, True]
    encoder = OneHotEncoder(sparse_output=False)
    assert encoder.fit_transform(table[words]).shape == (2, 2 + 2 + 2 + 1)
    numbers = LanguageFeaturizer(["genetic"], knowledge=["population"])
    assert numbers.fit_transform(X).dtype == np.float64


def test_a_stand_in_has_the_family_that_uriel_does_not_record():
    distances = LanguageFeaturizer(["genetic"]).fit_transform(
        [["ekk", "fin"], ["est", "fin"], ["nob", "swe"], ["twi", "yor"]]
    )
    assert (distances < 0.9).all()


def test_a_table_without_rows_has_features_without_rows():
    X = pd.DataFrame({"source_lang": ["eng"], "target_lang": ["ind"]})
    featurizer = LanguageFeaturizer(fill="knn", knowledge=["script"]).fit(X)
    assert featurizer.transform(X[:0]).shape == (0, 9)


@pytest.mark.parametrize(
    ("spelling", "other"), [("iw", "he"), ("ind_Latn", "id-ID"), ("in", "ind")]
)
def test_two_spellings_have_the_same_features(spelling, other):
    featurizer = LanguageFeaturizer(
        coverage=True,
        vectors=["featural", "script"],
        fill="knn",
        knowledge=["population", "web_share", "script", "family"],
    )
    X = [[spelling, "kat"], [other, "kat"], [spelling, other]]
    features = featurizer.fit_transform(X)
    np.testing.assert_array_equal(features[0], features[1])
    assert (features[2, :14:2] == 0).all()


@pytest.mark.parametrize(
    ("code", "nearest"),
    [
        ("bnt", r"family \(Bantu languages\).* nearest known codes are bn, ben"),
        ("wen", r"family \(Sorbian languages\).* dsb \(Lower Sorbian\), hsb"),
        ("nah", r"family \(Nahuatl languages\).* and more\."),
        ("idn", "nearest known codes are id, ind"),
        ("und", "stands for 'undetermined', not for a language"),
    ],
)
def test_what_is_no_language_is_refused(code, nearest):
    with pytest.raises(ValueError, match=nearest):
        LanguageFeaturizer(fill="knn").fit_transform([["eng", code]])


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
        ({"vectors": ["words"]}, "vectors expects names among .* Got 'words'"),
        ({"vectors": "syntactic"}, "'vectors' parameter"),
        ({"fill": "mean"}, "'fill' parameter"),
        ({"n_neighbors": 0}, "'n_neighbors' parameter"),
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
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"fill": "knn", "n_neighbors": 3, "vectors": ["phonological"]},
        {"coverage": True, "knowledge": ["script", "family", "population"]},
    ],
)
def test_it_follows_scikit_learn(parameters):
    featurizer = LanguageFeaturizer(**parameters)
    checks = check_estimator(featurizer, on_skip=None, on_fail=None)
    assert {check["status"] for check in checks} <= {"passed", "skipped"}
    assert any(check["status"] == "passed" for check in checks)
    X = [["eng", "zh-TW"], ["kat", "tam"]]
    expected = featurizer.fit_transform(X).astype(str)
    for copy in (clone(featurizer).fit(X), pickle.loads(pickle.dumps(featurizer))):
        np.testing.assert_array_equal(copy.transform(X).astype(str), expected)
        assert expected.shape[1] == len(copy.get_feature_names_out())


def test_without_the_package_it_says_what_to_install(monkeypatch):
    from proxylm.languages import _knowledge, _uriel

    for cached in (_uriel._archive, _uriel.vectors, _knowledge.families):
        cached.cache_clear()
    monkeypatch.setitem(sys.modules, "urielplus.database", None)
    with pytest.raises(ImportError, match=r'pip install "proxylm\[uriel\]"'):
        LanguageFeaturizer().fit([["eng", "ind"]])
    # What needs no distances needs no package.
    assert LanguageFeaturizer((), knowledge=["web_share"]).fit([["eng"]])
    for parameters in ({"vectors": ["syntactic"]}, {"knowledge": ["family"]}):
        with pytest.raises(ImportError, match=r'pip install "proxylm\[uriel\]"'):
            LanguageFeaturizer((), **parameters).fit([["eng"]])


def test_half_of_the_weight_is_enough_for_a_feature():
    donors = np.array([[1.0, 0.0], [0.0, 0.0]])
    values = np.array([[np.nan, np.nan]])
    filled = vote_of_neighbors(values, donors, np.array([[0.3, 0.3]]), 2)
    assert filled.tolist() == [[1.0, 0.0]]
