"""The house rules that a reader of imports can hold."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import proxylm

PACKAGE = Path(proxylm.__file__).parent
# A room imports from the floors before its own and from itself.
FLOORS = [
    {"_files", "_mixed_output", "_nearest", "_optional", "_unicode", "_version"},
    {"_remote", "_sentencepiece", "_words"},
    {"languages"},
    {"records", "metrics", "splitters"},
    {"regression", "lm", "text", "datasets"},
    {"planning", "predictors", "inspection", "model_selection"},
    {"proxylm"},  # the public names
    {"cli"},
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
SOLE_IMPORTERS = {
    "torch": {"lm"},
    "transformers": {"lm"},
    "huggingface_hub": {"lm"},
    "urllib": {"_remote", "lm"},
    "requests": {"_remote", "lm"},
    "http": {"_remote", "lm"},
    "socket": {"_remote", "lm"},
    "yaml": {"cli"},
}
CLI_ONLY = {"print", "exit", "quit", "SystemExit"}
IMPORT_ERRORS = {"ImportError", "ModuleNotFoundError"}
HEAVY = "torch transformers yaml matplotlib xgboost lightgbm optuna dask".split()


def room_of(module):
    """Name the room of a dotted module name."""
    _, *rooms = module.split(".")
    if rooms[:1] == ["model_selection"] and rooms[-1].endswith(("split", "_groups")):
        return "splitters"
    return rooms[0] if rooms else "proxylm"


def imported_modules(node, package, root):
    """List what a statement or a call imports, as dotted names."""
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom(module=base, level=level):
            if level:
                above = package.split(".")[: package.count(".") + 2 - level]
                base = ".".join([*above, *([base] if base else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
            paths = [root.joinpath(*name.split(".")) for name in names]
            return [
                name if path.is_dir() or path.with_suffix(".py").is_file() else base
                for name, path in zip(names, paths, strict=True)
            ]
        case ast.Call(args=[ast.Constant(value=str(name)), *_]):
            if called_name(node) in {"import_optional", "import_module", "__import__"}:
                return [name]
    return []


def called_name(node):
    """Name what a call calls: `f` of `f()` and of `module.f()`."""
    return getattr(node.func, "id", getattr(node.func, "attr", None))


def caught_names(node):
    """Name the exceptions that a handler or `suppress(...)` catches."""
    match node:
        case ast.ExceptHandler(type=ast.expr() as caught):
            expressions = [caught]
        case ast.Call(args=expressions) if called_name(node) == "suppress":
            pass
        case _:
            expressions = []
    return {
        getattr(part, "id", None)
        for expression in expressions
        for part in ast.walk(expression)
    }


def broken_rules(node, room, modules):
    """Say which rules a node of a room breaks that imports the modules."""
    for module in modules:
        package, other = module.split(".")[0], room_of(module)
        if room not in SOLE_IMPORTERS.get(package, {room}):
            yield f"{room} imports {package}"
        is_ours = package == "proxylm" and other != room
        if is_ours and FLOOR_OF.get(other, len(FLOORS)) >= FLOOR_OF[room]:
            yield f"{room} imports {other}"
    if isinstance(node, ast.Call) and called_name(node) in CLI_ONLY and room != "cli":
        yield f"{room} calls {called_name(node)}"
    if caught_names(node) & IMPORT_ERRORS and room != "_optional":
        yield f"{room} catches ImportError"


def violations(package):
    """List each broken rule as `file:line: what`."""
    found = []
    for path in sorted(package.rglob("*.py")):
        where = path.relative_to(package.parent)
        parent = ".".join(where.parts[:-1])
        room = room_of(parent if path.stem == "__init__" else f"{parent}.{path.stem}")
        if room not in FLOOR_OF:
            found.append(f"{where.as_posix()}: {room} has no floor")
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = imported_modules(node, parent, package.parent)
            for rule in broken_rules(node, room, modules):
                found.append(f"{where.as_posix()}:{node.lineno}: {rule}")
    return found


def test_imports_point_down_and_rooms_keep_to_themselves():
    assert violations(PACKAGE) == []


@pytest.mark.parametrize(
    "file, source, broken",
    [
        ("languages/_codes.py", "import proxylm.records", "languages imports records"),
        ("languages/_codes.py", "from proxylm import records", "imports records"),
        ("languages/_codes.py", "from ..records import x", "imports records"),
        ("languages/_codes.py", "from .. import records", "imports records"),
        ("languages/_codes.py", "from proxylm import x", "languages imports proxylm"),
        (
            "datasets/_fetch.py",
            "from proxylm.regression import x",
            "imports regression",
        ),
        (
            "regression/_a.py",
            "def f():\n    import proxylm.model_selection._evaluate",
            "regression imports model_selection",
        ),
        (
            "model_selection/_split.py",
            "from ._evaluate import evaluate",
            "splitters imports model_selection",
        ),
        ("_remote.py", "from .languages import x", "_remote imports languages"),
        ("_files.py", "from proxylm._remote import x", "_files imports _remote"),
        ("inspection/_a.py", "from proxylm.cli import main", "inspection imports cli"),
        ("__init__.py", "from .cli import main", "proxylm imports cli"),
        ("records/_a.py", "import proxylm.attic", "records imports attic"),
        ("utils/_a.py", "", "utils has no floor"),
        ("regression/_a.py", "import torch.nn", "regression imports torch"),
        (
            "regression/_a.py",
            "torch = import_optional('torch', extra='lm')",
            "regression imports torch",
        ),
        ("regression/_a.py", "importlib.import_module('yaml')", "imports yaml"),
        ("cli/_a.py", "from transformers import x", "cli imports transformers"),
        ("datasets/_a.py", "import urllib.request", "datasets imports urllib"),
        ("datasets/_a.py", "from http import client", "datasets imports http"),
        ("datasets/_a.py", "import socket", "datasets imports socket"),
        ("datasets/_a.py", "import requests", "datasets imports requests"),
        ("records/_a.py", "import yaml", "records imports yaml"),
        ("records/_a.py", "print('hello')", "records calls print"),
        ("records/_a.py", "sys.exit(1)", "records calls exit"),
        ("records/_a.py", "raise SystemExit(1)", "records calls SystemExit"),
        (
            "records/_a.py",
            "try:\n    f()\nexcept ImportError:\n    g()",
            "records catches ImportError",
        ),
        (
            "cli/_a.py",
            "try:\n    f()\nexcept (OSError, ModuleNotFoundError):\n    g()",
            "cli catches ImportError",
        ),
        (
            "_files.py",
            "with contextlib.suppress(ImportError):\n    f()",
            "_files catches ImportError",
        ),
    ],
)
def test_a_broken_rule_is_found(tmp_path, file, source, broken):
    package = tmp_path / "proxylm"
    for room in ("records", "languages", "cli", "datasets"):
        (package / room).mkdir(parents=True)
    (package / file).parent.mkdir(exist_ok=True)
    (package / file).write_text(source)
    (found,) = violations(package)
    assert found.startswith(f"proxylm/{file}:")
    assert found.endswith(broken)


@pytest.mark.parametrize(
    "file, source",
    [
        ("cli/_a.py", "import yaml, proxylm\nprint(1)\nsys.exit(0)"),
        ("lm/_a.py", "import torch\nimport urllib.request"),
        ("_remote.py", "import http.client\nfrom ._files import write_whole"),
        ("_optional.py", "try:\n    f()\nexcept ImportError as error:\n    raise X"),
        ("regression/_a.py", "from proxylm.model_selection._split import x"),
        ("regression/_a.py", "from . import _b\nfrom ._b import x\nimport numpy"),
        ("model_selection/_evaluate.py", "from ._split import x"),
        ("model_selection/_split.py", "from ._groups import x"),
        ("records/_a.py", "raise ImportError\nlogger.print_everything()"),
    ],
)
def test_kept_rules_are_not_reported(tmp_path, file, source):
    path = tmp_path / "proxylm" / file
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert violations(tmp_path / "proxylm") == []


@pytest.mark.parametrize(
    "statement",
    ["import proxylm", "import proxylm\nfor n in proxylm.__all__: getattr(proxylm, n)"],
    ids=["bare", "every public name"],
)
def test_importing_loads_nothing_heavy(statement):
    code = f"import sys\n{statement}\nprint(*sorted({set(HEAVY)} & set(sys.modules)))"
    paths = [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []


def test_rooms_need_no_import_of_their_own():
    code = "import proxylm\nprint(proxylm.records.concat.__name__)"
    paths = [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
    )
    assert result.stdout == "concat\n", result.stderr
