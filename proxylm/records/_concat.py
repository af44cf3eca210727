"""Several record tables as one."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from proxylm.languages import to_iso639_3
from proxylm.records._bunch import make_records
from proxylm.records._schema import RecordSchema

logger = logging.getLogger(__name__)

_LANGUAGE_ROLES = ("source", "target_language")
_OPTIONAL_ROLES = ("train_dataset", "test_dataset", "standard_error")


def _check_tables(tables: Mapping[str, Bunch]) -> None:
    if not isinstance(tables, Mapping) or not tables:
        raise TypeError(
            "concat expects a dict of records by label, such as "
            f'{{"mt560": fetch_mt560()}}. Got {tables!r:.80}.'
        )
    for label, records in tables.items():
        if not isinstance(records, Bunch) or "schema" not in records:
            raise TypeError(
                f"concat expects records as load_records returns them. Got "
                f"{type(records).__name__} for {label!r}."
            )


def _check_alike(first: str, label: str, tables: Mapping[str, Bunch]) -> None:
    """Refuse records that can't stand in one table with the first ones."""
    ours, theirs = tables[first].schema, tables[label].schema
    if (ours.target is None) != (theirs.target is None):
        raise ValueError(
            "concat expects a target in all tables or in none. Got "
            f"{ours.target!r} in {first!r} and {theirs.target!r} in {label!r}."
        )
    if (ours.metric, ours.range_) != (theirs.metric, theirs.range_):
        raise ValueError(
            "concat expects scores of one metric and range. Got "
            f"{ours.metric!r} {ours.range_} in {first!r} and {theirs.metric!r} "
            f"{theirs.range_} in {label!r}. Load the tables with the same score."
        )
    for role in _LANGUAGE_ROLES:
        if (getattr(ours, role) is None) != (getattr(theirs, role) is None):
            raise ValueError(
                f"concat expects the same language columns. Got {role}="
                f"{getattr(ours, role)!r} in {first!r} and {role}="
                f"{getattr(theirs, role)!r} in {label!r}."
            )


def _renamed(label: str, records: Bunch, schema: RecordSchema) -> pd.DataFrame:
    """Give the role columns of a table the names that `schema` has for them."""
    names = {}
    for role in (*_LANGUAGE_ROLES, *_OPTIONAL_ROLES, "target"):
        theirs, ours = getattr(records.schema, role), getattr(schema, role)
        if ours is None or theirs == ours:
            continue
        if ours in records.frame.columns:
            raise ValueError(
                f"concat expects {ours!r} to be the {role} of every table. "
                f"Got {theirs!r} as the {role} of {label!r}, which has {ours!r} too. "
                f"Load the tables with the same {role}."
            )
        names[theirs] = ours
    return records.frame.rename(columns=names)


def _common(role: str, schemas: list[RecordSchema]) -> tuple[str, ...]:
    first, *others = (getattr(schema, role) for schema in schemas)
    return tuple(name for name in first if all(name in other for other in others))


def concat(
    tables: Mapping[str, Bunch],
    *,
    column: str = "dataset",
    languages: Literal["as_is", "iso639_3"] = "as_is",
) -> Bunch:
    """Join several record tables into one.

    The roles are those of the first table. Features and proxies that are in all tables
    are kept, in the order of the first one, and so are all other columns that all
    tables have. A target or language column of another name is renamed as in the first.

    Parameters
    ----------
    tables : dict of str to Bunch
        Records by label, as :func:`load_records` and the `fetch_*` functions return
        them.
    column : str, default="dataset"
        Name of the column that holds the labels; the schema names it as `dataset`.
    languages : {"as_is", "iso639_3"}, default="as_is"
        Whether language codes stay as they are or are mapped to ISO 639-3, so that `id`
        in one table is `ind` in the other. The latter makes one language of `zh-CN` and
        `zh-TW`.

    Returns
    -------
    Bunch
        The records, as :func:`make_records` describes them. `dataset` has the labels;
        `strata` are numbered through, each table apart.

    Raises
    ------
    ValueError
        If the tables differ in metric, range or language columns, or share no feature.
    RecordError
        If the joined table has problems, such as a record that became a duplicate.

    See Also
    --------
    CrossDatasetSplit : Train on some of the tables, test on others.

    Examples
    --------
    >>> import pandas as pd
    >>> from proxylm.records import concat, load_records
    >>> frame = pd.DataFrame(
    ...     {"source_lang": ["eng", "eng"], "target_lang": ["ind", "jav"],
    ...      "size": [100, 200], "bleu": [31.5, 20.0]}
    ... )
    >>> news = load_records(frame, target="bleu")
    >>> talks = load_records(frame.assign(noise=[1, 2]), target="bleu")
    >>> joined = concat({"news": news, "talks": talks})
    >>> joined.feature_names
    ['size']
    >>> joined.dataset.tolist()
    ['news', 'news', 'talks', 'talks']
    """
    _check_tables(tables)
    if languages not in ("as_is", "iso639_3"):
        raise ValueError(f"languages expects 'as_is' or 'iso639_3'. Got {languages!r}.")
    first = next(iter(tables))
    for label, records in tables.items():
        _check_alike(first, label, tables)
        if column in records.frame.columns and column != records.schema.dataset:
            raise ValueError(
                f"concat writes the labels to {column!r}, but {label!r} has a column "
                "of that name. Give another one as column."
            )
    schemas = [records.schema for records in tables.values()]
    features, proxies = _common("features", schemas), _common("proxies", schemas)
    if not features and not proxies:
        raise ValueError(
            f"concat expects a feature or a proxy that all tables have. Got none that "
            f"is common to {list(tables)}. Load the tables with the same features."
        )
    dropped = {name for schema in schemas for name in schema.feature_names}
    dropped -= {*features, *proxies}
    if dropped:
        logger.info("Left out, as not all tables have them: %s", sorted(dropped))
    partial = [
        role
        for role in _OPTIONAL_ROLES
        if any(getattr(schema, role) is None for schema in schemas)
    ]
    models = {schema.model for schema in schemas}
    schema = replace(
        schemas[0],
        dataset=column,
        model=schemas[0].model if len(models) == 1 else None,
        features=features,
        proxies=proxies,
        indicators=[name for name in schemas[0].indicators if name in features],
        pivots=dict.fromkeys(code for schema in schemas for code in schema.pivots),
        **dict.fromkeys(partial),
    )
    frames = {
        label: _renamed(label, records, schema) for label, records in tables.items()
    }
    shared = [
        name
        for name in frames[first].columns
        if name != column and all(name in frame.columns for frame in frames.values())
    ]
    frame = pd.concat([frame[shared] for frame in frames.values()], ignore_index=True)
    frame[column] = np.repeat(list(tables), [len(part) for part in frames.values()])
    if languages == "iso639_3":
        for name in schema.languages:
            frame[name] = frame[name].map(to_iso639_3)
        pivots = dict.fromkeys(map(to_iso639_3, schema.pivots))
        schema = replace(schema, pivots=pivots)
    strata = pd.concat([r.strata.astype(str) for r in tables.values()])
    strata = pd.DataFrame({"table": frame[column], "stratum": strata.to_numpy()})
    return make_records(
        frame,
        schema,
        DESCR="\n\n".join(f"{label}: {r.DESCR}" for label, r in tables.items()),
        strata=strata.groupby(["table", "stratum"], sort=False).ngroup(),
    )
