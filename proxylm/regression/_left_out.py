"""What models predict for training rows that they did not have."""

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.utils import gen_batches

from proxylm.regression._conformal import unseen_sides


class LeftOut(NamedTuple):
    """What a member predicts of training rows without them.

    Standard deviations are those of a process without the row alone, and without each
    unit of rows; there are none from a member that can't tell.
    """

    means: list  # an array for each fold
    alone: np.ndarray | None = None  # (n_rows,)
    units: list | None = None  # an array for each unit


class OutOfFold(NamedTuple):
    """Predictions of training rows by models that did not have them.

    A row that is left out with several folds stands here as often.
    """

    rows: np.ndarray  # (n_pairs,) row numbers
    folds: np.ndarray  # (n_pairs,) fold numbers
    unseen: np.ndarray  # (n_pairs, n_sides) whether the fold left the language out
    distance: np.ndarray  # (n_pairs,) to the nearest row that was left in
    members: np.ndarray  # (n_members, n_pairs)
    deviation: np.ndarray | None  # (n_pairs,) mean of what the processes expect, or NaN


class LanguageUnits:
    """The rows that leave with the unseen languages of each row of a fold.

    A fold leaves many languages out, so that processes are less sure without it than
    they will be of one new language. How sure they will be is what they are without the
    languages of the row alone.

    Parameters
    ----------
    languages : ndarray of int of shape (n_rows, n_sides)
        Numbers that are the same for a language on both sides; -1 for none.
    folds : list of ndarray
        Row numbers.
    unseen : list of ndarray of bool of shape (n_rows_of_fold, n_sides)

    Attributes
    ----------
    units : list of ndarray
        Row numbers of all records of the languages of each unit. A row without an
        unseen language is a unit.
    """

    def __init__(self, languages, folds, unseen):
        numbers, self.units, self._places = {}, [], []
        for fold, sides in zip(folds, unseen, strict=True):
            for row, new in zip(fold, sides & (languages[fold] >= 0), strict=True):
                theirs = frozenset(languages[row][new].tolist())
                key = theirs or (row,)
                if key not in numbers:
                    numbers[key] = len(self.units)
                    leave = np.isin(languages, list(theirs)).any(axis=1)
                    self.units.append(
                        np.flatnonzero(leave) if theirs else np.array([row])
                    )
                unit = numbers[key]
                place = np.searchsorted(self.units[unit], row)
                self._places.append((unit, place))

    def pick(self, deviations):
        """Return the deviation of each row of each fold from those of the units."""
        return np.array([deviations[unit][place] for unit, place in self._places])


def nearest(points, others):
    """Return the Euclidean distance of each point to the nearest of the others."""
    distances = np.empty(len(points))
    for rows in gen_batches(len(points), 1_000):
        distances[rows] = cdist(points[rows], others).min(axis=1)
    return distances


def unseen_by_rest(languages, fold):
    """Mark the languages of the rows of a fold that the other rows lack."""
    return unseen_sides(languages[fold], np.delete(languages, fold, axis=0).T)
