"""Grids of experiments: models, languages, sizes; what is done is not done again."""

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .._cost import ComputeCost
from .._loading import LanguageModel, LoadingOptions, choose_device
from ._checkpoint import read_values, write_values
from ._data import Pair, draw, pairs_digest
from ._evaluate import score_model
from ._finetune import (
    describe_hardware,
    describe_versions,
    finetune,
    hold,
    peak_memory,
)
from ._recipe import Recipe

logger = logging.getLogger(__name__)

KEYS = ("source_lang", "target_lang", "train_dataset", "dataset_size", "test_dataset")
# What the scores of a model that is run as it is depend on.
TEST_KEYS = ("source_lang", "target_lang", "test_dataset")
ERROR = "_se"
MADE_OF = "made_of"


@dataclass(frozen=True)
class TrainingSet:
    """Pairs to learn from and to develop on, and what they are called.

    Parameters
    ----------
    source_lang, target_lang : str or None
        Codes of the languages; None where a task has but one.
    name : str
        Of the data set.
    train, dev : sequence of Pair
    """

    source_lang: str | None
    target_lang: str | None
    name: str
    train: Sequence[Pair] = field(repr=False)
    dev: Sequence[Pair] = field(repr=False)


@dataclass(frozen=True)
class TestSet:
    """Pairs to be scored, and what they are called.

    Parameters
    ----------
    source_lang, target_lang : str or None
        Codes of the languages; None where a task has but one.
    name : str
        Of the data set.
    pairs : sequence of Pair
    """

    __test__ = False  # no test of pytest

    source_lang: str | None
    target_lang: str | None
    name: str
    pairs: Sequence[Pair] = field(repr=False)


@dataclass(frozen=True)
class Experiment:
    """One model, fine-tuned on one training set or as it is, and its test sets.

    Parameters
    ----------
    recipe : Recipe
        Its method `"none"` runs the model as it is.
    training : TrainingSet
        Of a model that is run as it is, only the languages and the name matter.
    tests : sequence of TestSet
    size : int or None
        Training pairs that are drawn; None takes all.
    seed : int
        Of the pairs that are drawn.
    """

    recipe: Recipe
    training: TrainingSet
    tests: tuple[TestSet, ...]
    size: int | None = None
    seed: int = 0

    @property
    def is_tuned(self) -> bool:
        """Whether the model is fine-tuned before it is scored."""
        return self.recipe.method != "none"

    @property
    def place(self) -> Path:
        """The folder of what is kept, within that of all experiments."""
        codes = (self.training.source_lang, self.training.target_lang)
        pair = "-".join(code for code in codes if code) or "texts"
        if not self.is_tuned:
            return Path(self.recipe.name, "as-it-is", pair)
        size = "all" if self.size is None else str(self.size)
        name = f"{self.training.name}-{size}-seed{self.seed}"
        return Path(self.recipe.name, "tuned", pair, name)


@dataclass(frozen=True)
class Budget:
    """What experiments may take in all: whatever is used up first ends them.

    Parameters
    ----------
    hours : float or None, default=None
        Of training and scoring.
    flops : float or None, default=None
        Floating-point operations, as `ComputeCost` counts them.
    """

    hours: float | None = None
    flops: float | None = None


def _experiment_key(experiment: Experiment, test: TestSet) -> dict[str, Any]:
    """Return what names the record of a test."""
    training = experiment.training
    n_pairs = len(training.train) if experiment.size is None else experiment.size
    return {
        "source_lang": test.source_lang,
        "target_lang": test.target_lang,
        "train_dataset": training.name if experiment.is_tuned else None,
        "dataset_size": n_pairs if experiment.is_tuned else None,
        "test_dataset": test.name,
        "model": experiment.recipe.name,
        "tuned": experiment.is_tuned,
        "seed": experiment.seed,
    }


def _writing_flops(place: Any, recipe: Recipe, test: TestSet) -> float | None:
    """Estimate the operations of scoring: as if the references were written."""
    options = LoadingOptions(trust_remote_code=recipe.trust_remote_code)
    model = LanguageModel(place, options=options)
    try:
        cost = ComputeCost(model.config)
    except ValueError:
        return None

    def count(texts: list[str]) -> np.ndarray:
        ids = model.tokenizer(texts, add_special_tokens=False)["input_ids"]
        return np.array([len(row) + 1 for row in ids])

    written = count([pair.target for pair in test.pairs])
    if recipe.task == "text":
        return float(cost.forward(written))
    read = count([pair.source for pair in test.pairs])
    n_beams = recipe.generation.get("num_beams", 1)
    return float(cost.generation(read, written, num_beams=n_beams))


