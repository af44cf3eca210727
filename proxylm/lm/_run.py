"""Answers of models to many items: cached, sharded over workers, with progress."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed, effective_n_jobs

from ._cache import ScoreCache, item_key
from ._encoding import Item
from ._loading import LanguageModel, LoadingOptions
from ._memory import keep_memory
from ._tasks import Task
from ._torch import import_torch

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelRecipe:
    """What a worker needs to load a model."""

    model: Any
    tokenizer: Any
    options: LoadingOptions

    def load(self) -> LanguageModel:
        """Return the model, whose weights are loaded on first use."""
        return LanguageModel(self.model, self.tokenizer, self.options)


def _cached(task: Task, model: LanguageModel, cache: ScoreCache | None, items):
    """Return the answers that the cache has, by number."""
    if cache is None:
        return {}
    keys = [item_key(item) for item in items]
    found: dict[int, Any] = {}
    for signature in task.signatures(model):
        missing = [number for number in range(len(items)) if number not in found]
        if not missing:
            break
        known = cache.find_signature(signature)
        if known is None:
            continue
        values = cache.get(known, [keys[number] for number in missing])
        for number in missing:
            value = values.get(keys[number])
            answer = None if value is None else task.from_bytes(value)
            if answer is not None:
                found[number] = answer
    return found


def _work(
    task: Task,
    model: LanguageModel,
    items: Sequence[Item],
    cache_dir: Any,
    report: Callable[[int, int], None] | None = None,
) -> list[Any]:
    """Return the answers to items, each written to the cache with its batch."""
    answers: list[Any] = [None] * len(items)
    cache = nullcontext() if cache_dir is None else ScoreCache(cache_dir)
    kept = keep_memory() if model.device == "cpu" else nullcontext()
    with kept, cache as opened:
        if opened is not None:
            signature = opened.signature_id(task.signatures(model)[0])
        for done in task.answer(items, model):
            for number, answer in done:
                answers[number] = answer
            if opened is not None and done:
                pairs = [(item_key(items[k]), task.to_bytes(a)) for k, a in done]
                opened.put(signature, pairs)
            if report is not None:
                report(
                    sum(len(items[number].text) for number, _ in done),
                    sum(task.n_tokens(answer) for _, answer in done),
                )
    return answers


def _device_of(device: Any, worker: int) -> str:
    """Return the device of a worker: they take turns."""
    if not isinstance(device, str):
        return device[worker % len(device)]
    torch = import_torch()
    n_devices = torch.cuda.device_count() if device in ("auto", "cuda") else 0
    return f"cuda:{worker % n_devices}" if n_devices > 1 else device


def _work_apart(recipe, devices, worker, task, items, cache_dir):
    """Return the answers to a shard, in the process of a worker."""
    device = _device_of(devices, worker)
    model = replace(recipe, options=replace(recipe.options, device=device)).load()
    answers = _work(task, model, items, cache_dir)
    return [task.to_bytes(answer) for answer in answers]


class _Progress:
    """A bar over the characters of texts, with the tokens per second."""

    def __init__(self, items, name):
        from tqdm import tqdm

        total = sum(len(item.text) for item in items)
        self._bar = tqdm(total=total, desc=name, unit="char", unit_scale=True)
        self._tokens = 0

    def __call__(self, n_characters: int, n_tokens: int):
        self._tokens += n_tokens
        self._bar.update(n_characters)
        seconds = self._bar.format_dict["elapsed"]
        if seconds:
            self._bar.set_postfix_str(
                f"{self._tokens / seconds:,.0f} tokens/s", refresh=False
            )

    def close(self):
        self._bar.close()


def answer_items(
    items: Sequence[Item],
    task: Task,
    recipe: ModelRecipe,
    model: LanguageModel,
    *,
    devices: Any = "auto",
    cache_dir: Any = None,
    n_jobs: int | None = None,
    progress: bool = False,
) -> list[Any]:
    """Return the answer of a model to each item.

    Parameters
    ----------
    items : sequence of Item
        Each once.
    task : Task
    recipe : ModelRecipe
        From which workers load the model.
    model : LanguageModel
        The model, for work in this process.
    devices : str or sequence of str
        Workers take turns on them.
    cache_dir : path-like or None
        Folder of the cache.
    n_jobs : int or None
        Number of workers, each of which loads the model.
    progress : bool
        Whether to show a bar.
    """
    cache = nullcontext() if cache_dir is None else ScoreCache(cache_dir)
    with cache as opened:
        found = _cached(task, model, opened, items)
    missing = [number for number in range(len(items)) if number not in found]
    if found:
        logger.info("%s: %d of %d texts are cached", model.name, len(found), len(items))
    todo = [items[number] for number in missing]
    n_workers = min(effective_n_jobs(n_jobs), len(todo))
    if todo and n_workers <= 1:
        _ = model.module  # loaded before the clock of the bar starts
    bar = _Progress(todo, model.name) if progress and todo else None
    try:
        if n_workers > 1:
            answers = _in_shards(todo, task, recipe, devices, cache_dir, n_workers, bar)
        else:
            answers = _work(task, model, todo, cache_dir, bar) if todo else []
    finally:
        if bar is not None:
            bar.close()
    found |= zip(missing, answers, strict=True)
    return [found[number] for number in range(len(items))]


def _in_shards(items, task, recipe, devices, cache_dir, n_workers, bar):
    """Return the answers to items, dealt out to workers by their length."""
    order = sorted(range(len(items)), key=lambda k: len(items[k].text), reverse=True)
    shards = [order[worker::n_workers] for worker in range(n_workers)]
    parts = Parallel(n_jobs=n_workers, return_as="generator")(
        delayed(_work_apart)(
            recipe, devices, worker, task, [items[k] for k in shard], cache_dir
        )
        for worker, shard in enumerate(shards)
    )
    answers: list[Any] = [None] * len(items)
    for shard, values in zip(shards, parts, strict=True):
        for number, value in zip(shard, values, strict=True):
            answers[number] = task.from_bytes(value)
        if bar is not None:
            bar(
                sum(len(items[number].text) for number in shard),
                sum(task.n_tokens(answers[number]) for number in shard),
            )
    return answers


def name_models(model: Any) -> dict[str | None, Any]:
    """Return the models by name; one without a name is not named in features."""
    if isinstance(model, Mapping):
        return dict(model)
    if not isinstance(model, list):
        return {None: model}
    names = [
        Path(os.fspath(one)).name.removesuffix(".gguf")
        if isinstance(one, str | os.PathLike)
        else f"model_{number}"
        for number, one in enumerate(model)
    ]
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"model expects models of different names. Got {names}. Pass a dict from "
            "names to models."
        )
    return dict(zip(names, model, strict=True))
