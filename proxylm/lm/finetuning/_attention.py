"""Attention in float32 where a CPU is slow to find its gradient in bfloat16."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .._torch import import_torch, import_transformers

NAME = "proxylm_wide"
# With more keys the products are what takes time, and those of bfloat16 are faster.
LONGEST = 256


def _widen(x: Any) -> Any:
    """Return a tensor of numbers in float32, and everything else as it is."""
    is_tensor = isinstance(x, import_torch().Tensor)
    return x.float() if is_tensor and x.is_floating_point() else x


def _attend(module, query, key, value, attention_mask, **others):
    """Attend as transformers asks for it, by sdpa."""
    torch = import_torch()
    sdpa = import_transformers().AttentionInterface()["sdpa"]
    tensors = (query, key, value, attention_mask)
    if key.shape[2] > LONGEST or not torch.is_autocast_enabled("cpu"):
        return sdpa(module, *tensors, **others)
    others = {name: _widen(value) for name, value in others.items()}
    with torch.autocast("cpu", enabled=False):
        attended, weights = sdpa(module, *map(_widen, tensors), **others)
    return attended.bfloat16(), weights


@contextmanager
def wide_attention(module: Any) -> Iterator[None]:
    """Let a model attend in float32 within a bfloat16 autocast, if sdpa is its way."""
    transformers = import_transformers()
    is_ours = module.config._attn_implementation == "sdpa"
    if not (is_ours and module._can_set_attn_implementation()):
        yield
        return
    masks = transformers.AttentionMaskInterface
    transformers.AttentionInterface.register(NAME, _attend)
    masks.register(NAME, masks()["sdpa"])
    module.set_attn_implementation(NAME)
    try:
        yield
    finally:
        module.set_attn_implementation("sdpa")
