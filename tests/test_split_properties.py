from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from proxylm.model_selection import (
    LanguageKFold,
    LeaveOneLanguageOut,
    UnseenLanguageSplit,
)

LANGUAGES = ["deu", "eng", "ind", "jav", "nan", "sun", "zho"]

languages = st.sampled_from(LANGUAGES)
pivots = st.lists(languages, max_size=2, unique=True)
one_column = st.lists(languages, min_size=2, max_size=25)
two_columns = st.lists(st.tuples(languages, languages), min_size=2, max_size=25)
seeds = st.integers(0, 1000)

settings.register_profile("proxylm", deadline=None)  # machines are shared
settings.load_profile("proxylm")


@dataclass
class Case:
    """Records that a splitter of one language at a time can split."""

    groups: list
    exclude: list
    side: str

    def __post_init__(self):
        self.pairs = [g if isinstance(g, tuple) else (g,) for g in self.groups]
        column = {"either": slice(None), "source": slice(0, 1), "target": slice(1, 2)}
        self.tested = [pair[column[self.side]] for pair in self.pairs]
        present = {language for pair in self.tested for language in pair}
        self.left_out = sorted(present - set(self.exclude))
        self.splitter = LeaveOneLanguageOut(self.side, exclude=self.exclude)

    @property
    def is_possible(self):
        return bool(self.left_out) and all(
            any(language not in pair for pair in self.pairs)
            for language in self.left_out
        )

    def folds(self):
        return folds(self.splitter, self.groups)


@st.composite
def cases(draw, sides=("either", "source", "target"), exclude=pivots):
    side = draw(st.sampled_from(sides))
    columns = two_columns if side != "either" else st.one_of(one_column, two_columns)
    return Case(draw(columns), draw(exclude), side)


def folds(splitter, groups):
    splits = splitter.split(np.zeros(len(groups)), groups=groups)
    return [(train.tolist(), test.tolist()) for train, test in splits]


def languages_of(case, rows):
    return {language for row in rows for language in case.pairs[row]}


@given(cases())
def test_folds_are_those_of_the_definition_or_refused(case):
    if not case.is_possible:
        with pytest.raises(ValueError):
            case.folds()
        return
    assert case.splitter.left_out(case.groups) == case.left_out
    assert case.folds() == [
        (
            [row for row, pair in enumerate(case.pairs) if language not in pair],
            [row for row, pair in enumerate(case.tested) if language in pair],
        )
        for language in case.left_out
    ]


@given(cases())
def test_training_has_no_tested_row_and_no_left_out_language(case):
    assume(case.is_possible)
    for language, (train, test) in zip(case.left_out, case.folds(), strict=True):
        assert train and test
        assert not set(train) & set(test)
        assert language not in languages_of(case, train)


@given(cases(sides=["either"]))
def test_a_row_is_tested_once_for_each_of_its_languages(case):
    assume(case.is_possible)
    tested = [row for _, test in case.folds() for row in test]
    for row, pair in enumerate(case.pairs):
        assert tested.count(row) == len(set(pair) - set(case.exclude))


@given(cases(sides=["source", "target"], exclude=st.just([])))
def test_one_side_without_pivots_is_a_partition(case):
    assume(case.is_possible)
    tested = [row for _, test in case.folds() for row in test]
    assert sorted(tested) == list(range(len(case.groups)))


@given(cases(), seeds)
def test_shuffled_rows_give_shuffled_folds(case, seed):
    assume(case.is_possible)
    order = np.random.default_rng(seed).permutation(len(case.groups))
    shuffled = folds(case.splitter, [case.groups[row] for row in order])
    assert [
        (sorted(order[train]), sorted(order[test])) for train, test in shuffled
    ] == case.folds()


@given(cases(), st.permutations(LANGUAGES))
def test_other_names_change_only_the_order_of_folds(case, names):
    assume(case.is_possible)
    new_name = dict(zip(LANGUAGES, names, strict=True))
    renamed = [tuple(new_name[language] for language in pair) for pair in case.pairs]
    splitter = LeaveOneLanguageOut(
        case.side, exclude=[new_name[language] for language in case.exclude]
    )
    by_name = dict(
        zip(splitter.left_out(renamed), folds(splitter, renamed), strict=True)
    )
    assert [by_name[new_name[language]] for language in case.left_out] == case.folds()


@given(st.one_of(one_column, two_columns), pivots, seeds, st.integers(2, 4))
def test_language_folds_hold_each_language_once(groups, exclude, seed, n_splits):
    case = Case(groups, exclude, "either")
    assume(len(case.left_out) >= n_splits)
    splitter = LanguageKFold(n_splits, exclude=exclude, random_state=seed)
    left_out = splitter.left_out(groups)
    dealt = [language for fold in left_out for language in fold]
    assert sorted(dealt) == case.left_out
    sizes = [len(fold) for fold in left_out]
    assert max(sizes) - min(sizes) <= 1
    trainable = all(
        any(not set(fold) & set(pair) for pair in case.pairs) for fold in left_out
    )
    if not trainable:
        with pytest.raises(ValueError, match="training rows"):
            folds(splitter, groups)
        return
    for fold, (train, test) in zip(left_out, folds(splitter, groups), strict=True):
        assert sorted(train + test) == list(range(len(groups)))
        assert not languages_of(case, train) & set(fold)
        assert all(set(fold) & set(case.pairs[row]) for row in test)


@settings(max_examples=200)
@given(
    st.one_of(one_column, two_columns),
    pivots,
    st.lists(languages, min_size=1, max_size=4, unique=True),
    st.booleans(),
)
def test_unseen_languages_share_one_training_set(groups, exclude, unseen, reverse):
    case = Case(groups, exclude, "either")
    tested = [name for name in case.left_out if (name in unseen) != reverse]
    train = [row for row, pair in enumerate(case.pairs) if not set(pair) & set(tested)]
    splitter = UnseenLanguageSplit(unseen, reverse=reverse, exclude=exclude)
    if not tested or not train:
        with pytest.raises(ValueError):
            folds(splitter, groups)
        return
    assert splitter.left_out(groups) == tested
    assert splitter.get_n_splits(groups=groups) == len(tested)
    assert folds(splitter, groups) == [
        (train, [row for row, pair in enumerate(case.pairs) if language in pair])
        for language in tested
    ]
