"""What an interrupted training goes on from, and the best weights so far."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from proxylm._files import write_whole
from proxylm._optional import import_optional

from .._torch import import_torch

BEST, CHECKPOINT, RUN, RESULT = (
    "best.safetensors",
    "checkpoint.pt",
    "run.json",
    "result.json",
)


@dataclass
class TrainingState:
    """How far a training is."""

    epoch: int = 0
    n_done: int = 0  # updates of the epoch
    update: int = 0
    n_read: int = 0  # tokens, padding not counted
    n_learned: int = 0  # tokens with a loss
    seconds: float = 0.0
    max_tokens: int = 0  # that memory has room for
    best_loss: float = float("inf")
    best_update: int = 0
    n_worse: int = 0  # evaluations since then
    history: list[dict[str, float]] = field(default_factory=list)


def trained_weights(module: Any) -> dict[str, Any]:
    """Return the weights that are trained, by name."""
    return {
        name: parameter.detach()
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    }


def load_weights(module: Any, weights: Mapping[str, Any]) -> None:
    """Put trained weights into a model."""
    torch = import_torch()
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for name, value in weights.items():
            parameters[name].copy_(value)


def save_best(folder: Path, module: Any) -> None:
    """Keep the trained weights as the best ones."""
    safetensors = import_optional("safetensors.torch", extra="lm")
    weights = {name: w.contiguous() for name, w in trained_weights(module).items()}
    with write_whole(folder / BEST) as temporary:
        safetensors.save_file(weights, temporary)


def load_best(folder: Path, module: Any) -> None:
    """Put the best weights into a model."""
    safetensors = import_optional("safetensors.torch", extra="lm")
    load_weights(module, safetensors.load_file(folder / BEST))


def random_states(device: Any) -> dict[str, Any]:
    """Return the states of the generators that dropout draws from."""
    torch = import_torch()
    states = {"rng": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda_rng"] = torch.cuda.get_rng_state(device)
    return states


def set_random_states(states: Mapping[str, Any], device: Any) -> None:
    """Put generators back to where they were."""
    torch = import_torch()
    torch.set_rng_state(states["rng"])
    if "cuda_rng" in states:
        torch.cuda.set_rng_state(states["cuda_rng"], device)


def save_checkpoint(
    folder: Path, state: TrainingState, module: Any, optimizer: Any, scaler: Any
) -> None:
    """Write all that training depends on, whole or not at all."""
    torch = import_torch()
    values = {
        "state": asdict(state),
        "weights": trained_weights(module),
        "optimizer": optimizer.state_dict(),
        "scaler": scaler.state_dict(),
        **random_states(next(module.parameters()).device),
    }
    # An open file, whose errors have a cause; those of a path have none.
    with (
        write_whole(folder / CHECKPOINT) as temporary,
        open(temporary, "wb") as file,
    ):
        try:
            torch.save(values, file)
        except RuntimeError as error:  # that it could not end the file it began
            cause = error.__context__
            raise (cause if isinstance(cause, OSError) else error) from None


def load_checkpoint(
    folder: Path, module: Any, optimizer: Any, scaler: Any
) -> TrainingState | None:
    """Put everything back as the checkpoint has it; None if there is no checkpoint."""
    torch = import_torch()
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
        state = TrainingState(**values["state"])
    except Exception as error:  # torch has a class of its own for each kind of damage
        raise ValueError(
            f"{path} can't be read as a checkpoint ({type(error).__name__}). Remove it "
            "to start anew."
        ) from error
    load_weights(module, values["weights"])
    optimizer.load_state_dict(values["optimizer"])
    scaler.load_state_dict(values["scaler"])
    set_random_states(values, next(module.parameters()).device)
    return state


def write_values(path: Path, values: Mapping[str, Any]) -> None:
    """Write a mapping as JSON, whole or not at all."""
    with write_whole(path) as temporary:
        text = json.dumps(values, indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_values(path: Path) -> dict[str, Any] | None:
    """Return the mapping of a JSON file; None if there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{path} is no valid JSON. Remove it.") from error


def differences(ours: Any, stored: Any, prefix: str = "") -> list[str]:
    """Return in which values two mappings differ, in words."""
    if not (isinstance(ours, Mapping) and isinstance(stored, Mapping)):
        return [] if ours == stored else [f"{prefix} was {stored!r} and is {ours!r}"]
    found = []
    for key in ours.keys() | stored.keys():
        name = f"{prefix}.{key}" if prefix else str(key)
        found += differences(ours.get(key), stored.get(key), name)
    return sorted(found)
