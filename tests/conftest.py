"""Fixtures that several test files share."""

import matplotlib
import pytest
from hypothesis import settings

from proxylm import list_datasets

matplotlib.use("Agg")
# Machines are shared and slow at times; a deadline would only measure that.
settings.register_profile("proxylm", deadline=None, max_examples=60)
settings.load_profile("proxylm")


def needs_records(item):
    """Tell whether a test reads the published record tables, by its mark or example."""
    example = getattr(item, "dtest", None)
    if example is not None:
        return any("fetch_" in part.source for part in example.examples)
    return item.get_closest_marker("records") is not None


def pytest_collection_modifyitems(items):
    """Skip what needs the record tables where they are not at hand."""
    if not any(map(needs_records, items)):
        return
    missing = [row.name for row in list_datasets().itertuples() if not row.cached]
    if not missing:
        return
    skip = pytest.mark.skip(
        reason="the record tables are not at hand: set PROXYLM_DATA to their folder "
        "or fetch them once with a network"
    )
    for item in items:
        if needs_records(item):
            item.add_marker(skip)
