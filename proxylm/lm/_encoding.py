"""From texts to what a model reads: tokens, their context, and windows over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ._loading import LanguageModel

# What a model may read at once where its configuration names no limit, or a larger one.
LARGEST_WINDOW = 8_192
UNLIMITED = 1_000_000_000
LIMITS = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length")
# Of models whose positions start behind that of the padding.
OFFSET_POSITIONS = ("roberta", "xlm-roberta", "camembert", "xlm-roberta-xl")
PROBE = "a"


class Item(NamedTuple):
    """A text to score, and its parallel text where it has one."""

    text: str
    source: str | None = None
    source_lang: str | None = None
    target_lang: str | None = None


class EncodedText(NamedTuple):
    """The tokens of a text."""

    ids: np.ndarray  # (n_tokens,)
    n_unknown: int
    # Of the first token, which is not scored where nothing stands before it.
    n_first_characters: int


class Chunk(NamedTuple):
    """What a model reads at once, and which of its outputs are scored.

    The output at `positions[i]` predicts the token `targets[i]`, which is the
    `first + i`-th scored token of the text.
    """

    text: int
    ids: np.ndarray
    positions: np.ndarray
    targets: np.ndarray
    first: int
    masked: int = -1  # position that is hidden from a masked model
    encoder_ids: np.ndarray | None = None
    n_context: int = 0  # tokens at the beginning that others may have in common
    branches: tuple["Chunk", ...] = ()  # those that are read as this one


@dataclass(frozen=True)
class EncodingPolicy:
    """How texts become tokens: part of every signature."""

    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    prefix_text: str
    window: int
    stride: int

    @property
    def scores_first(self) -> bool:
        """Whether the first token of a text has a context, and so a score."""
        return bool(self.prefix)


def added_by_tokenizer(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Return the special tokens that a tokenizer puts before and after a text."""
    plain = list(tokenizer(PROBE, add_special_tokens=False)["input_ids"])
    whole = list(tokenizer(PROBE, add_special_tokens=True)["input_ids"])
    for start in range(len(whole) - len(plain) + 1):
        if whole[start : start + len(plain)] == plain:
            return whole[:start], whole[start + len(plain) :]
    return [], []


def find_prefix(tokenizer: Any, bos: Any) -> list[int]:
    """Return what stands before each text, as `bos` says."""
    if isinstance(bos, str) and bos != "auto":
        vocabulary = tokenizer.get_vocab()
        if bos not in vocabulary:
            raise ValueError(
                f"bos expects 'auto', True, False or a token of the vocabulary. Got "
                f"{bos!r}. The tokenizer's own is {tokenizer.bos_token!r}."
            )
        return [vocabulary[bos]]
    if bos is False:
        return []
    added, _ = added_by_tokenizer(tokenizer)
    if added:
        return added
    if tokenizer.bos_token_id is not None:
        return [tokenizer.bos_token_id]
    if bos is True:
        raise ValueError(
            "bos=True expects a tokenizer with a BOS token. This one has none. Pass "
            "bos='auto', which leaves the first token out, or name a token."
        )
    return []


def model_window(model: LanguageModel) -> int:
    """Return how many tokens a model may read at once."""
    config = model.config.get_text_config()
    if model.kind == "seq2seq" and hasattr(config, "relative_attention_num_buckets"):
        return LARGEST_WINDOW  # positions without a limit, whatever the tokenizer says
    found = [getattr(config, name, None) for name in LIMITS]
    found.append(getattr(model.tokenizer, "model_max_length", None))
    limits = [n for n in found if isinstance(n, int) and 0 < n < UNLIMITED]
    if model.kind == "masked" and config.model_type in OFFSET_POSITIONS and limits:
        limits.append(limits[0] - (config.pad_token_id or 0) - 1)
    return min([LARGEST_WINDOW, *limits])


