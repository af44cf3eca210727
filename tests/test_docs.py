import doctest
import importlib
import inspect
import re
import shlex
import typing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import proxylm
from proxylm.cli._parser import build_parser

DOCS = Path(__file__).parent.parent / "docs"
README = (DOCS.parent / "README.md").read_text("utf-8")
GENERATED = {"_build", "api", "gallery"}
PAGES = [
    page
    for page in sorted(DOCS.rglob("*.rst"))
    if page.relative_to(DOCS).parts[0] not in GENERATED
    and ">>> " in page.read_text("utf-8")
]
ROOMS = [
    *["datasets", "inspection", "languages", "metrics", "model_selection", "records"],
    "text",
    "lm",
    "predictors",
]


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
    missing = set(module.__all__) - {"__version__", *ROOMS, "regression"} - set(listed)
    assert not missing


def untyped(function):
    """Name the parameters of a function that have no type, and its return."""
    signature = inspect.signature(function)
    names = [
        name
        for name, parameter in signature.parameters.items()
        if parameter.annotation is inspect.Parameter.empty and name != "self"
    ]
    constructs = function.__name__ == "__init__"
    if not constructs and signature.return_annotation is signature.empty:
        names.append("return")
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_the_public_surface_is_typed(room):
    module = importlib.import_module(f"proxylm.{room}")
    for name in module.__all__:
        public = getattr(module, name)
        functions = [public] if inspect.isfunction(public) else []
        if inspect.isclass(public):
            functions = [
                getattr(member, "__func__", member)
                for key, member in vars(public).items()
                if key == "__init__" or not key.startswith("_")
            ]
        for function in filter(inspect.isfunction, functions):
            overloaded = typing.get_overloads(function)
            missing = [untyped(written) for written in overloaded or [function]]
            # The first parameter of a class method is the class.
            assert not any(set(names) - {"cls"} for names in missing), (name, missing)


@pytest.mark.slow
def test_the_ten_lines_of_the_readme_run(capsys):
    code = re.findall(r"```python\n(.*?)```", README, re.S)[0]
    quick = code.replace("n_splits=10", "n_splits=2")
    assert quick != code
    exec(quick.replace("n_jobs=-1", "n_jobs=1"), {})
    assert "baseline: best proxy" in capsys.readouterr().out


def test_the_readme_predicts_new_languages_of_an_own_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    codes = np.repeat(["ind", "jav", "sun", "min", "tam", "tel"], 6)
    table = pd.DataFrame({"source_lang": codes, "target_lang": "eng"})
    table["size"] = np.arange(36.0)
    table["small_bleu"] = np.random.default_rng(0).uniform(0, 30, 36)
    table.assign(big_bleu=table["small_bleu"] + 5).to_csv("experiments.csv")
    columns = ["small_bleu", "size", "target_lang", "source_lang"]
    table[columns].assign(source_lang="yor")[:4].to_csv("new_languages.csv")
    code = re.findall(r"```python\n(.*?)```", README, re.S)[1]
    scope = {}
    exec(code, scope)
    predicted = scope["regressor"].predict(scope["new"].data)
    assert predicted == pytest.approx(table["small_bleu"][:4] + 5, abs=5)


def test_the_commands_of_the_readme_are_known():
    block = re.findall(r"```bash\n(.*?)```", README, re.S)[-1]
    commands = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert {command[0] for command in commands} == {"proxylm", "proxylm-cli"}
    for _, *arguments in commands:
        build_parser().parse_args(arguments)
        for name in arguments:
            assert not name.startswith("examples/") or (DOCS.parent / name).is_file()


def test_every_example_has_a_title_and_cells():
    examples = sorted((DOCS.parent / "examples").glob("plot_*.py"))
    assert examples
    for example in examples:
        text = example.read_text("utf-8")
        title, rule = text.removeprefix('"""\n').splitlines()[:2]
        assert rule == "=" * len(title), example.name
        assert text.count("# %%") >= 2, example.name
        assert "plt.show()" in text, example.name
