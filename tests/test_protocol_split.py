import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import train_test_split

from proxylm.model_selection import (
    CrossDatasetSplit,
    StratifiedRandomSplit,
    subsample,
)


def folds(splitter, groups):
    """Split, and give plain lists."""
    splits = splitter.split(np.zeros((len(groups), 1)), groups=groups)
    return [(train.tolist(), test.tolist()) for train, test in splits]


def test_data_sets_are_trained_and_tested_apart():
    labels = pd.Series(["a", "b", "c", "a", "d"], index=[5, 6, 7, 8, 9])
    assert folds(CrossDatasetSplit("a", "b"), labels) == [([0, 3], [1])]
    assert folds(CrossDatasetSplit(["a", "d"], ["c", "b"]), labels) == [
        ([0, 3, 4], [1, 2])
    ]
    assert CrossDatasetSplit("a", "b").get_n_splits() == 1


@pytest.mark.parametrize("strata", [None, "text", "bool"])
@pytest.mark.parametrize("test_size", [0.3, 25])
def test_random_splits_equal_train_test_split(strata, test_size):
    rng = np.random.default_rng(0)
    groups = {
        None: None,
        "text": rng.choice(["sun", "Jav", "ind", "b-b", "eng"], 101),
        "bool": rng.random(101) < 0.3,
    }[strata]
    cv = StratifiedRandomSplit(5, test_size=test_size, random_state=42)
    splits = list(cv.split(np.zeros((101, 2)), groups=groups))
    assert len(splits) == cv.get_n_splits() == 5
    for seed, (train, test) in zip(range(42, 47), splits, strict=True):
        expected = train_test_split(
            np.arange(101), test_size=test_size, random_state=seed, stratify=groups
        )
        assert_array_equal(train, expected[0])
        assert_array_equal(test, expected[1])


def test_random_splits_without_a_seed_differ():
    cv = StratifiedRandomSplit()
    strata = ["a", "b"] * 50
    assert folds(cv, strata) != folds(cv, strata)


def test_portions_equal_train_test_split():
    strata = np.random.default_rng(0).choice(["a", "b", "c"], 200)
    train = np.random.default_rng(1).permutation(200)[:140]
    for portion in (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 0.9):
        expected = train_test_split(
            train, test_size=portion, stratify=strata[train], random_state=42
        )[1]
        assert_array_equal(subsample(train, portion, strata, 42), expected)
        assert_array_equal(subsample(train, portion, pd.Series(strata), 42), expected)
        plain = train_test_split(train, test_size=portion, random_state=42)[1]
        assert_array_equal(subsample(train, portion, random_state=42), plain)


def test_the_whole_portion_is_the_training_set():
    train = np.array([3, 1, 2])
    assert_array_equal(subsample(train, 1, ["a"] * 4, 0), train)
    assert_array_equal(subsample(train, 0.99, ["a"] * 4, 0), train)
    assert subsample([], 0.5, []).size == 0


@pytest.mark.parametrize(
    "strata, portion",
    [
        (["a"] * 9 + ["b"], 0.5),  # a stratum of one row
        (["a"] * 5 + ["b"] * 5, 0.1),  # fewer rows than strata are drawn
        (["a"] * 5 + ["b"] * 5, 0.9),  # fewer rows than strata are left
    ],
)
def test_portions_of_small_strata_are_plainly_random(strata, portion):
    train = np.arange(10)
    expected = train_test_split(train, test_size=portion, random_state=3)[1]
    assert_array_equal(subsample(train, portion, strata, 3), expected)


def test_a_data_set_that_does_not_occur_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="Got 'mt56'; known are 'mt560', 'nusa'"):
        folds(CrossDatasetSplit("mt56", "nusa"), ["mt560", "nusa"])
    with pytest.raises(ValueError, match=r"one column of data-set labels.*\(2, 2\)"):
        folds(CrossDatasetSplit("a", "b"), [("a", "b"), ("b", "a")])
    with pytest.raises(ValueError, match=r"Got None\. Pass groups=records\.dataset"):
        list(CrossDatasetSplit("a", "b").split([1, 2]))


def test_strata_of_one_row_are_named():
    with pytest.raises(ValueError, match=r"Got 1 in 'b'\. Merge small strata"):
        folds(StratifiedRandomSplit(), ["a", "a", "b", "c", "c"])
    with pytest.raises(ValueError, match=r"Got 1 missing, in rows 2"):
        folds(StratifiedRandomSplit(), ["a", "a", None, "c", "c"])


@pytest.mark.parametrize(
    "make, error, match",
    [
        (lambda: CrossDatasetSplit("a", "a"), ValueError, "Got 'a' in both"),
        (lambda: CrossDatasetSplit(["a", "b"], ["b"]), ValueError, "Got 'b' in both"),
        (lambda: CrossDatasetSplit([], "b"), ValueError, "1 data set to train on"),
        (lambda: CrossDatasetSplit("a", []), ValueError, "1 data set to test on"),
        (lambda: CrossDatasetSplit("a", 1), TypeError, "expects test to be a list"),
        (lambda: StratifiedRandomSplit(0), ValueError, "n_splits == 0"),
        (lambda: StratifiedRandomSplit("3"), TypeError, "n_splits must be"),
        (lambda: StratifiedRandomSplit(test_size=1.0), ValueError, "test_size == 1.0"),
        (lambda: StratifiedRandomSplit(test_size=0), ValueError, "test_size == 0"),
        (lambda: StratifiedRandomSplit(test_size="a"), TypeError, "test_size must be"),
        (lambda: StratifiedRandomSplit(random_state=-1), ValueError, "random_state =="),
        (
            lambda: StratifiedRandomSplit(random_state=np.random.RandomState(0)),
            TypeError,
            "random_state must be an instance of int",
        ),
        (lambda: subsample([1, 2], 0), ValueError, "portion == 0"),
        (lambda: subsample([1, 2], 1.5), ValueError, "portion == 1.5"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(make, error, match):
    with pytest.raises(error, match=match):
        make()
