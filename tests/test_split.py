import copy
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.linear_model import Ridge
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from proxylm.model_selection import (
    CrossDatasetSplit,
    LanguageKFold,
    LeaveOneLanguageOut,
    StratifiedRandomSplit,
    UnseenLanguageSplit,
)

PAIRS = [
    ("eng", "ind"),
    ("jav", "eng"),
    ("ind", "jav"),
    ("sun", "eng"),
    ("min", "min"),
    ("sun", "jav"),
]
# "asm" and "tel" are unseen by M2M100, "min" too.
UNSEEN_PAIRS = [("eng", "ind"), ("asm", "eng"), ("jav", "ind"), ("asm", "tel")]
LANGUAGE_SPLITTERS = [
    LeaveOneLanguageOut(exclude=["eng"]),
    LanguageKFold(2, random_state=0),
    UnseenLanguageSplit(["min", "sun"]),
]
SPLITTERS = [
    *LANGUAGE_SPLITTERS,
    CrossDatasetSplit("mt560", "nusa"),
    StratifiedRandomSplit(2, random_state=42),
]


def folds(splitter, groups):
    """Split, and give plain lists."""
    X = np.zeros((len(groups), 1))
    splits = splitter.split(X, groups=groups)
    return [(train.tolist(), test.tolist()) for train, test in splits]


def random_pairs(n_rows=120, n_languages=8, seed=0):
    rng = np.random.default_rng(seed)
    names = np.array([f"l{i}" for i in range(n_languages)], dtype=object)
    return names[rng.integers(0, n_languages, (n_rows, 2))]


def groups_for(splitter):
    """Groups of 40 rows, of the kind that a splitter asks for."""
    pairs = pd.DataFrame(PAIRS, columns=["source", "target"])
    return {
        "languages": pairs.sample(40, replace=True, random_state=0),
        "dataset": pd.Series(["mt560", "nusa"] * 20),
        "strata": pd.Series(["same", "other"] * 20),
    }[splitter.groups_from]


# Leave one language out


def test_a_language_is_tested_on_either_side_and_trained_on_neither():
    cv = LeaveOneLanguageOut()
    assert cv.left_out(PAIRS) == ["eng", "ind", "jav", "min", "sun"]
    assert folds(cv, PAIRS) == [
        ([2, 4, 5], [0, 1, 3]),
        ([1, 3, 4, 5], [0, 2]),
        ([0, 3, 4], [1, 2, 5]),
        ([0, 1, 2, 3, 5], [4]),
        ([0, 1, 2, 4], [3, 5]),
    ]


@pytest.mark.parametrize(
    "side, languages, tests",
    [
        (
            "source",
            ["eng", "ind", "jav", "min", "sun"],
            [[0], [2], [1], [4], [3, 5]],
        ),
        ("target", ["eng", "ind", "jav", "min"], [[1, 3], [0], [2, 5], [4]]),
    ],
)
def test_side_selects_test_rows_only(side, languages, tests):
    cv = LeaveOneLanguageOut(side)
    either = LeaveOneLanguageOut()
    training = dict(
        zip(
            either.left_out(PAIRS),
            [train for train, _ in folds(either, PAIRS)],
            strict=True,
        )
    )
    assert cv.left_out(PAIRS) == languages
    assert cv.get_n_splits(groups=PAIRS) == len(languages)
    assert folds(cv, PAIRS) == [
        (training[language], test)
        for language, test in zip(languages, tests, strict=True)
    ]


def test_pivots_are_never_left_out_and_stay_in_training():
    cv = LeaveOneLanguageOut(exclude=["eng"])
    assert cv.left_out(PAIRS) == ["ind", "jav", "min", "sun"]
    assert all({0, 1, 3} & set(train) for train, _ in folds(cv, PAIRS))


def test_pivots_that_do_not_occur_are_ignored():
    cv = LeaveOneLanguageOut(exclude=["eng", "xho"])
    assert folds(cv, PAIRS) == folds(LeaveOneLanguageOut(exclude=["eng"]), PAIRS)


def test_one_column_of_groups_is_a_leave_one_group_out():
    groups = ["ind", "jav", "ind", "sun"]
    assert folds(LeaveOneLanguageOut(), groups) == [
        ([1, 3], [0, 2]),
        ([0, 2, 3], [1]),
        ([0, 1, 2], [3]),
    ]


def test_a_language_that_occurs_once_gets_its_fold():
    groups = [("ind", "eng"), ("jav", "eng"), ("jav", "sun")]
    assert folds(LeaveOneLanguageOut(exclude=["eng"]), groups)[-1] == ([0, 1], [2])


