"""Predict how well a language model will do where it was never tried."""

import lazy_loader

from proxylm._version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
