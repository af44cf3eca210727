"""Linear layers in the layout that a CPU multiplies fastest (oneDNN)."""

from typing import Any

from ._torch import import_torch

# oneDNN lays weights out for about so many rows.
TYPICAL_ROWS = 512
PACKED_DTYPES = ("float32", "bfloat16")


def can_pack(weight: Any) -> bool:
    """Tell whether oneDNN multiplies with a weight on this machine."""
    torch = import_torch()
    return (
        weight.device.type == "cpu"
        and str(weight.dtype).removeprefix("torch.") in PACKED_DTYPES
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    )


def pack(weight: Any) -> Any:
    """Return a weight of shape (n_outputs, n_inputs) in oneDNN's layout."""
    torch = import_torch()
    return torch.ops.mkldnn._reorder_linear_weight(weight.detach(), TYPICAL_ROWS)


def multiply(x: Any, packed: Any, bias: Any = None) -> Any:
    """Return the outputs of a linear layer whose weight is packed."""
    torch = import_torch()
    return torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")


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
            self._packed = pack(layer.weight)
            # Tells shape and type to code that asks for them.
            self.weight = torch.empty_like(layer.weight, device="meta")

        def forward(self, x):
            return multiply(x, self._packed, self.bias)

    output = module.get_output_embeddings()
    uses: dict[int, int] = {}
    for part in module.modules():
        for parameter in part.parameters(recurse=False):
            uses[id(parameter)] = uses.get(id(parameter), 0) + 1
    n_packed = 0
    for part in list(module.modules()):
        for name, layer in list(part.named_children()):
            # Subclasses do something else, or something more.
            if type(layer) is not torch.nn.Linear or layer is output:
                continue
            if uses[id(layer.weight)] == 1 and can_pack(layer.weight):
                setattr(part, name, PackedLinear(layer))
                n_packed += 1
    return n_packed
