"""The command `experiment`: a grid of models, languages and sizes from a YAML file."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from proxylm.cli._files import read_yaml
from proxylm.cli._finetune import append_rows, describe_row
from proxylm.cli._recipes import read_recipe
from proxylm.cli._task_data import find_sets, parse_pairs
from proxylm.cli._values import (
    as_list,
    check_flag,
    check_keys,
    check_number,
    check_text,
    check_texts,
    resolve_path,
)
from proxylm.lm.finetuning import (
    Budget,
    Experiment,
    Recipe,
    TestSet,
    TrainingSet,
    records_of,
    run_experiments,
)
from proxylm.lm.finetuning._data import MASSIVE_FIELDS
from proxylm.records import write_records

KEYS = (
    "task data models pairs sizes seeds train_datasets test_datasets budget output "
    "device spm_model keep_models"
).split()
MODEL_KEYS = ("recipe", "tuned", "set")
UNITS = ("hours", "flops")


@dataclass(frozen=True)
class Plan:
    """Everything that a plan asks for."""

    experiments: tuple[Experiment, ...]
    output: Path
    budget: Budget
    options: Mapping[str, Any]  # of run_experiment


def _sets(values: Mapping[str, Any], folder: Path):
    """Return training sets with their test sets."""
    task = check_text(values["task"], "task")
    path = resolve_path(values["data"], folder, "data")
    pairs = values.get("pairs")
    names = {
        key: None if values.get(key) is None else check_texts(values[key], key)
        for key in ("train_datasets", "test_datasets")
    }
    pairs = None if pairs in (None, "all") else parse_pairs(as_list(pairs))
    return find_sets(path, task, pairs, **names)


def _recipes(values: Mapping[str, Any], folder: Path) -> Iterator[Recipe]:
    """Yield the recipe of each model, as it is or to be fine-tuned."""
    for entry in as_list(values["models"]):
        entry = {"recipe": entry} if isinstance(entry, str) else entry
        check_keys(entry, MODEL_KEYS, "models")
        if "recipe" not in entry:
            raise ValueError("models expects the key 'recipe' of each. Got none.")
        overrides = []
        changed = entry.get("set") or {}
        check_keys(changed, changed if isinstance(changed, Mapping) else (), "set")
        for key, value in changed.items():
            overrides.append((tuple(str(key).split(".")), value))
        name = check_text(entry["recipe"], "recipe")
        recipe = read_recipe(name, overrides, values["task"], folder)
        for tuned in as_list(entry.get("tuned", True)):
            if check_flag(tuned, "tuned"):
                yield recipe
            else:
                yield replace(recipe, method="none")


def _alone(training: TrainingSet, tests: tuple[TestSet, ...]):
    """Return the sets of a model that is run as it is on a task of one language."""
    return [
        (
            replace(training, source_lang=None, target_lang=test.target_lang),
            (replace(test, source_lang=None),),
        )
        for test in tests
    ]


def _grid(recipes, sets, sizes, seeds, is_single) -> Iterator[Experiment]:
    """Yield experiments, those without training first: they cost least."""
    seen = set()
    for recipe in recipes:
        if recipe.method == "none":
            for training, tests in sets:
                parts = _alone(training, tests) if is_single else [(training, tests)]
                for part in parts:
                    experiment = Experiment(recipe, *part)
                    if experiment.place not in seen:
                        seen.add(experiment.place)
                        yield experiment
            continue
        for training, tests in sets:
            for size in sizes:
                for seed in seeds:
                    # What is drawn and how it is learned, both by the seed.
                    own = replace(recipe.training, seed=recipe.training.seed + seed)
                    yield Experiment(
                        replace(recipe, training=own), training, tests, size, seed
                    )


def read_plan(path: Path, output: Path | None = None) -> Plan:
    """Return the plan of a YAML file."""
    values = read_yaml(path)
    try:
        return _parse(values, path.parent, output or path.with_suffix(""))
    except (TypeError, ValueError) as error:
        raise type(error)(f"{path}: {error}") from error


def _parse(values: Any, folder: Path, output: Path) -> Plan:
    check_keys(values, KEYS, "The plan")
    for key in ("task", "data", "models"):
        if key not in values:
            raise ValueError(f"The plan expects the key {key!r}. Got {sorted(values)}.")
    if "output" in values:
        output = folder / check_text(values["output"], "output")
    budget = values.get("budget") or {}
    check_keys(budget, UNITS, "budget")
    budget = {unit: check_number(value, unit) for unit, value in budget.items()}
    sizes = as_list(values.get("sizes"))
    for size in sizes:
        if size is not None:
            check_number(size, "sizes", integer=True)
    seeds = [
        check_number(s, "seeds", integer=True) for s in as_list(values.get("seeds", 0))
    ]
    options = {
        "keep_models": check_flag(values.get("keep_models", False), "keep_models")
    }
    if "device" in values:
        options["device"] = check_text(values["device"], "device")
    if "spm_model" in values:
        options["spm_model"] = resolve_path(values["spm_model"], folder, "spm_model")
    recipes = list(_recipes(values, folder))
    names = {(recipe.name, recipe.method == "none") for recipe in recipes}
    if len(names) < len(recipes):
        raise ValueError(
            "models expects each model once. Got several of one name: give them names "
            "with set: {name: ...}."
        )
    recipes.sort(key=lambda recipe: recipe.method != "none")
    is_single = values["task"] in MASSIVE_FIELDS
    grid = _grid(recipes, _sets(values, folder), sizes, seeds, is_single)
    return Plan(tuple(grid), output, Budget(**budget), options)


def run_plan(
    path: Path,
    output: Path | None = None,
    *,
    dry_run: bool = False,
    progress: bool = True,
) -> None:
    """Run what a plan has and is not done; write the tables after each experiment."""
    plan = read_plan(path, output)
    print(f"{path}: {len(plan.experiments)} experiments, in {plan.output}.")
    if dry_run:
        for experiment in plan.experiments:
            names = ", ".join(dict.fromkeys(test.name for test in experiment.tests))
            print(f"  {experiment.place}: {len(experiment.tests)} test sets, {names}")
        return
    rows: list[dict[str, Any]] = []
    results, records = plan.output / "results.csv", plan.output / "records.csv"
    n_done = 0
    try:
        for _, found in run_experiments(
            plan.experiments,
            plan.output,
            budget=plan.budget,
            progress=progress,
            **plan.options,
        ):
            n_done += 1
            rows += found
            append_rows(results, found)
            write_records(records_of(rows), records)
            for row in found:
                print(
                    f"[{n_done}/{len(plan.experiments)}] {describe_row(row)}",
                    flush=True,
                )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Interrupted. What was done is kept in {plan.output}. Run the same "
            "command again to go on."
        ) from None
    if rows:
        print(f"{results}: a row a model and test set, with what it took.")
        print(f"{records}: a record a row, for `proxylm evaluate`.")
