"""Words as ICU finds them: by dictionaries where a script has no spaces."""

from proxylm._optional import import_optional


def has_letter_or_digit(text: str) -> bool:
    """Tell whether a segment is a word rather than space or punctuation."""
    return text.isalnum() or any(map(str.isalnum, text))


def find_segments(text: str) -> list[str]:
    """Return the segments of a text: words, punctuation and space."""
    breakers = import_optional("icu4py.breakers", extra="text")
    return list(breakers.WordBreaker(text, "en"))


def count_words(text: str) -> int:
    """Return how many words a text has."""
    return sum(map(has_letter_or_digit, find_segments(text)))
