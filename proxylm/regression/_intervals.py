"""What regressors with intervals have in common."""

from numbers import Real

import numpy as np
from sklearn.utils.metaestimators import available_if


def _has_intervals(regressor):
    """Say whether a regressor has intervals, or raise what says how it gets them."""
    return regressor._check_intervals() is None


class IntervalMixin:
    """Intervals and probabilities from a conformal calibrator.

    A class with it has `_calibrator`, `score_range_` and `_predict_with_spread(X)`,
    which returns predictions, the features of their spread and which languages are
    unseen. Where it may lack intervals, `_check_intervals` raises an AttributeError.
    """

    @available_if(_has_intervals)
    def predict_interval(self, X, confidence_level=0.9):
        """Predict intervals that hold the scores of records.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            The columns seen in `fit`. The interval of a language that was not seen is
            wider.
        confidence_level : float, default=0.9
            Share of the scores that the intervals are to hold, on average over
            languages.

        Returns
        -------
        interval : ndarray of shape (n_samples, 2)
            Lower and upper ends, in units of the y of `fit`.
        """
        return self._interval(X, confidence_level)[1]

    @available_if(_has_intervals)
    def predict_proba_above(self, X, threshold):
        """Predict the probability that scores exceed a threshold.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            The columns seen in `fit`.
        threshold : float or array-like of shape (n_samples,)
            In units of the y of `fit`.

        Returns
        -------
        probability : ndarray of shape (n_samples,)
            Probability that the score of each record is above its threshold.
        """
        predicted, features, unseen = self._predict_with_spread(X)
        threshold = np.broadcast_to(np.asarray(threshold, float), predicted.shape)
        probability = self._calibrator.probability_above(
            threshold, predicted, features, unseen
        )
        low, high = self.score_range_
        probability[threshold < low] = 1.0
        probability[threshold >= high] = 0.0
        return probability

    def _check_intervals(self):
        """Raise an AttributeError if there are no intervals."""

    def _interval(self, X, confidence_level):
        """Return predictions of shape (n_samples,) and intervals of shape (n, 2)."""
        valid = isinstance(confidence_level, Real) and 0 < confidence_level < 1
        if not valid:
            raise ValueError(
                "confidence_level expects a number between 0 and 1, such as 0.9. Got "
                f"{confidence_level!r}."
            )
        predicted, features, unseen = self._predict_with_spread(X)
        half = self._calibrator.half_width(
            predicted, features, unseen, confidence_level
        )
        ends = np.column_stack([predicted - half, predicted + half])
        return predicted, np.clip(ends, *self.score_range_)
