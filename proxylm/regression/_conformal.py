"""Intervals that hold for languages never seen: the arithmetic, on arrays.

The unit of exchangeability is the language. Each of K calibration languages has the
mass 1 / (K + 1), spread over its rows, and the rest lies at infinity: the hierarchical
conformal prediction of Dunn, Wasserman and Ramdas (2022, arXiv:1809.07441) and of Lee,
Barber and Willett (2023, arXiv:2306.06342), here with scores that are divided by a
predicted spread.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

# Of a regime with fewer units a harder one with more says as much.
MIN_UNITS = 5
SPREAD_FOLDS = 5
# Fewer rows than this have one spread.
MIN_SPREAD_ROWS = 40
# Number of units at which the predicted log spread is believed by half.
HALF_TRUST = 5
# Added to the residuals, relative to their mean, so that none is predicted to be 0.
SPREAD_FLOOR = 0.01
SPREAD_PARAMS = {
    "objective": "gamma",
    "n_estimators": 60,
    "learning_rate": 0.05,
    "max_depth": 3,
    "num_leaves": 8,
    "min_child_samples": 20,
    "reg_lambda": 1.0,
    "colsample_bytree": 0.4,
    "random_state": 0,
    "deterministic": True,
    "force_row_wise": True,
    "n_jobs": 1,
    "verbose": -1,
}


def unseen_sides(languages, known):
    """Mark the languages (n_samples, n_sides) that are not known on their side.

    `known` holds the languages that `fit` saw, one collection per side.
    """
    languages = np.asarray(languages)
    unseen = np.zeros(languages.shape, dtype=bool)
    for side, seen in enumerate(known):
        unseen[:, side] = ~pd.Series(languages[:, side]).isin(seen).to_numpy()
    return unseen


def conformal_quantile(values, mass, level):
    """Return the smallest value below which lies a share `level` of all mass.

    One unit more of mass than there is lies at infinity: the unit to be predicted.
    """
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(mass[order])
    needed = level * (mass.sum() + 1)
    position = np.searchsorted(reached, needed * (1 - 1e-9))
    return values[order[position]] if position < len(values) else np.inf


def normal_quantile(scores, units, mass, level):
    """Return a quantile of the absolute score, were scores normal around zero.

    A score is a draw for its unit plus a draw for its row. The second moments of both
    add up to that of a new score, with the degrees of freedom of Satterthwaite (1946).
    """
    total = np.bincount(units, mass)
    means = np.bincount(units, mass * scores) / total
    within = np.bincount(units, mass * (scores - means[units]) ** 2) / total
    between, noise = np.mean(means**2), np.mean(within)
    moment = between + noise
    if moment == 0:
        return 0.0
    spare = max(len(scores) - len(total), 1)
    freedom = moment**2 / (between**2 / len(total) + noise**2 / spare)
    return float(np.sqrt(moment) * student_t.ppf((1 + level) / 2, freedom))


def conformal_survival(values, mass, thresholds):
    """Return the share of mass above thresholds, interpolated between the values.

    Half of the unit at infinity lies on either side, so no share is 0 or 1.
    """
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(mass[order]) - mass[order] / 2 + 0.5
    return 1 - np.interp(thresholds, values[order], reached) / (mass.sum() + 1)


@dataclass(frozen=True)
class Spread:
    """The predicted size of a residual, up to a constant."""

    model: Any = None
    power: float = 1.0

    def __call__(self, features):
        """Return a positive number per row."""
        if self.model is None:
            return np.ones(len(features))
        return self.model.predict(features) ** self.power


def fit_spread(features, sizes, mass, n_units):
    """Learn the mean absolute residual from features, shrunk where units are few.

    A few small trees of gamma deviance: for absolute residuals it is the likelihood of
    a Laplace distribution with that scale.
    """
    if len(sizes) < MIN_SPREAD_ROWS or not mass @ sizes > 0:
        return Spread()
    from lightgbm import LGBMRegressor

    sizes = sizes / np.average(sizes, weights=mass) + SPREAD_FLOOR
    model = LGBMRegressor(**SPREAD_PARAMS)
    model.fit(features, sizes, sample_weight=mass / mass.mean())
    return Spread(model, n_units / (n_units + HALF_TRUST))


@dataclass(frozen=True)
class Scores:
    """Signed residuals over their spread, with the unit and the mass of each."""

    values: np.ndarray
    units: np.ndarray
    mass: np.ndarray
    spread: Spread

    @property
    def n_units(self):
        """Number of units."""
        return len(np.unique(self.units))

    def quantile(self, level):
        """Return a quantile of the absolute value."""
        exact = conformal_quantile(np.abs(self.values), self.mass, level)
        if np.isfinite(exact):
            return exact
        return normal_quantile(self.values, self.units, self.mass, level)


def spread_features(X, prediction, unseen):
    """Return what the spread is predicted from."""
    return np.column_stack([X, prediction, unseen]).astype(np.float64)


def unit_mass(units, weight):
    """Give every unit the mass one, spread over its rows by their weights."""
    return weight / np.bincount(units, weight)[units]


def cross_fit_spread(residuals, features, units, mass, others):
    """Return residuals over a spread learned from other units, and the final spread.

    `others` yields the rows of each fold and marks those that may teach their spread.
    """
    sizes, n_units = np.abs(residuals), len(np.unique(units))
    spread = fit_spread(features, sizes, mass, n_units)
    values = residuals.copy()
    for rows, apart in others:
        cross = fit_spread(features[apart], sizes[apart], mass[apart], n_units)
        if (spread.model is None) != (cross.model is None):
            # Too few others for a spread of their own: then nobody has one.
            return residuals, Spread()
        values[rows] /= cross(features[rows])
    return values, spread


def row_scores(residuals, features, weight):
    """Return the scores of rows whose languages are all known: a row is a unit."""
    n_rows = len(residuals)
    # Folds are dealt by the features, which do not depend on the order of the rows.
    rank = np.empty(n_rows, dtype=int)
    rank[np.lexsort((residuals, *features.T))] = np.arange(n_rows)
    folds, units = rank % SPREAD_FOLDS, np.arange(n_rows)
    mass = weight / weight.mean() if n_rows else weight
    others = ((folds == fold, folds != fold) for fold in np.unique(folds))
    values, spread = cross_fit_spread(residuals, features, units, mass, others)
    return Scores(values, units, mass, spread)


def language_scores(residuals, features, weight, codes, unseen):
    """Return the scores of rows with left-out languages, for 1 and more of them.

    A row counts for each language that was left out of it. The residuals of a language
    are divided by a spread that was learned from rows without it on either side.
    """
    rows, sides = np.nonzero(unseen)
    entries = np.column_stack([rows, codes[rows, sides]])
    rows, units = np.unique(entries, axis=0).T if len(rows) else entries.T
    languages, units = np.unique(units, return_inverse=True)
    dealt = np.arange(len(languages)) % SPREAD_FOLDS
    others = (
        (
            dealt[units] == fold,
            ~np.isin(codes, languages[dealt == fold]).any(axis=1)[rows],
        )
        for fold in np.unique(dealt)
    )
    mass = unit_mass(units, weight[rows])
    values, spread = cross_fit_spread(
        residuals[rows], features[rows], units, mass, others
    )
    regimes, scores = unseen.sum(axis=1)[rows], []
    for regime in range(1, unseen.shape[1] + 1):
        chosen = regimes == regime
        own = np.unique(units[chosen], return_inverse=True)[1]
        mass = unit_mass(own, weight[rows[chosen]])
        scores.append(Scores(values[chosen], own, mass, spread))
    return scores


def borrow_scores(own):
    """Return the scores that each regime uses: its own, unless it has too few.

    It borrows those of the next harder regime that has enough. Where none has, its own
    must do, however few; an easier one serves where nothing is known of harder ones.
    """
    used = []
    for regime in range(len(own)):
        harder, easier = own[regime:], own[:regime][::-1]
        enough = [scores for scores in harder if scores.n_units >= MIN_UNITS]
        some = [scores for scores in [*harder, *easier] if scores.n_units]
        used.append((enough or some)[0])
    return used


class IntervalCalibrator:
    """Conformal intervals from out-of-fold predictions, by what was left out.

    The number of unseen sides of a row is its regime: 0 if all its languages were
    known, 1 or 2 otherwise. Each regime has scores of its own.

    Attributes
    ----------
    scores_ : list of Scores
        The scores of each regime, borrowed where it has too few of its own.
    """

    def fit(self, y, oof, X, languages=None, unseen=None, sample_weight=None):
        """Learn the spread and the scores.

        Parameters
        ----------
        y : ndarray of shape (n_pairs,)
            Known scores. A row may occur several times, once per fold that tested it.
        oof : ndarray of shape (n_pairs,)
            Predictions of them by models that were not fitted to them.
        X : ndarray of shape (n_pairs, n_features)
            Features of the spread; NaN is allowed.
        languages : array-like of shape (n_pairs, n_sides), default=None
            The languages of the rows. None if there are none.
        unseen : ndarray of bool of shape (n_pairs, n_sides), default=None
            Whether the model of the fold had not seen the language on that side.
        sample_weight : ndarray of shape (n_pairs,), default=None
            Shares of the rows in the mass of their unit.

        Returns
        -------
        self : IntervalCalibrator
        """
        n_pairs = len(y)
        if languages is None:
            languages = unseen = np.empty((n_pairs, 0))
        labels = np.asarray(languages, dtype=object)
        # In the order of their names, whatever the order of the rows.
        codes = pd.factorize(labels.ravel(), sort=True)[0].reshape(labels.shape)
        unseen = np.asarray(unseen, dtype=bool)
        weight = np.ones(n_pairs) if sample_weight is None else sample_weight
        features = spread_features(X, oof, unseen)
        known = ~unseen.any(axis=1)
        new = ~known & (weight > 0)
        known &= weight > 0
        own = [row_scores((y - oof)[known], features[known], weight[known])]
        own += language_scores(
            (y - oof)[new], features[new], weight[new], codes[new], unseen[new]
        )
        self.scores_ = borrow_scores(own)
        return self

    def exact_level(self, regime):
        """Return the highest level below which a regime needs no assumption."""
        n_units = self.scores_[regime].n_units
        return n_units / (n_units + 1)

    def quantile(self, confidence_level, regime):
        """Return the quantile of the absolute score of a regime.

        Above `exact_level` no finite number is safe without an assumption. There it is
        the quantile of scores that are normal within and between languages.
        """
        return self.scores_[regime].quantile(confidence_level)

    def half_width(self, prediction, X, unseen, confidence_level):
        """Return half the width of the interval around each prediction.

        `X` of shape (n_samples, n_features) and `unseen` of shape (n_samples, n_sides)
        are as in `fit`. No interval is narrower than it were with known languages.
        """
        features = spread_features(X, prediction, unseen)
        regimes = np.asarray(unseen).sum(axis=1).astype(int)
        width = self._width(features, 0, confidence_level)
        for regime in np.unique(regimes[regimes > 0]):
            rows = regimes == regime
            own = self._width(features[rows], regime, confidence_level)
            width[rows] = np.maximum(width[rows], own)
        return width

    def probability_above(self, threshold, prediction, X, unseen):
        """Return the probability that each score is above its threshold."""
        features = spread_features(X, prediction, unseen)
        regimes = np.asarray(unseen).sum(axis=1).astype(int)
        distance = threshold - prediction
        probability = np.empty(len(features))
        for regime in np.unique(regimes):
            rows, scores = regimes == regime, self.scores_[regime]
            probability[rows] = conformal_survival(
                scores.values,
                scores.mass,
                distance[rows] / scores.spread(features[rows]),
            )
        return probability

    def _width(self, features, regime, level):
        scores = self.scores_[regime]
        return scores.quantile(level) * scores.spread(features)
