"""The command `finetune`: a recipe and texts in, a model and its scores out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import pandas as pd

from proxylm.cli._recipes import describe_recipe, read_recipe, ready_recipes
from proxylm.cli._task_data import find_sets, read_pairs
from proxylm.lm.finetuning import Experiment, TestSet, TrainingSet, run_experiment
from proxylm.lm.finetuning._checkpoint import RESULT, read_values
from proxylm.lm.finetuning._data import MASSIVE_FIELDS
from proxylm.records import read_records, write_records
from proxylm.records._tables import table_suffix

ROW_KEYS = (
    "source_lang",
    "target_lang",
    "train_dataset",
    "dataset_size",
    "test_dataset",
    "model",
    "tuned",
    "seed",
)
ERROR = "_se"


@dataclass(frozen=True)
class FineTuning:
    """What is asked for, as the command line says it."""

    recipe: str
    output: Path
    overrides: Sequence[tuple[tuple[str, ...], Any]]
    task: str | None
    data: Path | None
    files: Mapping[str, list[str]]  # by split
    codes: tuple[str | None, str | None]
    train_dataset: str | None
    size: int | None
    seed: int
    device: str
    spm_model: Path | None
    append: Path | None
    progress: bool


def list_recipes() -> None:
    """Print the ready recipes."""
    recipes = ready_recipes()
    width = max(map(len, recipes))
    for name, text in recipes.items():
        print(f"{name:{width}}  {describe_recipe(text)}")


def _sets(asked: FineTuning, task: str) -> tuple[TrainingSet, tuple[TestSet, ...]]:
    """Return what to learn from and what to be scored on."""
    if (asked.data is None) == (not asked.files):
        raise ValueError(
            "The data are expected either as --data or as --train, --dev and --test. "
            "Got both."
            if asked.data
            else "The data are expected as --data, a folder "
            "or a file, or as --train, --dev and --test. Got neither."
        )
    if asked.data is None:
        return _sets_of_files(asked, task)
    source, target = asked.codes
    if source is None or (target is None and task not in MASSIVE_FIELDS):
        raise ValueError(
            "--data expects --source-lang and --target-lang, the languages to take of "
            f"it. Got {source!r} and {target!r}."
        )
    datasets = asked.train_dataset and [asked.train_dataset]
    pairs = [(source, target or source)]
    found = find_sets(asked.data, task, pairs, datasets)
    if len(found) > 1:
        names = [training.name for training, _ in found]
        raise ValueError(
            f"{asked.data} has several training sets for {source}-{target}: {names}. "
            "Choose one with --train-dataset."
        )
    return found[0]


def _sets_of_files(asked: FineTuning, task: str):
    read = {
        split: read_pairs(files, task, asked.codes)
        for split, files in asked.files.items()
    }
    train = asked.files.get("train", ["none"])
    name = asked.train_dataset or Path(train[-1]).name.partition(".")[0]
    training = TrainingSet(
        *asked.codes, name, read.get("train", []), read.get("dev", [])
    )
    tests = ()
    if "test" in read:
        test_name = Path(asked.files["test"][-1]).name.partition(".")[0]
        tests = (TestSet(*asked.codes, test_name, read["test"]),)
    return training, tests


def describe_row(row: Mapping[str, Any]) -> str:
    """Return the scores of a row in words."""
    scores = []
    for name, value in row.items():
        if f"{name}{ERROR}" in row:
            scores.append(f"{name} {value:.2f} ± {row[name + ERROR]:.2f}")
        elif name.startswith("bits_per_"):
            scores.append(f"{name} {value:.4f}")
    languages = [row[key] for key in ("source_lang", "target_lang") if row[key]]
    where = " to ".join(languages)
    return f"{row['model']} on {row['test_dataset']}{where and f', {where}'}: " + (
        ", ".join(scores)
    )


def _keys(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return what names the experiment of each row; a file has other types."""
    columns = [
        ["" if pd.isna(x) else f"{x:g}" if isinstance(x, Real) else str(x) for x in c]
        for c in (table[name] for name in ROW_KEYS)
    ]
    return list(zip(*columns, strict=True))


def append_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows to a table; those of the same experiments are replaced."""
    table = pd.DataFrame(rows)
    if path.exists():
        stored = read_records(path)
        missing = [name for name in ROW_KEYS if name not in stored]
        if missing:
            raise ValueError(
                f"{path} is expected to be a table of `proxylm finetune`. It has no "
                f"column {missing[0]!r}. Choose another --append."
            )

        new = set(_keys(table))
        stored = stored[[key not in new for key in _keys(stored)]]
        if len(stored):
            table = pd.concat([stored, table], ignore_index=True)
    write_records(table, path)


def finetune_model(asked: FineTuning) -> None:
    """Fine-tune a model, score it, and print what it reached."""
    if asked.append is not None:
        table_suffix(asked.append)  # says at once if the name is none
    recipe = read_recipe(asked.recipe, asked.overrides, asked.task)
    training, tests = _sets(asked, recipe.task)
    experiment = Experiment(recipe, training, tests, asked.size, asked.seed)
    if not tests and not experiment.is_tuned:
        raise ValueError(
            "A model that is run as it is expects a test set. Got none. Pass --test."
        )
    try:
        rows = run_experiment(
            experiment,
            asked.output,
            device=asked.device,
            spm_model=asked.spm_model,
            keep_models=True,
            progress=asked.progress,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Interrupted. What was done is kept in {asked.output}. Run the same "
            "command again to go on."
        ) from None
    if experiment.is_tuned:
        done = read_values(asked.output / RESULT)
        n_updates = done["n_updates"]
        print(
            f"{recipe.name}: {n_updates} update{'s' * (n_updates != 1)}, "
            f"{done['n_tokens']:,} tokens in {done['seconds']:,.0f} s."
        )
    for row in rows:
        print(describe_row(row))
    if asked.append is not None and rows:
        append_rows(asked.append, rows)
        print(f"The scores are in {asked.append}.")
    if experiment.is_tuned:
        print(f"The model is in {asked.output / 'model'}.")
