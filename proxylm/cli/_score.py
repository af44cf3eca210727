"""The command `score`: texts in, a table of what small language models make of them."""

import functools
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from proxylm.cli._featurize import (
    CODES,
    YAML_SUFFIXES,
    keep_until_written,
    read_manifest,
)
from proxylm.cli._score_checks import check_options, check_sources
from proxylm.lm import ProxyScorer
from proxylm.lm._loading import PickledWeightsError
from proxylm.records import write_records
from proxylm.records._tables import table_suffix
from proxylm.text._corpus import check_corpus, is_missing, read_lines

TEXTS = ("text", "source")
MANIFESTS = (".csv", ".tsv", ".parquet", *YAML_SUFFIXES)


@dataclass(frozen=True)
class Scoring:
    """What is asked for, as the command line says it."""

    texts: Path
    output: Path
    options: Mapping[str, Any]  # parameters of ProxyScorer
    cache: Path | None


def _corpus(text: Any, source: Any, lines_of: Callable) -> list[Any] | None:
    """Return the lines of a text, in pairs with those of its source if it has one."""
    if is_missing(text):
        return None
    lines = lines_of(text)
    if is_missing(source):
        return lines
    sources = lines_of(source)
    if len(sources) != len(lines):
        raise ValueError(
            "A text and its source are expected to have the same number of lines. Got "
            f"{len(lines)} in {text!r:.200} and {len(sources)} in {source!r:.200}."
        )
    return list(zip(sources, lines, strict=True))


def _read_corpora(path: Path) -> tuple[pd.DataFrame, list[Any]]:
    """Return what a manifest says of each row, and the corpus of each."""
    table = read_manifest(path, TEXTS)
    if "text" not in table:
        raise ValueError(
            f"{path} is expected to have the column 'text', with the paths of text "
            f"files. It has {list(table.columns)}."
        )
    texts = table["text"].tolist()
    sources = table["source"].tolist() if "source" in table else [None] * len(table)
    for cell in (*texts, *sources):
        check_corpus(cell)
    read = functools.cache(lambda name: list(read_lines(Path(name))))

    def lines_of(cell: Any) -> list[str]:
        return read(cell) if isinstance(cell, str) else list(cell)

    corpora = [_corpus(*pair, lines_of) for pair in zip(texts, sources, strict=True)]
    return table.drop(columns=list(TEXTS), errors="ignore"), corpora


def _read_texts(path: Path) -> tuple[pd.DataFrame, list[Any]]:
    """Return the columns to keep, and what is scored in each row."""
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    if suffix == ".txt":
        check_corpus(path)
        lines = list(read_lines(path))
        numbers = range(1, len(lines) + 1)
        table, cells = pd.DataFrame({"line": numbers, "text": lines}), lines
    elif suffix in MANIFESTS:
        table, cells = _read_corpora(path)
    else:
        raise ValueError(
            f"TEXTS is expected to be a manifest, whose name ends in one of "
            f"{list(MANIFESTS)}, or a .txt file. Got {str(path)!r}. Rename it, or list "
            "it in a manifest."
        )
    if not cells:
        raise ValueError(f"{path} is expected to have texts. It is empty.")
    return table, cells


def _check_names(table: pd.DataFrame, scores: Sequence[str]) -> None:
    """Refuse columns that have the names of scores, before time is spent."""
    clashes = [name for name in table if name in scores]
    if clashes:
        raise ValueError(
            f"The manifest has columns with the names of scores: {clashes}. Remove or "
            "rename them, or choose others with --metrics."
        )


def _next_command(output: Path, table: pd.DataFrame, scores: Sequence[str]) -> str:
    """Return what to try next, and what it takes."""
    codes = tuple(name for name in CODES if name in table)
    needed = "a column of scores" if codes else "columns of languages and of scores"
    roles = {
        ("source_lang",): ["--source", "source_lang"],
        ("target_lang",): ["--target-language", "target_lang"],
    }
    proxies = ["--proxies", ",".join(scores)]
    words = ["proxylm", "evaluate", os.fspath(output), "--target", "COLUMN"]
    command = shlex.join([*words, *proxies, *roles.get(codes, [])])
    return f"with {needed} to predict: {command}"


def score_texts(task: Scoring) -> None:
    """Write the table of the scores of texts."""
    table_suffix(task.output)  # says at once if the name is none
    check_options(task.options)
    table, cells = _read_texts(task.texts)
    check_sources(cells, task.texts, task.options)
    codes = {name: task.options.get(name, name) for name in CODES}
    codes = {
        name: code
        for name, code in codes.items()
        if name in task.options or code in table
    }
    X = table[[name for name in dict.fromkeys(codes.values()) if name in table]]
    X = X.assign(text=pd.Series(cells, index=table.index, dtype=object))
    with keep_until_written(task.output, task.cache, "scored") as cache:
        scorer = ProxyScorer(**{**task.options, **codes, "cache_dir": cache})
        names = scorer.fit(X).get_feature_names_out()
        _check_names(table, names)
        try:
            scores = pd.DataFrame(scorer.transform(X), table.index, names)
        except PickledWeightsError as error:
            raise ValueError(
                f"{error.args[0]} Convert them to safetensors, or give --allow-pickle "
                "if you trust their source."
            ) from error
        write_records(pd.concat([table, scores], axis=1), task.output)
    n_columns = table.shape[1] + len(names)
    print(f"{task.output}: {len(table)} rows, {n_columns} columns.")
    for name, signature in scorer.signatures_.items():
        print(f"{name}: {signature}")
    print(f"Next, {_next_command(task.output, table, names)}")
