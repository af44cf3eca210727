"""Causal attention for CPUs: in blocks of queries, each over the keys before it."""

from functools import cache
from typing import Any

from ._torch import import_torch, import_transformers

NAME = "proxylm_blocks"
# Queries of a block: small enough for the cache of a processor, and few enough that
# little is computed for keys that a query does not see.
N_QUERIES = 64
# Texts of more tokens are left to sdpa in float32, which is as fast there.
LONGEST_FLOAT32 = 1_024
# What else a model may ask of its attention, and this one has not.
FOREIGN = ("position_bias", "softcap", "s_aux", "sinks", "output_attentions")


@cache
def _later_keys(n_queries: int, dtype: Any) -> Any:
    """Return what hides later keys: minus infinity above the diagonal."""
    torch = import_torch()
    return torch.full((n_queries, n_queries), -float("inf"), dtype=dtype).triu(1)


def attend_in_blocks(query: Any, key: Any, value: Any, scale: float) -> Any:
    """Return causal attention with queries that share keys (grouped queries).

    Parameters
    ----------
    query : tensor of shape (n_texts, n_heads, n_tokens, n_dimensions)
    key, value : tensors of shape (n_texts, n_key_heads, n_tokens, n_dimensions)
        `n_heads` is a multiple of `n_key_heads`.
    scale : float
        What products of queries and keys are multiplied by.

    Returns
    -------
    attended : tensor of shape (n_texts, n_heads, n_tokens, n_value_dimensions)
    """
    torch = import_torch()
    n_texts, n_heads, n_tokens, n_dimensions = query.shape
    n_groups = n_texts * key.shape[1]
    n_shared = n_heads // key.shape[1]
    query = query.reshape(n_groups, n_shared, n_tokens, n_dimensions)
    key = key.reshape(n_groups, n_tokens, n_dimensions)
    value = value.reshape(n_groups, n_tokens, -1)
    parts = []
    for start in range(0, n_tokens, N_QUERIES):
        end = min(start + N_QUERIES, n_tokens)
        block = query[:, :, start:end].reshape(n_groups, -1, n_dimensions)
        scores = block.new_empty(n_groups, block.shape[1], end)
        scores.baddbmm_(block, key[:, :end].transpose(1, 2), beta=0, alpha=scale)
        square = scores.view(n_groups, n_shared, end - start, end)[..., start:]
        square += _later_keys(end - start, scores.dtype)
        attended = torch.bmm(torch.softmax(scores, dim=-1), value[:, :end])
        parts.append(attended.view(n_groups, n_shared, end - start, -1))
    return torch.cat(parts, dim=2).view(n_texts, n_heads, n_tokens, -1)


def _attend(module, query, key, value, attention_mask, scaling=None, **others):
    """Attend as transformers asks for it; other than plainly causal by sdpa."""
    torch = import_torch()
    is_causal = others.get("is_causal")
    if is_causal is None:
        is_causal = getattr(module, "is_causal", True)
    if (
        attention_mask is not None
        or not is_causal
        or query.shape[2] != key.shape[2]
        or query.requires_grad
        or (query.dtype == torch.float32 and query.shape[2] > LONGEST_FLOAT32)
        or any(others.get(name) is not None for name in FOREIGN)
    ):
        sdpa = import_transformers().AttentionInterface()["sdpa"]
        return sdpa(
            module, query, key, value, attention_mask, scaling=scaling, **others
        )
    scale = query.shape[3] ** -0.5 if scaling is None else scaling
    return attend_in_blocks(query, key, value, scale).transpose(1, 2), None


def use_blocks(module: Any) -> bool:
    """Let a causal model on a CPU attend in blocks, if sdpa is what it would use."""
    transformers = import_transformers()
    if (
        not getattr(module, "_supports_attention_backend", False)
        or module.config._attn_implementation != "sdpa"
    ):
        return False
    interface, masks = (
        transformers.AttentionInterface,
        transformers.AttentionMaskInterface,
    )
    interface.register(NAME, _attend)
    masks.register(NAME, masks()["sdpa"])
    module.set_attn_implementation(NAME)
    return True
