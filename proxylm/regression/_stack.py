"""The default of ProxyRegressor: a stack that knows which languages it has seen."""

import warnings

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.optimize import nnls
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold
from sklearn.utils.validation import check_is_fitted

from proxylm.regression._conformal import IntervalCalibrator
from proxylm.regression._design import StackDesign
from proxylm.regression._frames import from_arrays, to_arrays
from proxylm.regression._left_out import (
    LanguageUnits,
    OutOfFold,
    nearest,
    unseen_by_rest,
)
from proxylm.regression._members import make_members

# Draw the weights of the stack towards equal ones, in units of the best member's mean
# squared error: for known languages, and for new ones divided by the number of
# languages that the weights are learned from.
SHRINKAGE = 0.1
LANGUAGE_SHRINKAGE = 15.0
N_ROW_FOLDS = 5
# A row with a new language begins to be far where it is farther from its nearest
# neighbour than 90 of 100 rows of left-out languages are, and is where it is farther
# than 95; one of known languages must be farther than other rows are, too.
FAR = (90, 95)
FAR_KNOWN = (95, 100)
IMPORTANCE_ROWS = 200
REGIMES = ("known", "new", "unprofiled")


def simplex_weights(predictions, y, sample_weight, shrinkage=SHRINKAGE):
    """Return the non-negative weights that sum to one and predict y best.

    Parameters
    ----------
    predictions : ndarray of shape (n_members, n_pairs)
        Out-of-fold predictions.
    y : ndarray of shape (n_pairs,)
    sample_weight : ndarray of shape (n_pairs,)
    shrinkage : float
        Penalty on the squared distance from equal weights, in units of the smallest
        mean squared error of a member.

    Returns
    -------
    weights : ndarray of shape (n_members,)

    Notes
    -----
    As the weights f sum to one, the error of the stack is f' R with the errors R of
    the members, and f minimises f' R W R' f / n + s |f - 1/m|^2: the stacked
    regressions of Breiman [1]_ with a ridge towards the mean of the members.

    References
    ----------
    .. [1] Breiman (1996). "Stacked regressions". Machine Learning 24.
    """
    n_members = len(predictions)
    shares = sample_weight / sample_weight.sum()
    errors = (predictions - y) * np.sqrt(shares)
    gram = errors @ errors.T
    scale = max(np.diag(gram).min(), np.finfo(float).tiny)
    gram = gram / scale
    # On the simplex |f - 1/m|^2 is |f|^2 less a constant.
    gram[np.diag_indices(n_members)] += shrinkage
    root = np.linalg.cholesky(gram).T
    # The last row asks for the sum; its weight makes the answer exact to 1e-6.
    weight = 1e3 * np.sqrt(np.trace(gram))
    system = np.vstack([root, np.full(n_members, weight)])
    weights, _ = nnls(system, np.append(np.zeros(n_members), weight))
    return weights / weights.sum()


def _fit_member(member, rows, y, weights, folds, units):
    """Fit a member; return what it predicts of left-out rows."""
    with warnings.catch_warnings():
        # What a member needs to converge is not the user's to set.
        warnings.simplefilter("ignore", ConvergenceWarning)
        member.fit(rows, y, weights)
        return member.left_out(rows, y, weights, folds, units)


