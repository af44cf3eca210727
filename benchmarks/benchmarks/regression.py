"""ProxyRegressor: time, peak memory and error by regressor and table size."""

import numpy as np

from proxylm import ProxyRegressor
from proxylm.inspection._shapley import contributions_of

from .generated import generated_records


class Fit:
    """One fit, and the error on records of the same languages."""

    params = (["auto", "xgboost", "lightgbm", "gp", "poly", "ridge"], [200, 2_000])
    param_names = ("regressor", "n_records")
    timeout = 300

    def setup(self, regressor, n_records):
        self.train = generated_records(n_records)
        self.test = generated_records(1_000, seed=1)
        self.regressor = ProxyRegressor(regressor, random_state=0)
        self.fitted = ProxyRegressor(regressor, random_state=0).fit(
            self.train.data, self.train.target
        )

    def time_fit(self, regressor, n_records):
        self.regressor.fit(self.train.data, self.train.target)

    def peakmem_fit(self, regressor, n_records):
        self.regressor.fit(self.train.data, self.train.target)

    def time_predict(self, regressor, n_records):
        self.fitted.predict(self.test.data)

    def track_rmse(self, regressor, n_records):
        error = self.test.target - self.fitted.predict(self.test.data)
        return float(np.sqrt((error**2).mean()))

    track_rmse.unit = "score"


class Intervals:
    """Intervals, probabilities and explanations of a fitted default."""

    def setup(self):
        train = generated_records(500)
        self.train, self.test = train.data, generated_records(1_000, seed=1).data
        self.fitted = ProxyRegressor(random_state=0).fit(self.train, train.target)

    def time_predict_interval(self):
        self.fitted.predict_interval(self.test)

    def time_predict_proba_above(self):
        self.fitted.predict_proba_above(self.test, 20.0)

    def time_contributions(self):
        contributions_of(
            self.fitted, self.test[:40], self.train, n_draws=20, random_state=0
        )


class Search:
    """A search of parameters on folds of left-out languages."""

    params = ("grid", "random", "bayes")
    param_names = ("search",)
    timeout = 300

    def setup(self, search):
        self.records = generated_records(500)
        self.regressor = ProxyRegressor(
            "ridge", search=search, n_iter=10, random_state=0
        )

    def time_fit(self, search):
        self.regressor.fit(self.records.data, self.records.target)
