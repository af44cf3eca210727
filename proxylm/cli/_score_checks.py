"""What the command `score` says before time is spent, in words of the command line."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from proxylm.lm._loading import LanguageModel
from proxylm.lm._measures import find_metric


def _models(options: Mapping[str, Any]) -> list[str]:
    model = options["model"]
    return [model] if isinstance(model, str) else model


def _first_of_kind(kind: str, options: Mapping[str, Any]) -> str | None:
    """Return the first model that is causal, masked or an encoder-decoder, if any."""
    found = (m for m in _models(options) if LanguageModel(m).kind == kind)
    return next(found, None)


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse models of one name, and a causal model that is not told to translate."""
    names = [Path(model).name.removesuffix(".gguf") for model in _models(options)]
    if len(set(names)) < len(names):
        raise ValueError(
            "--model expects models of different names, which the names of their "
            f"scores begin with. Got {names}. Rename a folder, or score them apart."
        )
    if options.get("task") == "translation" and "prompt" not in options:
        model = _first_of_kind("causal", options)
        if model is not None:
            raise ValueError(
                f"--task translation expects a prompt for the causal model {model}. "
                "Give one, such as "
                r"--prompt '{source_language}: {text}\n{target_language}:'."
            )


def _needs_sources(options: Mapping[str, Any]) -> str | None:
    """Return which option needs sources; None if none does."""
    task = options.get("task", "likelihood")
    if task != "likelihood":
        return f"--task {task}"
    needing = [n for n in options.get("metrics", ()) if find_metric(n).needs_source]
    if needing:
        return f"--metrics {','.join(needing)}"
    model = _first_of_kind("seq2seq", options)
    return None if model is None else f"the encoder-decoder --model {model}"


def check_sources(
    cells: Sequence[Any], texts: Path, options: Mapping[str, Any]
) -> None:
    """Refuse texts that stand alone where an option needs their sources."""
    for row, cell in enumerate(cells):
        is_line = isinstance(cell, str)
        if not is_line and not any(isinstance(text, str) for text in cell or ()):
            continue
        needing = _needs_sources(options)
        if needing is None:
            return
        remedy = "Add the column source to the manifest, with the path of a text file"
        if is_line:
            remedy = "List the file in a manifest that has beside it, in the column "
            remedy += "source, a text file"
        raise ValueError(
            f"{texts} is expected to have a source for each text: {needing} needs it. "
            f"Got none in row {row}. {remedy} of as many lines."
        )
