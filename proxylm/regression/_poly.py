"""Polynomial regression without interactions, as a scikit-learn pipeline."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import ElasticNet
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, validate_data


class PowerFeatures(TransformerMixin, BaseEstimator):
    """Columns x, x**2, ..., x**degree of every feature, without interactions."""

    def __init__(self, degree=2):
        self.degree = degree

    def fit(self, X, y=None):
        """Remember the number of features."""
        validate_data(self, X, dtype=np.float64)
        self.n_features_out_ = self.n_features_in_ * self.degree
        return self

    def transform(self, X):
        """Return the powers, all first powers before all second ones."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return np.hstack([X**power for power in range(1, self.degree + 1)])


def polynomial_pipeline(n_features, indicators, *, degree, alpha, l1_ratio, **params):
    """Return powers, standardised, into an elastic net; indicators go in as 0/1.

    The columns at the positions `indicators` are neither powered nor scaled and
    come last. This is the regressor "poly" of arXiv:2406.09334.
    """
    powered = [i for i in range(n_features) if i not in set(indicators)]
    powers = Pipeline(
        [
            ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
            ("powers", PowerFeatures(degree)),
            ("scale", StandardScaler()),
        ]
    )
    features = ColumnTransformer(
        [
            ("powers", powers, powered),
            (
                "indicators",
                SimpleImputer(strategy="most_frequent", keep_empty_features=True),
                list(indicators),
            ),
        ]
    )
    net = ElasticNet(alpha=alpha, l1_ratio=l1_ratio, **params)
    return Pipeline([("features", features), ("elasticnet", net)])
