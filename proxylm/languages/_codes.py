"""One way from every language code in use to ISO 639-3."""

import difflib
import re
from functools import cache
from typing import Literal, overload

# Collective codes that data sets put where a language belongs. NusaTranslation
# labels its Batak texts with `btk`, all Batak languages; Toba Batak has the most
# speakers of them and is the one that the sister corpus NusaX names.
COLLECTIVE = {"btk": "bbc"}
READ_AS_MISSING = (
    " If it was the code of Min Nan, which table readers take for a missing value, "
    "read the table with proxylm.records.read_records."
)


@cache
def _common_codes():
    """ISO 639-1 codes and their ISO 639-3 equivalents, the likely meant ones."""
    from iso639 import iter_langs

    common = [lang for lang in iter_langs() if lang.pt1]
    return sorted({code for lang in common for code in (lang.pt1, lang.pt3)})


@cache
def _all_codes():
    """Every ISO 639-3 code."""
    from iso639 import iter_langs

    return sorted(lang.pt3 for lang in iter_langs() if lang.pt3)


def _nearest(code):
    """Sentence with the known codes nearest to an unknown one."""
    from iso639 import Lang
    from iso639.exceptions import DeprecatedLanguageValue, InvalidLanguageValue

    try:
        named = Lang(code.title())
    except (DeprecatedLanguageValue, InvalidLanguageValue):
        pass
    else:
        if named.pt3:
            return f"The code of {named.name} is {named.pt3!r}."
    language = code.lower().replace("_", "-").partition("-")[0]
    alike = [known for known in _common_codes() if known[0] == language[:1]]
    nearest = difflib.get_close_matches(language, alike, cutoff=0.5)
    nearest = nearest or difflib.get_close_matches(language, _all_codes())
    if nearest:
        return f"The nearest known codes are {', '.join(nearest)}."
    return "Expected an ISO 639 code or a tag such as 'id', 'ind', 'id-ID', 'ind_Latn'."


def _members(family):
    """Sentence with languages that bear the name of a family, or ""."""
    from iso639 import iter_langs

    word = family.removesuffix(" languages").removesuffix(" (family)")
    names = {
        lang.pt3: lang.name
        for lang in iter_langs()
        if lang.pt3 and word in re.findall(r"[\w-]+", lang.name)
    }
    if len(names) < 2:
        return ""
    listed = ", ".join(f"{code} ({name})" for code, name in sorted(names.items())[:4])
    return f"Languages of that name are {listed}{' and more' * (len(names) > 4)}."


def _subtag(code):
    """Language subtag of a BCP 47 tag, lower case; "" if it is none."""
    from langcodes import Language, LanguageTagError

    try:
        tag = Language.get(code.lower(), normalize=False)
        if tag.language and "-" in tag.language:  # zh-min-nan, from before BCP 47
            tag = Language.get(code.lower())
    except LanguageTagError:
        return ""
    if not tag.extlangs:
        return tag.language or "und"
    # zh-yue is yue, but eng-ind is no language.
    extension = to_iso639_3(tag.extlangs[-1], errors="coerce")
    prefix = to_iso639_3(tag.language, errors="coerce")
    if extension and tag.language == "sgn":
        return extension
    if extension and prefix and macrolanguage(extension) == prefix:
        return extension
    return ""


@cache
def _resolve(code):
    """ISO 639-3 code of a code of any kind."""
    from iso639 import Lang
    from iso639.exceptions import DeprecatedLanguageValue, InvalidLanguageValue
    from langcodes import Language

    subtag = _subtag(code)
    subtag = COLLECTIVE.get(subtag, subtag)
    if len(subtag) == 2:
        try:
            subtag = Language.get(subtag, normalize=False).to_alpha3()
        except LookupError:
            subtag = ""
    try:
        language = Lang(subtag)
    except InvalidLanguageValue:
        raise ValueError(
            f"{code!r} is not a known language code. {_nearest(code)}"
        ) from None
    except DeprecatedLanguageValue as retired:
        if retired.change_to:
            return _resolve(retired.change_to)
        raise ValueError(
            f"{code!r} ({retired.name}) was withdrawn from ISO 639 without one "
            f"successor. {retired.ret_remedy}".rstrip()
        ) from None
    if not language.pt3:
        raise ValueError(
            f"{code!r} is the code of a family ({language.name}), not of a language. "
            "Give the ISO 639-3 code of the language. "
            f"{_members(language.name) or _nearest(code)}"
        )
    if language.scope() == "Special":
        raise ValueError(
            f"{code!r} stands for {language.name.lower()!r}, not for a language. "
            "Give the ISO 639-3 code of the language."
        )
    return language.pt3


