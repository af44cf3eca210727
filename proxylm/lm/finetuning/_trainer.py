"""The training loop: updates, evaluations, early stopping, checkpoints."""

import logging
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from .._branches import LONGEST_ROW, join_branches, reads_branches
from .._encoding import Chunk
from .._engine import is_out_of_memory
from .._loading import choose_dtype
from .._memory import keep_memory
from .._torch import import_torch
from ._attention import wide_attention
from ._batches import cut, epoch_batches, n_tokens
from ._checkpoint import (
    TrainingState,
    load_best,
    load_checkpoint,
    random_states,
    save_best,
    save_checkpoint,
    set_random_states,
)
from ._loss import ExampleLoss
from ._recipe import TrainingOptions
from ._schedule import rate_at

logger = logging.getLogger(__name__)

# Seconds of work after which a checkpoint is written, evaluated or not.
CHECKPOINT_SECONDS = 600


def _lengths(examples: Sequence[Chunk]) -> np.ndarray:
    """Return how many tokens a decoder and an encoder read, (n_examples, 2)."""
    return np.array([[len(e.ids), n_tokens(e) - len(e.ids)] for e in examples])


class Trainer:
    """Trains a model on examples.

    Everything that it does depends on its arguments alone: an interrupted training
    that goes on from its checkpoint ends with the same weights. Dropout draws from the
    generators of torch, which are seeded.

    Parameters
    ----------
    module : PreTrainedModel
        Its parameters with `requires_grad` are trained.
    kind : {"causal", "seq2seq"}
    train, dev : list of Chunk
        Of `make_examples`. Without `dev` the weights of the end are kept.
    options : TrainingOptions
    folder : Path
        Of the checkpoint and the best weights.
    progress : bool
        Whether to show a bar.
    """

    def __init__(
        self,
        module: Any,
        kind: str,
        train: Sequence[Chunk],
        dev: Sequence[Chunk],
        options: TrainingOptions,
        folder: Path,
        progress: bool = False,
    ):
        torch = import_torch()
        self.module, self.options, self._folder = module, options, folder
        self._train, self._dev = list(train), list(dev)
        self._train_lengths = _lengths(self._train)
        self._device = next(module.parameters()).device
        self._loss = ExampleLoss(module, kind)
        if options.pack and not (kind == "causal" and reads_branches(module.eval())):
            raise ValueError(
                "training.pack=True expects a causal model that sees what a mask says. "
                f"Got {type(module).__name__}. Set training.pack to false."
            )
        dtype = self._dtype = choose_dtype(options.dtype, str(self._device))
        self._autocast = nullcontext
        if dtype != "float32":
            self._autocast = lambda: torch.autocast(
                self._device.type, getattr(torch, dtype)
            )
        self._scaler = torch.amp.GradScaler(
            self._device.type, enabled=dtype == "float16"
        )
        self._optimizer = self._make_optimizer()
        self._show = progress

    def _make_optimizer(self) -> Any:
        options = self.options
        trained = [p for p in self.module.parameters() if p.requires_grad]
        groups = [
            {
                "params": [p for p in trained if p.ndim > 1],
                "weight_decay": options.weight_decay,
            },
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
        return import_torch().optim.AdamW(
            [group for group in groups if group["params"]],
            lr=options.learning_rate,
            betas=options.betas,
            eps=options.eps,
            fused=self._device.type in ("cpu", "cuda"),
        )

    def run(self) -> TrainingState:
        """Train to the end, or go on from the checkpoint; the model has the result."""
        import_torch().manual_seed(self.options.seed)
        with self._ready_cpu():
            state = load_checkpoint(
                self._folder, self.module, self._optimizer, self._scaler
            )
            if state is None:
                state = TrainingState(max_tokens=self.options.max_tokens)
            else:
                logger.info("Going on after update %d.", state.update)
            bar = self._bar(state)
            try:
                self._run(state, bar)
            finally:
                if bar is not None:
                    bar.close()
        if self._dev:
            load_best(self._folder, self.module)
        self.module.eval()
        return state

    @contextmanager
    def _ready_cpu(self) -> Iterator[None]:
        """Set up what makes a CPU faster, and nothing on a GPU."""
        with ExitStack() as stack:
            if self._device.type == "cpu":
                stack.enter_context(keep_memory())
                if self._dtype == "bfloat16":
                    stack.enter_context(wide_attention(self.module))
            yield

    def _n_updates(self) -> int:
        """Return about how many updates there are in all."""
        n_of_epoch = -(-len(self._batches(0)) // self.options.accumulation)
        n_updates = n_of_epoch * self.options.max_epochs
        return min(n_updates, self.options.max_updates or n_updates)

    def _batches(self, epoch: int) -> list[list[int]]:
        options = self.options
        return epoch_batches(
            self._train_lengths,
            options.max_tokens,
            options.batch_size,
            options.seed,
            epoch,
        )

    def _run(self, state: TrainingState, bar: Any) -> None:
        options, total = self.options, self._n_updates()
        warmup = options.warmup_steps or math.ceil(options.warmup_ratio * total)
        start, saved = time.monotonic() - state.seconds, time.monotonic()
        while not self._is_over(state):
            batches = self._batches(state.epoch)
            size = options.accumulation
            updates = [batches[k : k + size] for k in range(0, len(batches), size)]
            while state.n_done < len(updates) and not self._is_over(state):
                state.update += 1
                state.n_done += 1
                rate = rate_at(options.schedule, state.update, warmup, total)
                loss = self._update(updates[state.n_done - 1], rate, state)
                state.seconds = time.monotonic() - start
                if bar is not None:
                    self._show_update(bar, state, loss)
                is_last = state.n_done == len(updates)
                if self._is_time_to_evaluate(state, is_last):
                    self._evaluate(state, loss, rate * options.learning_rate)
                elif time.monotonic() - saved < CHECKPOINT_SECONDS:
                    continue
                state.seconds = time.monotonic() - start
                self._save(state)
                saved = time.monotonic()
            if state.n_done == len(updates):
                state.epoch, state.n_done = state.epoch + 1, 0

    def _is_over(self, state: TrainingState) -> bool:
        options = self.options
        return (
            state.epoch >= options.max_epochs
            or state.update == options.max_updates
            or (options.patience is not None and state.n_worse >= options.patience)
        )

    def _is_time_to_evaluate(self, state: TrainingState, is_last: bool) -> bool:
        every = self.options.evaluate_every
        if state.update == self.options.max_updates:
            return True
        if every is None:
            return is_last
        ends = is_last and state.epoch == self.options.max_epochs - 1
        return ends or state.update % every == 0

    def _update(
        self, batches: list[list[int]], rate: float, state: TrainingState
    ) -> float:
        """Make a step; return the mean loss of its tokens."""
        torch = import_torch()
        self.module.train()
        states = random_states(self._device)
        while True:
            try:
                total, n_learned = self._add_gradients(batches, state)
                break
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self._halve(batches, state, error)
            # Outside of the handler, whose traceback holds the tensors.
            self._optimizer.zero_grad(set_to_none=True)
            torch.cuda.empty_cache()
            set_random_states(states, self._device)
        self._scaler.unscale_(self._optimizer)
        if self.options.clip_norm is not None:
            trained = [p for p in self.module.parameters() if p.requires_grad]
            torch.nn.utils.clip_grad_norm_(trained, self.options.clip_norm)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * self.options.learning_rate
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)
        state.n_learned += n_learned
        state.n_read += int(sum(self._train_lengths[batch].sum() for batch in batches))
        return total / n_learned

    def _add_gradients(
        self, batches: list[list[int]], state: TrainingState
    ) -> tuple[float, int]:
        """Add up the gradients of batches; return the loss and the tokens with one."""
        n_learned = sum(len(self._train[n].targets) for b in batches for n in b)
        parts = [p for batch in batches for p in self._parts(batch, state.max_tokens)]
        losses = []
        for part in parts:
            with self._autocast():
                loss = self._loss(self._rows(part), self.options.label_smoothing)
            self._scaler.scale(loss / n_learned).backward()
            losses.append(loss.detach())
        # Asked for once: a GPU works on while the next part is made ready.
        values = import_torch().stack(losses).tolist()
        for part, value in zip(parts, values, strict=True):
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"The loss of update {state.update} is {value}, in the batch "
                    f"of the training pairs {self._named(part)}. Lower "
                    "training.learning_rate, set training.clip_norm, or look at "
                    "these pairs."
                )
        return sum(values), n_learned

    def _rows(self, part: list[int]) -> list[Chunk]:
        """Return what a model reads of examples: each, or several in a row."""
        examples = [self._train[number] for number in part]
        if not self.options.pack:
            return examples
        return list(join_branches(examples, LONGEST_ROW))

    def _named(self, part: list[int]) -> str:
        numbers = sorted(self._train[number].text for number in part)
        shown = ", ".join(map(str, numbers[:8]))
        return shown + (f" and {len(numbers) - 8} more" if len(numbers) > 8 else "")

    def _parts(self, batch: list[int], max_tokens: int) -> list[list[int]]:
        """Cut a batch where memory has no room for it as a whole."""
        if max_tokens >= self.options.max_tokens:
            return [batch]
        return cut(batch, self._train_lengths, max_tokens, len(batch))

    def _halve(
        self, batches: list[list[int]], state: TrainingState, error: BaseException
    ) -> None:
        """Let memory have room for half of a batch, or say that no less can be read."""
        parts = [p for batch in batches for p in self._parts(batch, state.max_tokens)]
        if max(map(len, parts)) == 1:
            raise MemoryError(
                "Memory ran out on single pairs. Lower cutoff, set "
                "training.gradient_checkpointing, or take method='lora'."
            ) from error
        state.max_tokens //= 2
        logger.warning(
            "Memory ran out: batches are cut to %d tokens from here on; updates stay "
            "what they were.",
            state.max_tokens,
        )

    def evaluate(self, max_tokens: int | None = None) -> float:
        """Return the mean loss of the tokens of the development set, unsmoothed."""
        torch = import_torch()
        self.module.eval()
        lengths = _lengths(self._dev)
        order = np.argsort(lengths.sum(axis=1), kind="stable").tolist()
        budget = max_tokens or self.options.max_tokens
        total, n_learned = 0.0, 0
        with torch.inference_mode(), self._autocast():
            for batch in cut(order, lengths, budget, len(order)):
                examples = [self._dev[number] for number in batch]
                total += float(self._loss(examples))
                n_learned += sum(len(example.targets) for example in examples)
        return total / n_learned

    def _evaluate(self, state: TrainingState, train_loss: float, rate: float) -> None:
        row = {
            "update": state.update,
            "epoch": state.epoch + 1,
            "train_loss": train_loss,
            "learning_rate": rate,
            "n_tokens": state.n_read,
        }
        if self._dev:
            loss = self.evaluate(state.max_tokens)
            if not math.isfinite(loss):
                raise FloatingPointError(
                    f"The development loss after update {state.update} is {loss}. "
                    "Lower training.learning_rate, or set training.clip_norm."
                )
            row["dev_loss"] = loss
            if loss < state.best_loss:
                save_best(self._folder, self.module)
                state.best_loss, state.best_update = loss, state.update
                state.n_worse = 0
            else:
                state.n_worse += 1
        state.history.append(row)
        logger.info("%s", ", ".join(f"{k} {v:.6g}" for k, v in row.items()))

    def _save(self, state: TrainingState) -> None:
        save_checkpoint(self._folder, state, self.module, self._optimizer, self._scaler)

    def _bar(self, state: TrainingState) -> Any:
        if not self._show:
            return None
        from tqdm import tqdm

        return tqdm(total=self._n_updates(), initial=state.update, unit="update")

    def _show_update(self, bar: Any, state: TrainingState, loss: float) -> None:
        bar.set_postfix_str(
            f"loss {loss:.3f}, {state.n_read / max(state.seconds, 1e-9):,.0f} tokens/s",
            refresh=False,
        )
        bar.update()
