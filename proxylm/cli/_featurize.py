"""The command `featurize`: a manifest of texts and languages in, a record table out."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

import proxylm
from proxylm._files import write_whole
from proxylm.cli._files import read_yaml

TEXTS = ("train", "dev", "test")
CODES = ("source_lang", "target_lang")
SUFFIXES = (".csv", ".tsv", ".parquet")
YAML_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Featurization:
    """What is asked for, as the command line says it."""

    manifest: Path
    output: Path
    texts: Mapping[str, Any]  # parameters of DatasetFeaturizer
    languages: Mapping[str, Any]  # parameters of LanguageFeaturizer
    sizes: Sequence[int]
    cache: Path | None
    progress: bool


def _suffix(path: Path) -> str:
    """Return the suffix of a table's name, without that of compression."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _check_output(path: Path) -> None:
    """Refuse a name that no table can be written to, before time is spent."""
    if _suffix(path) not in SUFFIXES:
        raise ValueError(
            f"--output expects a name that ends in one of {list(SUFFIXES)}. Got "
            f"{str(path)!r}."
        )


def _read_yaml_records(path: Path) -> pd.DataFrame:
    """Return the table of a YAML manifest: a list of records."""
    values = read_yaml(path)
    if isinstance(values, Mapping):
        values = values.get("records")
    if (
        not isinstance(values, list)
        or not values
        or not all(isinstance(record, Mapping) for record in values)
    ):
        raise ValueError(
            f"{path} is expected to hold a list of records, such as "
            "`- {source_lang: eng, target_lang: deu, train: train.txt}`."
        )
    return pd.DataFrame([dict(record) for record in values])


def _resolved(cell: Any, folder: Path) -> Any:
    """Return a path as seen from the manifest's folder, None for an empty cell."""
    if isinstance(cell, str):
        return str(folder / cell) if cell.strip() else None
    return None if cell is None or pd.api.types.is_scalar(cell) else cell


def read_manifest(path: Path, sizes: Sequence[int]) -> pd.DataFrame:
    """Return the table of texts and codes that a file or a folder stands for."""
    if path.is_dir():
        return proxylm.read_dataset_folder(path, sizes=sizes or (None,))
    if sizes:
        raise ValueError(
            f"--sizes expects a folder of data sets. Got the manifest {path}. Give "
            "each size its own training file there."
        )
    if path.suffix.lower() in YAML_SUFFIXES:
        table = _read_yaml_records(path)
    else:
        table = proxylm.records.read_records(path)
    table = table.copy()
    for name in set(TEXTS) & set(table.columns):
        table[name] = [_resolved(cell, path.parent) for cell in table[name]]
    return table


def _write(table: pd.DataFrame, path: Path) -> None:
    """Write a table, whole or not at all."""
    with write_whole(path) as temporary:
        if _suffix(path) == ".parquet":
            table.to_parquet(temporary, index=False)
        else:
            separator = "\t" if _suffix(path) == ".tsv" else ","
            table.to_csv(temporary, sep=separator, index=False)


def featurize_manifest(task: Featurization) -> None:
    """Write the record table of a manifest."""
    _check_output(task.output)
    table = read_manifest(task.manifest, task.sizes)
    texts = [name for name in TEXTS if name in table]
    codes = [name for name in CODES if name in table]
    if not texts and not codes:
        raise ValueError(
            f"{task.manifest} is expected to have columns among {[*TEXTS, *CODES]}. "
            f"It has {list(table.columns)}."
        )
    # What is done is kept until the table is there, so that a run can be resumed.
    cache = task.cache or task.output.with_name(f"{task.output.name}.partial")
    options = {"cache_dir": os.fspath(cache), "progress": task.progress}
    languages = dict(task.languages)
    if len(codes) == 1:
        languages |= {"distances": (), "knowledge": ("population", "web_share")}
    transformer = proxylm.make_features(
        texts,
        codes,
        dataset_featurizer=proxylm.DatasetFeaturizer(**{**options, **task.texts}),
        language_featurizer=proxylm.LanguageFeaturizer(**languages),
    )
    given = table
    if "dataset_size" in table and "train" in texts:
        given = table.drop(columns="dataset_size")  # it is counted
    try:
        records = transformer.fit_transform(given)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Interrupted. What was counted is kept in {cache}. Run the same command "
            "again to go on."
        ) from None
    # Codes and names first, as in a table that a person reads.
    labels = [name for name in table if name in records and name not in texts]
    rest = [name for name in records if name not in labels]
    records = records[labels + rest]
    _write(records, task.output)
    if task.cache is None:
        shutil.rmtree(cache, ignore_errors=True)
    print(
        f"{task.output}: {len(records)} records, {records.shape[1]} columns. Next, "
        f"with a column of scores: proxylm evaluate {task.output} --target COLUMN"
    )
