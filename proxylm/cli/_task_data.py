"""Data of experiments: folders of parallel texts, files of MASSIVE, pairs of files."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from proxylm.cli._values import advice
from proxylm.languages import to_iso639_3
from proxylm.lm.finetuning import Pair, TestSet, TrainingSet
from proxylm.lm.finetuning._data import (
    MASSIVE_FIELDS,
    join_sides,
    read_json_lines,
    read_lines,
    read_massive_splits,
    read_parallel,
)
from proxylm.text._layout import ParallelTexts, read_dataset_folder

JSON_SUFFIXES = (".json", ".jsonl")
MASSIVE = "massive"


def read_pairs(
    files: Sequence[str], task: str, codes: tuple[str | None, str | None]
) -> list[Pair]:
    """Return the pairs of two text files, of JSON lines, or of a text alone."""
    paths = [Path(name).expanduser() for name in files]
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {path}.")
    if task == "text":
        if len(paths) != 1:
            raise ValueError(
                "The task 'text' expects one file with a text a line. Got "
                f"{len(paths)}."
            )
        return [Pair("", line, *codes) for line in read_lines(paths[0])]
    if len(paths) == 2:
        return read_parallel(*paths, *codes)
    if len(paths) != 1 or paths[0].suffix not in JSON_SUFFIXES:
        raise ValueError(
            "Pairs are expected as two text files, SOURCE,TARGET, or as one of JSON "
            f"lines. Got {', '.join(files)}."
        )
    if None in codes:
        raise ValueError(
            f"{paths[0]} has the two sides by their languages. Pass --source-lang and "
            "--target-lang."
        )
    return read_json_lines(paths[0], *codes)


def _both_sides(texts: ParallelTexts | None, codes: tuple[str, str]) -> list[Pair]:
    """Return the pairs of a data set of which one side is given."""
    if texts is None:
        return []
    other = replace(texts, side=1 - texts.side)
    return join_sides(list(other()), list(texts()), *codes)


def _choose(known: Iterable[str], asked: Sequence[str] | None, what: str) -> list[str]:
    """Return those of the known names that are asked for; None takes all."""
    known = list(dict.fromkeys(known))
    for name in asked or ():
        if name not in known:
            raise ValueError(
                f"{what} expects a name of the data. {advice(name, known)}"
            )
    return [name for name in known if asked is None or name in asked]


def folder_sets(
    folder: Path,
    pairs: Sequence[tuple[str, str]] | None,
    train_datasets: Sequence[str] | None,
    test_datasets: Sequence[str] | None,
) -> list[tuple[TrainingSet, tuple[TestSet, ...]]]:
    """Return the training sets of a folder in the layout of the original ProxyLM."""
    records = read_dataset_folder(folder)
    known = [tuple(row) for row in records[["source_lang", "target_lang"]].to_numpy()]
    for pair in pairs or ():
        if tuple(pair) not in known:
            names = [f"{source}-{target}" for source, target in dict.fromkeys(known)]
            given = "-".join(pair)
            raise ValueError(
                f"{folder}: pairs expects languages. {advice(given, names)}"
            )
    wanted = None if pairs is None else {tuple(pair) for pair in pairs}
    trained = _choose(records["train_dataset"], train_datasets, "train_datasets")
    tested = _choose(records["test_dataset"].dropna(), test_datasets, "test_datasets")
    found = []
    keys = ["source_lang", "target_lang", "train_dataset"]
    for (source, target, name), rows in records.groupby(keys, sort=False):
        if name not in trained or (
            wanted is not None and (source, target) not in wanted
        ):
            continue
        codes = (source, target)
        first = rows.iloc[0]
        training = TrainingSet(
            *codes,
            name,
            _both_sides(first["train"], codes),
            _both_sides(first["dev"], codes),
        )
        tests = tuple(
            TestSet(*codes, row["test_dataset"], _both_sides(row["test"], codes))
            for _, row in rows.iterrows()
            if row["test_dataset"] in tested and row["test"] is not None
        )
        if not tests:
            raise ValueError(
                f"{folder} has no test set for {source}-{target}. Expected one in "
                f"{folder}/LANGUAGE/test."
            )
        found.append((training, tests))
    return found


def massive_files(path: Path) -> dict[str, Path]:
    """Return the files of MASSIVE by locale."""
    if path.is_file():
        return {path.stem: path}
    found = {file.stem: file for file in sorted(path.glob("*.jsonl"))}
    if not found:
        raise ValueError(
            f"{path} is expected to have files of MASSIVE, such as en-US.jsonl. It has "
            "none."
        )
    return found


def massive_sets(
    path: Path,
    task: str,
    pairs: Sequence[tuple[str, str]] | None,
) -> list[tuple[TrainingSet, tuple[TestSet, ...]]]:
    """Return a training set for each language, and the test sets of those it meets."""
    known = massive_files(path)
    if pairs is None:
        pairs = [(source, target) for source in known for target in known]
    by_source: dict[str, list[str]] = {}
    for source, target in pairs:
        by_source.setdefault(source, []).append(target)
    names = dict.fromkeys(name for pair in pairs for name in pair)
    located = {name: known[_locale(name, known)] for name in names}
    splits = {name: read_massive_splits(file, task) for name, file in located.items()}
    found = []
    for source, targets in by_source.items():
        training = TrainingSet(
            source, None, MASSIVE, splits[source]["train"], splits[source]["dev"]
        )
        tests = tuple(
            TestSet(source, target, MASSIVE, splits[target]["test"])
            for target in targets
        )
        found.append((training, tests))
    return found


def _locale(name: str, known: dict[str, Path]) -> str:
    """Return the locale that a name or a language code stands for."""
    if name in known:
        return name
    language = to_iso639_3(name, errors="coerce")
    same = [code for code in known if to_iso639_3(code, errors="coerce") == language]
    if language is None or len(same) != 1:
        raise ValueError(f"pairs expects languages of the data. {advice(name, known)}")
    return same[0]


def find_sets(
    path: Path,
    task: str,
    pairs: Sequence[tuple[str, str]] | None = None,
    train_datasets: Sequence[str] | None = None,
    test_datasets: Sequence[str] | None = None,
) -> list[tuple[TrainingSet, tuple[TestSet, ...]]]:
    """Return training sets with their test sets, as a path and a task have them."""
    if not path.exists():
        raise FileNotFoundError(f"There is no data at {path}.")
    if task in MASSIVE_FIELDS:
        return massive_sets(path, task, pairs)
    return folder_sets(path, pairs, train_datasets, test_datasets)


def parse_pairs(values: Any) -> list[tuple[str, str]]:
    """Return pairs of languages: `ind-jav`, or lists of two."""
    found = []
    for value in values:
        codes = value.split("-") if isinstance(value, str) else value
        is_pair = isinstance(codes, list | tuple) and len(codes) == 2
        if not is_pair or not all(isinstance(code, str) for code in codes):
            raise ValueError(
                "pairs expects pairs of languages such as [ind, jav]. Got "
                f"{value!r}. Codes that YAML reads as false or true stand in quotes."
            )
        found.append((codes[0], codes[1]))
    return found
