"""Hidden states in float32 around products in fewer bits.

What a layer adds to the states of a transformer is small beside what is there, and
rounding the sum again and again is most of the error of bfloat16. Here linear layers
and embeddings keep their weights as they are, and everything between them is float32.
"""

from typing import Any

from ._torch import import_torch, import_transformers

NARROW = ("bfloat16", "float16")
# Models with more of their weights in other layers than this part are left alone:
# theirs would take twice the memory.
MOST_OTHERS = 0.05


def keeps_wide_states(dtype: str, device: str) -> bool:
    """Tell whether hidden states are wider than a model's products on a device.

    A GPU has fast attention for few bits alone.
    """
    return dtype in NARROW and import_torch().device(device).type == "cpu"


def widen_states(module: Any) -> bool:
    """Let a model compute in float32 but for the products with its weights.

    Parameters
    ----------
    module : torch.nn.Module
        A model of transformers, its weights in bfloat16 or float16. It can be run
        afterwards, not saved.

    Returns
    -------
    is_wide : bool
        Whether it was done. Models that multiply with weights other than by their
        linear layers, such as Mamba, are left as they were.
    """
    torch = import_torch()
    conv1d = import_transformers().pytorch_utils.Conv1D  # a linear layer, in GPT-2
    parts = list(module.modules())
    products = [
        x
        for x in parts
        if isinstance(x, (torch.nn.Linear, conv1d)) or hasattr(x, "packed")
    ]
    embeddings = [x for x in parts if isinstance(x, torch.nn.Embedding)]
    kept = {id(p) for x in products + embeddings for p in x.parameters(recurse=False)}
    others = [p for p in module.parameters() if id(p) not in kept]
    n_kept = sum(x.weight.numel() for x in products + embeddings)
    if sum(p.numel() for p in others) > MOST_OTHERS * n_kept:
        return False
    dtypes = [p.dtype for p in others]
    for parameter in others:
        if parameter.is_floating_point():
            parameter.data = parameter.data.float()
    hooks = [x.register_forward_pre_hook(_narrow_input) for x in products]
    hooks += [x.register_forward_hook(_widen_output) for x in products + embeddings]
    if _runs(module):
        return True
    for hook in hooks:
        hook.remove()
    for parameter, dtype in zip(others, dtypes, strict=True):
        parameter.data = parameter.data.to(dtype)
    return False


def _runs(module: Any) -> bool:
    """Tell whether a model reads a few tokens without an error."""
    torch = import_torch()
    ids = torch.arange(5)[None] % module.config.get_text_config().vocab_size
    arguments = {"input_ids": ids}
    if module.config.is_encoder_decoder:
        arguments["decoder_input_ids"] = ids
    try:
        with torch.inference_mode():
            module(**arguments)
    except (RuntimeError, TypeError, ValueError):
        return False
    return True


def _narrow_input(layer: Any, inputs: tuple) -> tuple:
    return (*(x.to(layer.weight.dtype) for x in inputs[:1]), *inputs[1:])


def _widen_output(layer: Any, inputs: tuple, output: Any) -> Any:
    return output.float()
