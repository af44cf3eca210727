"""torch and transformers, imported when they are needed."""

from typing import Any

import numpy as np

from proxylm._optional import import_optional


def import_torch() -> Any:
    """Return torch, or say how to install it."""
    return import_optional("torch", extra="lm")


def import_transformers() -> Any:
    """Return transformers, or say how to install it."""
    return import_optional("transformers", extra="lm")


def as_array(tensor: Any) -> np.ndarray:
    """Return a tensor as an array on the CPU."""
    return tensor.detach().cpu().numpy()
