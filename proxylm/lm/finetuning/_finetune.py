"""Fine-tuning as a whole: from a recipe and pairs of texts to a model."""

import logging
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from proxylm._optional import import_optional
from proxylm._version import __version__

from .._cost import ComputeCost
from .._loading import LanguageModel, LoadingOptions, choose_dtype, save_whole
from .._memory import give_back
from .._pairs import make_encoder
from .._torch import import_torch
from ._adapters import add_adapters, merge_adapters, save_adapters
from ._batches import n_tokens
from ._checkpoint import (
    BEST,
    CHECKPOINT,
    RESULT,
    RUN,
    differences,
    read_values,
    write_values,
)
from ._data import Pair, check_pairs, keep_pairs, pairs_digest
from ._examples import make_examples, text_examples
from ._recipe import Recipe
from ._scratch import make_folder
from ._trainer import Trainer

logger = logging.getLogger(__name__)

# Raised when the same recipe and data give other weights than before.
VERSION = 2
N_NAMED = 3


@dataclass(frozen=True)
class FineTuned:
    """A model that was fine-tuned, and what that took.

    Attributes
    ----------
    folder : Path
        The model and its tokenizer, as `save_pretrained` writes them.
    history : list of dict
        A row for each evaluation: `update`, `epoch`, `train_loss`, `dev_loss`
        (nats per token), `learning_rate`, `n_tokens`.
    dev_loss : float or None
        The best loss of the development set, in nats per token.
    n_updates, best_update : int
        Updates that were made, and after which of them the model was best.
    n_tokens : int
        Tokens that were read, padding not counted.
    seconds : float
        Of training, evaluations included.
    flops : float or None
        Floating-point operations of training, as `ComputeCost` counts them.
    peak_memory : int
        Bytes: of the GPU, or of the whole process on a CPU.
    hardware, versions : str
        What it ran on and with.
    """

    folder: Path
    history: list[dict[str, float]]
    dev_loss: float | None
    n_updates: int
    best_update: int
    n_tokens: int
    seconds: float
    flops: float | None
    peak_memory: int
    hardware: str
    versions: str


def describe_hardware(device: str) -> str:
    """Return the name of what computes."""
    if device.startswith("cuda"):
        return import_torch().cuda.get_device_name(device)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    return f"{platform.machine()} CPU, {cores or os.cpu_count()} cores"


def describe_versions() -> str:
    """Return the versions of all that scores depend on."""
    packages = ("torch", "transformers")
    found = [f"{package} {version(package)}" for package in packages]
    return ", ".join([f"proxylm {__version__}", *found])