def test_languages_on_one_side_only_are_left_out_there():
    groups = [("ind", "eng"), ("jav", "eng"), ("sun", "eng")]
    cv = LeaveOneLanguageOut("source")
    assert cv.left_out(groups) == ["ind", "jav", "sun"]
    with pytest.raises(ValueError, match="'eng' in every row"):
        folds(LeaveOneLanguageOut("target"), groups)


def test_many_languages_keep_their_rows_in_order():
    # More than 256 languages take another integer type for the sort.
    pairs = random_pairs(2000, 300)
    cv = LeaveOneLanguageOut()
    for language, (train, test) in zip(
        cv.left_out(pairs), folds(cv, pairs), strict=True
    ):
        has_it = (pairs == language).any(axis=1)
        assert_array_equal(test, np.flatnonzero(has_it))
        assert_array_equal(train, np.flatnonzero(~has_it))


@pytest.mark.parametrize(
    "make_groups",
    [
        lambda pairs: [list(pair) for pair in pairs],
        np.array,
        lambda pairs: np.array(pairs, dtype=object),
        lambda pairs: pd.Series(pairs, index=list("abcdef")),
        lambda pairs: pd.DataFrame(pairs, index=list("abcdef")),
        lambda pairs: pd.DataFrame(pairs, dtype=object),
        lambda pairs: pd.DataFrame(pairs, dtype="string"),
        lambda pairs: pd.DataFrame(pairs).astype("category"),
    ],
    ids=[
        "lists",
        "str array",
        "object array",
        "Series of pairs",
        "DataFrame",
        "object frame",
        "string frame",
        "category frame",
    ],
)
@pytest.mark.parametrize("cv", LANGUAGE_SPLITTERS, ids=str)
def test_every_container_of_pairs_gives_the_same_folds(make_groups, cv):
    groups = make_groups(PAIRS)
    assert folds(cv, groups) == folds(cv, PAIRS)
    assert cv.left_out(groups) == cv.left_out(PAIRS)
    assert {type(name) for fold in cv.left_out(groups) for name in [*fold]} == {str}


@pytest.mark.parametrize("dtype", [object, "string", "category"])
def test_every_dtype_of_one_column_gives_the_same_folds(dtype):
    languages = ["ind", "jav", "ind", "sun"]
    series = pd.Series(languages, dtype=dtype, index=[7, 7, 8, 9])
    for groups in (series, series.to_frame(), series.array):
        assert folds(LeaveOneLanguageOut(), groups) == folds(
            LeaveOneLanguageOut(), languages
        )


def test_min_nan_chinese_is_a_language_and_nan_is_not():
    groups = [("nan", "eng"), ("ind", "eng"), ("jav", "nan")]
    assert "nan" in LeaveOneLanguageOut().left_out(groups)
    with pytest.raises(ValueError, match=r"Got 1 missing, in rows 1 \(counted from 0"):
        folds(LeaveOneLanguageOut(), [("nan", "eng"), (np.nan, "eng"), ("jav", "nan")])


# Folds of languages


def test_language_folds_train_on_none_of_their_languages():
    pairs = random_pairs()
    cv = LanguageKFold(3, random_state=1)
    for languages, (train, test) in zip(
        cv.left_out(pairs), folds(cv, pairs), strict=True
    ):
        has_one = np.isin(pairs.astype(str), languages).any(axis=1)
        assert_array_equal(test, np.flatnonzero(has_one))
        assert_array_equal(train, np.flatnonzero(~has_one))


def test_language_folds_are_equal_in_size_and_reproducible():
    pairs = random_pairs()
    cv = LanguageKFold(3, random_state=1)
    assert [len(fold) for fold in cv.left_out(pairs)] == [3, 3, 2]
    assert cv.left_out(pairs) == cv.left_out(pairs)
    assert cv.left_out(pairs) != LanguageKFold(3, random_state=2).left_out(pairs)
    assert LanguageKFold(4, shuffle=False).left_out(pairs)[0] == ("l0", "l1")
    assert cv.get_n_splits() == 3


def test_a_seed_set_later_does_not_break_unshuffled_language_folds():
    cv = LanguageKFold(2, shuffle=False)
    cv.random_state = 42  # as an evaluation over several seeds does
    assert folds(cv, PAIRS) == folds(LanguageKFold(2, shuffle=False), PAIRS)


