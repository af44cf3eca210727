"""Linear layers in the layout that a CPU multiplies fastest (oneDNN)."""

from functools import cache
from typing import Any

from ._memory import FilePages
from ._torch import import_torch

# oneDNN lays weights out for about so many rows.
TYPICAL_ROWS = 512
PACKED_DTYPES = ("float32", "bfloat16")
# What oneDNN calls the activations of gated layers, by the names of their classes.
ACTIVATIONS = {
    "SiLU": ("swish", ""),
    "SiLUActivation": ("swish", ""),
    "GELU": ("gelu", "none"),
    "GELUActivation": ("gelu", "none"),
    "GELUTanh": ("gelu", "tanh"),
    "PytorchGELUTanh": ("gelu", "tanh"),
}


def can_pack(weight: Any) -> bool:
    """Tell whether oneDNN multiplies with a weight on this machine."""
    torch = import_torch()
    name = str(weight.dtype).removeprefix("torch.")
    return (
        weight.device.type == "cpu"
        and name in PACKED_DTYPES
        and torch.backends.mkldnn.is_available()
        and (name == "float32" or torch.ops.mkldnn._is_mkldnn_bf16_supported())
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    )


def pack(weight: Any) -> Any:
    """Return a weight of shape (n_outputs, n_inputs) in oneDNN's layout."""
    torch = import_torch()
    return torch.ops.mkldnn._reorder_linear_weight(weight.detach(), TYPICAL_ROWS)


@cache
def _plain_weight() -> type:
    """Return the class of what `as_plain` gives."""
    torch = import_torch()
    tensor = torch.Tensor
    describing = {tensor.size, tensor.dim, tensor.numel, tensor.is_floating_point}
    attributes = (tensor.dtype, tensor.device, tensor.shape, tensor.ndim)
    describing |= {attribute.__get__ for attribute in attributes}

    class PlainWeight(tensor):
        """A packed weight for code that takes it from its layer.

        Questions are answered by what is packed. Whoever computes with it gets it in
        the plain layout, laid out anew each time.
        """

        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            def replace(x):
                if not isinstance(x, cls):
                    return x
                return x.packed if function in describing else x.packed.to_dense()

            args, kwargs = tree_map(replace, (args, kwargs or {}))
            return function(*args, **kwargs)

    tree_map = torch.utils._pytree.tree_map
    return PlainWeight


def as_plain(packed: Any) -> Any:
    """Return a packed weight as a tensor that anything can be done with."""
    torch = import_torch()
    plain = torch.Tensor._make_subclass(_plain_weight(), torch.empty(0))
    plain.packed = packed
    return plain


def multiply(x: Any, packed: Any, bias: Any = None) -> Any:
    """Return the outputs of a linear layer whose weight is packed."""
    torch = import_torch()
    return torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")


def multiply_gated(x: Any, gate: Any, up: Any, activation: tuple[str, str]) -> Any:
    """Return activation(gate(x)) * up(x) of packed layers, each in a single pass."""
    linear = import_torch().ops.mkldnn._linear_pointwise
    name, algorithm = activation
    gated = linear(x, gate.packed, gate.bias, name, [], algorithm)
    return linear.binary(x, gated, up.packed, up.bias, "mul")


def pack_linear_layers(module: Any) -> int:
    """Replace the linear layers of a model on a CPU; return how many.

    The output layer and those that share their weight with another part stay. The
    weights themselves are given up: a packed model can be run, neither trained nor
    saved.
    """
    torch = import_torch()

    class PackedLinear(torch.nn.Module):
        """A linear layer whose weight is packed."""

        def __init__(self, layer):
            super().__init__()
            self.in_features, self.out_features = layer.in_features, layer.out_features
            self.bias = layer.bias
            self.packed = pack(layer.weight)
            self.weight = as_plain(self.packed)

        def forward(self, x):
            return multiply(x, self.packed, self.bias)

    output = module.get_output_embeddings()
    uses: dict[int, int] = {}
    for part in module.modules():
        for parameter in part.parameters(recurse=False):
            uses[id(parameter)] = uses.get(id(parameter), 0) + 1
    n_packed, pages = 0, FilePages()
    for part in list(module.modules()):
        for name, layer in list(part.named_children()):
            # Subclasses do something else, or something more.
            if type(layer) is not torch.nn.Linear or layer is output:
                continue
            if uses[id(layer.weight)] == 1 and can_pack(layer.weight):
                setattr(part, name, PackedLinear(layer))
                pages.release(layer.weight.data_ptr(), layer.weight.nbytes)
                n_packed += 1
    return n_packed


def fuse_gated_layers(module: Any) -> int:
    """Let gated layers, down(activation(gate(x)) * up(x)), run in three passes.

    Their linear layers are packed. Whatever does not give what it gave before stays as
    it is; returns how many layers were fused.
    """
    torch = import_torch()

    class PackedGate(torch.nn.Module):
        """A gated layer whose activation and product are part of its linear layers."""

        def __init__(self, layer, activation):
            super().__init__()
            self.gate_proj, self.up_proj = layer.gate_proj, layer.up_proj
            self.down_proj, self._activation = layer.down_proj, activation

        def forward(self, x):
            x = x.to(self.gate_proj.weight.dtype)
            gated = multiply_gated(x, self.gate_proj, self.up_proj, self._activation)
            return self.down_proj(gated)

    n_fused = 0
    for part in list(module.modules()):
        for name, layer in list(part.named_children()):
            activation = ACTIVATIONS.get(type(getattr(layer, "act_fn", None)).__name__)
            linear = [getattr(layer, f"{n}_proj", None) for n in ("gate", "up", "down")]
            if activation is None or not all(hasattr(x, "packed") for x in linear):
                continue
            fused = PackedGate(layer, activation)
            if _is_same(fused, layer, linear[0]):
                setattr(part, name, fused)
                n_fused += 1
    return n_fused


def _is_same(fused: Any, layer: Any, first: Any) -> bool:
    """Tell whether two layers answer a few inputs alike, but for rounding."""
    torch = import_torch()
    generator = torch.Generator().manual_seed(0)
    x = 4 * torch.randn(1, 8, first.in_features, generator=generator)
    with torch.inference_mode():
        x = x.to(first.weight.dtype)
        expected, found = layer(x).float(), fused(x).float()
    tolerance = 1e-4 if x.dtype == torch.float32 else 0.05
    return bool((found - expected).abs().max() <= tolerance * expected.abs().max())
