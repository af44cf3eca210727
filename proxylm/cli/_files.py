"""YAML and JSON files: the one place of the package that reads or writes them."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from proxylm._files import write_whole


class _Loader(yaml.SafeLoader):
    """The safe loader without two traps: repeated keys, and 1e-3 read as text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = []
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key.value!r} stands twice",
                    problem_mark=key.start_mark,
                )
            seen.append(key.value)
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"),
    list("-+0123456789"),
)


def _one_line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return " ".join(str(error).split())
    return f"{error.problem} in line {mark.line + 1}, column {mark.column + 1}"


def parse_yaml(text: str, where: str) -> Any:
    """Return the value of a YAML text."""
    try:
        return yaml.load(text, Loader=_Loader)  # a subclass of the safe loader
    except yaml.YAMLError as error:
        raise ValueError(f"{where} is no valid YAML: {_one_line(error)}.") from error


def read_text(path: Path) -> str:
    """Return the text of a file; what keeps it from being read is one line."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is expected to be a text in UTF-8. Got the byte "
            f"0x{error.object[error.start]:02x} at position {error.start}."
        ) from error
    except OSError as error:
        raise OSError(
            error.errno, f"Could not read {path}: {error.strerror}."
        ) from error


def read_yaml(path: Path) -> Any:
    """Return the value of a YAML file."""
    return parse_yaml(read_text(path), str(path))


def read_json(path: Path) -> Any:
    """Return the value of a JSON file."""
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path} is no valid JSON: {error.msg} in line {error.lineno}, column "
            f"{error.colno}."
        ) from error


def write_yaml(path: Path, values: Mapping[str, Any], comment: str) -> None:
    """Write a mapping as a YAML file under a comment, whole or not at all."""
    text = yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True)
    with write_whole(path) as temporary:
        temporary.write_text(f"# {comment}\n{text}", encoding="utf-8")


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a mapping as a JSON file, whole or not at all."""
    with write_whole(path) as temporary:
        temporary.write_text(
            json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
