"""Search spaces as configurations write them: lists of values, or ranges with types."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import loguniform, randint, uniform

from proxylm.cli._values import check_keys, check_number, look_up

_MAX_LOG_INTEGERS = 50


@dataclass(frozen=True)
class Range:
    """The values of one parameter between two ends, both included."""

    low: float
    high: float
    log: bool = False
    step: int | None = None

    def steps(self) -> list[int]:
        """Return the whole numbers from low, a step apart."""
        return list(range(self.low, self.high + 1, self.step or 1))

    def whole(self) -> Any:
        """Return a distribution of whole numbers, or a list where steps are given."""
        if self.step is not None:
            return self.steps()
        if self.log:
            numbers = np.geomspace(self.low, self.high, _MAX_LOG_INTEGERS)
            return np.unique(numbers.round().astype(int)).tolist()
        return randint(self.low, self.high + 1)

    def real(self) -> Any:
        """Return a distribution of real numbers."""
        if self.log:
            return loguniform(self.low, self.high)
        return uniform(self.low, self.high - self.low)


@dataclass(frozen=True)
class RangeType:
    """What a type of range allows, and how its values are made."""

    candidates: Callable[[Range], Any]
    integer: bool
    step: bool


RANGE_TYPES = {
    "Integer": RangeType(Range.whole, integer=True, step=True),
    "Real": RangeType(Range.real, integer=False, step=False),
    "Categorical": RangeType(Range.steps, integer=True, step=True),
}
PRIORS = {"uniform": False, "log-uniform": True}
_RANGE_KEYS = ("type", "low", "high", "prior", "step")


def _parse_range(values: Mapping[str, Any], where: str) -> Any:
    check_keys(values, _RANGE_KEYS, where)
    missing = [key for key in ("type", "low", "high") if key not in values]
    if missing:
        raise ValueError(
            f"{where} expects type, low and high. Got no {', '.join(missing)}."
        )
    kind = look_up(RANGE_TYPES, values["type"], f"{where}.type")
    log = look_up(PRIORS, values.get("prior", "uniform"), f"{where}.prior")
    low, high = (
        check_number(values[end], f"{where}.{end}", integer=kind.integer)
        for end in ("low", "high")
    )
    if not low < high or (log and low <= 0):
        above = "0 < low < high" if log else "low < high"
        raise ValueError(f"{where} expects {above}. Got low={low}, high={high}.")
    step = values.get("step")
    if step is not None:
        check_number(step, f"{where}.step", integer=True)
        if not kind.step or step < 1:
            stepped = [name for name, entry in RANGE_TYPES.items() if entry.step]
            raise ValueError(
                f"{where}.step expects a positive whole number, with the type "
                f"{' or '.join(stepped)}. Got {step} with {values['type']}."
            )
    return kind.candidates(Range(low, high, log, step))


def parse_space(space: Any, search: str, where: str) -> dict[str, Any]:
    """Return a search space with lists and frozen distributions for values."""
    if not isinstance(space, Mapping):
        raise TypeError(
            f"{where} expects parameters with lists or ranges of values. Got {space!r}."
        )
    parsed = {}
    for name, values in space.items():
        here = f"{where}.{name}"
        if isinstance(values, Mapping):
            parsed[name] = _parse_range(values, here)
        elif isinstance(values, list | tuple) and values:
            parsed[name] = list(values)
        else:
            raise TypeError(
                f"{here} expects a list of values or a range "
                f"{{type, low, high, prior, step}}. Got {values!r}."
            )
        if search == "grid" and not isinstance(parsed[name], list):
            raise ValueError(
                f"{here} expects a list of values for a grid search. Got a range of "
                f"type {values['type']}. List the values, or search with random or "
                "bayes."
            )
    return parsed
