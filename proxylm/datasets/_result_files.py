"""The files that hold the results of an experiment of the original ProxyLM."""

import json
import math
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from proxylm.metrics import parse_slots, score_labels, score_slots

# By sacrebleu, in one file for each test set; COMET has another.
SACREBLEU = ("spBLEU", "chrF2++", "BLEU", "chrF2", "TER")
# The checkpoint tells the model where the name of the folder does not.
CHECKPOINTS = {
    "1.2B_last_checkpoint.pt": "m2m100",
    "nllb200densedst1bcheckpoint.pt": "nllb",
    "model_small100_fairseq.pt": "small100",
}

Scores = dict[str, tuple[float, float]]  # mean and spread of each metric


class Setup(NamedTuple):
    """What an experiment of translation was."""

    model: str  # with how it was trained, as columns have it
    pair: tuple[str, str]
    train: tuple[str, int] | None  # None without fine-tuning


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError("expected a text in UTF-8") from error
    except OSError as error:
        raise ValueError(f"could not be read ({error.strerror})") from error


def _decode(text: str, start: int = 0) -> Any:
    """Return the JSON value that begins at a place of a text."""
    try:
        return json.JSONDecoder().raw_decode(text, start)[0]
    except json.JSONDecodeError as error:
        raise ValueError(
            f"expected JSON. It has {error.msg!r} in line {error.lineno}, column "
            f"{error.colno}"
        ) from error


def read_setup(folder: Path) -> Setup:
    """Return what an experiment was, from its configuration and name."""
    path = folder / f"{folder.name}.json"
    config = _decode(_read_text(path).lstrip())
    pair = [
        config.get(key) if isinstance(config, dict) else None
        for key in ("source_lang", "target_lang")
    ]
    if not all(isinstance(code, str) and code for code in pair):
        raise ValueError("expected the keys source_lang and target_lang")
    languages = "_".join(map(re.escape, pair))
    name = re.fullmatch(
        rf"(?:(?P<model>.+?)_)?{languages}_(?:(?P<data>.+)_(?P<size>\d+)|no_finetune)",
        folder.name,
    )
    if name is None:
        raise ValueError(
            f"expected a folder MODEL_{'_'.join(pair)}_DATASET_SIZE or "
            f"MODEL_{'_'.join(pair)}_no_finetune, by the languages in the file"
        )
    from_scratch = "train" in config
    model = name["model"] or ("transformer" if from_scratch else _checkpoint(config))
    if model is None:
        raise ValueError("expected the model in the name of the folder")
    if model == "transformer":
        model = "trfm"
    elif not from_scratch:
        model += "_noft" if name["data"] is None else "_ft"
    train = None if name["data"] is None else (name["data"], int(name["size"]))
    return Setup(model, tuple(pair), train)


def _checkpoint(config: dict[str, Any]) -> str | None:
    """Return the model whose checkpoint a configuration names."""
    section = config.get("finetune")
    path = section.get("pretrained_model_path") if isinstance(section, dict) else None
    return CHECKPOINTS.get(re.split(r"[/\\]", str(path))[-1])


def read_sacrebleu(path: Path) -> Scores:
    """Return the scores that sacrebleu has written, two lists among other lines."""
    text, scores = _read_text(path), {}
    for start in re.finditer(r"^\[\s*$", text, re.MULTILINE):
        for entry in _decode(text, start.start()):
            if not isinstance(entry, dict):
                raise ValueError(f"expected results of metrics. Got {entry!r:.60}")
            name = entry.get("name")
            if name == "BLEU" and entry.get("tok") == "flores200":
                name = "spBLEU"
            if name not in SACREBLEU:
                continue
            pair = entry.get("confidence_mean"), entry.get("confidence_var")
            if not all(_is_finite(value) for value in pair):
                raise ValueError(
                    f"expected confidence_mean and confidence_var of {name}, which "
                    "sacrebleu writes with --confidence"
                )
            if scores.setdefault(name, pair) != pair:
                raise ValueError(f"expected one result of {name}. It has two")
    return scores


def _is_finite(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value)


def read_comet(path: Path) -> Scores:
    """Return the mean of the scores of the segments and their standard deviation."""
    value = _decode(_read_text(path).lstrip())
    systems = list(value.values()) if isinstance(value, dict) else [value]
    segments = systems[0] if len(systems) == 1 else None
    values = [
        segment.get("COMET") if isinstance(segment, dict) else None
        for segment in (segments if isinstance(segments, list) else [])
    ]
    if not values or not all(map(_is_finite, values)):
        raise ValueError(
            "expected the segments of one system, each with its COMET, as comet-score "
            "writes them with --to_json"
        )
    return {
        "comet": (round(float(np.mean(values)), 4), round(float(np.std(values)), 4))
    }


def read_predictions(path: Path) -> tuple[str, float]:
    """Return the metric of a file of predictions and the score."""
    predictions, labels = [], []
    for number, line in enumerate(_read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry = _decode(line.strip())
            predictions.append(entry["predict"])
            labels.append(entry["label"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f'line {number}: expected {{"predict": "...", "label": "..."}}. Got '
                f"{line.strip()[:60]!r}"
            ) from error
    try:
        has_slots = any(map(parse_slots, labels))
        score = (score_slots if has_slots else score_labels)(
            predictions, labels, n_bootstrap=0
        )
    except TypeError as error:
        raise ValueError(f"expected texts: {error}") from error
    return score.metric, score.value
