"""The roles of the columns of a record table."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

from proxylm._nearest import nearest

SCORE_RANGES: dict[str, tuple[float, float]] = {
    "spBLEU": (0.0, 100.0),
    "chrF2++": (0.0, 100.0),
    "BLEU": (0.0, 100.0),
    "chrF2": (0.0, 100.0),
    "TER": (0.0, math.inf),
    "comet": (-math.inf, math.inf),
    "accuracy": (0.0, 100.0),
    "f1": (0.0, 100.0),
    "bits_per_text": (0.0, math.inf),
    "bits_per_byte": (0.0, math.inf),
}
"""Lowest and highest value of each metric. COMET has no bounds; most are in 0 to 1."""

_SINGLE_ROLES = (
    "source",
    "target_language",
    "train_dataset",
    "test_dataset",
    "dataset",
    "target",
    "standard_error",
)
_LIST_ROLES = ("features", "proxies")


def _check_name(role: str, name: Any, kind: str = "column") -> str | None:
    if name is None:
        return None
    if not isinstance(name, str) or not name:
        raise TypeError(
            f"RecordSchema expects {role} to be the name of a {kind} or None. "
            f"Got {name!r}."
        )
    return str(name)


def _check_names(role: str, names: Any) -> tuple[str, ...]:
    if isinstance(names, str):
        raise TypeError(
            f"RecordSchema expects {role} to be a list of names. Got the string "
            f"{names!r}. Write {role}=[{names!r}]."
        )
    try:
        names = tuple(() if names is None else names)
    except TypeError:
        raise TypeError(
            f"RecordSchema expects {role} to be a list of names. Got {names!r}."
        ) from None
    for name in names:
        if not isinstance(name, str) or not name:
            raise TypeError(
                f"RecordSchema expects {role} to hold names. Got {name!r} among them."
            )
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(
            f"RecordSchema expects each name in {role} once. Got {repeated} twice. "
            "Remove the repetition."
        )
    return tuple(map(str, names))


def _check_range(score_range: Any) -> tuple[float, float] | None:
    if score_range is None:
        return None
    try:
        low, high = score_range
    except (TypeError, ValueError):
        low = high = None
    if not isinstance(low, Real) or not isinstance(high, Real) or not low < high:
        raise ValueError(
            "RecordSchema expects score_range to be two numbers (low, high) with low < "
            f"high. Got {score_range!r}. For an open end write float('inf')."
        )
    return float(low), float(high)


@dataclass(frozen=True, kw_only=True)
class RecordSchema:
    """What each column of a record table is.

    A record is one row: a language or a pair of languages, a training and a test set,
    features, scores of proxies, and, where it is known, the score of the target model.
    The schema names the columns once; nothing guesses them later.

    Parameters
    ----------
    source : str or None, default="source_lang"
        Column with the source language of the record.
    target_language : str or None, default="target_lang"
        Column with the target language. None, here or for `source`, if the records
        have one language only.
    train_dataset : str or None, default=None
        Column with the name of the training set.
    test_dataset : str or None, default=None
        Column with the name of the test set.
    dataset : str or None, default=None
        Column that says which table a record is from, as :func:`concat` writes it.
    features : sequence of str, default=()
        Numeric columns to predict from, the proxies apart.
    proxies : sequence of str, default=()
        Numeric columns with scores of cheap models, in the metric of the target.
    indicators : sequence of str, default=()
        Those of the `features` that are 0 or 1: they are neither scaled nor powered.
    target : str or None, default=None
        Numeric column with the score to predict. None for records to be predicted.
    standard_error : str or None, default=None
        Numeric column with the standard error of the target.
    model : str or None, default=None
        Name of the model whose score the target is. The protocol `"unseen"` asks for
        it: languages are unseen by a model.
    metric : str or None, default=None
        Name of the target's metric, a key of :data:`SCORE_RANGES`.
    score_range : (float, float) or None, default=None
        Lowest and highest possible score. With None it follows from `metric`, and
        without a metric scores are unbounded.
    pivots : sequence of str, default=()
        Codes of languages that are never left out, such as `"eng"` where English is in
        every record.

    Attributes
    ----------
    languages : tuple of str
        The language columns that are set.
    feature_names : tuple of str
        The features, then the proxies.
    range_ : (float, float)
        The range of the scores, with infinity for an open end.
    columns : dict of str to str
        The role of each column that the schema names.

    See Also
    --------
    load_records : Read a table with a schema.
    validate : List everything that is wrong with a table.

    Examples
    --------
    >>> from proxylm.records import RecordSchema
    >>> schema = RecordSchema(
    ...     features=["dataset_size"], proxies=["small_bleu"], target="big_bleu",
    ...     metric="BLEU",
    ... )
    >>> schema.feature_names
    ('dataset_size', 'small_bleu')
    >>> schema.range_
    (0.0, 100.0)
    """

    source: str | None = "source_lang"
    target_language: str | None = "target_lang"
    train_dataset: str | None = None
    test_dataset: str | None = None
    dataset: str | None = None
    features: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    indicators: tuple[str, ...] = ()
    target: str | None = None
    standard_error: str | None = None
    model: str | None = None
    metric: str | None = None
    score_range: tuple[float, float] | None = None
    pivots: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for role in _SINGLE_ROLES:
            object.__setattr__(self, role, _check_name(role, getattr(self, role)))
        for role in (*_LIST_ROLES, "indicators", "pivots"):
            object.__setattr__(self, role, _check_names(role, getattr(self, role)))
        object.__setattr__(self, "model", _check_name("model", self.model, "model"))
        object.__setattr__(self, "score_range", _check_range(self.score_range))
        self._check_metric()
        self._check_roles()

    def _check_metric(self) -> None:
        if self.metric is not None and self.metric not in SCORE_RANGES:
            raise ValueError(
                f"RecordSchema expects metric to be one of {list(SCORE_RANGES)} or "
                f"None. Got {self.metric!r}.{nearest(str(self.metric), SCORE_RANGES)} "
                "For another metric write metric=None and score_range=(low, high)."
            )

    def _check_roles(self) -> None:
        roles: dict[str, str] = {}
        for role, column in self._columns_by_role():
            if column in roles:
                raise ValueError(
                    f"RecordSchema expects each column in one role. Got {column!r} as "
                    f"{roles[column]} and as {role}. Remove it from one of them."
                )
            roles[column] = role
        strangers = [name for name in self.indicators if name not in self.features]
        if strangers:
            raise ValueError(
                "RecordSchema expects indicators to be among the features. "
                f"Got {strangers}, which are not. Add them to features too."
            )

    def _columns_by_role(self) -> Iterable[tuple[str, str]]:
        for role in _SINGLE_ROLES:
            if getattr(self, role) is not None:
                yield role, getattr(self, role)
        for role in _LIST_ROLES:
            for column in getattr(self, role):
                yield role, column

    @property
    def languages(self) -> tuple[str, ...]:
        """The language columns that are set."""
        return tuple(c for c in (self.source, self.target_language) if c is not None)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The features, then the proxies."""
        return self.features + self.proxies

    @property
    def range_(self) -> tuple[float, float]:
        """Lowest and highest possible score, infinite where there is no bound."""
        if self.score_range is not None:
            return self.score_range
        return SCORE_RANGES.get(self.metric, (-math.inf, math.inf))

    @property
    def columns(self) -> dict[str, str]:
        """Role of each column that the schema names."""
        return {column: role for role, column in self._columns_by_role()}

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as strings, numbers and lists, ready for YAML or JSON.

        Returns
        -------
        dict
            One entry a field; :meth:`from_dict` is the inverse.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "RecordSchema":
        """Build a schema from a mapping such as a section of a YAML file.

        Parameters
        ----------
        values : mapping
            Fields by name; those left out have their defaults.

        Returns
        -------
        RecordSchema
            The schema.

        Raises
        ------
        ValueError
            If there is an unknown field; the known ones and the nearest are named.
        """
        if not isinstance(values, Mapping):
            raise TypeError(
                f"RecordSchema.from_dict expects a mapping of fields. Got {values!r}."
            )
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise ValueError(
                    f"RecordSchema expects the fields {known}. Got {name!r}."
                    f"{nearest(str(name), known)}"
                )
        return cls(**values)