def make_policy(
    model: LanguageModel, bos: Any, window: int | None, stride: int | None
) -> EncodingPolicy:
    """Return how the texts of a model become tokens.

    Parameters
    ----------
    model : LanguageModel
    bos : {"auto"}, bool or str
        What stands before each text, see ProxyScorer.
    window, stride : int or None
        Tokens that a model reads at once, those around the text with them, and by how
        many the next window is further on.
    """
    tokenizer = model.tokenizer
    if model.kind == "causal":
        prefix, suffix = find_prefix(tokenizer, bos), []
    else:
        prefix, suffix = added_by_tokenizer(tokenizer)
    limit = model_window(model)
    window = limit if window is None else window
    around = len(prefix) + len(suffix)
    if window > limit or window < around + 2:
        raise ValueError(
            f"window expects from {around + 2} to {limit} tokens for {model.name}. "
            f"Got {window}."
        )
    stride = max((window - around) // 2, 1) if stride is None else stride
    largest = window - around - (not prefix and model.kind == "causal")
    if stride > largest:
        raise ValueError(
            f"stride expects at most {largest} tokens with a window of {window}, of "
            f"which {around} stand around the text. Got {stride}."
        )
    text = "".join(tokenizer.convert_ids_to_tokens(prefix)) if prefix else "none"
    return EncodingPolicy(tuple(prefix), tuple(suffix), text, window, stride)


def encode_texts(
    texts: Sequence[str], tokenizer: Any, as_target: bool = False
) -> list[EncodedText]:
    """Return the tokens of texts; what looks like a special token is plain text.

    `as_target` matters to tokenizers that have other pieces for translations.
    """
    if not texts:
        return []
    is_fast = getattr(tokenizer, "is_fast", False)
    as_target = as_target and hasattr(tokenizer, "spm_target")
    encoded = tokenizer(
        **{"text_target" if as_target else "text": list(texts)},
        add_special_tokens=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        return_offsets_mapping=is_fast,
        split_special_tokens=True,
        verbose=False,
    )
    unknown = tokenizer.unk_token_id
    found = []
    for number, raw in enumerate(encoded["input_ids"]):
        ids = np.asarray(raw, dtype=np.int64)
        n_first = 0
        if len(ids):
            n_first = (
                encoded["offset_mapping"][number][0][1]
                if is_fast
                else len(tokenizer.decode([int(ids[0])]))
            )
        n_unknown = int((ids == unknown).sum()) if unknown is not None else 0
        found.append(EncodedText(ids, n_unknown, int(n_first)))
    return found


def _windows(n_tokens: int, capacity: int, stride: int) -> list[tuple[int, int, int]]:
    """Return begin, first new token and end of each window over a text."""
    windows, begin, done = [], 0, 0
    while done < n_tokens:
        end = min(begin + capacity, n_tokens)
        windows.append((begin, done, end))
        done, begin = end, begin + stride
    return windows


def causal_chunks(text: int, ids: np.ndarray, policy: EncodingPolicy) -> list[Chunk]:
    """Cut the tokens of a text into what a causal model reads.

    Each token is scored once, in the first window that holds it, with all that stands
    before it there. Every window begins with the prefix. Without one the first token
    of the text is not scored.
    """
    n_prefix = len(policy.prefix)
    skipped = 0 if policy.scores_first else 1
    chunks = []
    for begin, done, end in _windows(len(ids), policy.window - n_prefix, policy.stride):
        done = max(done, skipped)
        if done >= end:
            continue
        # The last token is predicted and not read.
        read = np.concatenate([policy.prefix, ids[begin : end - 1]]).astype(np.int64)
        positions = np.arange(done, end) - begin + n_prefix - 1
        chunks.append(Chunk(text, read, positions, ids[done:end], done - skipped))
    return chunks


def masked_chunks(text: int, ids: np.ndarray, policy: EncodingPolicy) -> list[Chunk]:
    """Return a text once for each of its tokens, which is hidden there.

    Windows are as those of causal models, with the tokenizer's own special tokens
    around each.
    """
    n_prefix = len(policy.prefix)
    capacity = policy.window - n_prefix - len(policy.suffix)
    chunks = []
    for begin, done, end in _windows(len(ids), capacity, policy.stride):
        read = np.concatenate([policy.prefix, ids[begin:end], policy.suffix])
        read = read.astype(np.int64)
        for token in range(done, end):
            position = token - begin + n_prefix
            chunks.append(
                Chunk(
                    text,
                    read,
                    np.array([position]),
                    ids[token : token + 1],
                    token,
                    masked=position,
                )
            )
    return chunks


def encode_alone(
    numbers: Sequence[int],
    items: Sequence[Item],
    model: LanguageModel,
    policy: EncodingPolicy,
) -> list[tuple[EncodedText, list[Chunk]]]:
    """Return the tokens of texts without a context, and the chunks that score them."""
    skips = model.kind == "causal" and not policy.scores_first
    cut = masked_chunks if model.kind == "masked" else causal_chunks
    found = []
    encoded = encode_texts([item.text for item in items], model.tokenizer)
    for number, tokens in zip(numbers, encoded, strict=True):
        if not skips:
            tokens = tokens._replace(n_first_characters=0)
        found.append((tokens, cut(number, tokens.ids, policy)))
    return found
