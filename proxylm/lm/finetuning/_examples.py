"""From pairs of texts to what a model reads and which of its tokens it learns."""

import logging
from collections.abc import Sequence

import numpy as np

from .._encoding import Chunk, encode_alone, encode_texts, make_policy
from .._loading import LanguageModel
from .._pairs import PairEncoder, PromptEncoder
from ._data import Pair

logger = logging.getLogger(__name__)


def _end_token(model: LanguageModel) -> int:
    token = model.tokenizer.eos_token_id
    if token is None:
        raise ValueError(
            f"{model.name} has a tokenizer without an EOS token, by which texts end. "
            "Set eos_token in its tokenizer_config.json."
        )
    return token


def _continuations(
    pairs: Sequence[Pair], encoder: PromptEncoder, end: int
) -> list[Chunk | None]:
    """Return prompts with what follows them; only that is learned."""
    numbers = list(range(len(pairs)))
    found: list[Chunk | None] = []
    for _, chunks in encoder(numbers, [pair.to_item() for pair in pairs]):
        if not chunks:
            found.append(None)
            continue
        (chunk,) = chunks
        read = np.append(chunk.ids, chunk.targets[-1])
        positions = np.append(chunk.positions, len(read) - 1)
        found.append(
            Chunk(chunk.text, read, positions, np.append(chunk.targets, end), 0)
        )
    return found


def _translations(
    pairs: Sequence[Pair], encoder: PairEncoder, model: LanguageModel, end: int
) -> list[Chunk | None]:
    """Return targets with the sources that an encoder reads."""
    numbers = list(range(len(pairs)))
    items = [pair.to_item() for pair in pairs]
    sources = encoder.read(numbers, [pair.source for pair in pairs], items)
    targets = encode_texts(
        [pair.target for pair in pairs], model.tokenizer, as_target=True
    )
    found: list[Chunk | None] = []
    for source, target in zip(sources, targets, strict=True):
        if not len(target.ids):
            found.append(None)
            continue
        frame = source.frame
        written = np.concatenate([frame.forced, target.ids, [end]]).astype(np.int64)
        read = np.concatenate([[frame.start], written[:-1]])
        positions = np.arange(len(read))
        found.append(
            Chunk(source.number, read, positions, written, 0, encoder_ids=source.ids)
        )
    return found


def make_examples(
    pairs: Sequence[Pair],
    encoder: PairEncoder | PromptEncoder,
    model: LanguageModel,
    cutoff: int,
) -> list[Chunk]:
    """Return the examples of pairs; `text` is the number of the pair.

    Each has a loss on the tokens of the target and the EOS behind it, and none on a
    prompt. Pairs with an empty target, or with more tokens than `cutoff` on a side,
    are left out, which the log says.
    """
    end = _end_token(model)
    limit = min(cutoff, encoder.limit)
    # One more token than the pair has: the EOS.
    lengths = encoder.n_tokens([pair.to_item() for pair in pairs])
    numbers = [number for number, n in enumerate(lengths) if n < limit]
    short = [pairs[number] for number in numbers]
    if isinstance(encoder, PairEncoder):
        found = _translations(short, encoder, model, end)
    else:
        found = _continuations(short, encoder, end)
    kept = [chunk._replace(text=numbers[chunk.text]) for chunk in found if chunk]
    if len(kept) < len(pairs):
        logger.warning(
            "%d of %d pairs are left out: their target is empty or they have more "
            "than %d tokens.",
            len(pairs) - len(kept),
            len(pairs),
            limit,
        )
    return kept


def text_examples(
    pairs: Sequence[Pair], model: LanguageModel, cutoff: int
) -> list[Chunk]:
    """Return the examples of texts alone; longer ones are cut into windows.

    Windows overlap by half; each token has a loss in the first that holds it, as
    ProxyScorer scores it.
    """
    if model.kind != "causal":
        raise ValueError(
            f"The task 'text' expects a causal model. {model.name} is a {model.kind} "
            "model."
        )
    window = min(cutoff, make_policy(model, "auto", None, None).window)
    policy = make_policy(model, "auto", window, None)
    items = [pair.to_item() for pair in pairs]
    encoded = encode_alone(range(len(items)), items, model, policy)
    return [chunk for _, chunks in encoded for chunk in chunks]
