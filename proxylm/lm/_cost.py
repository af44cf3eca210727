"""How many floating-point operations a transformer needs."""

import copy
import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from proxylm._nearest import nearest

from ._layer_sizes import attention_widths, count_parameters, linear_layers
from ._loading import LanguageModel, _first_line, _kind_of
from ._torch import import_torch, import_transformers

AUTO_CLASSES = {
    "causal": "AutoModelForCausalLM",
    "masked": "AutoModelForMaskedLM",
    "seq2seq": "AutoModelForSeq2SeqLM",
}


def _as_module(model: Any) -> Any:
    """Return a model; one that is built of a configuration has no weights."""
    torch, transformers = import_torch(), import_transformers()
    if isinstance(model, torch.nn.Module):
        return model
    if isinstance(model, str | os.PathLike):
        model = LanguageModel(model).config
    if not isinstance(model, transformers.PretrainedConfig):
        raise TypeError(
            "model expects a model or a configuration of transformers, a folder or a "
            f"name in a hub. Got {model!r:.80} of type {type(model).__name__}."
        )
    kind = _kind_of(model, None)
    auto = getattr(transformers, AUTO_CLASSES[kind])
    try:
        with torch.device("meta"):
            return auto.from_config(copy.deepcopy(model))
    except ValueError as error:
        raise ValueError(
            f"The configuration of a {model.model_type!r} is none of a {kind} model "
            f"that transformers can build ({_first_line(error):.80}). Pass the model."
        ) from error


def _check_counts(name: str, given: Any) -> np.ndarray:
    """Return numbers of tokens as an array."""
    counts = np.atleast_1d(np.asarray(given))
    is_whole = counts.ndim == 1 and np.issubdtype(counts.dtype, np.integer)
    if not is_whole or (counts < 1).any():
        raise ValueError(
            f"{name} expects a whole number of at least 1, or a list of them. Got "
            f"{given!r:.80}."
        )
    return counts.astype(np.int64)


def _tokens(
    source: np.ndarray, target: np.ndarray, outputs: np.ndarray
) -> dict[str, int]:
    """Return how many tokens are read, by what layers read."""
    n_source = int(source.sum())
    return {
        "encoder": n_source,
        "cross": n_source,
        "decoder": int(target.sum()),
        "output": int(outputs.sum()),
    }


def _sum_of_keys(first: np.ndarray, n: np.ndarray, window: int | None) -> np.ndarray:
    """Sum the keys that n tokens meet, one after another, the first of them `first`."""
    if window is None:
        return n * first + n * (n - 1) // 2
    n_below = np.clip(window - first, 0, n)
    return _sum_of_keys(first, n_below, None) + (n - n_below) * window


