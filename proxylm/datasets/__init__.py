"""Record tables: those of the ProxyLM paper, and those of experiments like it."""

from ._experiments import read_experiments
from ._fetch import fetch_intent, fetch_mt560, fetch_nusa, fetch_slot, list_datasets
from ._published import load_published

__all__ = [
    "fetch_intent",
    "fetch_mt560",
    "fetch_nusa",
    "fetch_slot",
    "list_datasets",
    "load_published",
    "read_experiments",
]
