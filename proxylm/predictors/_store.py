"""Fitted regressors in files: what is in them is listed, and nothing else is read."""

import hashlib
import json
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.utils import Bunch

from proxylm._files import write_whole
from proxylm._version import __version__
from proxylm.regression import ProxyRegressor

# All types that a fitted ProxyRegressor is made of, beside those of numpy, scipy and
# scikit-learn that skops knows. A file with any other is refused.
TRUSTED = (
    "collections.OrderedDict",
    "functools.partial",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMRegressor",
    "proxylm.languages._pretraining.is_pretrained",
    "proxylm.languages._web_share.log_web_share",
    "proxylm.regression._bayes.BayesFactorModel",
    "proxylm.regression._cold_start.ColdStart",
    "proxylm.regression._conformal.IntervalCalibrator",
    "proxylm.regression._conformal.Scores",
    "proxylm.regression._conformal.Spread",
    "proxylm.regression._design.StackDesign",
    "proxylm.regression._factorization.MatrixFactorizationRegressor",
    "proxylm.regression._gaussian_process.GaussianProcess",
    "proxylm.regression._gaussian_process.Rows",
    "proxylm.regression._ids.IdCoder",
    "proxylm.regression._kernels.Identity",
    "proxylm.regression._kernels.LanguageFunctions",
    "proxylm.regression._kernels.Matern",
    "proxylm.regression._kernels.SquaredExponential",
    "proxylm.regression._kernels.Trend",
    "proxylm.regression._left_out.OutOfFold",
    "proxylm.regression._members.EstimatorMember",
    "proxylm.regression._members.ProcessMember",
    "proxylm.regression._members._Columns",
    "proxylm.regression._members._frame",
    "proxylm.regression._profiles.LanguageProfiles",
    "proxylm.regression._regressor.ProxyRegressor",
    "proxylm.regression._roles.ColumnRoles",
    "proxylm.regression._stack.StackedRegressor",
    "sklearn.tree._tree.Tree",
)
PACKAGES = ("scikit-learn", "lightgbm")


def describe(records: Bunch) -> dict[str, Any]:
    """Return what a predictor depends on: its records, and who writes and reads it."""
    table = records.data.assign(**{"the score": records.target.to_numpy()})
    rows = pd.util.hash_pandas_object(table, index=False).to_numpy()
    digest = hashlib.sha256("\n".join(map(str, table.columns)).encode())
    digest.update(rows.tobytes())
    return {
        "records": digest.hexdigest(),
        "proxylm": __version__,
        **{package: version(package) for package in PACKAGES},
    }


def save(regressor: ProxyRegressor, stem: Path, facts: dict[str, Any]) -> None:
    """Write a fitted regressor, and then what it depends on."""
    import skops.io

    with write_whole(stem.with_name(f"{stem.name}.skops")) as path:
        skops.io.dump(
            regressor, path, compression=zipfile.ZIP_DEFLATED, compresslevel=9
        )
    with write_whole(stem.with_name(f"{stem.name}.json")) as path:
        path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def load(stem: Path, facts: dict[str, Any]) -> ProxyRegressor | None:
    """Return a regressor, None where there is none of these facts.

    Raises
    ------
    skops.io.exceptions.UntrustedTypesFoundException
        If the file has a type in it that a predictor has not.
    """
    import skops.io

    paths = [stem.with_name(stem.name + suffix) for suffix in (".json", ".skops")]
    if not all(path.is_file() for path in paths):
        return None
    if json.loads(paths[0].read_text(encoding="utf-8")) != facts:
        return None
    return skops.io.load(paths[1], trusted=list(TRUSTED))
