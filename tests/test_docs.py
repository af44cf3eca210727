import doctest
import importlib
from pathlib import Path

import pytest

import proxylm

DOCS = Path(__file__).parent.parent / "docs"
GENERATED = {"_build", "api", "gallery"}
PAGES = [
    page
    for page in sorted(DOCS.rglob("*.rst"))
    if page.relative_to(DOCS).parts[0] not in GENERATED
    and ">>> " in page.read_text("utf-8")
]
ROOMS = ["datasets", "inspection", "languages", "model_selection", "records"]


@pytest.mark.records
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_on_page_gives_the_output_that_it_shows(page):
    if not proxylm.list_datasets()["cached"].all():
        pytest.skip("needs the record tables: set PROXYLM_DATA to their folder")
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    failed, tried = doctest.testfile(
        str(page), module_relative=False, optionflags=flags
    )
    assert tried
    assert not failed


@pytest.mark.parametrize("room", ["", *ROOMS, "regression"])
def test_api_page_lists_everything_public(room):
    module = importlib.import_module(f"proxylm.{room}".rstrip("."))
    listed = (DOCS / "api.rst").read_text("utf-8").split()
    missing = set(module.__all__) - {"__version__"} - set(listed)
    assert not missing


def test_every_example_has_a_title_and_cells():
    examples = sorted((DOCS.parent / "examples").glob("plot_*.py"))
    assert examples
    for example in examples:
        text = example.read_text("utf-8")
        title, rule = text.removeprefix('"""\n').splitlines()[:2]
        assert rule == "=" * len(title), example.name
        assert text.count("# %%") >= 2, example.name
        assert "plt.show()" in text, example.name