def test_language_folds_name_their_languages_only_if_they_are_fixed():
    for random_state in (None, np.random.RandomState(0)):
        cv = LanguageKFold(2, exclude=["eng"], random_state=random_state)
        assert len(folds(cv, PAIRS)) == 2
        with pytest.raises(ValueError, match="Pass an int"):
            cv.left_out(PAIRS)


# Unseen languages


def test_a_model_name_tests_the_languages_that_it_has_not_seen():
    cv = UnseenLanguageSplit("m2m100")
    assert cv.left_out(UNSEEN_PAIRS) == ["asm", "tel"]
    assert folds(cv, UNSEEN_PAIRS) == [([0, 2], [1, 3]), ([0, 2], [3])]
    assert UnseenLanguageSplit(["asm", "tel"]).left_out(UNSEEN_PAIRS) == ["asm", "tel"]
    with pytest.raises(ValueError, match="at least 1 unseen language"):
        folds(UnseenLanguageSplit("nllb"), UNSEEN_PAIRS)


def test_reverse_tests_the_seen_languages():
    cv = UnseenLanguageSplit("m2m100", reverse=True, exclude=["eng"])
    assert cv.left_out(UNSEEN_PAIRS) == ["ind", "jav"]
    assert folds(cv, UNSEEN_PAIRS) == [([1, 3], [0, 2]), ([1, 3], [2])]


def test_macrolanguages_count_as_seen():
    groups = [("plt", "eng"), ("kab", "eng"), ("arz", "eng"), ("min", "eng")]
    assert UnseenLanguageSplit().left_out(groups) == ["kab", "min"]


def test_codes_of_other_standards_are_told_apart_by_the_model():
    groups = ["id-ID", "te-IN", "sl-SL", "asm_Beng"]
    assert UnseenLanguageSplit().left_out(groups) == ["asm_Beng", "te-IN"]


def test_unknown_codes_and_models_are_named():
    with pytest.raises(ValueError, match="klingon"):
        folds(UnseenLanguageSplit(), ["ind", "klingon", "jav"])
    with pytest.raises(ValueError, match=r"'m2m100', 'nllb'.*Got 'kab'"):
        UnseenLanguageSplit("kab")


def test_an_unseen_pivot_may_be_trained_on():
    groups = [("kab", "ind"), ("kab", "asm"), ("jav", "kab")]
    with pytest.raises(ValueError, match=r"'asm', 'kab' in all rows.*exclude"):
        folds(UnseenLanguageSplit(), groups)
    assert folds(UnseenLanguageSplit(exclude=["kab"]), groups) == [([0, 2], [1])]


@pytest.mark.records
def test_the_mt560_table_has_the_published_unseen_languages():
    from proxylm.datasets import fetch_mt560

    groups = fetch_mt560().groups
    # Of the sixteen published ones, asm, kab, tel, tgk and uig are in no record.
    unseen = "dik ewe fao hne kin kir lmo mri sna tat tuk".split()
    assert UnseenLanguageSplit("m2m100").left_out(groups) == unseen
    with pytest.raises(ValueError, match="at least 1 unseen language"):
        UnseenLanguageSplit("nllb").left_out(groups)


@pytest.mark.records
def test_the_mt560_table_has_50_languages_beside_its_pivot():
    from proxylm.datasets import fetch_mt560

    records = fetch_mt560()
    cv = LeaveOneLanguageOut(exclude=records.schema.pivots)
    assert cv.get_n_splits(groups=records.groups) == 50
    with pytest.raises(ValueError, match=re.escape("exclude=['eng']")):
        folds(LeaveOneLanguageOut(), records.groups)


# Inside scikit-learn


@pytest.mark.parametrize("routing", [False, True], ids=["plain", "routing"])
@pytest.mark.parametrize("cv", SPLITTERS, ids=str)
def test_works_inside_scikit_learn(cv, routing):
    groups = groups_for(cv)
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(40, 3)), columns=list("abc"))
    y = X["a"] + rng.normal(size=40)
    expected = [
        Ridge().fit(X.iloc[train], y.iloc[train]).score(X.iloc[test], y.iloc[test])
        for train, test in cv.split(X, y, groups)
    ]
    assert len(expected) == cv.get_n_splits(X, y, groups)
    assert len(expected) == len(cv.left_out(groups))
    with config_context(enable_metadata_routing=routing):
        given = {"params": {"groups": groups}} if routing else {"groups": groups}
        scores = cross_val_score(Ridge(), X, y, cv=cv, **given)
        np.testing.assert_allclose(scores, expected)
        result = cross_validate(Ridge(), X, y, cv=cv, **given)
        np.testing.assert_allclose(result["test_score"], expected)
        search = GridSearchCV(
            make_pipeline(StandardScaler(), Ridge()),
            {"ridge__alpha": [0.1, 10.0]},
            cv=cv,
            error_score="raise",
        )
        search.fit(X, y, groups=groups)
        assert search.n_splits_ == len(expected)
        assert search.cv_results_["params"] == [
            {"ridge__alpha": 0.1},
            {"ridge__alpha": 10.0},
        ]


