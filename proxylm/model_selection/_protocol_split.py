"""The published splits that leave no language out: random, and across data sets."""

from collections.abc import Iterable, Iterator
from math import ceil
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.model_selection import BaseCrossValidator, train_test_split
from sklearn.utils import check_scalar, indexable
from sklearn.utils.validation import _num_samples

from proxylm.model_selection._groups import as_labels, encode_groups, some

__all__ = ["CrossDatasetSplit", "StratifiedRandomSplit", "subsample"]


class CrossDatasetSplit(BaseCrossValidator):
    """Train on the records of some data sets, test on those of others.

    Parameters
    ----------
    train : str or iterable of str
        Labels of the data sets to train on.

    test : str or iterable of str
        Labels of the data sets to test on; none of them in `train`.

    See Also
    --------
    UnseenLanguageSplit : Train and test on different languages.

    Notes
    -----
    There is one fold. Its `groups` are the data-set label of each record, which is
    ``dataset`` in the records that ``proxylm.records.concat`` returns.

    Examples
    --------
    >>> from proxylm import CrossDatasetSplit
    >>> cv = CrossDatasetSplit(train="mt560", test="nusa")
    >>> dataset = ["mt560", "nusa", "mt560", "nusa", "flores"]
    >>> list(cv.split(dataset, groups=dataset))
    [(array([0, 2]), array([1, 3]))]
    """

    __metadata_request__split: ClassVar = {"groups": True}
    groups_from = "dataset"

    def __init__(self, train: str | Iterable[str], test: str | Iterable[str]) -> None:
        if not isinstance(train, str):
            train = as_labels(train, "train", self)
        if not isinstance(test, str):
            test = as_labels(test, "test", self)
        self.train = train
        self.test = test
        sides = {"train": self._labels(train), "test": self._labels(test)}
        for name, labels in sides.items():
            if not labels:
                raise ValueError(
                    f"CrossDatasetSplit expects at least 1 data set to {name} on. Got "
                    f"none. Pass {name}=[...]."
                )
        shared = sorted(set(sides["train"]) & set(sides["test"]), key=str)
        if shared:
            raise ValueError(
                "CrossDatasetSplit expects other data sets to test on than to train "
                f"on. Got {some(shared)} in both. Remove it from train or test."
            )

    @staticmethod
    def _labels(given: Any) -> tuple[Any, ...]:
        return (given,) if isinstance(given, str) else given

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate the rows of the training and the test set.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The records.

        y : array-like of shape (n_samples,), default=None
            Ignored.

        groups : array-like of shape (n_samples,)
            The data-set label of each record.

        Yields
        ------
        train : ndarray
            Rows of the training set.

        test : ndarray
            Rows of the test set.
        """
        X, y, groups = indexable(X, y, groups)
        codes, known = encode_groups(
            groups,
            splitter=self,
            content="one column of data-set labels",
            example="records.dataset",
            max_columns=1,
        )
        known = known.tolist()
        train, test = self._labels(self.train), self._labels(self.test)
        unknown = [label for label in train + test if label not in known]
        if unknown:
            raise ValueError(
                f"{self!r} expects data sets that occur in groups. Got "
                f"{some(unknown)}; known are {some(known)}. Pass some of these."
            )
        yield tuple(
            np.flatnonzero(np.isin(codes[:, 0], [known.index(label) for label in side]))
            for side in (train, test)
        )

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds, which is 1.

        Parameters
        ----------
        X, y, groups : object, default=None
            Ignored.

        Returns
        -------
        n_splits : int
            1.
        """
        return 1

    def left_out(self, groups: Any) -> list[None]:
        """Say that the one fold leaves out no language.

        Parameters
        ----------
        groups : object
            Ignored.

        Returns
        -------
        languages : list
            ``[None]``.
        """
        return [None]


