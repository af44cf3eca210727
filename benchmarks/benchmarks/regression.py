"""ProxyRegressor: time, peak memory and error by regressor and table size."""

import numpy as np

from proxylm import ProxyRegressor

from .generated import generated_records


class Fit:
    """One fit, and the error on records of the same languages."""

    params = (["xgboost", "lightgbm", "poly", "ridge"], [200, 2_000])
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


class Choose:
    """What fit chooses on folds of left-out languages."""

    params = ("auto", "grid", "random", "bayes")
    param_names = ("choice",)
    timeout = 300

    def setup(self, choice):
        self.records = generated_records(500)
        search = None if choice == "auto" else choice
        regressor = "auto" if choice == "auto" else "ridge"
        self.regressor = ProxyRegressor(
            regressor, search=search, n_iter=10, random_state=0
        )

    def time_fit(self, choice):
        self.regressor.fit(self.records.data, self.records.target)