class ComputeCost:
    """Floating-point operations that a transformer needs to read, learn and write.

    Parameters
    ----------
    model : module, config, str or path-like
        A model of transformers, its configuration, a folder or a name in a hub. Of the
        last three only the configuration is read, and no weights are made.

    Attributes
    ----------
    n_parameters : int
        Number of parameters; weights that several layers share count once.

    Raises
    ------
    ValueError
        If the model has weights for which there is no formula, such as those of Mamba.

    See Also
    --------
    CostAccuracyDisplay : The error of predictions against the cost of their proxies.

    Notes
    -----
    A multiplication and an addition are two operations. A linear layer with :math:`p`
    inputs and :math:`q` outputs needs :math:`2pq` for each token that it reads; this is
    the :math:`2N` per token of [1]_, layer by layer. The layers of an encoder, and the
    keys and values of cross-attention, read the source; the layers of a decoder read
    the target or the text; the output layer reads the positions that it predicts. Of
    experts, those count that read a token.

    Attention needs :math:`2n_qn_k(w_s + w_v)` in a layer with :math:`n_q` queries,
    :math:`n_k` keys, and heads times head size :math:`w_s` of the queries and
    :math:`w_v` of the values, which mostly are the same: :math:`4n_qn_kw`. **All pairs
    of a query and a key count**, those too that a causal mask or a window hides, as
    profilers count them; only while a text is written, keys beyond a window are gone.

    A backward pass needs twice the forward pass [2]_, less below adapters [3]_; the
    method `training` has the formulas.

    Everything else counts nothing: embeddings, norms, activations, softmax, positions,
    the optimizer, and padding, unless the lengths that are given include it.

    References
    ----------
    .. [1] Kaplan et al. (2020). "Scaling laws for neural language models".
       arXiv:2001.08361.
    .. [2] Hoffmann et al. (2022). "Training compute-optimal large language models".
       arXiv:2203.15556.
    .. [3] Hu et al. (2021). "LoRA: low-rank adaptation of large language models".
       arXiv:2106.09685.

    Examples
    --------
    >>> from transformers import GPT2Config
    >>> from proxylm.lm import ComputeCost
    >>> cost = ComputeCost(GPT2Config())
    >>> cost
    ComputeCost(124,439,808 parameters)
    >>> f"{cost.forward([1024, 512]):.2e} {cost.training([1024, 512]):.2e}"
    '4.28e+11 1.28e+12'
    """

    def __init__(self, model: Any) -> None:
        module = _as_module(model)
        if hasattr(module, "peft_config"):
            raise ValueError(
                "model expects a model without adapters. Got one with them. Pass the "
                "model below, and lora_rank to training."
            )
        self._layers = tuple(linear_layers(module))
        self._widths = attention_widths(module)
        self._has_encoder = bool(self._widths["encoder", None])
        self.n_parameters = count_parameters(module)

    def __repr__(self):
        return f"ComputeCost({self.n_parameters:,} parameters)"

    def forward(
        self,
        lengths: ArrayLike,
        target_lengths: ArrayLike | None = None,
        *,
        n_outputs: ArrayLike | None = None,
    ) -> int:
        """Count the operations of reading texts once.

        Parameters
        ----------
        lengths : int or array-like of shape (n_texts,)
            Tokens of each text, or of each source of an encoder-decoder.
        target_lengths : int or array-like of shape (n_texts,), default=None
            Tokens of each target, for encoder-decoders.
        n_outputs : int or array-like of shape (n_texts,), default=None
            Positions of each text that are predicted. None is all.

        Returns
        -------
        n_operations : int
        """
        source, target = self._lengths(lengths, target_lengths)
        outputs = target if n_outputs is None else _check_counts("n_outputs", n_outputs)
        source, target, outputs = np.broadcast_arrays(source, target, outputs)
        tokens = _tokens(source, target, outputs)
        return self._linear(tokens) + self._attention(source, target)

    def training(
        self,
        lengths: ArrayLike,
        target_lengths: ArrayLike | None = None,
        *,
        lora_rank: int | None = None,
        lora_layers: str | Sequence[str] = "all-linear",
        gradient_checkpointing: bool = False,
    ) -> int:
        """Count the operations of learning from texts once.

        Parameters
        ----------
        lengths : int or array-like of shape (n_texts,)
            Tokens of each text, or of each source of an encoder-decoder.
        target_lengths : int or array-like of shape (n_texts,), default=None
            Tokens of each target, for encoder-decoders.
        lora_rank : int, default=None
            Rank of low-rank adapters, which are all that is trained. None trains all
            weights.
        lora_layers : "all-linear" or sequence of str, default="all-linear"
            Names of the layers that have an adapter, as in peft. `"all-linear"` is all
            but the output layer.
        gradient_checkpointing : bool, default=False
            Whether activations are computed again for the backward pass.

        Returns
        -------
        n_operations : int

        Notes
        -----
        The backward pass needs twice the forward pass: the gradients of the inputs and
        of the weights of a linear layer, and those of the two sides of the
        products of attention. Below adapters, linear layers need the gradients of
        their inputs only, once their forward pass; attention and the adapters, of
        :math:`2r(p + q)` operations for each token in the forward pass, still twice.
        Gradient checkpointing adds a forward pass without the output layer.

        Not counted are the scores of attention that fused kernels compute a second time
        for the gradients, that projections before the first adapter need none, and that
        torch leaves out the end of what it computes again (`use_reentrant=False`).
        """
        source, target = self._lengths(lengths, target_lengths)
        tokens = _tokens(source, target, target)
        linear, attention = self._linear(tokens), self._attention(source, target)
        if lora_rank is None:
            total, adapters = 3 * linear, 0
        else:
            adapters = self._linear(tokens, self._adapters(lora_rank, lora_layers))
            total = 2 * linear + 3 * adapters
        total += 3 * attention
        if gradient_checkpointing:
            total += self._linear(tokens | {"output": 0}) + attention + adapters
        return total

    def generation(
        self, lengths: ArrayLike, n_tokens: ArrayLike, *, num_beams: int = 1
    ) -> int:
        """Count the operations of writing texts, with a cache of keys and values.

        Parameters
        ----------
        lengths : int or array-like of shape (n_texts,)
            Tokens of each prompt, or of each source of an encoder-decoder.
        n_tokens : int or array-like of shape (n_texts,)
            Tokens that are written for each, the last one included.
        num_beams : int, default=1
            Beams of a search. An encoder reads each source once; prompts, and the keys
            and values of sources, are computed for each beam, as transformers does.

        Returns
        -------
        n_operations : int
        """
        _check_counts("num_beams", num_beams)
        source, written = np.broadcast_arrays(
            _check_counts("lengths", lengths), _check_counts("n_tokens", n_tokens)
        )
        # A decoder with an encoder begins with a single token.
        prompt = np.ones_like(source) if self._has_encoder else source
        target = prompt + written - 1
        tokens = _tokens(source, target, written)
        beams = {reads: num_beams * n for reads, n in tokens.items()}
        total = self._linear(beams | {"encoder": tokens["encoder"]})
        total += 2 * self._widths["encoder", None] * int((source**2).sum())
        pairs = (target * source).sum()
        total += 2 * self._widths["cross", None] * int(pairs) * num_beams
        for (stream, window), width in self._widths.items():
            if stream == "decoder":
                pairs = prompt**2 + _sum_of_keys(prompt + 1, written - 1, window)
                total += 2 * width * int(pairs.sum()) * num_beams
        return total

    def _lengths(self, lengths, target_lengths):
        """Return the lengths of sources and of what a decoder reads."""
        lengths = _check_counts("lengths", lengths)
        if self._has_encoder != (target_lengths is not None):
            expected = "the lengths of targets" if self._has_encoder else "None"
            kind = "an encoder-decoder" if self._has_encoder else "a model of texts"
            raise ValueError(
                f"target_lengths expects {expected} for {kind}. Got {target_lengths!r}."
            )
        if target_lengths is None:
            return lengths, lengths
        targets = _check_counts("target_lengths", target_lengths)
        return np.broadcast_arrays(lengths, targets)

    def _linear(self, tokens, layers=None):
        """Count the operations of linear layers that read so many tokens."""
        weights = Counter()
        for layer in self._layers if layers is None else layers:
            weights[layer.reads] += layer.n_inputs * layer.n_outputs * layer.times
        return int(sum(2 * n * tokens[reads] for reads, n in weights.items()))

    def _attention(self, source, target):
        """Count the operations of attention among and between texts."""
        pairs = {
            "encoder": int((source**2).sum()),
            "cross": int((source * target).sum()),
            "decoder": int((target**2).sum()),
        }
        widths = self._widths.items()
        return sum(2 * width * pairs[stream] for (stream, _), width in widths)

    def _adapters(self, rank, names):
        """Return adapters of a rank as layers, two in one."""
        _check_counts("lora_rank", rank)
        layers = [layer for layer in self._layers if layer.takes_adapter]
        if not isinstance(names, str) or names != "all-linear":
            names = [names] if isinstance(names, str) else list(names)
            known = sorted({layer.name.split(".")[-1] for layer in layers})
            for name in names:
                if not any(f".{layer.name}".endswith(f".{name}") for layer in layers):
                    raise ValueError(
                        f"lora_layers expects 'all-linear' or names among {known}. Got "
                        f"{name!r}.{nearest(str(name), known)}"
                    )
            ends = tuple(f".{name}" for name in names)
            layers = [layer for layer in layers if f".{layer.name}".endswith(ends)]
        return [
            layer._replace(n_inputs=rank, n_outputs=layer.n_inputs + layer.n_outputs)
            for layer in layers
        ]
