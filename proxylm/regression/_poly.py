"""Powers of features, for polynomial regression without interactions."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, validate_data


class ScaledPowers(TransformerMixin, BaseEstimator):
    """Columns x, x**2, ..., x**degree of every feature, standardised.

    All first powers come before all second ones. The columns at the positions
    `indicators` hold zeros and ones; they are neither powered nor scaled, and come
    last.
    """

    def __init__(self, degree=2, indicators=()):
        self.degree = degree
        self.indicators = indicators

    def fit(self, X, y=None, sample_weight=None):
        """Learn means and deviations of the powers."""
        X = validate_data(self, X, dtype=np.float64)
        self.scaler_ = StandardScaler().fit(
            self._powers(X), sample_weight=sample_weight
        )
        return self

    def transform(self, X):
        """Return the standardised powers and the indicators."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        powers = self.scaler_.transform(self._powers(X))
        return np.hstack([powers, X[:, list(self.indicators)]])

    def _powers(self, X):
        powered = np.delete(X, list(self.indicators), axis=1)
        return np.hstack([powered**power for power in range(1, self.degree + 1)])

    def feature_weights(self, weights):
        """Sum weights of the columns of `transform` per feature."""
        powered = np.delete(np.arange(self.n_features_in_), list(self.indicators))
        summed = np.zeros(self.n_features_in_)
        n_powers = len(powered) * self.degree
        summed[powered] = weights[:n_powers].reshape(self.degree, -1).sum(axis=0)
        summed[list(self.indicators)] = weights[n_powers:]
        return summed
