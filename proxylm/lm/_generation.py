"""Texts that models write: greedy or by beam search, whatever the batch."""

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

from proxylm._nearest import nearest

from ._encoding import Chunk, Item
from ._engine import TOKEN_BUDGET, AdaptiveBatches
from ._likelihood import cut_shards
from ._loading import LanguageModel
from ._pairs import Frame, PairEncoder, PromptEncoder, make_encoder
from ._torch import import_torch, import_transformers

HEADER = struct.Struct("<II")
# Raised when the same inputs get other texts than before: older caches are not read.
VERSION = 1


class Generated(NamedTuple):
    """What a model wrote."""

    text: str
    n_tokens: int

    def to_bytes(self) -> bytes:
        """Return the text as bytes with a checksum."""
        data = self.text.encode()
        return HEADER.pack(zlib.crc32(data), self.n_tokens) + data

    @classmethod
    def from_bytes(cls, value: bytes) -> "Generated | None":
        """Return the text that `to_bytes` wrote; None if it was damaged."""
        if len(value) < HEADER.size:
            return None
        checksum, n_tokens = HEADER.unpack_from(value)
        data = value[HEADER.size :]
        return cls(data.decode(), n_tokens) if zlib.crc32(data) == checksum else None


@dataclass(frozen=True)
class GenerationOptions:
    """How a model writes.

    Parameters
    ----------
    num_beams : int
        1 is greedy.
    length_penalty : float
        Power of the length by which the log-probability of a beam is divided.
    max_new_tokens : int
        The longest text.
    """

    num_beams: int = 1
    length_penalty: float = 1.0
    max_new_tokens: int = 256

    @classmethod
    def of(cls, options: Mapping[str, Any] | None) -> "GenerationOptions":
        """Return options from those that are named, or say what is wrong."""
        defaults = asdict(cls())
        for name, value in (options or {}).items():
            if name not in defaults:
                raise ValueError(
                    f"generation expects keys among {list(defaults)}. Got {name!r}."
                    + nearest(str(name), defaults)
                )
            is_penalty = name == "length_penalty"
            kind = Real if is_penalty else Integral
            is_right = isinstance(value, kind) and not isinstance(value, bool)
            if not is_right or not (is_penalty or value >= 1):
                expected = "a number" if is_penalty else "a number from 1"
                raise ValueError(
                    f"generation expects {expected} for {name!r}. Got {value!r}."
                )
        return cls(**(options or {}))


@lru_cache(4)
def _line_breaks(tokenizer: Any) -> list[int]:
    """Return the tokens that are a line break and nothing else."""
    ids = range(len(tokenizer))
    texts = tokenizer.batch_decode([[number] for number in ids])
    return [
        number
        for number, text in zip(ids, texts, strict=True)
        if "\n" in text and not text.strip()
    ]


