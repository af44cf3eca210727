"""Fixtures that several test files share."""

import matplotlib
import pytest
from hypothesis import settings

from proxylm import list_datasets

matplotlib.use("Agg")
# Machines are shared and slow at times; a deadline would only measure that.
settings.register_profile("proxylm", deadline=None, max_examples=60)
settings.load_profile("proxylm")


def pytest_collection_modifyitems(items):
    """Skip what needs the record tables where they are not at hand."""
    if not any("records" in item.keywords for item in items):
        return
    missing = [row.name for row in list_datasets().itertuples() if not row.cached]
    if not missing:
        return
    skip = pytest.mark.skip(
        reason="the record tables are not at hand: set PROXYLM_DATA to their folder "
        "or fetch them once with a network"
    )
    for item in items:
        if "records" in item.keywords:
            item.add_marker(skip)
