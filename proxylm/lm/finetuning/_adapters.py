"""Low-rank adapters beside the linear layers of a model."""

import json
import warnings
from pathlib import Path
from typing import Any

from proxylm._optional import import_optional

from ._recipe import LoraOptions


def add_adapters(module: Any, options: LoraOptions) -> Any:
    """Freeze a model and give it adapters in place; return the model that holds it."""
    peft = import_optional("peft", extra="finetune")
    module.requires_grad_(False)
    layers = options.layers
    configuration = peft.LoraConfig(
        r=options.rank,
        lora_alpha=options.alpha,
        lora_dropout=options.dropout,
        target_modules=layers if isinstance(layers, str) else list(layers),
    )
    try:
        with warnings.catch_warnings():
            # peft asks transformers by names that it gave up.
            warnings.simplefilter("ignore", FutureWarning)
            return peft.get_peft_model(module, configuration)
    except ValueError as error:
        names = {name.rpartition(".")[2] for name, _ in module.named_modules()}
        raise ValueError(
            "lora.layers expects 'all-linear' or names of layers among "
            f"{sorted(names)}. Got {layers!r}."
        ) from error


def save_adapters(holder: Any, folder: Path) -> None:
    """Write the adapters alone, in the format of peft."""
    holder.save_pretrained(folder)
    path = folder / "adapter_config.json"
    # A set has another order in each process.
    values = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(values.get("target_modules"), list):
        values["target_modules"].sort()
    path.write_text(json.dumps(values, indent=2, sort_keys=True), encoding="utf-8")


def merge_adapters(holder: Any) -> Any:
    """Return the model with its adapters added to its weights."""
    return holder.merge_and_unload()
