"""The cross-entropy of a linear output layer, whose logits are never kept.

Its gradient is made beside the loss, from logits that are there for a part of the
positions at a time and give way to the next ones.
"""

from functools import cache
from typing import Any

from .._output_layer import LinearOutput
from .._torch import import_torch

# Logits that are in memory at a time, by the type of device.
MOST_LOGITS = {"cpu": 1 << 23, "cuda": 1 << 27}


def product_dtype(states: Any) -> Any:
    """Return the type in which hidden states are multiplied."""
    torch, device = import_torch(), states.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return states.dtype


def has_gradient(output: LinearOutput, dtype: Any) -> bool:
    """Tell whether `linear_cross_entropy` knows the gradient of an output layer.

    In float16 it would be too small to be told from 0 before it is scaled.
    """
    is_learned = output.bias is not None and output.bias.requires_grad
    return output.cap is None and not is_learned and dtype != import_torch().float16


def linear_cross_entropy(
    output: LinearOutput, states: Any, targets: Any, smoothing: float
) -> Any:
    """Return the sum of the losses of targets, with a gradient.

    Parameters
    ----------
    output : LinearOutput
    states : tensor of shape (n_tokens, n_hidden)
    targets : tensor of shape (n_tokens,)
    smoothing : float
        As of `ExampleLoss`.
    """
    torch = import_torch()
    dtype = product_dtype(states)
    apply = _make_function().apply
    with torch.autocast(states.device.type, enabled=False):
        return apply(
            states, output.weight, output.bias, targets, output.scale, smoothing, dtype
        )


@cache
def _make_function() -> Any:
    torch = import_torch()

    class LinearCrossEntropy(torch.autograd.Function):
        @staticmethod
        def forward(ctx, states, weight, bias, targets, scale, smoothing, dtype):
            ctx.types = states.dtype, weight.dtype
            total, *gradients = _loss_and_gradients(
                states.to(dtype),
                weight.to(dtype),
                bias,
                targets,
                scale,
                smoothing,
                ctx.needs_input_grad[:2],
            )
            ctx.save_for_backward(*gradients)
            return total

        @staticmethod
        def backward(ctx, d_total):
            # They are nobody else's: once is all that a loss is asked for them.
            found = (
                gradient if gradient is None else gradient.mul_(d_total).to(dtype)
                for gradient, dtype in zip(ctx.saved_tensors, ctx.types, strict=True)
            )
            return *found, None, None, None, None, None

    return LinearCrossEntropy


def _loss_and_gradients(states, weight, bias, targets, scale, smoothing, needed):
    """Return the loss and its gradients by states and by weights, None if not needed.

    Sums are in float32 or wider.
    """
    torch = import_torch()
    exact = torch.promote_types(states.dtype, torch.float32)
    most = MOST_LOGITS.get(states.device.type, MOST_LOGITS["cuda"])
    n_rows = min(max(most // len(weight), 1), len(states))
    d_states = torch.empty_like(states) if needed[0] else None
    d_weight = torch.zeros_like(weight, dtype=exact) if needed[1] else None
    products = states.new_empty(n_rows, len(weight))
    logits = products
    if products.dtype != exact:
        logits = torch.empty_like(products, dtype=exact)
    total = logits.new_zeros(())
    for start in range(0, len(states), n_rows):
        rows = states[start : start + n_rows]
        products, logits = products[: len(rows)], logits[: len(rows)]
        torch.mm(rows, weight.T, out=products)
        if logits is not products:
            logits.copy_(products)
        if bias is not None:
            logits += bias
        if scale != 1.0:
            logits *= scale
        total += _turn_into_gradient(logits, targets[start : start + n_rows], smoothing)
        if scale != 1.0:
            logits *= scale
        if logits is not products:
            products.copy_(logits)
        if needed[0]:
            torch.mm(products, weight, out=d_states[start : start + n_rows])
        if needed[1]:
            d_weight += products.T @ rows
    return total, d_states, d_weight


def _turn_into_gradient(logits: Any, targets: Any, smoothing: float) -> Any:
    """Return the loss of logits, which become its gradient."""
    targets = targets[:, None]
    logits -= logits.amax(dim=1, keepdim=True)
    expected = logits.gather(1, targets)
    if smoothing:
        mean = logits.mean(dim=1, keepdim=True)
        expected = (1 - smoothing) * expected + smoothing * mean
    sums = logits.exp_().sum(dim=1, keepdim=True)
    logits /= sums
    logits.scatter_add_(1, targets, expected.new_full(targets.shape, smoothing - 1))
    if smoothing:
        logits -= smoothing / logits.shape[1]
    return (sums.log() - expected).sum()