@pytest.mark.parametrize("cv", SPLITTERS, ids=str)
def test_copies_give_the_same_folds(cv):
    groups = groups_for(cv)
    for other in (copy.copy(cv), copy.deepcopy(cv), pickle.loads(pickle.dumps(cv))):
        assert repr(other) == repr(cv)
        assert vars(other) == vars(cv)
        assert folds(other, groups) == folds(cv, groups)


@pytest.mark.parametrize("cv", SPLITTERS, ids=str)
def test_the_repr_rebuilds_the_splitter(cv):
    rebuilt = eval(repr(cv))
    assert vars(rebuilt) == vars(cv)


def test_parameters_are_shown_the_same_whatever_held_them():
    for given in (["b", "a"], ("b", "a"), iter(["b", "a"]), np.array(["b", "a"])):
        cv = LeaveOneLanguageOut(exclude=given)
        assert repr(cv) == "LeaveOneLanguageOut(exclude=('b', 'a'), side='either')"
    assert LeaveOneLanguageOut(exclude=set("hgfedcba")).exclude == tuple("abcdefgh")
    assert repr(UnseenLanguageSplit(pd.Index(["kab"]))) == (
        "UnseenLanguageSplit(exclude=(), reverse=False, unseen=('kab',))"
    )
    assert repr(StratifiedRandomSplit()) == (
        "StratifiedRandomSplit(n_splits=1, random_state=None, test_size=0.3)"
    )


def test_cross_val_predict_refuses_folds_that_test_a_row_twice():
    X = np.arange(len(PAIRS), dtype=float)[:, None]
    with pytest.raises(ValueError, match="only works for partitions"):
        cross_val_predict(
            Ridge(), X, X[:, 0], cv=LeaveOneLanguageOut(), groups=np.array(PAIRS)
        )
    predicted = cross_val_predict(
        Ridge(), X, X[:, 0], cv=LeaveOneLanguageOut("source"), groups=np.array(PAIRS)
    )
    assert predicted.shape == (len(PAIRS),)


@pytest.mark.parametrize(
    "cv, labels",
    [
        (LeaveOneLanguageOut(), ["eng", "ind", "jav", "min", "sun"]),
        (UnseenLanguageSplit(["min", "sun"]), ["min", "sun"]),
        (CrossDatasetSplit("a", "b"), [None]),
        (StratifiedRandomSplit(3), [None, None, None]),
    ],
    ids=str,
)
def test_left_out_names_a_language_or_none_for_each_fold(cv, labels):
    assert cv.left_out(PAIRS) == labels


# Refusals


@pytest.mark.parametrize("cv", LANGUAGE_SPLITTERS, ids=str)
@pytest.mark.parametrize(
    "groups, error, match",
    [
        (None, ValueError, r"Got None\. Pass groups=records\.groups"),
        ([["a", "b", "c"]] * 4, ValueError, r"Got groups of shape \(4, 3\)"),
        (np.empty((4, 0)), ValueError, r"Got groups of shape \(4, 0\)"),
        (np.array([[["a"]]] * 4), ValueError, r"Got groups of shape \(4, 1, 1\)"),
        ([("a", "b"), ("a",), ("b", "c"), ("c",)], ValueError, "in every row"),
        ([["a", "b"], ["a"], ["b", "c"], ["c"]], TypeError, "cannot be compared"),
        (["a", ("b", "c"), "d", "e"], ValueError, r"Got \('b', 'c'\)"),
        ([{"a"}, {"b"}, {"c"}, {"d"}], TypeError, "cannot be compared"),
        ([["a", "b"], ["b", None], ["a", "c"], ["", "b"]], ValueError, "rows 1, 3"),
        (["a", "b", " ", pd.NA], ValueError, "Got 2 missing, in rows 2, 3"),
        (["eng"] * 4, ValueError, r"at least 2 languages in groups\. Got \['eng'\]"),
        ([("eng", "eng")] * 4, ValueError, r"Got \['eng'\]"),
    ],
)
def test_bad_groups_are_refused(cv, groups, error, match):
    X = np.zeros((4, 1))
    with pytest.raises(error, match=match):
        list(cv.split(X, groups=groups))
    with pytest.raises(error, match=match):
        cv.left_out(groups)


