"""Splitters that leave languages out, in the scikit-learn sense."""

from collections.abc import Iterable, Iterator
from numbers import Integral
from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.model_selection import BaseCrossValidator, KFold
from sklearn.utils import indexable

from proxylm.model_selection._groups import (
    SIDE_COLUMNS,
    LanguageRows,
    as_labels,
    encode_groups,
    some,
)

__all__ = ["LanguageKFold", "LeaveOneLanguageOut", "UnseenLanguageSplit"]


class _LanguageSplitter(BaseCrossValidator):
    """What the language splitters share: groups of languages, and pivots."""

    __metadata_request__split: ClassVar = {"groups": True}
    groups_from = "languages"

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate the rows of each training and test set.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The records.

        y : array-like of shape (n_samples,), default=None
            Ignored.

        groups : array-like of shape (n_samples,) or (n_samples, 2)
            The language of each record, or its source and target language: an
            array, a DataFrame, a Series or a list of pairs.

        Yields
        ------
        train : ndarray
            Rows of the training set.

        test : ndarray
            Rows of the test set.
        """
        X, y, groups = indexable(X, y, groups)
        yield from self._train_test(self._rows(groups))

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X, y : object, default=None
            Ignored.

        groups : array-like of shape (n_samples,) or (n_samples, 2)
            The language of each record, or its source and target language.

        Returns
        -------
        n_splits : int
            Number of folds.
        """
        return len(self._left_out(self._rows(groups)))

    def left_out(self, groups: Any) -> list[Any]:
        """Name the language that each fold tests, in the order of `split`.

        Parameters
        ----------
        groups : array-like of shape (n_samples,) or (n_samples, 2)
            The language of each record, or its source and target language.

        Returns
        -------
        languages : list of str
            One language a fold.
        """
        rows = self._rows(groups)
        return rows.names(self._left_out(rows))

    def _rows(self, groups: Any) -> LanguageRows:
        codes, languages = encode_groups(
            groups,
            splitter=self,
            content="one or two columns of languages",
            example="records.groups",
            max_columns=2,
        )
        if len(languages) < 2:
            raise ValueError(
                f"{type(self).__name__} expects at least 2 languages in groups. "
                f"Got {languages.tolist()}. Add records of other languages."
            )
        return LanguageRows(codes, languages)

    def _candidates(self, rows: LanguageRows, side: str = "either") -> np.ndarray:
        """Give the numbers of the languages on a side that are no pivots."""
        on_side = np.unique(rows.codes[:, SIDE_COLUMNS[side]])
        allowed = [language not in self.exclude for language in rows.names(on_side)]
        if not any(allowed):
            raise ValueError(
                f"{type(self).__name__} expects at least 1 language to leave out. Got "
                f"{some(rows.names(on_side))}, all of them in "
                f"exclude={[*self.exclude]}. Exclude fewer languages."
            )
        return on_side[allowed]