@overload
def to_iso639_3(code: str, *, errors: Literal["raise"] = "raise") -> str: ...
@overload
def to_iso639_3(code: object, *, errors: Literal["coerce"]) -> str | None: ...
def to_iso639_3(code, *, errors="raise"):
    """Translate a language code of any kind to ISO 639-3.

    Parameters
    ----------
    code : str
        ISO 639-1, ISO 639-2 or ISO 639-3 code, also a withdrawn one that has a
        successor (`iw`, `mol`), or a tag that begins with one: BCP 47 (`id-ID`,
        `zh-yue`), FLORES-200 and NLLB (`zho_Hans`), mBART (`en_XX`). Neither case
        nor the choice between `-` and `_` matters.
    errors : {"raise", "coerce"}, default="raise"
        What to do with anything else. "coerce" answers None.

    Returns
    -------
    str or None
        The three-letter code. Script, country and variant are left behind:
        `zh-CN` and `zh-TW` are both `zho`.

    Raises
    ------
    TypeError
        If the code is not a string.
    ValueError
        If the code is unknown, or names a family of languages (`bnt`) or no
        language at all (`und`).

    See Also
    --------
    macrolanguage : From an individual language to the one that contains it.

    Notes
    -----
    A code keeps its meaning: `tl` is Tagalog (`tgl`), not Filipino, and `prs`
    stays Dari. A macrolanguage stays one: `sw` is `swa`, not `swh`. There is one
    exception to the rule that families are refused: `btk`, the Batak languages,
    as NusaTranslation writes it, becomes Toba Batak (`bbc`).

    Examples
    --------
    >>> from proxylm.languages import to_iso639_3
    >>> [to_iso639_3(code) for code in ("id", "id-ID", "ind_Latn", "IN")]
    ['ind', 'ind', 'ind', 'ind']
    >>> to_iso639_3("wen")
    Traceback (most recent call last):
        ...
    ValueError: 'wen' is the code of a family (Sorbian languages), not of a language.
    Give the ISO 639-3 code of the language. Languages of that name are
    dsb (Lower Sorbian), hsb (Upper Sorbian).
    """
    if errors not in ("raise", "coerce"):
        raise ValueError(f"errors expects 'raise' or 'coerce'. Got {errors!r}.")
    if not isinstance(code, str):
        if errors == "coerce":
            return None
        is_nan = isinstance(code, float) and code != code
        raise TypeError(
            f"A language code is a string such as 'ind'. Got {code!r} "
            f"of type {type(code).__name__}." + (READ_AS_MISSING if is_nan else "")
        )
    try:
        return _resolve(code)
    except ValueError:
        if errors == "coerce":
            return None
        raise


def macrolanguage(code: str) -> str | None:
    """Find the macrolanguage that an individual language belongs to.

    Parameters
    ----------
    code : str
        Any code that `to_iso639_3` reads.

    Returns
    -------
    str or None
        ISO 639-3 code of the macrolanguage; None where there is none.

    Examples
    --------
    >>> from proxylm.languages import macrolanguage
    >>> macrolanguage("plt"), macrolanguage("arz_Arab"), macrolanguage("fr")
    ('mlg', 'ara', None)
    """
    from iso639 import Lang

    macro = Lang(to_iso639_3(code)).macro()
    return macro.pt3 if macro else None


def language_name(code: str) -> str:
    """Name a language in English.

    Parameters
    ----------
    code : str
        Any code that `to_iso639_3` reads.

    Returns
    -------
    str
        The name in everyday use where there is one (Unicode CLDR), else the
        reference name of ISO 639-3.

    Examples
    --------
    >>> from proxylm.languages import language_name
    >>> language_name("el"), language_name("min"), language_name("zho_Hans")
    ('Greek', 'Minangkabau', 'Chinese')
    """
    from iso639 import Lang
    from langcodes import Language

    known = Lang(to_iso639_3(code))
    name = Language.get(known.pt1 or known.pt3, normalize=False).language_name()
    name = known.name if name.startswith("Unknown language") else name
    return name.removesuffix(" (individual language)").removesuffix(" (macrolanguage)")
