"""The loss of examples: cross-entropy of what they learn, and of nothing else."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._branches import branch_arguments, branch_mask
from .._encoding import Chunk
from .._output_layer import LinearOutput, find_output
from .._seq2seq import decode_logits, decode_states, find_pair_output, pad_sources
from .._torch import import_torch
from ._linear_loss import has_gradient, linear_cross_entropy, product_dtype

# Logits that are kept for the gradient; of more, parts are made anew.
MOST_LOGITS = {"cpu": 1 << 26, "cuda": 1 << 28}


def _linear_logits(output: LinearOutput, hidden: Any) -> Any:
    """Return the logits of hidden states, with a gradient."""
    torch = import_torch()
    logits = torch.nn.functional.linear(hidden, output.weight)
    if output.bias is not None:
        logits = logits + output.bias
    if output.scale != 1.0:
        logits = logits * output.scale
    if output.cap is not None:
        logits = output.cap * torch.tanh(logits / output.cap)
    return logits


class ExampleLoss:
    """The loss of batches of examples under a model.

    Only the positions whose outputs are learned reach the output layer, and those in
    parts where there are many: a tensor of all positions times the vocabulary is never
    made.

    Parameters
    ----------
    module : PreTrainedModel
    kind : {"causal", "seq2seq"}
    """

    def __init__(self, module: Any, kind: str):
        self._module, self._kind = module, kind
        was_training = module.training
        module.eval()
        find: Callable = find_pair_output
        if kind == "causal":
            self._output = find_output(module, kind)
        else:
            self._output = find(module)
        module.train(was_training)
        # A model that makes its logits by itself, in full.
        self.is_whole = self._output is None or not isinstance(
            self._output, LinearOutput
        )
        self._device = next(module.parameters()).device
        self._most = MOST_LOGITS.get(self._device.type, MOST_LOGITS["cuda"])

    def __call__(self, batch: Sequence[Chunk], smoothing: float = 0.0) -> Any:
        r"""Return the sum of the losses of all tokens of a batch.

        With smoothing :math:`\epsilon` [1]_ over a vocabulary of V tokens

        .. math:: -(1 - \epsilon) \log p_t - \frac{\epsilon}{V} \sum_v \log p_v

        References
        ----------
        .. [1] Szegedy et al. (2016). "Rethinking the Inception architecture for
           computer vision". arXiv:1512.00567.
        """
        torch = import_torch()
        ids, rows, columns, targets = self._tensors(batch)
        if self._kind == "seq2seq":
            sources = pad_sources([chunk.encoder_ids for chunk in batch])
            run = decode_logits if self.is_whole else decode_states
            states = run(self._module, *map(self._to_device, sources), ids)
        else:
            arguments = {"input_ids": ids, "use_cache": False}
            if any(chunk.branches for chunk in batch):
                told = map(self._to_device, branch_mask(batch, ids.shape[1]))
                arguments |= branch_arguments(self._module, *told)
            if self.is_whole:
                states = self._module(**arguments).logits
            else:
                states = self._module.base_model(**arguments)[0]
        states = states[rows, columns]
        if self.is_whole:
            return _cross_entropy(states, targets, smoothing)
        if torch.is_grad_enabled() and has_gradient(
            self._output, product_dtype(states)
        ):
            return linear_cross_entropy(self._output, states, targets, smoothing)
        n_rows = max(self._most // len(self._output.weight), 1)
        if len(targets) <= n_rows or not torch.is_grad_enabled():
            parts = [
                self._part(states[start : start + n_rows], targets, start, smoothing)
                for start in range(0, len(targets), n_rows)
            ]
        else:
            parts = [
                torch.utils.checkpoint.checkpoint(
                    self._part,
                    states[start : start + n_rows],
                    targets,
                    start,
                    smoothing,
                    use_reentrant=False,
                )
                for start in range(0, len(targets), n_rows)
            ]
        return sum(parts[1:], parts[0])

    def _part(self, states: Any, targets: Any, start: int, smoothing: float) -> Any:
        logits = _linear_logits(self._output, states)
        return _cross_entropy(logits, targets[start : start + len(states)], smoothing)

    def _tensors(self, batch: Sequence[Chunk]):
        """Return the ids of a batch, and which outputs predict which tokens."""
        longest = max(len(chunk.ids) for chunk in batch)
        ids = np.zeros((len(batch), longest), dtype=np.int64)
        for row, chunk in zip(ids, batch, strict=True):
            row[: len(chunk.ids)] = chunk.ids
            # Padding stands at the end, where no token that counts sees it.
            row[len(chunk.ids) :] = chunk.ids[-1]
        counts = [len(chunk.positions) for chunk in batch]
        rows = np.repeat(np.arange(len(batch)), counts)
        columns = np.concatenate([chunk.positions for chunk in batch])
        targets = np.concatenate([chunk.targets for chunk in batch])
        return map(self._to_device, (ids, rows, columns, targets))

    def _to_device(self, array: np.ndarray) -> Any:
        return import_torch().from_numpy(array).to(self._device)


def _cross_entropy(logits: Any, targets: Any, smoothing: float) -> Any:
    torch = import_torch()
    if logits.dtype not in (torch.float32, torch.float64):
        logits = logits.float()
    return torch.nn.functional.cross_entropy(
        logits, targets, reduction="sum", label_smoothing=smoothing
    )
