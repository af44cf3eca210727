"""Values of the command line that take the place of those in a configuration."""

from collections.abc import Mapping
from typing import Any

from proxylm.cli._files import parse_yaml

# Keys of a section that one word can stand for: `regressor: ridge`.
SHORTHANDS = {"records": "dataset", "protocol": "name", "regressor": "name"}


def parse_assignment(text: str) -> tuple[tuple[str, ...], Any]:
    """Return the keys and the value of ``key.key=value``."""
    path, equals, value = text.partition("=")
    keys = tuple(path.strip().split("."))
    if not equals or not all(keys):
        raise ValueError(
            f"--set expects KEY=VALUE, such as regressor.cv=10. Got {text!r}."
        )
    return keys, parse_yaml(value, f"--set {text}")


def override(values: Any, keys: tuple[str, ...], value: Any) -> Any:
    """Return a configuration with one value replaced, its sections made if need be."""
    key, *rest = keys
    if not isinstance(values, Mapping):
        return values  # the parser of the configuration says what is wrong with it
    if not rest:
        return {**values, key: value}
    section = values.get(key)
    if section is None:
        section = {}
    if not isinstance(section, Mapping):
        if key not in SHORTHANDS:
            raise ValueError(
                f"--set {'.'.join(keys)} expects {key} to have keys. Got {section!r}."
            )
        section = {SHORTHANDS[key]: section}
    return {**values, key: override(section, tuple(rest), value)}
