"""evaluate(): time, peak memory and error of whole protocols."""

import tempfile

from proxylm import ProxyRegressor, evaluate

from .generated import generated_records


class Protocol:
    """A whole protocol with one seed."""

    params = (["random", "lolo", "incremental"], ["ridge", "lightgbm"])
    param_names = ("protocol", "regressor")
    timeout = 300

    def setup(self, protocol, regressor):
        self.records = generated_records(1_000)
        self.estimator = ProxyRegressor(regressor)

    def run(self, protocol):
        return evaluate(self.estimator, self.records, protocol)

    def time_evaluate(self, protocol, regressor):
        self.run(protocol)

    def peakmem_evaluate(self, protocol, regressor):
        self.run(protocol)

    def track_rmse(self, protocol, regressor):
        return float(self.run(protocol).summary()["rmse"].iloc[0])

    track_rmse.unit = "score"


class Overhead:
    """What the loop costs beside the fits: 50 folds of a ridge, and the summaries."""

    def setup(self):
        self.records = generated_records(2_000)
        self.evaluation = evaluate(ProxyRegressor("ridge"), self.records, "lolo")
        self.folder = tempfile.TemporaryDirectory()

    def teardown(self):
        self.folder.cleanup()

    def time_summary(self):
        self.evaluation.summary()

    def time_by_language(self):
        self.evaluation.by_language()

    def time_to_parquet(self):
        self.evaluation.to_parquet(f"{self.folder.name}/p.parquet")