def run_experiment(
    experiment: Experiment,
    folder: str | os.PathLike,
    *,
    device: str = "auto",
    spm_model: str | os.PathLike | None = None,
    keep_models: bool = False,
    progress: bool = False,
) -> list[dict[str, Any]]:
    """Fine-tune a model if it is to be, score it, and return a row for each test set.

    An interrupted call that is made again goes on from where it was; one that had
    ended returns its rows.

    Parameters
    ----------
    experiment : Experiment
    folder : str or path-like
        Of this experiment alone.
    device : str, default="auto"
    spm_model : str or path-like, default=None
        SentencePiece model of spBLEU, see `proxylm.metrics.score_translations`.
    keep_models : bool, default=False
        Whether the fine-tuned model stays when it has been scored.
    progress : bool, default=False
        Whether to show bars.

    Returns
    -------
    rows : list of dict
        Of each test set its names, scores with their standard errors, and what they
        took: `training_seconds`, `scoring_seconds`, `training_tokens`,
        `training_flops`, `scoring_flops` (estimated from the references),
        `peak_memory` in bytes, `hardware`, `versions` and `signature`.
    """
    folder, recipe = Path(folder), experiment.recipe
    tuned, place, training = None, recipe.model, {}
    paths = [folder / "scores" / _file_name(test) for test in experiment.tests]
    made = [_made_of(experiment, test) for test in experiment.tests]
    found = [_stored(*pair) for pair in zip(paths, made, strict=True)]
    if experiment.is_tuned and (None in found or not found):
        pairs = draw(experiment.training.train, experiment.size, experiment.seed)
        tuned = finetune(
            recipe,
            pairs,
            experiment.training.dev,
            folder=folder,
            device=device,
            progress=progress,
        )
        place = tuned.folder
        training = {
            "training_seconds": tuned.seconds,
            "training_tokens": tuned.n_tokens,
            "training_flops": tuned.flops,
            "training_memory": tuned.peak_memory,
            "n_updates": tuned.n_updates,
            "dev_loss": tuned.dev_loss,
        }
    device = choose_device(device)
    rows = []
    for path, of, test, row in zip(paths, made, experiment.tests, found, strict=True):
        if row is None:
            start = time.monotonic()
            scores = score_model(
                recipe,
                test.pairs,
                model=None if tuned is None else place,
                cache_dir=folder / "cache",
                device=device,
                spm_model=spm_model,
                options={"progress": progress},
            )
            row = {
                **_experiment_key(experiment, test),
                **scores.values,
                **training,
                "scoring_seconds": time.monotonic() - start,
                "scoring_flops": _writing_flops(place, recipe, test),
                "peak_memory": peak_memory(device),
                "hardware": describe_hardware(device),
                "versions": describe_versions(),
                "signature": scores.signature,
            }
            write_values(path, {**row, MADE_OF: of})
        rows.append(row)
    if not keep_models and experiment.tests:
        _remove(folder)
    return rows


def _file_name(test: TestSet) -> str:
    codes = (test.source_lang, test.target_lang, test.name)
    return "-".join(code for code in codes if code) + ".json"


