"""Encoder-decoders: each source of a batch is encoded once, whatever is asked of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._output_layer import PROBE_LENGTH, LinearOutput, is_near
from ._torch import import_torch, import_transformers


def pad_sources(
    sources: Sequence[np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each source once.

    Parameters
    ----------
    sources : sequence of ndarray
        Tokens that an encoder reads.

    Returns
    -------
    ids, mask : ndarray of shape (n_different, longest)
        The different sources, padded at their end, and which tokens are no padding.
    rows : ndarray of shape (n_sources,)
        Row of each source.
    """
    numbers: dict[bytes, int] = {}
    rows = np.array([numbers.setdefault(s.tobytes(), len(numbers)) for s in sources])
    different = [np.frombuffer(data, dtype=np.int64) for data in numbers]
    lengths = np.array([len(source) for source in different])
    mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
    ids = np.stack([np.pad(s, (0, lengths.max() - len(s))) for s in different])
    return ids, mask, rows


def decode_states(module: Any, sources: Any, mask: Any, rows: Any, ids: Any) -> Any:
    """Return the hidden states of a decoder that reads `ids`.

    Parameters
    ----------
    module : PreTrainedModel
    sources, mask : tensor of shape (n_different, n_source_tokens)
    rows : tensor of shape (n_texts,)
        Source of each text.
    ids : tensor of shape (n_texts, n_tokens)
        Padded at the end.
    """
    encoded = module.get_encoder()(input_ids=sources, attention_mask=mask)
    decoded = module.get_decoder()(
        input_ids=ids,
        encoder_hidden_states=encoded.last_hidden_state[rows],
        encoder_attention_mask=mask[rows],
        use_cache=False,
    )
    return decoded.last_hidden_state


def decode_logits(module: Any, sources: Any, mask: Any, rows: Any, ids: Any) -> Any:
    """Return a model's own logits, as `decode_states` does its hidden states."""
    encoded = module.get_encoder()(input_ids=sources, attention_mask=mask)
    outputs = import_transformers().modeling_outputs
    states = outputs.BaseModelOutput(last_hidden_state=encoded.last_hidden_state[rows])
    return module(
        encoder_outputs=states,
        attention_mask=mask[rows],
        decoder_input_ids=ids,
        use_cache=False,
    ).logits


def find_pair_output(module: Any) -> LinearOutput | None:
    """Return the output layer of an encoder-decoder if it can be applied apart.

    Of the ways to scale its input (T5 has one where the layer is that of the input),
    that which gives the model's own logits on a few tokens is taken; None if none does.
    """
    torch = import_torch()
    layer = module.get_output_embeddings()
    if not isinstance(layer, torch.nn.Linear):
        return None
    bias = getattr(module, "final_logits_bias", None)
    bias = layer.bias if bias is None else bias[0]
    device = layer.weight.device
    ids = torch.arange(2 * PROBE_LENGTH, device=device) * 7 % len(layer.weight)
    probe = (
        ids[None, :PROBE_LENGTH],
        torch.ones_like(ids[None, :PROBE_LENGTH]),
        torch.zeros(1, dtype=torch.int64, device=device),
        ids[None, PROBE_LENGTH:],
    )
    with torch.inference_mode():
        hidden = decode_states(module, *probe)[0]
        expected = decode_logits(module, *probe)[0]
        if hidden.shape[1] != layer.weight.shape[1]:
            return None
        for scale in (1.0, hidden.shape[1] ** -0.5):
            output = LinearOutput(layer.weight, bias, scale)
            ((_, found),) = output.blocks(output.prepare(hidden), len(layer.weight))
            if is_near(found, expected, module):
                return output
    return None
