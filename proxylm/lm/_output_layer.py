"""From hidden states to log-probabilities, entropies and ranks, in blocks.

Logits are made for a block of positions and a block of the vocabulary at a time and
reduced in float32 at once: there is never a tensor of positions times vocabulary.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from ._loading import import_torch

# Logits in memory at a time. On a CPU a block stays in the cache of the processor.
BLOCK_ROWS = {"cpu": 1_024, "cuda": 8_192}
BLOCK_COLUMNS = {"cpu": 4_096, "cuda": 16_384}
# Of models whose own outputs are needed, so many logits are made at a time.
FULL_LOGITS = {"cpu": 1 << 24, "cuda": 1 << 27}
PROBE_LENGTH = 8
LEVELS = ("logprob", "full")


class TokenTensors(NamedTuple):
    """What is known of scored tokens, each of shape (n_tokens,)."""

    logprob: Any
    entropy: Any = None
    rank: Any = None


class LinearOutput:
    """The output layer of a model: a matrix, and what is done to its product.

    Parameters
    ----------
    weight : tensor of shape (n_vocabulary, n_hidden)
    bias : tensor of shape (n_vocabulary,) or None
    scale : float
        What logits are multiplied by.
    cap : float or None
        Logits become `cap * tanh(logits / cap)`.
    """

    def __init__(self, weight, bias=None, scale=1.0, cap=None):
        self.weight, self.bias, self.scale, self.cap = weight, bias, scale, cap

    def blocks(self, hidden: Any, n_columns: int) -> Iterator[tuple[int, Any]]:
        """Yield the first column and the logits of each block of the vocabulary."""
        torch = import_torch()
        accumulator = torch.float64 if hidden.dtype == torch.float64 else torch.float32
        n_vocabulary = len(self.weight)
        width = min(n_columns, n_vocabulary)
        product = hidden.new_empty(len(hidden), width)
        logits = product
        if product.dtype != accumulator:
            logits = product.to(accumulator)
        for start in range(0, n_vocabulary, n_columns):
            weight = self.weight[start : start + n_columns]
            if len(weight) < width:
                product = product.new_empty(len(hidden), len(weight))
                logits = logits.new_empty(product.shape)
            torch.mm(hidden, weight.T, out=product)
            if product.dtype == accumulator:
                logits = product
            else:
                logits.copy_(product)
            if self.bias is not None:
                logits += self.bias[start : start + n_columns]
            if self.scale != 1.0:
                logits *= self.scale
            if self.cap is not None:
                logits.div_(self.cap).tanh_().mul_(self.cap)
            yield start, logits


class FullOutput:
    """Logits that a model has made itself, cut into blocks like those of a layer."""

    def blocks(self, hidden: Any, n_columns: int) -> Iterator[tuple[int, Any]]:
        """Yield the first column and the logits of each block of the vocabulary."""
        torch = import_torch()
        accumulator = torch.float64 if hidden.dtype == torch.float64 else torch.float32
        for start in range(0, hidden.shape[1], n_columns):
            block = hidden[:, start : start + n_columns]
            yield start, block.to(accumulator, copy=True)


def score_tokens(output: Any, hidden: Any, targets: Any, level: str) -> TokenTensors:
    r"""Score tokens by the hidden states that predict them.

    With logits z_v over the vocabulary, m their maximum and s = sum_v exp(z_v - m),

    .. math:: \log p_t = z_t - m - \log s, \quad
        H = \log s - \frac{1}{s} \sum_v (z_v - m) \exp(z_v - m)

    are added up over blocks of the vocabulary as online softmax [1]_ does.

    Parameters
    ----------
    output : LinearOutput or FullOutput
    hidden : tensor of shape (n_tokens, n_hidden)
        Or of shape (n_tokens, n_vocabulary) for FullOutput.
    targets : tensor of shape (n_tokens,)
    level : {"logprob", "full"}
        Whether entropies and ranks are computed as well.

    Returns
    -------
    scores : TokenTensors
        Natural logarithms; ranks count from one.

    References
    ----------
    .. [1] Milakov and Gimelshein (2018). "Online normalizer calculation for softmax".
       arXiv:1805.02867.
    """
    torch = import_torch()
    kind = hidden.device.type
    n_rows = BLOCK_ROWS.get(kind, BLOCK_ROWS["cuda"])
    n_columns = BLOCK_COLUMNS.get(kind, BLOCK_COLUMNS["cuda"])
    parts = [
        _score_rows(
            output,
            hidden[start : start + n_rows],
            targets[start : start + n_rows],
            level,
            n_columns,
        )
        for start in range(0, len(hidden), n_rows)
    ]
    if len(parts) == 1:
        return parts[0]
    if level == "logprob":
        return TokenTensors(torch.cat([part.logprob for part in parts]))
    return TokenTensors(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _target_logits(output, hidden, targets, n_columns):
    """Return the logits of the targets alone."""
    torch = import_torch()
    if isinstance(output, FullOutput):
        return hidden.gather(1, targets[:, None])[:, 0].float()
    wide = torch.float64 if hidden.dtype == torch.float64 else torch.float32
    weight = output.weight[targets].to(wide)
    logits = (hidden.to(wide) * weight).sum(dim=1)
    if output.bias is not None:
        logits = logits + output.bias[targets]
    logits = logits * output.scale
    if output.cap is not None:
        logits = output.cap * torch.tanh(logits / output.cap)
    return logits


def _score_rows(output, hidden, targets, level, n_columns):
    """Score some tokens, a block of the vocabulary at a time."""
    torch = import_torch()
    full = level == "full"
    expected = None
    if full:
        expected = _target_logits(output, hidden, targets, n_columns)[:, None]
    maximum = total = weighted = target = rank = None
    for start, logits in output.blocks(hidden, n_columns):
        if maximum is None:
            maximum = logits.new_full((len(logits),), -float("inf"))
            total, weighted = torch.zeros_like(maximum), torch.zeros_like(maximum)
            target = torch.zeros_like(maximum)
            rank = torch.ones_like(targets)
        column = targets - start
        is_here = (column >= 0) & (column < logits.shape[1])
        column = column.clamp(0, logits.shape[1] - 1)[:, None]
        found = logits.gather(1, column)[:, 0]
        target = torch.where(is_here, found, target)
        if full:
            # Rounding must not put a target before itself.
            rank += (logits > expected).sum(dim=1)
            rank -= (is_here & (found > expected[:, 0])).long()
        larger = torch.maximum(maximum, logits.amax(dim=1))
        larger = larger.clamp(min=torch.finfo(larger.dtype).min)
        shrink = torch.exp(maximum - larger)
        logits -= larger[:, None]
        if full:
            # sum (z - m) e^(z - m), moved from the old maximum to the new one.
            moved = torch.where(total > 0, (maximum - larger) * total, total)
            weighted = shrink * (weighted + moved)
            powers = logits.exp()
            # 0 times minus infinity is 0 here.
            logits.clamp_(min=torch.finfo(logits.dtype).min)
            weighted += torch.bmm(powers[:, None], logits[:, :, None])[:, 0, 0]
        else:
            powers = logits.exp_()
        total = total * shrink + powers.sum(dim=1)
        maximum = larger
    log_total = torch.log(total)
    logprob = target - maximum - log_total
    if not full:
        return TokenTensors(logprob)
    return TokenTensors(logprob, log_total - weighted / total, rank)


def find_output(model: Any, kind: str) -> LinearOutput | None:
    """Return the output layer of a model if it can be applied apart from the rest.

    What it gives is compared with the model's own logits on a few tokens; None means
    that they differ, so that the model's own have to be used.
    """
    torch = import_torch()
    layer = model.get_output_embeddings()
    if kind != "causal" or not isinstance(layer, torch.nn.Linear):
        return None
    config = model.config.get_text_config()
    scale = getattr(config, "logit_scale", None) or 1.0
    scale /= getattr(config, "logits_scaling", None) or 1.0
    output = LinearOutput(
        layer.weight,
        layer.bias,
        scale,
        getattr(config, "final_logit_softcapping", None),
    )
    if model.base_model is model:
        return None
    n_vocabulary = min(len(layer.weight), config.vocab_size)
    ids = torch.arange(PROBE_LENGTH, device=layer.weight.device) * 7 % n_vocabulary
    with torch.inference_mode():
        expected = model(input_ids=ids[None], use_cache=False).logits[0].float()
        hidden = model.base_model(input_ids=ids[None], use_cache=False)
        hidden = hidden.last_hidden_state[0]
        if hidden.shape[-1] != layer.weight.shape[1]:
            return None
        blocks = output.blocks(hidden, n_vocabulary)
        found = torch.cat([logits.float().clone() for _, logits in blocks], dim=1)
    spread = expected.std().clamp(min=1e-6)
    tolerance = 1e-4 if layer.weight.dtype in (torch.float32, torch.float64) else 0.05
    if found.shape != expected.shape or (found - expected).abs().max() > (
        tolerance * spread
    ):
        return None
    return output
