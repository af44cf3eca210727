"""Record tables: our own, those of the ProxyLM paper, and those of experiments."""

from ._experiments import read_experiments
from ._fetch import fetch_intent, fetch_mt560, fetch_nusa, fetch_slot, list_datasets
from ._published import load_published
from ._udhr import load_udhr_records

__all__ = [
    "fetch_intent",
    "fetch_mt560",
    "fetch_nusa",
    "fetch_slot",
    "list_datasets",
    "load_published",
    "load_udhr_records",
    "read_experiments",
]
