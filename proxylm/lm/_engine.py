"""The engine: from chunks of tokens to scores, whatever the batch."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ._encoding import Chunk
from ._loading import LanguageModel, as_array, import_torch
from ._output_layer import (
    FULL_LOGITS,
    FullOutput,
    TokenTensors,
    find_output,
    score_tokens,
)

logger = logging.getLogger(__name__)

# Tokens of a batch, with its padding, by kind of device.
TOKEN_BUDGET = {"cpu": 1_024, "cuda": 32_768}
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


class ChunkScores(NamedTuple):
    """Scores of the tokens of a chunk."""

    chunk: Chunk
    logprob: np.ndarray
    entropy: np.ndarray | None
    rank: np.ndarray | None


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory ran out."""
    if isinstance(error, MemoryError):
        return True
    message = str(error).lower()
    return isinstance(error, RuntimeError) and any(
        words in message for words in OUT_OF_MEMORY
    )


def cut_batches(lengths: Sequence[int], budget: int) -> Iterator[tuple[int, int]]:
    """Yield begin and end of batches of at most `budget` tokens with their padding.

    Parameters
    ----------
    lengths : sequence of int
        In falling order, so that the first of a batch is its longest.
    budget : int
        A longer chunk is a batch of its own.
    """
    begin = 0
    for end, _ in enumerate(lengths):
        if (end - begin + 1) * lengths[begin] > budget and end > begin:
            yield begin, end
            begin = end
    if len(lengths):
        yield begin, len(lengths)


class AdaptiveBatches:
    """Runs batches; where memory runs out, halves them and goes on.

    Parameters
    ----------
    budget : int
        Tokens of a batch, with their padding.
    run : callable
        From a list of chunks to their results.
    """

    def __init__(self, budget: int, run: Callable[[list[Chunk]], Any]):
        self.budget = budget
        self._run = run

    def __call__(self, chunks: Iterable[Chunk]) -> Iterator[Any]:
        """Yield the results of batches, the longest chunks first."""
        rest = sorted(chunks, key=_length, reverse=True)
        while rest:
            lengths = [_length(chunk) for chunk in rest]
            done = 0
            for begin, end in cut_batches(lengths, self.budget):
                result = self._attempt(rest[begin:end])
                if result is None:
                    break
                yield result
                done = end
            rest = rest[done:]

    def _attempt(self, batch: list[Chunk]) -> Any:
        """Return the result of a batch, or None with a smaller budget."""
        try:
            return self._run(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if len(batch) == 1:
                raise MemoryError(
                    f"Memory ran out on a single text of {_length(batch[0])} tokens. "
                    "Pass a smaller window, or another device or dtype."
                ) from error
        # Outside of the handler, whose traceback holds the tensors.
        import_torch().cuda.empty_cache()
        self.budget = max(len(batch) * _length(batch[0]) // 2, 1)
        logger.warning(
            "Memory ran out: batches are cut to %d tokens from here on.", self.budget
        )
        return None


def _length(chunk: Chunk) -> int:
    return len(chunk.ids)


class LikelihoodEngine:
    """Scores chunks of tokens by a model.

    Parameters
    ----------
    model : LanguageModel
    level : {"logprob", "full"}
        Whether entropies and ranks are computed as well.
    max_tokens : int or "auto"
        Tokens of a batch, with their padding.
    """

    def __init__(self, model: LanguageModel, level: str, max_tokens: int | str):
        self._torch = import_torch()
        self._model = model
        self._level = level
        self._device_kind = self._torch.device(model.device).type
        self._output = find_output(model.module, model.kind)
        if max_tokens == "auto":
            max_tokens = TOKEN_BUDGET.get(self._device_kind, TOKEN_BUDGET["cpu"])
        if self._output is None:
            n_vocabulary = model.config.get_text_config().vocab_size
            most = FULL_LOGITS.get(self._device_kind, FULL_LOGITS["cpu"])
            max_tokens = min(max_tokens, max(most // n_vocabulary, 1))
        self._batches = AdaptiveBatches(max_tokens, self._launch)

    def __call__(self, chunks: Iterable[Chunk]) -> Iterator[list[ChunkScores]]:
        """Yield the scores of batches of chunks.

        While a GPU works on a batch, the scores of the one before are fetched.
        """
        waiting = None
        for launched in self._batches(chunks):
            if waiting is not None:
                yield self._fetch(*waiting)
            waiting = launched
        if waiting is not None:
            yield self._fetch(*waiting)

    def _launch(self, batch: list[Chunk]) -> tuple[list[Chunk], TokenTensors]:
        """Start to score a batch."""
        with self._torch.inference_mode():
            return batch, self._score(batch)

    def _score(self, batch: list[Chunk]) -> TokenTensors:
        ids, mask, rows, columns, targets = self._tensors(batch)
        arguments = {"input_ids": ids}
        if self._model.kind == "masked":
            arguments["attention_mask"] = mask
        if self._model.kind != "masked":
            arguments["use_cache"] = False
        if self._output is None:
            # Padding stands at the end, where no causal model sees it.
            hidden = self._model.module(**arguments).logits[rows, columns]
            return score_tokens(FullOutput(), hidden, targets, self._level)
        states = self._model.module.base_model(**arguments).last_hidden_state
        return score_tokens(self._output, states[rows, columns], targets, self._level)

    def _tensors(self, batch: list[Chunk]):
        """Return the ids of a batch, and which outputs predict which tokens."""
        lengths = np.array([len(chunk.ids) for chunk in batch])
        longest = lengths.max()
        # Any token will do as padding: nothing that is scored sees it.
        ids = np.zeros((len(batch), longest), dtype=np.int64)
        for row, chunk in zip(ids, batch, strict=True):
            row[: len(chunk.ids)] = chunk.ids
            row[len(chunk.ids) :] = chunk.ids[-1]
            if chunk.masked >= 0:
                row[chunk.masked] = self._model.tokenizer.mask_token_id
        counts = [len(chunk.positions) for chunk in batch]
        rows = np.repeat(np.arange(len(batch)), counts)
        columns = np.concatenate([chunk.positions for chunk in batch])
        targets = np.concatenate([chunk.targets for chunk in batch])
        mask = (np.arange(longest) < lengths[:, None]).astype(np.int64)
        return map(self._to_device, (ids, mask, rows, columns, targets))

    def _to_device(self, array: np.ndarray) -> Any:
        tensor = self._torch.from_numpy(array)
        if self._device_kind == "cuda":
            return tensor.pin_memory().to(self._model.device, non_blocking=True)
        return tensor.to(self._model.device)

    def _fetch(self, batch: list[Chunk], tensors: TokenTensors) -> list[ChunkScores]:
        """Return the scores of a batch as arrays."""
        ends = np.cumsum([len(chunk.targets) for chunk in batch])[:-1]
        columns = [
            [None] * len(batch) if tensor is None else np.split(as_array(tensor), ends)
            for tensor in tensors
        ]
        if not np.isfinite(np.concatenate(columns[0])).all():
            remedy = " Pass dtype='bfloat16' or 'float32'."
            raise FloatingPointError(
                f"{self._model.name} in {self._model.dtype} gave log-probabilities "
                "that are not finite." + remedy * (self._model.dtype == "float16")
            )
        return [ChunkScores(*values) for values in zip(batch, *columns, strict=True)]
