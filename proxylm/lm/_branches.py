"""Continuations of one prompt side by side in one row, each blind to the others."""

import inspect
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ._attention import NAME as BLOCKS
from ._encoding import Chunk
from ._output_layer import is_near
from ._torch import import_torch

# A row grows by more continuations up to so many tokens.
LONGEST_ROW = 1_024
ATTENTION = ("sdpa", "eager", BLOCKS)
# Of configurations whose attention is more than a mask says.
OWN_MASKS = ("sliding_window", "alibi", "attention_chunk_size")


def join_branches(chunks: Iterable[Chunk], longest: int) -> Iterator[Chunk]:
    """Yield chunks, those with the same context as one.

    Parameters
    ----------
    chunks : iterable of Chunk
    longest : int
        Tokens of a row, which a single chunk may exceed.
    """
    groups: dict[tuple[int, bytes], list[Chunk]] = {}
    for chunk in chunks:
        key = (chunk.n_context, chunk.ids[: chunk.n_context].tobytes())
        group = groups.setdefault(key, [])
        n_tokens = chunk.n_context + sum(len(c.ids) - c.n_context for c in group)
        if group and n_tokens + len(chunk.ids) - chunk.n_context > longest:
            yield _join(group)
            group.clear()
        group.append(chunk)
    yield from map(_join, filter(None, groups.values()))


def _join(group: Sequence[Chunk]) -> Chunk:
    """Return the chunk of several continuations of a context."""
    if len(group) == 1:
        return group[0]
    n_context = group[0].n_context
    ids, positions, place = [group[0].ids[:n_context]], [], 0
    for chunk in group:
        ids.append(chunk.ids[n_context:])
        is_own = chunk.positions >= n_context
        positions.append(chunk.positions + place * is_own)
        place += len(chunk.ids) - n_context
    return Chunk(
        group[0].text,
        np.concatenate(ids),
        np.concatenate(positions),
        np.concatenate([chunk.targets for chunk in group]),
        0,
        n_context=n_context,
        branches=tuple(group),
    )


def branch_mask(batch: Sequence[Chunk], longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what each token of a batch sees, and how far on in its text it is.

    Returns
    -------
    sees : ndarray of bool of shape (n_chunks, longest, longest)
    positions : ndarray of int of shape (n_chunks, longest)
    """
    sees = np.tile(np.tri(longest, dtype=bool), (len(batch), 1, 1))
    positions = np.tile(np.arange(longest), (len(batch), 1))
    for row, place, chunk in zip(sees, positions, batch, strict=True):
        begin = n_context = chunk.n_context
        for branch in chunk.branches:
            end = begin + len(branch.ids) - n_context
            row[begin:end, n_context:begin] = False
            place[begin:end] = np.arange(n_context, len(branch.ids))
            begin = end
    return sees, positions


def branch_arguments(module: Any, sees: Any, positions: Any) -> dict[str, Any]:
    """Return what a model is told of rows with continuations side by side."""
    torch = import_torch()
    dtype = module.get_input_embeddings()(positions[:1, :1]).dtype
    mask = torch.zeros(sees.shape, dtype=dtype, device=sees.device)
    mask.masked_fill_(~sees, torch.finfo(dtype).min)
    return {"attention_mask": mask[:, None], "position_ids": positions}


def reads_branches(module: Any) -> bool:
    """Tell whether a causal model scores continuations side by side as one by one.

    Models with other attention than a mask describes are not asked; others show it on
    a few tokens.
    """
    torch = import_torch()
    config = module.config.get_text_config()
    accepted = inspect.signature(module.base_model.forward).parameters
    if (
        not {"attention_mask", "position_ids"} <= set(accepted)
        or any(getattr(config, name, None) for name in OWN_MASKS)
        or set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
        or config._attn_implementation not in ATTENTION
    ):
        return False
    n_tokens = min(config.vocab_size, 64)
    context, none = (np.arange(5) * 7 + 5) % n_tokens, np.array([], dtype=np.int64)
    ends = [np.array(ids) % n_tokens for ids in ([13], [19, 14], [18, 11, 16])]
    chunks = [
        Chunk(0, np.concatenate([context, end]), none, none, 0, n_context=len(context))
        for end in ends
    ]
    row = _join(chunks)

    def states(ids, **arguments):
        ids = torch.from_numpy(ids)[None].to(module.device)
        read = module.base_model(input_ids=ids, use_cache=False, **arguments)
        return read.last_hidden_state[0]

    with torch.inference_mode():
        told = (torch.from_numpy(x).to(module.device) for x in branch_mask([row], 11))
        found = states(row.ids, **branch_arguments(module, *told))
        alone = [states(chunk.ids) for chunk in chunks]
    expected = torch.cat([alone[0], *(one[len(context) :] for one in alone[1:])])
    return is_near(found, expected, module)
