"""Text that can be encoded."""


def valid_unicode(text: str) -> str:
    """Return a text in which each half of a surrogate pair has become U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
