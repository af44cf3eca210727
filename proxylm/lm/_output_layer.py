"""From hidden states to log-probabilities, entropies and ranks, in blocks.

Logits are made for a block of positions and a block of the vocabulary at a time and
reduced in float32 at once: there is never a tensor of positions times vocabulary.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from ._packing import can_pack, multiply, pack
from ._torch import import_torch


class BlockSizes(NamedTuple):
    """How much of positions times vocabulary is in memory at a time."""

    rows: int
    columns: int
    logits: int  # of models that make those of the whole vocabulary themselves


# On a CPU a block stays in the cache of the processor.
BLOCKS = {
    "cpu": BlockSizes(1_024, 4_096, 1 << 24),
    "cuda": BlockSizes(8_192, 16_384, 1 << 27),
}
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
        self.n_made = 1  # a block is made for its columns alone
        self._packed: dict[int, list[Any]] = {}

    def prepare(self, hidden: Any) -> Any:
        """Return what blocks are made from: states as wide as the weights."""
        return hidden.to(self.weight.dtype)

    def blocks(self, hidden: Any, n_columns: int) -> Iterator[tuple[int, Any]]:
        """Yield the first column and the logits of each block of the vocabulary."""
        wide = _wide(hidden.dtype)
        if hidden.device.type == "cpu" and n_columns not in self._packed:
            self._packed = {n_columns: self._pack(n_columns)}
        for number, start in enumerate(range(0, len(self.weight), n_columns)):
            end = start + n_columns
            if packed := self._packed.get(n_columns):
                logits = multiply(hidden, packed[number])
            else:
                logits = hidden @ self.weight[start:end].T
            logits = logits.to(wide)
            if self.bias is not None:
                logits += self.bias[start:end]
            if self.scale != 1.0:
                logits *= self.scale
            if self.cap is not None:
                logits.div_(self.cap).tanh_().mul_(self.cap)
            yield start, logits

    def _pack(self, n_columns: int) -> list[Any]:
        """Return blocks of the weight in the layout that a CPU multiplies fastest."""
        if not can_pack(self.weight):
            return []
        starts = range(0, len(self.weight), n_columns)
        return [pack(self.weight[start : start + n_columns]) for start in starts]

    def target_logits(self, hidden: Any, targets: Any) -> Any:
        """Return the logits of the targets alone."""
        torch = import_torch()
        wide = _wide(hidden.dtype)
        logits = (hidden.to(wide) * self.weight[targets].to(wide)).sum(dim=1)
        if self.bias is not None:
            logits = logits + self.bias[targets]
        logits = logits * self.scale
        if self.cap is not None:
            logits = self.cap * torch.tanh(logits / self.cap)
        return logits


class ModuleOutput:
    """Logits of the whole vocabulary: those that a model's own head makes.

    Parameters
    ----------
    head : callable or None
        From hidden states to logits; None takes logits as they are.
    n_made : int
        Logits that are made for a position.
    """

    def __init__(self, head=None, n_made=1):
        self._head, self.n_made = head, n_made

    def prepare(self, hidden: Any) -> Any:
        """Return the logits."""
        return hidden if self._head is None else self._head(hidden)

    def blocks(self, hidden: Any, n_columns: int) -> Iterator[tuple[int, Any]]:
        """Yield the first column and the logits of each block of the vocabulary."""
        wide = _wide(hidden.dtype)
        for start in range(0, hidden.shape[1], n_columns):
            yield start, hidden[:, start : start + n_columns].to(wide, copy=True)

    def target_logits(self, hidden: Any, targets: Any) -> Any:
        """Return the logits of the targets alone."""
        return hidden.gather(1, targets[:, None])[:, 0].to(_wide(hidden.dtype))


def _wide(dtype: Any) -> Any:
    """Return the type in which logits of a type are reduced."""
    torch = import_torch()
    return torch.float64 if dtype == torch.float64 else torch.float32


def score_tokens(output: Any, hidden: Any, targets: Any, level: str) -> TokenTensors:
    r"""Score tokens by the hidden states that predict them.

    With logits z_v over the vocabulary, m their maximum and s = sum_v exp(z_v - m),

    .. math:: \log p_t = z_t - m - \log s, \quad
        H = \log s - \frac{1}{s} \sum_v (z_v - m) \exp(z_v - m)

    are added up over blocks of the vocabulary as online softmax [1]_ does.

    Parameters
    ----------
    output : LinearOutput or ModuleOutput
    hidden : tensor of shape (n_tokens, n_hidden)
        Or logits, of shape (n_tokens, n_vocabulary), for a ModuleOutput without head.
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
    sizes = BLOCKS["cpu" if hidden.device.type == "cpu" else "cuda"]
    n_rows = min(sizes.rows, max(sizes.logits // output.n_made, 1))
    parts = []
    for start in range(0, len(hidden), n_rows):
        rows = slice(start, start + n_rows)
        parts.append(
            _score_rows(output, hidden[rows], targets[rows], level, sizes.columns)
        )
    if len(parts) == 1:
        return parts[0]
    if level == "logprob":
        return TokenTensors(torch.cat([part.logprob for part in parts]))
    return TokenTensors(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _score_rows(output, hidden, targets, level, n_columns):
    """Score some tokens, a block of the vocabulary at a time."""
    torch = import_torch()
    full = level == "full"
    hidden = output.prepare(hidden)
    expected = None
    if full:
        expected = output.target_logits(hidden, targets)[:, None]
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


def _linear_output(model: Any) -> LinearOutput | None:
    """Return the output layer of a causal model, if it is a matrix."""
    torch = import_torch()
    layer = model.get_output_embeddings()
    if not isinstance(layer, torch.nn.Linear):
        return None
    config = model.config.get_text_config()
    scale = getattr(config, "logit_scale", None) or 1.0
    scale /= getattr(config, "logits_scaling", None) or 1.0
    cap = getattr(config, "final_logit_softcapping", None)
    return LinearOutput(layer.weight, layer.bias, scale, cap)


def _module_output(model: Any) -> ModuleOutput | None:
    """Return the head of a masked model, if there is one module besides the base."""
    heads = [part for part in model.children() if part is not model.base_model]
    n_vocabulary = model.config.get_text_config().vocab_size
    return ModuleOutput(heads[0], n_vocabulary) if len(heads) == 1 else None


def find_output(model: Any, kind: str) -> LinearOutput | ModuleOutput | None:
    """Return the output layer of a model if it can be applied apart from the rest.

    What it gives is compared with the model's own logits on a few tokens; None means
    that they differ, so that the model's own have to be used.
    """
    find = {"causal": _linear_output, "masked": _module_output}.get(kind)
    if find is None or model.base_model is model:
        return None
    output = find(model)
    return output if output is not None and _agrees(output, model) else None


def _agrees(output: LinearOutput | ModuleOutput, model: Any) -> bool:
    """Tell whether an output layer gives the logits of the model itself."""
    torch = import_torch()
    n_vocabulary = model.config.get_text_config().vocab_size
    ids = torch.arange(PROBE_LENGTH, device=model.device)
    ids = (7 * ids + 5) % n_vocabulary
    with torch.inference_mode():
        expected = model(input_ids=ids[None]).logits[0]
        hidden = model.base_model(input_ids=ids[None])[0][0]
        if isinstance(output, LinearOutput) and (
            hidden.shape[-1] != output.weight.shape[1]
        ):
            return False
        blocks = output.blocks(output.prepare(hidden), BLOCKS["cpu"].columns)
        found = torch.cat([logits.clone() for _, logits in blocks], dim=1)
    return found.shape == expected.shape and is_near(found, expected, model)


def is_near(found: Any, expected: Any, model: Any) -> bool:
    """Tell whether tensors are the same but for the rounding of a model."""
    expected = expected.to(found.dtype)
    is_exact = all(p.element_size() >= 4 for p in model.parameters())
    tolerance = 1e-4 if is_exact else 0.05
    tolerance *= expected.std().clamp(min=1e-6)
    return bool((found - expected).abs().max() <= tolerance)