@dataclass(frozen=True)
class Generator:
    """Asks models for texts.

    Parameters
    ----------
    prompt : str or None
        What a model reads, with `{text}` in it; None is the text alone.
    bos : {"auto"}, bool or str
        What stands before the prompts of a causal model.
    options : GenerationOptions
    max_tokens : int or "auto"
        Tokens of a batch with their padding.
    default_prompt : str or None
        That of causal models where there is no other.
    chat : bool
        Whether the prompt is put into the chat template of causal models.
    """

    prompt: str | None
    bos: Any
    options: GenerationOptions
    max_tokens: int | str
    default_prompt: str | None = None
    chat: bool = False

    def encoder(self, model: LanguageModel) -> PairEncoder | PromptEncoder:
        """Return how what a model reads becomes tokens."""
        return make_encoder(model, self.prompt_of(model), self.bos, self.chat)

    def prompt_of(self, model: LanguageModel) -> str | None:
        """Return the prompt of a model."""
        is_default = self.prompt is None and model.kind == "causal" and not self.chat
        return self.default_prompt if is_default else self.prompt

    def check(self, model: LanguageModel) -> None:
        """Say at once what is wrong."""
        self.encoder(model)

    def item_of(self, item: Item) -> Item:
        """Return what is asked of a model for an item of X: its source is read."""
        return Item(item.source or "", None, item.source_lang, item.target_lang)

    def signature(self, model: LanguageModel) -> dict[str, Any]:
        """Return how texts are made."""
        encoder = self.encoder(model)
        return {
            "task": "generation",
            "model": model.name,
            "digest": model.digest,
            "kind": model.kind,
            "dtype": model.arithmetic,
            "context": encoder.describe(),
            "prompt": self.prompt_of(model),
            **asdict(self.options),
            "version": VERSION,
        }

    def answer(
        self, items: Sequence[Item], model: LanguageModel
    ) -> Iterator[list[tuple[int, Generated]]]:
        """Yield numbers and texts of items as they are done.

        Parameters
        ----------
        items : sequence of Item
            Of `item_of`, each once.
        model : LanguageModel
        """
        encoder = self.encoder(model)
        n_new = self._n_new_tokens(model, encoder.limit)
        budget = self.max_tokens
        if budget == "auto":
            kind = import_torch().device(model.device).type
            budget = TOKEN_BUDGET.get(kind, TOKEN_BUDGET["cpu"])
        frames: dict[int, Frame | None] = {}

        def run(batch):
            return _generate(batch, frames[batch[0].text], model, self.options, n_new)

        batches = AdaptiveBatches(max(budget // self.options.num_beams, 1), run)
        for shard in cut_shards(items):
            part = [items[number] for number in shard]
            groups: dict[Frame | None, list[Chunk]] = {}
            empty = []
            none = np.array([], dtype=np.int64)
            for read in encoder.read(shard, [item.text for item in part], part):
                if not len(read.ids):
                    empty.append((read.number, Generated("", 0)))
                    continue
                _check_length(model, read.ids, n_new, encoder.limit)
                frame = read.frame and read.frame._replace(prefix=(), suffix=())
                frames[read.number] = frame
                chunk = Chunk(read.number, read.ids, none, none, 0)
                groups.setdefault(frame, []).append(chunk)
            if empty:
                yield empty
            for group in groups.values():
                yield from batches(group)

    def _n_new_tokens(self, model: LanguageModel, limit: int) -> int:
        """Return how many tokens a text may have, whatever it is the answer to."""
        if model.kind == "seq2seq":
            return min(self.options.max_new_tokens, limit - 1)
        return self.options.max_new_tokens


def _check_length(model, ids, n_new, limit):
    if model.kind == "causal" and len(ids) + n_new > limit:
        raise ValueError(
            f"{model.name} has room for {limit} tokens. Got a prompt of {len(ids)} and "
            f"{n_new} to be written. Pass generation={{'max_new_tokens': ...}} with a "
            "smaller number, or shorter texts."
        )


def _generate(
    batch: Sequence[Chunk],
    frame: Frame | None,
    model: LanguageModel,
    options: GenerationOptions,
    n_new: int,
) -> list[tuple[int, Generated]]:
    """Return the numbers of inputs of a batch, and what the model writes for each."""
    torch = import_torch()
    longest = max(len(chunk.ids) for chunk in batch)
    ids = np.zeros((len(batch), longest), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, seen, chunk in zip(ids, mask, batch, strict=True):
        n_tokens = len(chunk.ids)
        # What a causal model continues ends where the next token comes.
        place = slice(longest - n_tokens, None) if frame is None else slice(n_tokens)
        row[place], seen[place] = chunk.ids, 1
    n_read = longest if frame is None else 1
    with torch.inference_mode():
        written = model.module.generate(
            input_ids=torch.from_numpy(ids).to(model.device),
            attention_mask=torch.from_numpy(mask).to(model.device),
            generation_config=_configuration(model, frame, options, n_read + n_new),
        )
    return [
        (chunk.text, _read_answer(row[n_read:].tolist(), model))
        for chunk, row in zip(batch, written, strict=True)
    ]


def _configuration(model, frame, options, max_length):
    """Return what generate of transformers is told."""
    own = model.module.generation_config
    tokenizer = model.tokenizer
    ends = own.eos_token_id
    ends = tokenizer.eos_token_id if ends is None else ends
    ends = [] if ends is None else ends if isinstance(ends, list) else [ends]
    arguments: dict[str, Any] = {"num_beams": options.num_beams}
    if options.num_beams > 1:
        arguments |= {
            "length_penalty": options.length_penalty,
            "early_stopping": False,
        }
    if frame is None:
        ends = sorted({*ends, *_line_breaks(tokenizer)})
    else:
        arguments["decoder_start_token_id"] = frame.start
        if frame.forced:
            (arguments["forced_bos_token_id"],) = frame.forced
    pads = (own.pad_token_id, tokenizer.pad_token_id, *ends, 0)
    return import_transformers().GenerationConfig(
        do_sample=False,
        num_return_sequences=1,
        temperature=1.0,
        top_k=50,
        top_p=1.0,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        max_length=max_length,
        eos_token_id=ends or None,
        pad_token_id=next(token for token in pads if token is not None),
        **arguments,
    )


def _read_answer(ids: Sequence[int], model: LanguageModel) -> Generated:
    """Return what was written without special tokens; one line of a causal model."""
    tokenizer = model.tokenizer
    special = set(tokenizer.all_special_ids)
    if model.kind == "seq2seq" and model.languages is not None:
        special |= set(model.languages.ids.values())
    kept = [token for token in ids if token not in special]
    text = tokenizer.decode(
        kept, skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    if model.kind == "causal":
        text = text.partition("\n")[0]
    return Generated(text.strip(), len(kept))