def peak_memory(device: str) -> int:
    """Return the largest memory so far, in bytes."""
    if device.startswith("cuda"):
        return int(import_torch().cuda.max_memory_allocated(device))
    if sys.platform == "win32":
        psutil = import_optional("psutil", extra="finetune")
        return psutil.Process().memory_info().peak_wset
    import resource  # not there on Windows

    unit = 1 if sys.platform == "darwin" else 1_024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder."""
    filelock = import_optional("filelock", extra="lm")
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / ".lock")
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise ValueError(
            f"Another run is at work in {folder}. Wait for it, or choose another "
            "folder."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _check_run(folder: Path, run: dict[str, Any]) -> None:
    """Refuse a folder that has the run of another recipe, or of other data."""
    stored = read_values(folder / RUN)
    if stored is None:
        return
    found = differences(run, stored)
    if found:
        shown = "; ".join(found[:N_NAMED])
        raise ValueError(
            f"{folder} has the run of another recipe or other data: {shown}. Choose "
            "another folder, or remove this one."
        )


def _describe_run(recipe: Recipe, train: Sequence[Pair], dev: Sequence[Pair]):
    """Return all that the weights depend on."""
    values = recipe.to_dict()
    # These matter to what the model is asked afterwards.
    for name in ("generation", "metrics", "comet_model", "name"):
        values.pop(name)
    model = None
    if recipe.model is not None:
        model = LanguageModel(recipe.model, options=LoadingOptions(recipe.revision))
    return {
        "recipe": values,
        "model": model and model.digest,
        "train": pairs_digest(train),
        "dev": pairs_digest(dev),
        "version": VERSION,
    }


def finetune(
    recipe: Recipe,
    train: Sequence[tuple],
    dev: Sequence[tuple] = (),
    *,
    folder: str | os.PathLike,
    device: str = "auto",
    progress: bool = False,
) -> FineTuned:
    """Fine-tune a model on pairs of texts.

    An interrupted call that is made again goes on from its last checkpoint, and ends
    with the same weights; one that had ended returns what it found.

    Parameters
    ----------
    recipe : Recipe
        Its method is `"full"` or `"lora"`.
    train : sequence of (source, target) or (source, target, source_lang, target_lang)
        What the model learns: to write targets where it reads sources. Pairs with a
        side of one character or of more than 1,023 words are left out. For the task
        `"text"` a sequence of str.
    dev : sequence of the same, default=()
        The weights with the lowest loss on these are kept. Needed for `patience`.
    folder : str or path-like
        Where the model goes, and until then the checkpoint.
    device : str, default="auto"
        A GPU if there is one, else the CPU.
    progress : bool, default=False
        Whether to show a bar.

    Returns
    -------
    tuned : FineTuned

    Raises
    ------
    ValueError
        If there are no pairs to learn from, the model does not know a language, or
        the folder has the run of another recipe.
    FloatingPointError
        If the loss is not finite, with the update and the pairs of the batch.
    MemoryError
        If memory runs out on a single pair; on more the batches are halved.

    Examples
    --------
    >>> from proxylm import Recipe, finetune
    >>> recipe = Recipe.of({
    ...     "name": "transformer",
    ...     "architecture": {"model_type": "marian", "d_model": 256},
    ...     "training": {"schedule": "inverse_sqrt", "warmup_steps": 400},
    ... })
    >>> tuned = finetune(recipe, train, dev, folder="runs/ind-jav")  # doctest: +SKIP
    """
    folder = Path(folder)
    if recipe.method == "none":
        raise ValueError(
            "finetune expects a recipe with method 'full' or 'lora'. Got 'none', which "
            "runs a model as it is."
        )
    train = keep_pairs(check_pairs(train, "train", recipe.task), recipe.task)
    dev = keep_pairs(check_pairs(dev, "dev", recipe.task), recipe.task)
    if not train:
        raise ValueError(
            "train expects pairs with texts of 2 or more characters. Got none."
        )
    if recipe.training.patience is not None and not dev:
        raise ValueError(
            "training.patience expects a development set, whose loss says when to "
            "stop. Got none. Pass dev, or set training.patience to null."
        )
    with hold(folder):
        run = _describe_run(recipe, train, dev)
        _check_run(folder, run)
        done = read_values(folder / RESULT)
        if done is None or not (folder / "model").is_dir():
            (folder / RESULT).unlink(missing_ok=True)
            write_values(folder / RUN, run)
            # Everybody else's random numbers stay what they were.
            torch = import_torch()
            devices = range(torch.cuda.device_count())
            with torch.random.fork_rng(devices):
                done = _tune(recipe, train, dev, folder, device, progress)
            write_values(folder / RESULT, done)
        for name in (CHECKPOINT, BEST):
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / "start", ignore_errors=True)
    return FineTuned(folder=folder / "model", **done)


def _open(recipe: Recipe, train, folder: Path, device: str) -> LanguageModel:
    """Return the model to start from."""
    place = recipe.model
    if place is None:
        place = folder / "start"
        seed = recipe.training.seed
        make_folder(place, recipe.architecture, recipe.vocabulary, train, seed)
    options = LoadingOptions(
        revision=recipe.revision,
        device=device,
        allow_pickle=recipe.allow_pickle,
        trust_remote_code=recipe.trust_remote_code,
    )
    return LanguageModel(place, None, options)


def _tune(recipe, train, dev, folder, device, progress) -> dict[str, Any]:
    """Train, save the model, and return what is known of it."""
    torch = import_torch()
    model = _open(recipe, train, folder, device)
    if recipe.task == "text":
        examples, dev_examples = (
            text_examples(pairs, model, recipe.cutoff) for pairs in (train, dev)
        )
    else:
        prompt = recipe.prompt_for(model.kind)
        encoder = make_encoder(model, prompt, "auto", recipe.chat)
        examples, dev_examples = (
            make_examples(pairs, encoder, model, recipe.cutoff)
            for pairs in (train, dev)
        )
    if not examples or (dev and not dev_examples):
        side = "training" if not examples else "development"
        raise ValueError(
            f"No {side} pair has at most {recipe.cutoff} tokens and a target. Raise "
            "cutoff, or cut texts into sentences."
        )
    options = recipe.training
    dtype = "float32"
    if recipe.method == "lora":
        dtype = choose_dtype(options.dtype, model.device)
    # Adapters and dropout begin with the same numbers in every process.
    torch.manual_seed(options.seed)
    module = model.load_trainable(dtype)
    flops = _flops_of_epoch(module, recipe, examples)
    n_of_epoch = sum(map(n_tokens, examples))
    holder = None
    if recipe.method == "lora":
        holder = add_adapters(module, recipe.lora)
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
    if options.gradient_checkpointing:
        _keep_activations(module, False)
        if holder is not None:
            module.enable_input_require_grads()
    if model.device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(model.device)
    trainer = Trainer(
        module, model.kind, examples, dev_examples, options, folder, progress
    )
    state = trainer.run()
    memory = peak_memory(model.device)
    if holder is not None:
        save_adapters(holder, folder / "adapter")
        module = merge_adapters(holder)
    if options.gradient_checkpointing:
        _keep_activations(module, True)
    _save(module, model, folder)
    give_back()
    return {
        "history": state.history,
        "dev_loss": state.best_loss if dev else None,
        "n_updates": state.update,
        "best_update": state.best_update if dev else state.update,
        "n_tokens": state.n_read,
        "seconds": state.seconds,
        "flops": flops and flops * state.n_read / n_of_epoch,
        "peak_memory": memory,
        "hardware": describe_hardware(model.device),
        "versions": describe_versions(),
    }


def _keep_activations(module: Any, kept: bool) -> None:
    """Let a model keep its activations for the gradient, or compute them again."""
    names = ("activation_checkpointing", "gradient_checkpointing")  # new, old
    name = next(name for name in names if hasattr(module, f"{name}_enable"))
    if kept:
        getattr(module, f"{name}_disable")()
    else:
        getattr(module, f"{name}_enable")({"use_reentrant": False})


def _flops_of_epoch(module: Any, recipe: Recipe, examples) -> float | None:
    """Return the operations of learning each example once; None without a formula."""
    try:
        cost = ComputeCost(module)
    except ValueError:
        name = type(module).__name__
        logger.warning("There is no formula for the FLOPs of %s.", name)
        return None
    is_lora = recipe.method == "lora"
    reads = [len(example.ids) for example in examples]
    lengths = (reads,)
    if examples[0].encoder_ids is not None:
        lengths = ([len(example.encoder_ids) for example in examples], reads)
    return float(
        cost.training(
            *lengths,
            lora_rank=recipe.lora.rank if is_lora else None,
            lora_layers=recipe.lora.layers if is_lora else "all-linear",
            gradient_checkpointing=recipe.training.gradient_checkpointing,
        )
    )


def _save(module: Any, model: LanguageModel, folder: Path) -> None:
    """Write the model in the type of numbers that it came in."""
    torch = import_torch()
    name = getattr(model.config, "dtype", None)
    if name in (torch.bfloat16, torch.float16):
        module = module.to(name)
    shutil.rmtree(folder / "model", ignore_errors=True)
    save_whole(module, folder / "model", model.tokenizer)
