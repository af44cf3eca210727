"""Recipes of fine-tuning: the ready ones of the package, and files of one's own."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from proxylm._remote import get_data_home
from proxylm.cli._catalogue import CATALOGUE
from proxylm.cli._downloads import HubModel
from proxylm.cli._files import parse_yaml, read_yaml
from proxylm.cli._overrides import override
from proxylm.cli._values import advice
from proxylm.lm import Recipe

SUFFIXES = (".yaml", ".yml")


def ready_recipes() -> dict[str, str]:
    """Return the text of each recipe that comes with the package, by name."""
    folder = files("proxylm.cli") / "recipes"
    return {
        entry.name.removesuffix(".yaml"): entry.read_text(encoding="utf-8")
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".yaml")
    }


def describe_recipe(text: str) -> str:
    """Return what a recipe says of itself in its first line."""
    return text.partition("\n")[0].removeprefix("#").strip()


def _downloaded(values: dict[str, Any]) -> dict[str, Any]:
    """Return where the model of a ready recipe is, on the disk or in the hub."""
    for entry in CATALOGUE:
        if isinstance(entry, HubModel) and entry.model == values.get("model"):
            if entry.is_there(get_data_home()):
                return {"model": str(entry.place(get_data_home()))}
            return {"revision": entry.revision}
    return {}


def read_recipe(
    name: str,
    overrides: Sequence[tuple[tuple[str, ...], Any]] = (),
    task: str | None = None,
    folder: Path | None = None,
) -> Recipe:
    """Return a recipe by its name or file, with some of its values replaced.

    A model or a checkpoint of COMET that is beside the file is taken from there.
    """
    ready = ready_recipes()
    beside = (folder or Path()) / name
    path = beside if beside.is_file() else Path(name).expanduser()
    is_ready = name in ready
    if is_ready:
        values, where = parse_yaml(ready[name], name), name
    elif path.suffix in SUFFIXES:
        values, where = read_yaml(path), str(path)
    else:
        raise ValueError(
            "RECIPE expects the name of a ready recipe or a YAML file. "
            f"{advice(name, ready)}"
        )
    if not isinstance(values, dict):
        raise ValueError(f"{where} expects keys with values. Got {values!r:.80}.")
    values = {"name": Path(where).stem, **values}
    for key in () if is_ready else ("model", "comet_model"):
        place = values.get(key)
        if isinstance(place, str) and (path.parent / place).exists():
            values[key] = str(path.parent / place)
    if task is not None:
        values["task"] = task
    if is_ready:
        values |= _downloaded(values)
    for keys, value in overrides:
        values = override(values, keys, value)
    if any(keys == ("model",) for keys, _ in overrides):
        if not any(keys == ("revision",) for keys, _ in overrides):
            values["revision"] = None  # was that of the other model
    if values.get("model") is not None and values.get("architecture") is not None:
        # A model in place of that from scratch, or the other way round.
        given = {keys[0] for keys, _ in overrides}
        values["architecture" if "model" in given else "model"] = None
    try:
        return Recipe.of(values)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{where}: {error}") from error