class StackedRegressor(RegressorMixin, BaseEstimator):
    """Gaussian processes, trees, lines and factors, weighed by what each is good for.

    Every member predicts each training row twice by a model that did not have it:
    with the languages of the row left out, and with the row alone left out. From the
    first predictions follow the weights for rows with a language that is new, from
    the second those for rows whose languages are all known.

    Parameters
    ----------
    languages, proxies : tuple of str
        Columns of the table.
    score_range : (float, float)
        Predictions of every member are clipped to it.
    model : str or None
        Name of the target model.
    only : tuple of str or None
        Names of the members, all that suit the table if None.
    n_jobs : int or None
        Threads over members.
    random_state : int

    Attributes
    ----------
    members_ : dict of str to member
    weights_ : dict of str to dict of str to float
        Weights of the members for rows whose languages are ``"known"``, ``"new"``, or
        new and without a profile (``"unprofiled"``). Far from all rows that were seen,
        the median of the members without profiles takes their place.
    cv_rmse_ : dict of str to float
        RMSE of the members and of the ``"stack"`` on languages left out.
    calibrator_ : IntervalCalibrator or None
        None if there are too few rows to leave any out.
    """

    def __init__(
        self,
        languages=(),
        proxies=(),
        score_range=None,
        model=None,
        only=None,
        n_jobs=None,
        random_state=0,
    ):
        self.languages = languages
        self.proxies = proxies
        self.score_range = score_range
        self.model = model
        self.only = only
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, table, y, sample_weight=None, *, language_folds=(), context=None):
        """Fit the members and their weights.

        Parameters
        ----------
        table : DataFrame of shape (n_samples, n_columns)
        y : ndarray of shape (n_samples,)
        sample_weight : ndarray of shape (n_samples,), default=None
        language_folds : list of ndarray
            Row numbers of folds of left-out languages; without two of them, languages
            count as known.
        context : DataFrame, default=None
            Features of other records.

        Returns
        -------
        self : StackedRegressor
        """
        weights = np.ones(len(y)) if sample_weight is None else sample_weight
        self.design_ = StackDesign(self.languages, self.proxies, self.model)
        self.design_.fit(table, context)
        rows = self.design_.transform(table)
        members = make_members(self.design_, len(y), self.random_state)
        self.members_ = {
            name: member
            for name, member in members.items()
            if self.only is None or name in self.only
        }
        uses_profiles = [member.uses_profiles for member in self.members_.values()]
        self._own = ~np.array(uses_profiles, dtype=bool)
        self._mean = np.average(y, weights=weights)
        low, high = self.score_range or (-np.inf, np.inf)
        spread = np.ptp(y)
        # No member may lead far away from all that was seen.
        self._bounds = max(low, y.min() - spread), min(high, y.max() + spread)
        self._near = rows.gaussian[:, list(self.design_.row)]
        row_folds = []
        if len(y) >= 2 * N_ROW_FOLDS:
            shuffled = KFold(N_ROW_FOLDS, shuffle=True, random_state=self.random_state)
            row_folds = [test for _, test in shuffled.split(y)]
        codes = pd.factorize(table[list(self.languages)].to_numpy(object).ravel())[0]
        codes = codes.reshape(len(y), len(self.languages))
        unseen = [unseen_by_rest(rows.languages, fold) for fold in language_folds]
        units = LanguageUnits(codes, language_folds, unseen)
        folds = [*language_folds, *row_folds]
        found = Parallel(n_jobs=self.n_jobs, prefer="threads")(
            delayed(_fit_member)(member, rows, y, weights, folds, units.units)
            for member in self.members_.values()
        )
        n_language = len(language_folds)
        means = [each.means for each in found]
        sure = [
            None if each.units is None else units.pick(each.units) for each in found
        ]
        self.new_ = self._gather(
            rows, language_folds, [each[:n_language] for each in means], sure
        )
        order = np.concatenate([np.empty(0, dtype=int), *row_folds])
        alone = [None if each.alone is None else each.alone[order] for each in found]
        self.known_ = self._gather(
            rows, row_folds, [each[n_language:] for each in means], alone
        )
        self._far = None
        if self.new_ is not None:
            new = known = np.percentile(self.new_.distance, FAR)
            if self.known_ is not None:
                known = np.percentile(self.known_.distance, FAR_KNOWN)
            self._far = np.array([np.maximum(known, new), new])
        self._learn_weights(rows, y, weights)
        self._calibrate(rows, y, weights)
        rng = np.random.RandomState(self.random_state)
        drawn = rng.permutation(len(y))[:IMPORTANCE_ROWS]
        self._sample = table.iloc[np.sort(drawn)]
        return self

    def __getstate__(self):
        state = super().__getstate__()
        if "_sample" in state:
            state = {**state, "_sample": to_arrays(state["_sample"])}
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if "_sample" in state:
            self._sample = from_arrays(state["_sample"])

    def _gather(self, rows, folds, predictions, deviations):
        """Return the out-of-fold predictions of some folds, None if there are none."""
        if len(folds) < 2 or not self.members_:
            return None
        distances = [
            nearest(self._near[fold], np.delete(self._near, fold, axis=0))
            for fold in folds
        ]
        unseen = [unseen_by_rest(rows.languages, fold) for fold in folds]
        return OutOfFold(
            np.concatenate(folds),
            np.repeat(np.arange(len(folds)), [len(fold) for fold in folds]),
            np.concatenate(unseen),
            np.concatenate(distances),
            np.clip([np.concatenate(found) for found in predictions], *self._bounds),
            self._mean_deviation(deviations, is_profiled=True),
        )

    def _learn_weights(self, rows, y, weights):
        """Learn the weights of the members in every regime."""
        names = list(self.members_)
        own = self._own
        equal = np.full(len(names), 1 / max(len(names), 1))
        n_languages = max(len(np.unique(rows.languages)), 1)
        self._shrinkage = SHRINKAGE, LANGUAGE_SHRINKAGE / n_languages
        known = new = unprofiled = equal
        if self.known_ is not None:
            known = self._stack_weights(self.known_, y, weights, 0)
            new, unprofiled = known, own / max(own.sum(), 1)
        if self.new_ is not None:
            new = self._stack_weights(self.new_, y, weights, 1)
            part = self.new_._replace(members=self.new_.members[own])
            unprofiled = np.zeros(len(names))
            unprofiled[own] = self._stack_weights(part, y, weights, 1)
            if not self.languages:
                known = new  # nothing in a row tells whether its language is known
        self._weights = np.array([known, new, unprofiled])
        self.weights_ = {
            regime: dict(zip(names, map(float, row), strict=True))
            for regime, row in zip(REGIMES, self._weights, strict=True)
        }
        judged = self.known_ if self.new_ is None else self.new_
        self.cv_rmse_ = {}
        if judged is not None:
            stack = self._mix(judged, self._weights[int(self.new_ is not None)])
            errors = np.vstack([judged.members, stack]) - y[judged.rows]
            mean = np.average(errors**2, axis=1, weights=weights[judged.rows])
            self.cv_rmse_ = dict(
                zip([*names, "stack"], np.sqrt(mean).tolist(), strict=True)
            )

    def _stack_weights(self, found, y, weights, is_new, chosen=None):
        """Return the weights that out-of-fold predictions ask for."""
        chosen = np.ones(len(found.rows), bool) if chosen is None else chosen
        # One language at a time is new to most; both sides are in few folds.
        one = found.unseen.sum(axis=1) <= 1
        chosen = chosen & one if (chosen & one).any() else chosen
        rows = found.rows[chosen]
        return simplex_weights(
            found.members[:, chosen], y[rows], weights[rows], self._shrinkage[is_new]
        )

    def _far_share(self, distance, unseen):
        """Return how far rows are from all that was seen, from 0 to 1."""
        if self._far is None:
            return np.zeros(len(distance))
        low, high = self._far[unseen.any(axis=1).astype(int)].T
        return np.clip((distance - low) / np.maximum(high - low, 1e-12), 0, 1)

    def _mix(self, found, weights):
        """Return the stack's predictions of pairs from weights of the members."""
        near = weights @ found.members
        return self._draw_to_median(near, found.members, found.distance, found.unseen)

    def _draw_to_median(self, predicted, members, distance, unseen):
        """Return predictions, far from all that was seen the median of the members.

        There no error is known to learn weights from, and some members go astray.
        Members with profiles have no say: profiles carry over worst.
        """
        share = self._far_share(distance, unseen)
        return (1 - share) * predicted + share * np.median(members[self._own], axis=0)

    def _calibrate(self, rows, y, weights):
        """Fit the intervals to out-of-fold predictions of the stack.

        The weights with which a fold is predicted are learned from the other folds.
        """
        pairs, stack = [], []
        for is_new, found in enumerate((self.known_, self.new_)):
            if found is None:
                continue
            predicted = np.empty(len(found.rows))
            for fold in np.unique(found.folds):
                inside = found.folds == fold
                own = self._stack_weights(found, y, weights, is_new, ~inside)
                predicted[inside] = self._mix(found, own)[inside]
            pairs.append(found)
            stack.append(predicted)
        if not self.languages and len(pairs) == 2:
            pairs, stack = pairs[1:], stack[1:]
        self.calibrator_ = None
        if not pairs:
            return
        index = np.concatenate([found.rows for found in pairs])
        members = np.hstack([found.members for found in pairs])
        deviation = None
        if pairs[0].deviation is not None:
            deviation = np.concatenate([found.deviation for found in pairs])
        self.calibrator_ = IntervalCalibrator().fit(
            y[index],
            np.concatenate(stack),
            self._spread_features(rows.take(index), members, deviation),
            rows.languages[index] if self.languages else None,
            np.vstack([found.unseen for found in pairs]) if self.languages else None,
            weights[index],
        )

    def _mean_deviation(self, deviations, is_profiled):
        """Return the mean standard deviation of the processes, None without any.

        `deviations` has one array for each member, None for one that can't tell. Those
        that use profiles don't know that a row has none, and have no say there.
        """
        able = [deviation is not None for deviation in deviations]
        if not any(able):
            return None
        values = np.array([each for each in deviations if each is not None])
        own = self._own[able]
        mean = values.mean(axis=0)
        if not own.any():
            return mean
        return np.where(is_profiled, mean, values[own].mean(axis=0))

    def _spread_features(self, rows, members, deviation):
        """Return what the spread is predicted from.

        These are the features, how far the members disagree, and the standard
        deviation that the Gaussian processes expect, if there are any.
        """
        parts = [rows.raw[:, list(self.design_.row)], members.std(axis=0)]
        return np.column_stack(parts if deviation is None else [*parts, deviation])

    def predict_members(self, rows):
        """Return the clipped predictions of every member, (n_members, n_rows)."""
        predictions = [member.predict(rows) for member in self.members_.values()]
        return np.clip(predictions, *self._bounds).reshape(-1, len(rows))

    @property
    def feature_importances_(self):
        """How far predictions move if a column has the values of other rows.

        The root mean square over some training rows, for each numeric column; they
        sum to one. What a language's profile has from a proxy stays as it is.
        """
        check_is_fitted(self)
        rng = np.random.RandomState(self.random_state)
        before = self.predict(self._sample)
        moves = []
        for name in self.design_.numbers:
            shuffled = rng.permutation(self._sample[name].to_numpy())
            after = self.predict(self._sample.assign(**{name: shuffled}))
            moves.append(np.sqrt(np.mean((after - before) ** 2)))
        total = sum(moves)
        return np.array(moves) / total if total > 0 else np.zeros(len(moves))

    def predict(self, table):
        """Predict the scores of the rows of a table."""
        check_is_fitted(self)
        rows = self.design_.transform(table)
        return self._combine(rows, self.predict_members(rows))

    def predict_with_spread(self, table):
        """Return predictions, the features of their spread, and unseen languages.

        Returns
        -------
        predicted : ndarray of shape (n_rows,)
        features : ndarray of shape (n_rows, n_features)
        unseen : ndarray of bool of shape (n_rows, n_sides)
        """
        check_is_fitted(self)
        rows = self.design_.transform(table)
        found = [m.predict_with_deviation(rows) for m in self.members_.values()]
        members = np.clip([means for means, _ in found], *self._bounds)
        members = members.reshape(-1, len(rows))
        unseen = rows.languages < 0
        predicted = self._combine(rows, members)
        if not len(members):
            return predicted, np.empty((len(rows), 0)), unseen
        deviations = [deviation for _, deviation in found]
        deviation = self._mean_deviation(deviations, rows.is_profiled)
        return predicted, self._spread_features(rows, members, deviation), unseen

    def _combine(self, rows, members):
        """Return the stack's predictions from those of its members."""
        if not len(members):
            return np.full(len(rows), self._mean)
        unseen = rows.languages < 0
        regime = np.where(~unseen.any(axis=1), 0, np.where(rows.is_profiled, 1, 2))
        distance = nearest(rows.gaussian[:, list(self.design_.row)], self._near)
        predicted = np.einsum("nm,mn->n", self._weights[regime], members)
        return self._draw_to_median(predicted, members, distance, unseen)
