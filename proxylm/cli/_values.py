"""Names and values in configurations: their checks, with advice in the errors."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from proxylm._nearest import nearest


def advice(given: Any, known: Iterable[str]) -> str:
    """Return the end of an error message: the known names and the nearest."""
    known = sorted(known)
    guess = nearest(str(given), known)
    return f"Got {given!r}.{guess} Known are: {', '.join(known) or 'none'}."


def look_up(table: Mapping[str, Any], name: Any, where: str) -> Any:
    """Return the entry of a name; an unknown name is an error with the known ones."""
    if not isinstance(name, str) or name not in table:
        raise ValueError(f"{where} expects a known name. {advice(name, table)}")
    return table[name]


def check_keys(values: Any, known: Iterable[str], where: str) -> None:
    """Refuse what is no mapping, and keys that nobody knows."""
    if not isinstance(values, Mapping):
        raise TypeError(
            f"{where} expects keys with values (KEY: VALUE). Got {values!r:.80}. "
            f"Known keys are: {', '.join(sorted(known))}."
        )
    for key in values:
        if key not in set(known):
            raise ValueError(f"{where} expects known keys. {advice(key, known)}")


def check_number(value: Any, where: str, *, integer: bool = False) -> Any:
    """Return a number; booleans and text are none."""
    kind = Integral if integer else Real
    if isinstance(value, bool) or not isinstance(value, kind):
        expected = "a whole number" if integer else "a number"
        raise TypeError(f"{where} expects {expected}. Got {value!r}.")
    return value


def check_text(value: Any, where: str) -> str:
    """Return a text; YAML makes booleans of the codes no, on and off."""
    if isinstance(value, bool):
        raise TypeError(
            f"{where} expects text. Got {value!r}. YAML reads the words no, off, yes "
            'and on as false and true: write them in quotes ("no").'
        )
    if not isinstance(value, str) or not value.strip():
        raise TypeError(f"{where} expects text. Got {value!r}.")
    return value


def check_flag(value: Any, where: str) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise TypeError(f"{where} expects true or false. Got {value!r}.")
    return value


def as_list(value: Any) -> list[Any]:
    """Return a list as it is, and anything else as the only item of one."""
    return list(value) if isinstance(value, list | tuple) else [value]


def check_texts(value: Any, where: str) -> tuple[str, ...]:
    """Return a text or a list of texts as a tuple."""
    return tuple(check_text(item, where) for item in as_list(value))


def resolve_path(value: Any, folder: Path, where: str) -> Path:
    """Return a path that is relative to a folder, else to the working directory."""
    given = Path(check_text(value, where)).expanduser()
    beside = folder / given
    return (beside if beside.exists() else given).absolute()


def plain(value: Any) -> Any:
    """Return a value, also a whole section of a configuration, as YAML writes it."""
    if is_dataclass(value):
        return {
            entry.name: plain(getattr(value, entry.name)) for entry in fields(value)
        }
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
