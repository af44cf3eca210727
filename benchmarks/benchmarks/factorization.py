"""MatrixFactorizationRegressor: time, peak memory and error by table size and rank."""

import numpy as np
import pandas as pd

from proxylm import MatrixFactorizationRegressor

TRUE_RANK = 3
NOISE = 1.0
RECORDS_OF_AN_ID = 25
# Noise over the variances of biases and factors, for scores of unit variance.
ALS_PENALTIES = {"alpha_bias": 0.1, "alpha_factor": 0.05, "alpha_coef": 0.1}


def generated_scores(n_records, n_ids, seed=0):
    """Return X, noisy scores and noiseless scores of a table of models and tasks."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, n_ids, (2, n_records))
    left, right = rng.normal(size=(2, n_ids, TRUE_RANK))
    truth = 50 + 4 * rng.normal(size=n_ids)[ids[0]] + 2 * rng.normal(size=n_ids)[ids[1]]
    truth += 3 * np.einsum("nk,nk->n", left[ids[0]], right[ids[1]])
    proxy = rng.normal(size=n_records)
    truth += 2 * proxy
    names = np.array([f"{number:05d}" for number in range(n_ids)], dtype=object)
    X = pd.DataFrame({"model": "m" + names[ids[0]], "task": "t" + names[ids[1]]})
    X["proxy"] = proxy
    return X, truth + NOISE * rng.normal(size=n_records), truth


class Fit:
    """One fit, and the error on held-out records without their noise."""

    params = (["bayes", "als"], [500, 2_000, 5_000], [0, 5, 20])
    param_names = ("solver", "n_records", "n_components")
    timeout = 300

    def setup(self, solver, n_records, n_components):
        n_test = 1_000
        n_ids = n_records // RECORDS_OF_AN_ID
        X, y, truth = generated_scores(n_records + n_test, n_ids)
        self.train = X[n_test:], y[n_test:]
        self.test = X[:n_test], truth[:n_test]
        self.regressor = MatrixFactorizationRegressor(
            n_components, solver=solver, random_state=0, **ALS_PENALTIES
        )

    def time_fit(self, solver, n_records, n_components):
        self.regressor.fit(*self.train)

    def peakmem_fit(self, solver, n_records, n_components):
        self.regressor.fit(*self.train)

    def track_rmse(self, solver, n_records, n_components):
        X, truth = self.test
        predicted = self.regressor.fit(*self.train).predict(X)
        return float(np.sqrt(np.mean((predicted - truth) ** 2)))

    track_rmse.unit = "score"


class Predict:
    """Means and standard deviations of ten thousand records, new ids among them."""

    params = (["known", "new"],)
    param_names = ("ids",)

    def setup(self, ids):
        X, y, _ = generated_scores(2_000, 80)
        self.regressor = MatrixFactorizationRegressor(random_state=0).fit(X, y)
        self.X = X.sample(10_000, replace=True, random_state=0)
        if ids == "new":
            self.X = self.X.assign(model="new")

    def time_predict(self, ids):
        self.regressor.predict(self.X)

    def time_predict_std(self, ids):
        self.regressor.predict(self.X, return_std=True)
