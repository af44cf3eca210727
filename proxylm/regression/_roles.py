"""Which columns of X are languages, proxies and indicators, and what they hold."""

from dataclasses import dataclass
from numbers import Real

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype
from sklearn.utils.validation import check_array, check_X_y, validate_data

from proxylm._nearest import nearest
from proxylm.records import SCORE_RANGES, RecordSchema

CHECKS = {"dtype": np.float64, "ensure_all_finite": "allow-nan"}


@dataclass(frozen=True)
class ColumnRoles:
    """The roles of the columns of one X, as positions and names."""

    languages: tuple[str, ...]
    numeric: np.ndarray | slice  # positions of the numeric columns in X
    names: tuple[str, ...]  # names of the numeric columns
    proxies: tuple[str, ...]
    indicators: tuple[str, ...]
    pivots: tuple[str, ...]
    score_range: tuple[float, float]
    model: str | None = None  # the target model


def attached_schema(X):
    """Return the schema that the loaders attach to X, or the default one."""
    schema = getattr(X, "attrs", {}).get("schema")
    return schema if isinstance(schema, RecordSchema) else RecordSchema()


def _named_columns(given, declared, columns, parameter):
    """Resolve "auto", None or a list of names to names that X has."""
    if given is None:
        return ()
    if isinstance(given, str) and given == "auto":
        return tuple(name for name in declared if name in columns)
    names = (given,) if isinstance(given, str) else tuple(given)
    missing = [name for name in names if name not in columns]
    if missing:
        hint = nearest(str(missing[0]), map(str, columns))
        raise ValueError(
            f"{parameter} expects names of columns of X. Got {missing}, which X does "
            f"not have.{hint}"
        )
    return names


def resolve_roles(X, *, languages, proxies, indicators):
    """Return the roles of the columns of X.

    "auto" stands for the schema that the loaders of proxylm attach to a table, and
    without one for the default column names of :class:`RecordSchema`. An array has
    no names, so all its columns are numeric features.
    """
    if not isinstance(X, pd.DataFrame):
        for name, given in [
            ("languages", languages),
            ("proxies", proxies),
            ("indicators", indicators),
        ]:
            if not (given is None or (isinstance(given, str) and given == "auto")):
                raise TypeError(
                    f"{name}={given!r} names columns, which needs X to be a pandas "
                    f"DataFrame. Got {type(X).__name__}. Pass a DataFrame or leave "
                    f'{name} at "auto".'
                )
        unnamed = slice(None), (), (), (), ()
        return ColumnRoles((), *unnamed, score_range=(-np.inf, np.inf))
    schema = attached_schema(X)
    columns = list(X.columns)
    language_names = _named_columns(languages, schema.languages, columns, "languages")
    if len(language_names) > 2:
        raise ValueError(
            "languages expects one or two columns (source and target language). Got "
            f"{list(language_names)}."
        )
    numeric = np.array(
        [i for i, name in enumerate(columns) if name not in language_names], dtype=int
    )
    return ColumnRoles(
        languages=language_names,
        numeric=numeric,
        names=tuple(str(columns[i]) for i in numeric),
        proxies=_named_columns(proxies, schema.proxies, columns, "proxies"),
        indicators=_named_columns(indicators, schema.indicators, columns, "indicators"),
        pivots=schema.pivots,
        score_range=schema.range_,
        model=schema.model,
    )


def numeric_part(X, roles):
    """Return the numeric columns of X as floats; text in them is an error."""
    if not isinstance(X, pd.DataFrame):
        return X
    numeric = X.iloc[:, roles.numeric]
    for name, column in numeric.items():
        if is_numeric_dtype(column.dtype) or is_bool_dtype(column.dtype):
            continue
        if isinstance(column.dtype, pd.SparseDtype):
            continue
        values = pd.to_numeric(column, errors="coerce")
        bad = values.isna().to_numpy() & column.notna().to_numpy()
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise ValueError(
                f"Column {name!r} of X is expected to hold numbers. Got "
                f"{column.iloc[row]!r} in row {row}. Encode it, drop it, or, if it "
                "holds language codes, name it in languages=[...]."
            )
    return numeric.astype(np.float64)


def validate_fit(estimator, X, y, roles):
    """Return the numeric features and the scores of `fit` as float arrays."""
    options = {"y_numeric": True, "ensure_min_samples": 2, **CHECKS}
    if not isinstance(X, pd.DataFrame):
        return validate_data(estimator, X, y, **options)
    validate_data(estimator, X, skip_check_array=True)
    return check_X_y(numeric_part(X, roles), y, estimator=estimator, **options)


def validate_predict(estimator, X, roles):
    """Return the numeric features of `predict` as a float array."""
    if not isinstance(X, pd.DataFrame):
        if roles.languages:
            raise TypeError(
                f"{type(estimator).__name__} was fitted with the language columns "
                f"{list(roles.languages)} and expects a pandas DataFrame that has "
                f"them. Got {type(X).__name__}."
            )
        return validate_data(estimator, X, reset=False, **CHECKS)
    validate_data(estimator, X, skip_check_array=True, reset=False)
    return check_array(numeric_part(X, roles), estimator=estimator, **CHECKS)


def language_groups(X, roles):
    """Return the language columns of X as groups, or None."""
    return X[list(roles.languages)] if roles.languages else None


def resolve_range(given, roles):
    """Return (low, high) for clipping, infinite where there is no bound."""
    if given is None:
        return (-np.inf, np.inf)
    if isinstance(given, str):
        if given == "auto":
            return roles.score_range
        if given not in SCORE_RANGES:
            raise ValueError(
                f"score_range expects a metric among {sorted(SCORE_RANGES)}, "
                f'"auto", None or (low, high). Got {given!r}.'
            )
        return SCORE_RANGES[given]
    valid = len(given) == 2 and all(isinstance(bound, Real) for bound in given)
    if not valid or not given[0] < given[1]:
        raise ValueError(
            f"score_range expects (low, high) with low < high. Got {given!r}."
        )
    return (float(given[0]), float(given[1]))
