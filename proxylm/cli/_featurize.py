"""The command `featurize`: a manifest of texts and languages in, a record table out."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

import proxylm
from proxylm.cli._files import read_yaml
from proxylm.records import RecordSchema, read_records, write_records
from proxylm.records._tables import table_suffix

TEXTS = ("train", "dev", "test")
CODES = ("source_lang", "target_lang")
# Names of data sets are text, as codes are: `001` is no number, `null` no empty cell.
SCHEMA = RecordSchema(train_dataset="train_dataset", test_dataset="test_dataset")
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
    return cell


def read_manifest(path: Path, texts: Sequence[str]) -> pd.DataFrame:
    """Return the table of a manifest; paths in the columns of texts are resolved."""
    if path.suffix.lower() in YAML_SUFFIXES:
        table = _read_yaml_records(path)
    else:
        table = read_records(path, SCHEMA)
    table = table.copy()
    for name in set(texts) & set(table.columns):
        table[name] = [_resolved(cell, path.parent) for cell in table[name]]
    return table


@contextmanager
def keep_until_written(output: Path, cache: Path | None, done: str) -> Iterator[Path]:
    """Yield the folder of a cache, by default one that goes when the table is there."""
    folder = cache or output.with_name(f"{output.name}.partial")
    try:
        yield folder
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Interrupted. What was {done} is kept in {folder}. Run the same command "
            "again to go on."
        ) from None
    if cache is None:
        shutil.rmtree(folder, ignore_errors=True)


def _read_texts(path: Path, sizes: Sequence[int]) -> pd.DataFrame:
    """Return the table of texts and codes that a file or a folder stands for."""
    if path.is_dir():
        return proxylm.read_dataset_folder(path, sizes=sizes or (None,))
    if sizes:
        raise ValueError(
            f"--sizes expects a folder of data sets. Got the manifest {path}. Give "
            "each size its own training file there."
        )
    return read_manifest(path, TEXTS)


def _check_names(table: pd.DataFrame, given: list[str], made: set[str]) -> None:
    """Refuse columns that have the names of features, before time is spent."""
    clashes = [name for name in table if name in made and name not in given]
    if clashes:
        raise ValueError(
            f"The manifest has columns with the names of features: {clashes}. Remove "
            "or rename them, or choose others with --features and --distances."
        )


def featurize_manifest(task: Featurization) -> None:
    """Write the record table of a manifest."""
    table_suffix(task.output)  # says at once if the name is none
    table = _read_texts(task.manifest, task.sizes)
    texts = [name for name in TEXTS if name in table]
    codes = [name for name in CODES if name in table]
    if not texts and not codes:
        raise ValueError(
            f"{task.manifest} is expected to have columns among {[*TEXTS, *CODES]}. "
            f"It has {list(table.columns)}."
        )
    options = {"texts__progress": task.progress}
    options |= {f"texts__{name}": value for name, value in task.texts.items()}
    options |= {f"languages__{name}": value for name, value in task.languages.items()}
    transformer = proxylm.make_features(texts, codes)
    parts = {part for part, _, _ in transformer.transformers}
    transformer.set_params(
        **{name: v for name, v in options.items() if name.split("__")[0] in parts}
    )
    made = {
        name
        for part, featurizer, columns in transformer.transformers
        if part != "codes"
        for name in featurizer.fit(table[columns]).get_feature_names_out()
    }
    if "dataset_size" in made:  # it is counted
        table = table.drop(columns="dataset_size", errors="ignore")
    _check_names(table, texts + codes, made)
    with keep_until_written(task.output, task.cache, "counted") as cache:
        if "texts" in parts:
            transformer.set_params(texts__cache_dir=os.fspath(cache))
        records = transformer.fit_transform(table)
        # Codes and names first, as in a table that a person reads.
        labels = [name for name in table if name not in texts]
        records = records[labels + [name for name in records if name not in labels]]
        write_records(records, task.output)
    print(
        f"{task.output}: {len(records)} records, {records.shape[1]} columns. Next, "
        f"with a column of scores: proxylm evaluate {task.output} --target COLUMN"
    )
