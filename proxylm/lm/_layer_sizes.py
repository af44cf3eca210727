"""The sizes of what a transformer multiplies: linear layers, experts, attention."""

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

from ._torch import import_torch, import_transformers

# What the parts of attention are called.
QUERIES = ("q_proj", "q_b_proj", "q", "query", "q_lin")
OUTPUTS = ("o_proj", "out_proj", "dense", "c_proj", "o", "out_lin")
KEYS_AND_VALUES = {"k_proj", "v_proj", "k", "v", "key", "value", "c_attn"}
CROSS_ATTENTION = {
    "encoder_attn",
    "EncDecAttention",
    "crossattention",
    "cross_attention",
}
# Of layers with these, every query meets all keys, or those of a window before it.
WINDOWS = {
    "full_attention": None,
    "sliding_attention": "sliding_window",
    "chunked_attention": "attention_chunk_size",
}
# Models whose queries meet some keys only, or meet them in another way.
OTHER_ATTENTION = {
    "big_bird",
    "bigbird_pegasus",
    "diffllama",
    "led",
    "longformer",
    "longt5",
    "pegasus_x",
    "reformer",
}
N_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")
# How many experts read a token by the papers, where the configuration does not say it.
ACTIVE_EXPERTS = {"nllb-moe": 2, "switch_transformers": 1}


class LinearLayer(NamedTuple):
    """A weight matrix, and how often a token is multiplied with it."""

    name: str
    reads: str  # "encoder", "cross", "decoder" or "output"
    n_inputs: int
    n_outputs: int
    times: int | Fraction = 1
    takes_adapter: bool = False


def _shape(part: Any) -> tuple[int, int] | None:
    """Return the numbers of inputs and outputs of a linear layer, or None."""
    torch, pytorch_utils = import_torch(), import_transformers().pytorch_utils
    if isinstance(part, torch.nn.Linear) or hasattr(part, "packed"):
        return part.in_features, part.out_features
    if isinstance(part, pytorch_utils.Conv1D):
        return part.weight.shape[0], part.weight.shape[1]
    return None


def _no_formula(module: Any, reason: str) -> ValueError:
    return ValueError(
        "ComputeCost has formulas for transformers of linear layers, experts and "
        f"softmax attention. Got {type(module).__name__}, for which there is no "
        f"formula: {reason}."
    )


def _experts(module: Any) -> tuple[int | None, int]:
    """Return how many experts a layer has, and how many of them read a token."""
    config = module.config.get_text_config(decoder=True)
    counts = (getattr(config, name, None) for name in N_EXPERTS)
    n_experts = next(filter(None, counts), None)
    if n_experts is None:
        return None, 0
    n_active = getattr(config, "num_experts_per_tok", None)
    n_active = n_active or ACTIVE_EXPERTS.get(config.model_type)
    if n_active is None:
        raise _no_formula(module, "it does not say how many experts read a token")
    return n_experts, n_active


def _encoder_parts(module: Any) -> set[int]:
    """Identify the parts of an encoder that has a decoder beside it."""
    if not getattr(module.config, "is_encoder_decoder", False):
        return set()
    return {id(part) for part in module.get_encoder().modules()}


def _is_cross(name: str) -> bool:
    return not CROSS_ATTENTION.isdisjoint(name.split("."))


def linear_layers(module: Any) -> Iterator[LinearLayer]:
    """List the weight matrices; refuse those that nothing is known of."""
    torch = import_torch()
    encoder, output = _encoder_parts(module), module.get_output_embeddings()
    n_experts, n_active = _experts(module)
    for name, part in module.named_modules():
        if _is_cross(name) and not encoder:
            continue  # of a decoder that is used alone
        reads = "encoder" if id(part) in encoder else "decoder"
        shape = _shape(part)
        if shape is not None:
            if part is output:
                yield LinearLayer(name, "output", *shape)
                continue
            if _is_cross(name) and name.split(".")[-1] in KEYS_AND_VALUES:
                reads = "cross"
            is_expert = "experts" in name.split(".")
            times = Fraction(n_active, n_experts) if is_expert else 1
            yield LinearLayer(name, reads, *shape, times, takes_adapter=True)
        elif not isinstance(part, torch.nn.Embedding):
            for label, weight in part.named_parameters(recurse=False):
                if weight.ndim < 2 or label.endswith("bias"):
                    continue
                if weight.shape[0] != n_experts or weight.ndim > 3:
                    reason = f"{type(part).__name__} has a weight {label!r} of shape "
                    raise _no_formula(module, f"{reason}{tuple(weight.shape)}")
                if weight.ndim == 3:  # one matrix for each expert
                    yield LinearLayer(name, reads, *weight.shape[1:], n_active)
                else:  # which experts read a token
                    yield LinearLayer(name, reads, *weight.shape)


def _windows(module: Any, n_layers: int) -> list[int | None]:
    """Return, for each layer of a decoder, how many keys it keeps; None is all."""
    config = module.config.get_text_config(decoder=True)
    layers = getattr(config, "layer_types", None)
    if layers is None:
        has_window = getattr(config, "sliding_window", None) is not None
        layers = ["sliding_attention" if has_window else "full_attention"] * n_layers
    unknown = sorted(set(layers) - WINDOWS.keys())
    if unknown:
        raise _no_formula(module, f"it has layers of the kinds {unknown}")
    return [WINDOWS[layer] and getattr(config, WINDOWS[layer]) for layer in layers]


def _width(shapes: dict[str, tuple[int, int]]) -> int:
    """Sum heads times head size of the queries and of the values; 0 is unknown.

    Queries that share a layer with keys and values are as wide as the values.
    """
    scores = [shapes[name][1] for name in QUERIES if name in shapes]
    values = [shapes[name][0] for name in OUTPUTS if name in shapes]
    known = scores[:1] + values[:1]
    return sum(known) * 2 // max(1, len(known))


def attention_widths(module: Any) -> Counter:
    """Sum the widths of attention by its stream and the keys that it keeps."""
    if module.config.model_type in OTHER_ATTENTION:
        raise _no_formula(module, "it has attention of its own kind")
    encoder = _encoder_parts(module)
    widths = {"encoder": [], "decoder": [], "cross": []}
    for name, part in module.named_modules():
        shapes = {label: _shape(child) for label, child in part.named_children()}
        shapes = {label: shape for label, shape in shapes.items() if shape}
        if shapes and "Attention" in type(part).__name__:
            stream = "encoder" if id(part) in encoder else "decoder"
            widths["cross" if _is_cross(name) else stream].append(_width(shapes))
    found = widths["decoder"]
    n_layers = module.config.get_text_config(decoder=True).num_hidden_layers
    n_expected = len(widths["cross"]) if encoder else n_layers
    is_known = all(width for stream in widths.values() for width in stream)
    if len(found) != n_expected or not found or not is_known:
        raise _no_formula(
            module, f"{len(found)} of {n_expected} layers of attention are known"
        )
    summed = Counter({("encoder", None): sum(widths["encoder"])})
    summed["cross", None] = sum(widths["cross"]) if encoder else 0
    for window, width in zip(_windows(module, len(found)), found, strict=True):
        summed["decoder", window] += width
    return summed


def count_parameters(module: Any) -> int:
    """Count parameters once, and those that packed layers keep elsewhere."""
    packed = (part for part in module.modules() if hasattr(part, "packed"))
    return sum(parameter.numel() for parameter in module.parameters()) + sum(
        part.in_features * part.out_features for part in packed
    )
