"""Every estimator keeps scikit-learn's law."""

import pytest
from sklearn.linear_model import LinearRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from proxylm import (
    LanguageConformalRegressor,
    MatrixFactorizationRegressor,
    ProxyRegressor,
)

QUICK = {"n_estimators": 20, "learning_rate": 0.3}

ESTIMATORS = [
    ProxyRegressor(),
    ProxyRegressor("xgboost", regressor_params=QUICK),
    ProxyRegressor("lightgbm", regressor_params=QUICK),
    ProxyRegressor("gp"),
    ProxyRegressor("poly"),
    ProxyRegressor("ridge"),
    ProxyRegressor("ridge", search="grid", cv=2),
    ProxyRegressor("mf"),
    ProxyRegressor(LinearRegression()),
    MatrixFactorizationRegressor(),
    MatrixFactorizationRegressor(solver="als"),
    LanguageConformalRegressor(LinearRegression(), cv=3),
]


def expected_failures(estimator):
    """Return the checks that cannot hold, each with its reason."""
    weights = "check_sample_weight_equivalence_on_dense_data"
    reasons = {
        "auto": "folds over rows are drawn from the rows, so a repeated row is two",
        "gp": "scales of the features count rows, not weights",
        "xgboost": "rows are subsampled, so a repeated row is drawn twice as often",
        "lightgbm": "min_child_samples counts rows, not weights",
    }
    regressor = getattr(estimator, "regressor", None)
    if isinstance(regressor, str) and regressor in reasons:
        return {weights: reasons[regressor]}
    return {}


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures)
@pytest.mark.filterwarnings("ignore:ProxyRegressor found no languages:UserWarning")
def test_estimator_follows_scikit_learn(estimator, check):
    check(estimator)