@pytest.mark.parametrize("cv", LANGUAGE_SPLITTERS, ids=str)
def test_an_empty_table_is_refused(cv):
    with pytest.raises(ValueError, match="at least one row"):
        list(cv.split(np.zeros((0, 1)), groups=pd.DataFrame({"s": [], "t": []})))


@pytest.mark.parametrize("cv", SPLITTERS, ids=str)
def test_groups_of_another_length_are_refused(cv):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        list(cv.split(np.zeros((3, 1)), groups=["a", "b"]))


def test_many_missing_groups_are_counted_and_some_are_named():
    groups = ["ind"] + [None] * 25
    with pytest.raises(ValueError, match=r"Got 25 missing, in rows 1, 2.* and 15 more"):
        folds(LeaveOneLanguageOut(), groups)


def test_a_pivot_that_empties_the_training_set_is_named():
    groups = [("eng", "ind"), ("jav", "eng"), ("eng", "sun")]
    message = "Got 'eng' in every row. Pass exclude=['xho', 'eng'] to keep pivots."
    with pytest.raises(ValueError, match=re.escape(message)):
        folds(LeaveOneLanguageOut(exclude=["xho"]), groups)
    with pytest.raises(ValueError, match=r"Got none without .*'eng'.* in exclude"):
        folds(LanguageKFold(2, random_state=0), groups)


def test_excluding_every_language_is_refused():
    for cv in (
        LeaveOneLanguageOut(exclude=["a", "b"]),
        LanguageKFold(2, exclude=["a", "b"]),
        UnseenLanguageSplit(["a"], exclude=["a", "b"]),
    ):
        with pytest.raises(ValueError, match=r"Got 'a', 'b', all of them in exclude"):
            folds(cv, ["a", "b"])
    with pytest.raises(ValueError, match="Got 'b', all of them in exclude"):
        folds(LeaveOneLanguageOut("target", exclude=["b"]), [("a", "b"), ("c", "b")])


def test_a_side_needs_two_columns():
    for side in ("source", "target"):
        with pytest.raises(ValueError, match=r'one column\. Pass side="either"'):
            folds(LeaveOneLanguageOut(side), ["a", "b"])


def test_more_folds_than_languages_are_refused():
    with pytest.raises(ValueError, match=r"n_splits=3 .*Got \['a', 'b'\]\. Lower"):
        folds(LanguageKFold(3), ["a", "b"])


def test_a_table_without_unseen_languages_is_refused():
    with pytest.raises(ValueError, match=r"at least 1 unseen language\. Got 'a', 'b'"):
        folds(UnseenLanguageSplit(["x"]), ["a", "b"])
    with pytest.raises(ValueError, match=r"at least 1 seen language\. Got 'a', 'b'"):
        folds(UnseenLanguageSplit(["a", "b"], reverse=True), ["a", "b"])


@pytest.mark.parametrize(
    "make, error, match",
    [
        (lambda: LeaveOneLanguageOut("both"), ValueError, "'either', 'source', 'targ"),
        (lambda: LeaveOneLanguageOut(exclude="eng"), TypeError, r"exclude=\['eng'\]"),
        (lambda: LeaveOneLanguageOut(exclude=3), TypeError, "Got 3 of type int"),
        (lambda: LeaveOneLanguageOut(exclude=None), TypeError, "Got None"),
        (lambda: LanguageKFold(1), ValueError, "n_splits=2 or more"),
        (lambda: LanguageKFold(2.5), ValueError, "Integral"),
        (lambda: LanguageKFold(shuffle="yes"), TypeError, "shuffle must be True or"),
        (lambda: LanguageKFold(shuffle=False, random_state=0), ValueError, "no effect"),
        (lambda: LanguageKFold(exclude="eng"), TypeError, "LanguageKFold expects exc"),
        (lambda: UnseenLanguageSplit("gpt"), ValueError, "Got 'gpt'"),
        (lambda: UnseenLanguageSplit(None), TypeError, "Got None of type NoneType"),
        (lambda: UnseenLanguageSplit(exclude="eng"), TypeError, r"\['eng'\]"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(make, error, match):
    with pytest.raises(error, match=match):
        make()
