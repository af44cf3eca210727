"""What regressors with intervals have in common."""

from numbers import Real

import numpy as np


class IntervalMixin:
    """Intervals and probabilities from a conformal calibrator.

    A class with it has `_calibrator`, `score_range_` and `_predict_with_spread(X)`,
    which returns predictions, the features of their spread and which languages are
    unseen.
    """

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

    def _probability_above(self, X, threshold):
        """Return the probability that each score is above its threshold."""
        predicted, features, unseen = self._predict_with_spread(X)
        threshold = np.broadcast_to(np.asarray(threshold, float), predicted.shape)
        probability = self._calibrator.probability_above(
            threshold, predicted, features, unseen
        )
        low, high = self.score_range_
        probability[threshold < low] = 1.0
        probability[threshold >= high] = 0.0
        return probability
