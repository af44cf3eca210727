"""What an error message suggests in place of an unknown word."""

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the nearest known word, or nothing."""
    by_letters = {name.lower(): name for name in known}
    matches = difflib.get_close_matches(word.lower(), by_letters, n=1)
    return f" Did you mean {by_letters[matches[0]]!r}?" if matches else ""