class StratifiedRandomSplit(BaseCrossValidator):
    """Random splits that keep the proportions of the strata.

    Fold ``i`` is what :func:`~sklearn.model_selection.train_test_split` gives for the
    seed ``random_state + i``, so that ``n_splits=5, random_state=42`` are the five
    published splits.

    Parameters
    ----------
    n_splits : int, default=1
        Number of splits.

    test_size : float or int, default=0.3
        Share of the test set, or its number of records.

    random_state : int or None, default=None
        Seed of the first split. None draws other splits in every call.

    See Also
    --------
    sklearn.model_selection.StratifiedShuffleSplit : Stratified by `y`, other seeds.

    Notes
    -----
    The `groups` are the strata: one label for each record, ``strata`` in the record
    tables. Without groups the split is plainly random.

    Examples
    --------
    >>> from proxylm import StratifiedRandomSplit
    >>> strata = ["ind", "ind", "ind", "jav", "jav", "jav"]
    >>> cv = StratifiedRandomSplit(test_size=2, random_state=42)
    >>> for train, test in cv.split(strata, groups=strata):
    ...     print(sorted(strata[row] for row in test))
    ['ind', 'jav']
    """

    __metadata_request__split: ClassVar = {"groups": True}
    groups_from = "strata"

    def __init__(
        self,
        n_splits: int = 1,
        *,
        test_size: float | int = 0.3,
        random_state: int | None = None,
    ) -> None:
        check_scalar(n_splits, "n_splits", Integral, min_val=1)
        if isinstance(test_size, Integral):
            check_scalar(test_size, "test_size", Integral, min_val=1)
        else:
            bounds = {"min_val": 0, "max_val": 1, "include_boundaries": "neither"}
            check_scalar(test_size, "test_size", Real, **bounds)
        if random_state is not None:
            check_scalar(random_state, "random_state", Integral, min_val=0)
        self.n_splits = n_splits
        self.test_size = test_size
        self.random_state = random_state

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

        groups : array-like of shape (n_samples,), default=None
            The stratum of each record. None splits without strata.

        Yields
        ------
        train : ndarray
            Rows of the training set.

        test : ndarray
            Rows of the test set.
        """
        X, y, groups = indexable(X, y, groups)
        strata = None if groups is None else self._strata(groups)
        rows = np.arange(_num_samples(X))
        for fold in range(self.n_splits):
            seed = None if self.random_state is None else self.random_state + fold
            yield tuple(
                train_test_split(
                    rows, test_size=self.test_size, random_state=seed, stratify=strata
                )
            )

    def _strata(self, groups: Any) -> np.ndarray:
        codes, labels = encode_groups(
            groups,
            splitter=self,
            content="one column of strata",
            example="records.strata",
            max_columns=1,
        )
        single = labels[np.bincount(codes[:, 0]) == 1].tolist()
        if single:
            raise ValueError(
                "StratifiedRandomSplit expects at least 2 rows in each stratum. Got 1 "
                f"in {some(single)}. Merge small strata or pass groups=None."
            )
        return codes[:, 0]

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits.

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

    def left_out(self, groups: Any) -> list[None]:
        """Say that no fold leaves out a language.

        Parameters
        ----------
        groups : object
            Ignored.

        Returns
        -------
        languages : list
            None for each fold.
        """
        return [None] * self.n_splits


def subsample(
    train: np.ndarray,
    portion: float,
    strata: Any = None,
    random_state: int | None = None,
) -> np.ndarray:
    """Draw a portion of the training rows, as the points of a learning curve do.

    Parameters
    ----------
    train : array-like of shape (n_train,)
        Rows of the training set.

    portion : float
        Share of them to draw, above 0; 1 returns them all.

    strata : array-like of shape (n_samples,), default=None
        The stratum of each record of the whole table, whose proportions are kept. Where
        a stratum is too small for that, the draw is plainly random.

    random_state : int, RandomState instance or None, default=None
        Controls the draw.

    Returns
    -------
    rows : ndarray of shape (n_drawn,)
        The drawn elements of `train`, ``ceil(portion * n_train)`` of them.

    See Also
    --------
    StratifiedRandomSplit : The training sets that are published with such portions.

    Examples
    --------
    >>> import numpy as np
    >>> from proxylm.model_selection import subsample
    >>> strata = np.array(["ind", "jav"] * 5)
    >>> rows = subsample(np.arange(10), 0.4, strata, random_state=0)
    >>> strata[np.sort(rows)].tolist().count("jav")
    2
    """
    bounds = {"min_val": 0, "max_val": 1, "include_boundaries": "right"}
    check_scalar(portion, "portion", Real, **bounds)
    train = np.asarray(train)
    n_drawn = ceil(portion * len(train))
    if n_drawn == len(train):
        return train
    if strata is not None:
        strata = np.asarray(strata)[train]
        sizes = np.unique(strata, return_counts=True)[1]
        if sizes.min() < 2 or min(n_drawn, len(train) - n_drawn) < len(sizes):
            strata = None
    return train_test_split(
        train, test_size=portion, stratify=strata, random_state=random_state
    )[1]