class LeaveOneLanguageOut(_LanguageSplitter):
    """Leave one language out at a time.

    Each fold tests the records of one language. Its training set has no record
    with that language on either side, whatever `side` is, so the fold shows how
    well the scores of a language are predicted of which no score is known.

    Parameters
    ----------
    side : {"either", "source", "target"}, default="either"
        Which records of the left-out language are tested: all of them, those with
        the language as source, or those with it as target. One column of groups
        has no sides and needs ``"either"``.

    exclude : iterable of str, default=()
        Pivots: languages that are never left out, such as ``"eng"`` where English
        is in every record. Languages that do not occur are ignored, so that one
        splitter serves several tables.

    See Also
    --------
    LanguageKFold : Leave several languages out at a time; fewer fits.
    UnseenLanguageSplit : Test on languages that a model was not pre-trained on.

    Notes
    -----
    The folds are in sorted order of the language codes, which are compared as they
    stand in `groups`.

    With two columns, ``side="either"`` tests a record twice, once for its source and
    once for its target. Such folds are no partition of the records and
    :func:`~sklearn.model_selection.cross_val_predict` refuses them; ``"source"`` and
    ``"target"`` without pivots are partitions.

    References
    ----------
    Anugraha et al., "ProxyLM: Predicting Language Model Performance on Multilingual
    Tasks via Proxy Models", arXiv:2406.09334.

    Examples
    --------
    >>> from proxylm import LeaveOneLanguageOut
    >>> groups = [("eng", "ind"), ("jav", "eng"), ("ind", "jav"), ("sun", "eng")]
    >>> cv = LeaveOneLanguageOut(exclude=["eng"])
    >>> cv
    LeaveOneLanguageOut(exclude=('eng',), side='either')
    >>> cv.left_out(groups)
    ['ind', 'jav', 'sun']
    >>> for train, test in cv.split(groups, groups=groups):
    ...     print(train, test)
    [1 3] [0 2]
    [0 3] [1 2]
    [0 1 2] [3]
    """

    def __init__(
        self,
        side: Literal["either", "source", "target"] = "either",
        *,
        exclude: Iterable[str] = (),
    ) -> None:
        if side not in SIDE_COLUMNS:
            raise ValueError(
                f"LeaveOneLanguageOut expects side to be one of {some(SIDE_COLUMNS)}. "
                f"Got {side!r}."
            )
        self.side = side
        self.exclude = as_labels(exclude, "exclude", self)

    def _left_out(self, rows: LanguageRows) -> np.ndarray:
        if self.side != "either" and rows.codes.shape[1] == 1:
            raise ValueError(
                f"LeaveOneLanguageOut with side={self.side!r} expects two columns of "
                'groups, source and target. Got one column. Pass side="either".'
            )
        return self._candidates(rows, self.side)

    def _train_test(
        self, rows: LanguageRows
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        left_out = self._left_out(rows)
        everywhere = [i for i in left_out if len(rows.either[i]) == len(rows.codes)]
        if everywhere:
            names = rows.names(everywhere)
            raise ValueError(
                "LeaveOneLanguageOut expects training rows without the left-out "
                f"language. Got {some(names)} in every row. Pass "
                f"exclude={[*self.exclude, *names]} to keep pivots."
            )
        tested = rows.on(self.side)
        for language in left_out:
            yield np.flatnonzero(~rows.having([language])), tested[language]


class LanguageKFold(_LanguageSplitter):
    """Leave a fold of languages out at a time.

    The languages are dealt into `n_splits` folds. Each fold tests the records with
    one of its languages on either side, and trains on those that have none of them.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2 and at most the number of languages.

    exclude : iterable of str, default=()
        Pivots: languages that are never left out. Those that do not occur are
        ignored.

    shuffle : bool, default=True
        Whether to shuffle the languages before they are dealt; otherwise neighbours
        in the sorted order of codes share a fold.

    random_state : int, RandomState instance or None, default=None
        Controls the shuffle. Pass an int for the same folds in every call.

    See Also
    --------
    LeaveOneLanguageOut : One language a fold.

    Notes
    -----
    A record whose two languages lie in different folds is tested in both, so the
    folds are no partition of the records (those of one column of groups are).

    Examples
    --------
    >>> from proxylm import LanguageKFold
    >>> groups = ["ind", "jav", "sun", "jav", "min"]
    >>> cv = LanguageKFold(n_splits=2, shuffle=False)
    >>> cv.left_out(groups)
    [('ind', 'jav'), ('min', 'sun')]
    >>> for train, test in cv.split(groups, groups=groups):
    ...     print(train, test)
    [2 4] [0 1 3]
    [0 1 3] [2 4]
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        exclude: Iterable[str] = (),
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        KFold(n_splits, shuffle=shuffle, random_state=random_state)  # refuses nonsense
        self.n_splits = n_splits
        self.exclude = as_labels(exclude, "exclude", self)
        self.shuffle = shuffle
        self.random_state = random_state

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X, y, groups : object, default=None
            Ignored.

        Returns
        -------
        n_splits : int
            The parameter of that name.
        """
        return self.n_splits

    def left_out(self, groups: Any) -> list[tuple[Any, ...]]:
        """Name the languages that each fold tests, in the order of `split`.

        Parameters
        ----------
        groups : array-like of shape (n_samples,) or (n_samples, 2)
            The language of each record, or its source and target language.

        Returns
        -------
        languages : list of tuple of str
            The languages of each fold, sorted.
        """
        if self.shuffle and not isinstance(self.random_state, Integral):
            raise ValueError(
                "LanguageKFold names the languages of its folds only where every call "
                f"deals the same ones. Got random_state={self.random_state!r}. "
                "Pass an int."
            )
        rows = self._rows(groups)
        return [tuple(rows.names(fold)) for fold in self._left_out(rows)]

    def _left_out(self, rows: LanguageRows) -> list[np.ndarray]:
        candidates = self._candidates(rows)
        if len(candidates) < self.n_splits:
            raise ValueError(
                f"LanguageKFold with n_splits={self.n_splits} expects at least as many "
                f"languages to leave out. Got {rows.names(candidates)}. Lower "
                "n_splits or exclude fewer languages."
            )
        seed = self.random_state if self.shuffle else None
        deal = KFold(self.n_splits, shuffle=self.shuffle, random_state=seed)
        return [candidates[fold] for _, fold in deal.split(candidates)]

    def _train_test(
        self, rows: LanguageRows
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for fold in self._left_out(rows):
            tested = rows.having(fold)
            if tested.all():
                raise ValueError(
                    "LanguageKFold expects training rows without the languages of a "
                    f"fold. Got none without {some(rows.names(fold))}. Raise n_splits, "
                    "or name pivots such as English in exclude."
                )
            yield np.flatnonzero(~tested), np.flatnonzero(tested)


class UnseenLanguageSplit(_LanguageSplitter):
    """Train on the languages that a model has seen, test on those it has not.

    There is one fold for each unseen language, which tests the records with it on
    either side. All folds share one training set: the records without any unseen
    language on either side.

    Parameters
    ----------
    unseen : {"m2m100", "nllb"} or iterable of str, default="m2m100"
        A model, for the languages that it was not pre-trained on (macrolanguages
        count: Plateau Malagasy is seen by a model that has seen Malagasy), or the
        codes of the unseen languages as they stand in `groups`.

    reverse : bool, default=False
        Whether to train on the records without any seen language and to have one
        fold for each of the seen languages instead.

    exclude : iterable of str, default=()
        Pivots: languages that are never tested and may be in training records.
        Those that do not occur are ignored.

    See Also
    --------
    LeaveOneLanguageOut : Leave out every language in turn.
    proxylm.languages.is_pretrained : Whether a model has seen a language.

    Notes
    -----
    The folds are in sorted order of the language codes. A record of two tested
    languages is tested twice.

    Examples
    --------
    >>> from proxylm import UnseenLanguageSplit
    >>> groups = [("eng", "ind"), ("asm", "eng"), ("eng", "jav"), ("eng", "tel")]
    >>> cv = UnseenLanguageSplit(["asm", "tel"])
    >>> cv.left_out(groups)
    ['asm', 'tel']
    >>> for train, test in cv.split(groups, groups=groups):
    ...     print(train, test)
    [0 2] [1]
    [0 2] [3]
    """

    def __init__(
        self,
        unseen: str | Iterable[str] = "m2m100",
        *,
        reverse: bool = False,
        exclude: Iterable[str] = (),
    ) -> None:
        if isinstance(unseen, str):
            from proxylm.languages import pretraining_languages

            pretraining_languages(unseen)  # refuses models that nobody knows
        else:
            unseen = as_labels(unseen, "unseen", self)
        self.unseen = unseen
        self.reverse = reverse
        self.exclude = as_labels(exclude, "exclude", self)

    def _left_out(self, rows: LanguageRows) -> np.ndarray:
        candidates = self._candidates(rows)
        languages = rows.names(candidates)
        if isinstance(self.unseen, str):
            from proxylm.languages import is_pretrained

            seen = [is_pretrained(language, self.unseen) for language in languages]
        else:
            seen = [language not in self.unseen for language in languages]
        left_out = candidates[np.array(seen) == self.reverse]
        if not left_out.size:
            raise ValueError(
                f"{self!r} expects at least 1 {'' if self.reverse else 'un'}seen "
                f"language. Got {some(languages)}. Change unseen or exclude."
            )
        return left_out

    def _train_test(
        self, rows: LanguageRows
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        left_out = self._left_out(rows)
        train = np.flatnonzero(~rows.having(left_out))
        if not train.size:
            raise ValueError(
                f"{self!r} expects training rows without the tested languages. Got "
                f"{some(rows.names(left_out))} in all rows. Name pivots in exclude, "
                "or change unseen."
            )
        for language in left_out:
            yield train, rows.either[language]
