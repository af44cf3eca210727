"""The section `regressor` of a configuration: what predicts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import proxylm
from proxylm.cli._space import parse_space
from proxylm.cli._values import check_keys, check_number, look_up
from proxylm.records import SCORE_RANGES
from proxylm.regression._models import REGRESSORS as NAMED_REGRESSORS
from proxylm.regression._models import known_parameters

# What a name stands for: a regressor of ProxyRegressor, and parameters of it.
REGRESSORS = {name: (name, {}) for name in ("auto", *NAMED_REGRESSORS)} | {
    "xgb": ("xgboost", {}),
    "lgbm": ("lightgbm", {}),
    "poly": ("poly", {"degree": 2}),
    "poly2": ("poly", {"degree": 2}),
    "poly3": ("poly", {"degree": 3}),
}
SEARCHES = {name: name for name in ("grid", "random", "bayes")}
PARAMETER_SYNONYMS = {"eta": "learning_rate"}


@dataclass(frozen=True)
class RegressorConfig:
    """What predicts."""

    name: str = "auto"
    params: Mapping[str, Any] = field(default_factory=dict)
    search: str | None = None
    param_space: Mapping[str, Any] | None = None
    n_iter: int = 25
    cv: int = 5
    score_range: str | tuple[float, float] | None = "auto"

    @classmethod
    def parse(cls, values: Any) -> "RegressorConfig":
        """Return the object of the section `regressor`."""
        if isinstance(values, str):
            values = {"name": values}
        check_keys(values, [entry.name for entry in fields(cls)], "regressor")
        name, params = look_up(
            REGRESSORS, values.get("name", cls.name), "regressor.name"
        )
        given = values.get("params") or {}
        if not isinstance(given, Mapping):
            raise TypeError(
                f"regressor.params expects parameters with values. Got {given!r}."
            )
        search = values.get("search")
        if search is not None:
            look_up(SEARCHES, search, "regressor.search")
        space = values.get("param_space")
        if space is not None:
            if search is None:
                raise ValueError(
                    "regressor.param_space expects a regressor.search over it "
                    f"({', '.join(SEARCHES)}). Got none."
                )
            parse_space(space, search, "regressor.param_space")
            space = _canonical(name, space, "regressor.param_space")
        n_iter, cv = (
            check_number(values.get(key, getattr(cls, key)), where, integer=True)
            for key, where in (("n_iter", "regressor.n_iter"), ("cv", "regressor.cv"))
        )
        return cls(
            name=name,
            params=params | _canonical(name, given, "regressor.params"),
            search=search,
            param_space=space,
            n_iter=n_iter,
            cv=cv,
            score_range=_parse_score_range(values.get("score_range", cls.score_range)),
        )

    def build(self) -> proxylm.ProxyRegressor:
        """Return the estimator."""
        space = self.param_space
        if space is not None:
            space = parse_space(space, self.search, "regressor.param_space")
        estimator = proxylm.ProxyRegressor(
            self.name,
            regressor_params=dict(self.params) or None,
            search=self.search,
            param_space=space,
            n_iter=self.n_iter,
            cv=self.cv,
            score_range=self.score_range,
        )
        estimator._validate_params()  # now, not after the records are loaded
        return estimator

    @property
    def label(self) -> str:
        """The regressor as tables and file names call it, such as poly2."""
        degree = self.params.get("degree", "") if self.search is None else ""
        return f"{self.name}{degree}"


def _canonical(name: str, parameters: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return known parameters of a regressor under one name each."""
    renamed = {}
    for given, value in parameters.items():
        known = PARAMETER_SYNONYMS.get(given, given)
        if known in renamed:
            raise ValueError(
                f"{where} expects each parameter once. Got {known!r} twice, also as "
                f"{given!r}. Remove one of them."
            )
        renamed[known] = value
    if renamed:
        check_keys(renamed, known_parameters(name), f"{where} of {name}")
    return renamed


def _parse_score_range(value: Any) -> str | tuple[float, float] | None:
    where = "regressor.score_range"
    if isinstance(value, list):
        ends = tuple(check_number(end, where) for end in value)
        if len(ends) != 2 or not ends[0] < ends[1]:
            raise ValueError(
                f"{where} expects [low, high] with low < high. Got {value}."
            )
        return ends
    if value is not None:
        look_up({"auto": None} | SCORE_RANGES, value, where)
    return value
