"""Regressors that predict the score of a language model from cheap features."""

from proxylm.regression._compare import compare
from proxylm.regression._factorization import MatrixFactorizationRegressor
from proxylm.regression._language_conformal import LanguageConformalRegressor
from proxylm.regression._regressor import ProxyRegressor

__all__ = [
    "LanguageConformalRegressor",
    "MatrixFactorizationRegressor",
    "ProxyRegressor",
    "compare",
]
