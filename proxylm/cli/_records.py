"""The section `records` of a configuration: what is predicted."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from inspect import signature
from pathlib import Path
from typing import Any

from sklearn.utils import Bunch

import proxylm
from proxylm.cli._values import (
    check_keys,
    check_text,
    check_texts,
    look_up,
    resolve_path,
)
from proxylm.datasets._loaders import LOADERS
from proxylm.records import RecordSchema, concat

LAYOUTS = {name: name for name in ("wide", "long")}


@dataclass(frozen=True)
class DatasetRecords:
    """Records of the published tables."""

    dataset: tuple[str, ...]
    target: str
    score: str
    features: str | tuple[str, ...]

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> "DatasetRecords":
        """Return the object of a section `records` with the key `dataset`."""
        check_keys(values, [entry.name for entry in fields(cls)], "records")
        names = check_texts(values["dataset"], "records.dataset")
        fetchers = [look_up(LOADERS, name, "records.dataset") for name in names]
        if len(set(names)) < len(names) or not names:
            raise ValueError(
                f"records.dataset expects each data set once. Got {list(names)}."
            )
        if "udhr" in names and len(names) > 1:
            raise ValueError(
                "records.dataset expects udhr alone: its scores are no translations or "
                f"labels. Got {list(names)}."
            )
        defaults = signature(fetchers[0]).parameters
        given = {
            key: defaults[key].default if values.get(key) is None else values[key]
            for key in ("target", "score", "features")
        }
        features = check_texts(given["features"], "records.features")
        return cls(
            dataset=names,
            target=check_text(given["target"], "records.target"),
            score=check_text(given["score"], "records.score"),
            features=features if isinstance(given["features"], list) else features[0],
        )

    def load(self) -> Bunch:
        """Return the records."""
        features = self.features
        options = {
            "target": self.target,
            "score": self.score,
            "features": features if isinstance(features, str) else list(features),
        }
        if len(self.dataset) == 1:
            return LOADERS[self.dataset[0]](**options)
        # A feature that is constant in one table may vary between tables.
        tables = {
            name: LOADERS[name](**options, drop_constant=False) for name in self.dataset
        }
        return concat(tables)

    @property
    def feature_set(self) -> str:
        """The features in a word."""
        named = isinstance(self.features, str)
        return self.features if named else f"{len(self.features)}-columns"

    @property
    def label(self) -> str:
        """The records as a part of a file name."""
        dataset = "-".join(self.dataset)
        return f"{dataset}_{self.target}_{self.score}_{self.feature_set}"

    @property
    def title(self) -> str:
        """The records in a heading."""
        dataset = " -> ".join(self.dataset)
        return f"{dataset}, {self.target}, {self.score}, features {self.feature_set}"


@dataclass(frozen=True)
class TableRecords:
    """Records of the user's own table."""

    table: Path
    schema: Mapping[str, Any]
    layout: str = "wide"
    exclude: tuple[str, ...] = ()

    @classmethod
    def parse(cls, values: Mapping[str, Any], folder: Path) -> "TableRecords":
        """Return the object of a section `records` with the key `table`."""
        check_keys(values, [entry.name for entry in fields(cls)], "records")
        schema = values.get("schema") or {}
        roles = [entry.name for entry in fields(RecordSchema)]
        check_keys(schema, roles, "records.schema")
        if schema.get("target") is None:
            raise ValueError(
                "records.schema expects target, the column with the scores to predict. "
                f"Got {dict(schema)}."
            )
        return cls(
            table=resolve_path(values["table"], folder, "records.table"),
            schema=schema,
            layout=look_up(LAYOUTS, values.get("layout", "wide"), "records.layout"),
            exclude=check_texts(values.get("exclude") or [], "records.exclude"),
        )

    def load(self) -> Bunch:
        """Return the records."""
        return proxylm.load_records(
            self.table, layout=self.layout, exclude=self.exclude, **self.schema
        )

    @property
    def label(self) -> str:
        """The records as a part of a file name."""
        return f"{self.table.name.split('.')[0]}_{self.schema['target']}"

    @property
    def title(self) -> str:
        """The records in a heading."""
        return f"{self.table.name}, {self.schema['target']}"


def parse_records(values: Any, folder: Path) -> DatasetRecords | TableRecords:
    """Return the object of the section `records`."""
    if isinstance(values, str | list):
        values = {"dataset": values}
    known = {
        entry.name for kind in (DatasetRecords, TableRecords) for entry in fields(kind)
    }
    check_keys(values, known, "records")
    if ("table" in values) == ("dataset" in values):
        raise ValueError(
            "records expects either dataset, a published table "
            f"({', '.join(sorted(LOADERS))}), or table, the path of your own. Got "
            f"{sorted(values)}."
        )
    if "table" in values:
        return TableRecords.parse(values, folder)
    return DatasetRecords.parse(values)