def _made_of(experiment: Experiment, test: TestSet) -> str:
    """Return a digest of all that a score depends on."""
    training = experiment.training
    parts = [repr(experiment.recipe.to_dict()), pairs_digest(test.pairs)]
    if experiment.is_tuned:
        parts += [str(experiment.size), str(experiment.seed)]
        parts += [pairs_digest(training.train), pairs_digest(training.dev)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _stored(path: Path, made_of: str) -> dict[str, Any] | None:
    """Return the row of a file, None if there is none; one of something else is not."""
    row = read_values(path)
    if row is not None and row.pop(MADE_OF, None) != made_of:
        raise ValueError(
            f"{path} has the scores of another recipe or other data. Choose another "
            f"folder, or remove {path.parent.parent}."
        )
    return row


def _remove(folder: Path) -> None:
    """Remove weights and what was written: the scores stay."""
    for name in ("model", "adapter", "cache"):
        shutil.rmtree(folder / name, ignore_errors=True)


def run_experiments(
    experiments: Sequence[Experiment],
    folder: str | os.PathLike,
    *,
    budget: Budget | None = None,
    **options: Any,
) -> Iterator[tuple[Experiment, list[dict[str, Any]]]]:
    """Run experiments one after the other, and yield the rows of each.

    Those that are done come first, in whatever order they are given.

    Parameters
    ----------
    experiments : sequence of Experiment
    folder : str or path-like
        Each has a folder of its own in it.
    budget : Budget or None, default=None
        What they may take, former runs in the folder included. An experiment that was
        begun is ended; no other is begun when something is used up.
    **options
        Of `run_experiment`.
    """
    folder, budget = Path(folder), budget or Budget()
    hours = flops = 0.0

    def is_done(experiment: Experiment) -> bool:
        scores = folder / experiment.place / "scores"
        return all((scores / _file_name(test)).is_file() for test in experiment.tests)

    with hold(folder):
        ordered = sorted(experiments, key=is_done, reverse=True)
        n_done = sum(map(is_done, ordered))
        for number, experiment in enumerate(ordered):
            used_up = (budget.hours is not None and hours >= budget.hours) or (
                budget.flops is not None and flops >= budget.flops
            )
            if used_up and number >= n_done:
                logger.warning(
                    "The budget is used up: %d of %d experiments are left. Run the "
                    "same command again with a larger one to go on.",
                    len(experiments) - number,
                    len(experiments),
                )
                return
            rows = run_experiment(experiment, folder / experiment.place, **options)
            hours += _total(rows, "seconds") / 3600
            flops += _total(rows, "flops")
            yield experiment, rows


def _total(rows: Sequence[Mapping[str, Any]], unit: str) -> float:
    """Return what an experiment took: its rows are of one training."""
    training = [row.get(f"training_{unit}") or 0.0 for row in rows[:1]]
    return sum(training) + sum(row.get(f"scoring_{unit}") or 0.0 for row in rows)


def records_of(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return rows of experiments as a record table, a column a model and metric.

    Columns are named as those of the published tables: `small100_ft_spBLEU_mean` and
    `small100_ft_spBLEU_se` of the fine-tuned model, `small100_noft_spBLEU_mean` of the
    model as it is. The scores of a model as it is stand in every row of its languages
    and test set. Seeds of one record are averaged; the standard error is then that of
    the mean over the test set and the seeds.

    Parameters
    ----------
    rows : sequence of dict
        Of `run_experiment`.

    Returns
    -------
    records : DataFrame
        With the columns `source_lang`, `target_lang`, `train_dataset`,
        `dataset_size`, `test_dataset` and those of the models.
    """
    tuned = [row for row in rows if row["tuned"]]
    as_they_are = [row for row in rows if not row["tuned"]]
    keys = KEYS if tuned else TEST_KEYS
    records = _wide(tuned, KEYS, "ft") if tuned else None
    # A task of one language has no source where nothing is learned.
    for has_source in (True, False):
        part = [row for row in as_they_are if bool(row["source_lang"]) == has_source]
        on = [key for key in TEST_KEYS if has_source or key != "source_lang"]
        if not part:
            continue
        others = _wide(part, on, "noft")
        if records is None:
            records, keys = others, on
        else:
            records = records.merge(others, on=on, how="left")
    if records is None:
        return pd.DataFrame(columns=list(keys))
    return records.sort_values(list(keys), ignore_index=True)


def _wide(rows, keys, label) -> pd.DataFrame:
    """Return a row for each key with the scores of all models."""
    found: dict[tuple, dict[str, list[float]]] = {}
    for row in rows:
        columns = found.setdefault(tuple(row[key] for key in keys), {})
        errors = {name for name in row if name.endswith(ERROR)}
        metrics = {name.removesuffix(ERROR) for name in errors}
        metrics |= {name for name in row if name.startswith("bits_per_")}
        for metric in sorted(metrics):
            name = f"{row['model']}_{label}_{metric}"
            columns.setdefault(f"{name}_mean", []).append(row[metric])
            if metric + ERROR in row:
                columns.setdefault(name + ERROR, []).append(row[metric + ERROR])
    table = []
    for key, columns in found.items():
        values = dict(zip(keys, key, strict=True))
        for name, column in columns.items():
            numbers = np.array(column, dtype=float)
            if name.endswith(ERROR):
                # That of the test set, which seeds share, and that of the seeds.
                means = np.array(columns[name.removesuffix(ERROR) + "_mean"])
                variance = np.mean(numbers**2)
                if len(means) > 1:
                    variance += means.var(ddof=1) / len(means)
                values[name] = float(np.sqrt(variance))
            else:
                values[name] = float(numbers.mean())
        table.append(values)
    return pd.DataFrame(table)
