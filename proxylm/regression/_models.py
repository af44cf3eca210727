"""The regressors that ProxyRegressor knows by name."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import loguniform, randint, uniform
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.linear_model import ElasticNet, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from proxylm._nearest import nearest
from proxylm.regression._factorization import MatrixFactorizationRegressor
from proxylm.regression._poly import ScaledPowers
from proxylm.regression._stack import StackedRegressor

# Below this number of records trees are kept shallow and small steps get more time.
SMALL_TABLE = 500


@dataclass(frozen=True)
class ModelContext:
    """What a named regressor may know of the data before it is built."""

    n_samples: int
    n_features: int
    indicators: tuple[int, ...]
    random_state: int
    n_jobs: int | None
    languages: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    model: str | None = None


@dataclass(frozen=True)
class NamedRegressor:
    """A regressor with defaults that need no tuning.

    `build(context, **params)` makes the estimator, which is handed the language
    columns beside the numeric ones if it `takes_languages`; `grid` and
    `distributions` are the default search spaces; `paths` maps short parameter
    names to the nested names of the estimator that `build` returns.
    """

    build: Callable
    takes_languages: bool = False
    grid: dict = field(default_factory=dict)
    distributions: dict = field(default_factory=dict)
    paths: dict = field(default_factory=dict)


def _xgboost(context, **params):
    from xgboost import XGBRegressor

    # No penalty here depends on the unit of the scores (reg_alpha would).
    small = context.n_samples < SMALL_TABLE
    defaults = {
        "n_estimators": 1000 if small else 1500,
        "learning_rate": 0.03,
        "max_depth": 3 if small else 5,
        "min_child_weight": 2 if small else 5,
        "subsample": 0.8,
        "colsample_bynode": 0.6,
        "reg_lambda": 0.35 if small else 0.1,
        "random_state": context.random_state,
        "n_jobs": context.n_jobs or 1,
    }
    return XGBRegressor(**(defaults | params))


def _lightgbm(context, **params):
    from lightgbm import LGBMRegressor

    defaults = {
        "n_estimators": 300 if context.n_samples < SMALL_TABLE else 100,
        "learning_rate": 0.1,
        "num_leaves": 32,
        # Small tables can afford to try every split point.
        "max_bin": 65_535 if context.n_samples < 20_000 else 255,
        "max_depth": 10,
        # On the smallest tables leaves of 20 records would leave nothing to split.
        "min_child_samples": min(20, max(2, context.n_samples // 7)),
        "reg_alpha": 0.1,
        "reg_lambda": 0.1,
        "random_state": context.random_state,
        "n_jobs": context.n_jobs or 1,
        "importance_type": "gain",
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }
    return LGBMRegressor(**(defaults | params))


def _poly(context, **params):
    degree = params.pop("degree", 2)
    defaults = {"alpha": 0.1, "l1_ratio": 0.9, "max_iter": 10_000}
    return Pipeline(
        [
            ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
            ("powers", ScaledPowers(degree, context.indicators)),
            ("elasticnet", ElasticNet(**(defaults | params))),
        ]
    )


def _factorization(context, **params):
    defaults = {"random_state": context.random_state}
    return MatrixFactorizationRegressor(**(defaults | params))


def _gaussian_process(context):
    return StackedRegressor(
        languages=context.languages,
        proxies=context.proxies,
        model=context.model,
        only=("gp",),
        random_state=context.random_state,
    )


def _ridge(context, **params):
    return Pipeline(
        [
            ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
            ("scale", StandardScaler()),
            ("ridge", Ridge(**({"alpha": 10.0} | params))),
        ]
    )


REGRESSORS = {
    "xgboost": NamedRegressor(
        build=_xgboost,
        grid={"n_estimators": [500, 1000, 2000], "learning_rate": [0.01, 0.03, 0.1]},
        distributions={
            "n_estimators": randint(500, 5001),
            "learning_rate": loguniform(0.01, 0.1),
        },
    ),
    "lightgbm": NamedRegressor(
        build=_lightgbm,
        grid={"learning_rate": [0.03, 0.1, 0.3], "num_leaves": [16, 32, 64]},
        distributions={
            "learning_rate": loguniform(0.01, 0.3),
            "num_leaves": randint(8, 129),
        },
    ),
    "poly": NamedRegressor(
        build=_poly,
        grid={"degree": [1, 2, 3], "alpha": [0.001, 0.01, 0.1, 1.0]},
        distributions={
            "degree": [1, 2, 3],
            "alpha": loguniform(1e-4, 1.0),
            "l1_ratio": uniform(0.05, 0.95),
        },
        paths={
            "degree": "powers__degree",
            "alpha": "elasticnet__alpha",
            "l1_ratio": "elasticnet__l1_ratio",
        },
    ),
    "mf": NamedRegressor(
        build=_factorization,
        takes_languages=True,
        grid={"n_components": [0, 5, 10, 20]},
        distributions={"n_components": [0, 2, 5, 10, 20]},
    ),
    "gp": NamedRegressor(build=_gaussian_process, takes_languages=True),
    "ridge": NamedRegressor(
        build=_ridge,
        grid={"alpha": [0.1, 1.0, 10.0, 100.0, 1000.0]},
        distributions={"alpha": loguniform(1e-2, 1e4)},
        paths={"alpha": "ridge__alpha"},
    ),
}

# What LightGBM takes besides the parameters of its scikit-learn face; others it
# would ignore without a word.
NATIVE_PARAMETERS = {
    "lightgbm": (
        "max_bin",
        "min_data_in_bin",
        "max_delta_step",
        "extra_trees",
        "path_smooth",
        "linear_tree",
        "linear_lambda",
        "feature_fraction_bynode",
        "deterministic",
        "force_row_wise",
        "force_col_wise",
        "verbose",
    ),
}


def given_regressor(regressor):
    """Wrap a scikit-learn regressor, with imputation where it refuses NaN."""
    if isinstance(regressor, type):
        raise TypeError(
            f"regressor expects an instance. Got the class {regressor.__name__}. "
            f"Call it: {regressor.__name__}()."
        )

    def build(context, **params):
        estimator = clone(regressor)
        if estimator.get_params().get("random_state", 0) is None:
            params = {"random_state": context.random_state} | params
        estimator.set_params(**params)
        if get_tags(estimator).input_tags.allow_nan:
            return estimator
        impute = SimpleImputer(strategy="median", keep_empty_features=True)
        return Pipeline([("impute", impute), ("regressor", estimator)])

    paths = {}
    if not get_tags(regressor).input_tags.allow_nan:
        paths = {name: f"regressor__{name}" for name in regressor.get_params()}
    return NamedRegressor(build=build, paths=paths)


def named_regressor(regressor):
    """Return the NamedRegressor of a name or of a scikit-learn regressor."""
    if not isinstance(regressor, str):
        return given_regressor(regressor)
    if regressor not in REGRESSORS:
        known = ["auto", *REGRESSORS]
        raise ValueError(
            f"regressor expects one of {known} or a scikit-learn regressor. Got "
            f"{regressor!r}.{nearest(regressor, known)}"
        )
    return REGRESSORS[regressor]


def known_parameters(name):
    """Return the names of the parameters that a named regressor takes."""
    if name not in REGRESSORS:
        return set()
    entry = REGRESSORS[name]
    context = ModelContext(2, 1, indicators=(), random_state=0, n_jobs=None)
    estimator = entry.build(context)
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    native = NATIVE_PARAMETERS.get(name, ())
    return {*entry.paths, *last.get_params(deep=False), *native}


def fit_weighted(estimator, X, y, sample_weight):
    """Fit an estimator, with weights for every step of a pipeline that takes them."""
    if sample_weight is None:
        return estimator.fit(X, y)
    if not isinstance(estimator, Pipeline):
        return estimator.fit(X, y, sample_weight=sample_weight)
    weights = {
        f"{name}__sample_weight": sample_weight
        for name, step in estimator.steps
        if has_fit_parameter(step, "sample_weight")
    }
    return estimator.fit(X, y, **weights)


def column_importances(estimator, scale):
    """Return importances of trees or absolute coefficients, one per feature.

    `scale` holds the standard deviations of the features, for coefficients in units
    of the features.
    """
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if hasattr(last, "feature_importances_"):
        return np.asarray(last.feature_importances_, dtype=np.float64)
    if not hasattr(last, "coef_"):
        raise AttributeError(
            f"{type(last).__name__} has neither feature_importances_ nor coef_."
        )
    weights = np.abs(np.ravel(last.coef_))
    steps = getattr(estimator, "named_steps", {})
    if "powers" in steps:
        return steps["powers"].feature_weights(weights)
    return weights if "scale" in steps else weights * scale
