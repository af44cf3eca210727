"""The engine: from chunks of tokens to scores, whatever the batch."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ._branches import (
    LONGEST_ROW,
    branch_arguments,
    branch_mask,
    join_branches,
    reads_branches,
)
from ._encoding import Chunk
from ._loading import LanguageModel
from ._output_layer import (
    BLOCKS,
    ModuleOutput,
    TokenTensors,
    find_output,
    score_tokens,
)
from ._seq2seq import decode_logits, decode_states, find_pair_output, pad_sources
from ._torch import as_array, import_torch

logger = logging.getLogger(__name__)

# Tokens of a batch, with its padding, by kind of device.
TOKEN_BUDGET = {"cpu": 512, "cuda": 32_768}
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


def cut_batches(
    lengths: Sequence[int], budget: int, others: Sequence[int] | None = None
) -> Iterator[tuple[int, int]]:
    """Yield begin and end of batches of at most `budget` tokens with their padding.

    Parameters
    ----------
    lengths : sequence of int
        Tokens of each chunk, best in falling order.
    budget : int
        A longer chunk is a batch of its own.
    others : sequence of int or None
        Tokens of each that are padded apart from those: what an encoder reads.
    """
    begin = longest = other = 0
    others = others or [0] * len(lengths)
    for end, sizes in enumerate(zip(lengths, others, strict=True)):
        longest, other = max(longest, sizes[0]), max(other, sizes[1])
        if (end - begin + 1) * (longest + other) > budget and end > begin:
            yield begin, end
            begin, (longest, other) = end, sizes
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
        rest = sorted(chunks, key=_order, reverse=True)
        while rest:
            lengths = [len(chunk.ids) for chunk in rest]
            others = [_source_length(chunk) for chunk in rest]
            done = 0
            for begin, end in cut_batches(lengths, self.budget, others):
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
        longest = max(len(chunk.ids) for chunk in batch)
        longest += max(map(_source_length, batch))
        self.budget = max(len(batch) * longest // 2, 1)
        logger.warning(
            "Memory ran out: batches are cut to %d tokens from here on.", self.budget
        )
        return None


def _source_length(chunk: Chunk) -> int:
    return 0 if chunk.encoder_ids is None else len(chunk.encoder_ids)


def _length(chunk: Chunk) -> int:
    return len(chunk.ids) + _source_length(chunk)


def _order(chunk: Chunk) -> tuple[int, int, bytes]:
    """Return what batches are sorted by: chunks of one source stand together."""
    if chunk.encoder_ids is None:
        return len(chunk.ids), 0, b""
    return _length(chunk), len(chunk.encoder_ids), chunk.encoder_ids.tobytes()


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
        if model.kind == "seq2seq":
            self._output = find_pair_output(model.module)
        else:
            self._output = find_output(model.module, model.kind)
        if max_tokens == "auto":
            max_tokens = TOKEN_BUDGET.get(self._device_kind, TOKEN_BUDGET["cpu"])
        if self._output is None:
            n_vocabulary = model.config.get_text_config().vocab_size
            most = BLOCKS["cpu" if self._device_kind == "cpu" else "cuda"].logits
            max_tokens = min(max_tokens, max(most // n_vocabulary, 1))
        self._batches = AdaptiveBatches(max_tokens, self._launch)

    def __call__(self, chunks: Iterable[Chunk]) -> Iterator[list[ChunkScores]]:
        """Yield the scores of batches of chunks.

        While a GPU works on a batch, the scores of the one before are fetched.
        """
        chunks = list(chunks)
        if any(chunk.n_context for chunk in chunks) and self._reads_branches:
            longest = min(LONGEST_ROW, self._batches.budget)
            chunks = list(join_branches(chunks, longest))
        waiting = None
        for launched in self._batches(chunks):
            if self._device_kind == "cpu":
                yield self._fetch(*launched)
                continue
            if waiting is not None:
                yield self._fetch(*waiting)
            waiting = launched
        if waiting is not None:
            yield self._fetch(*waiting)

    @cached_property
    def _reads_branches(self) -> bool:
        return self._model.kind == "causal" and reads_branches(self._model.module)

    def _launch(self, batch: list[Chunk]) -> tuple[list[Chunk], TokenTensors]:
        """Start to score a batch."""
        with self._torch.inference_mode():
            return batch, self._score(batch)

    def _score(self, batch: list[Chunk]) -> TokenTensors:
        ids, mask, rows, columns, targets = self._tensors(batch)
        if self._model.kind == "seq2seq":
            sources = pad_sources([chunk.encoder_ids for chunk in batch])
            run = decode_logits if self._output is None else decode_states
            hidden = run(self._model.module, *map(self._to_device, sources), ids)
            output = self._output or ModuleOutput()
            return score_tokens(output, hidden[rows, columns], targets, self._level)
        arguments = {"input_ids": ids}
        if self._model.kind == "masked":
            arguments["attention_mask"] = mask
        else:  # padding stands at the end, where no causal model sees it
            arguments["use_cache"] = False
        if any(chunk.branches for chunk in batch):
            told = map(self._to_device, branch_mask(batch, ids.shape[1]))
            arguments |= branch_arguments(self._model.module, *told)
        if self._output is None:
            hidden = self._model.module(**arguments).logits[rows, columns]
            return score_tokens(ModuleOutput(), hidden, targets, self._level)
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
        batch = [part for chunk in batch for part in chunk.branches or (chunk,)]
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
