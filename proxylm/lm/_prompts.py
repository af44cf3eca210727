"""Prompts: what a model reads in place of a text."""

import functools
from string import Formatter

from proxylm._nearest import nearest
from proxylm.languages import language_name

FIELDS = ("text", "source_language", "target_language")


_name = functools.cache(language_name)


def check_prompt(prompt: str) -> None:
    """Say what is wrong with a prompt.

    Raises
    ------
    ValueError
        If it has no place for the text, or a field that there is not.
    """
    known = "expects a text with {text} in it, and {source_language} and "
    known += "{target_language} where the names of languages belong"
    try:
        parts = list(Formatter().parse(prompt))
    except ValueError as error:
        raise ValueError(f"prompt {known}. Got {prompt!r}: {error}.") from error
    fields = [field for _, field, _, _ in parts if field is not None]
    for _, field, form, conversion in parts:
        if field is not None and (field not in FIELDS or form or conversion):
            raise ValueError(
                f"prompt {known}. Got the field {{{field}}}. Write braces that are no "
                "field twice." + nearest(field, FIELDS)
            )
    if "text" not in fields:
        raise ValueError(f"prompt {known}. Got {prompt!r}, without {{text}}.")


def fill_prompt(
    prompt: str | None, text: str, source_lang: str | None, target_lang: str | None
) -> str:
    """Return a prompt with a text and the English names of languages in it."""
    if prompt is None:
        return text
    names = {}
    for field, code in (
        ("source_language", source_lang),
        ("target_language", target_lang),
    ):
        if f"{{{field}}}" not in prompt:
            continue
        if code is None:
            parameter = field.replace("language", "lang")
            raise ValueError(
                f"The prompt names the {field}. {parameter} expects a code such as "
                "'ind', or the name of a column with codes. Got None."
            )
        names[field] = _name(code)
    return prompt.format(text=text, **names)
