"""The configuration of a run: from YAML to objects and back."""

import re
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from proxylm.cli._protocol import ProtocolConfig
from proxylm.cli._records import DatasetRecords, TableRecords, parse_records
from proxylm.cli._regressor import RegressorConfig
from proxylm.cli._values import (
    as_list,
    check_flag,
    check_keys,
    check_number,
    check_text,
    plain,
)


@dataclass(frozen=True)
class RunConfig:
    """Everything that a run is made of."""

    records: DatasetRecords | TableRecords
    protocol: ProtocolConfig
    regressor: RegressorConfig
    output: Path
    seeds: tuple[int, ...] = (42,)
    train_sizes: tuple[float, ...] | None = None
    baselines: bool = True
    n_jobs: int = -1

    @classmethod
    def parse(cls, values: Any, folder: Path) -> "RunConfig":
        """Return the object of a whole configuration.

        Paths in it are relative to `folder`, then to the working directory.
        """
        check_keys(values, [entry.name for entry in fields(cls)], "The configuration")
        if "records" not in values:
            raise ValueError(
                "The configuration expects the key records, what to predict. Got "
                f"{', '.join(sorted(values)) or 'an empty file'}."
            )
        records = parse_records(values["records"], folder)
        protocol = ProtocolConfig.parse(values.get("protocol", "lolo"))
        regressor = RegressorConfig.parse(values.get("regressor", "auto"))
        seeds = _parse_seeds(values.get("seeds", cls.seeds))
        output = values.get("output")
        if output is None:
            labels = [records.label, protocol.label, regressor.label]
            labels += [f"{len(seeds)}seeds"] if len(seeds) > 1 else []
            name = re.sub(r"[^\w.+-]+", "-", "_".join(labels))
            output = f"proxylm_results/{name}"
        sizes = values.get("train_sizes")
        return cls(
            records=records,
            protocol=protocol,
            regressor=regressor,
            output=Path(check_text(output, "output")).expanduser(),
            seeds=seeds,
            train_sizes=None if sizes is None else _parse_sizes(sizes),
            baselines=check_flag(values.get("baselines", True), "baselines"),
            n_jobs=_parse_n_jobs(values.get("n_jobs", cls.n_jobs)),
        )

    def in_subfolder(self) -> "RunConfig":
        """Return the configuration with an output folder for its protocol."""
        return replace(self, output=self.output / self.protocol.label)

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as YAML writes it, complete with defaults."""
        values = {
            entry.name: plain(getattr(self, entry.name)) for entry in fields(self)
        }
        return values | {"protocol": self.protocol.to_dict()}


def _parse_seeds(value: Any) -> tuple[int, ...]:
    seeds = tuple(check_number(seed, "seeds", integer=True) for seed in as_list(value))
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise ValueError(
            f"seeds expects different whole numbers from 0. Got {list(seeds)}."
        )
    return seeds


def _parse_sizes(value: Any) -> tuple[float, ...]:
    sizes = tuple(check_number(size, "train_sizes") for size in as_list(value))
    if not sizes or not all(0 < size <= 1 for size in sizes):
        raise ValueError(
            "train_sizes expects portions of the training records above 0 and up to 1. "
            f"Got {list(sizes)}."
        )
    return sizes


def _parse_n_jobs(value: Any) -> int:
    if check_number(value, "n_jobs", integer=True) == 0:
        raise ValueError(
            "n_jobs expects a number of fits side by side, or -1 for all cores. Got 0."
        )
    return value
