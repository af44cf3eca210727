"""Tokens that tell a translation model which languages it reads and writes."""

import difflib
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from proxylm.languages import macrolanguage, to_iso639_3


class Style(NamedTuple):
    """How a family of models writes its language tokens."""

    name: str
    pattern: re.Pattern
    # Whether the encoder is told the target, and the decoder nothing.
    target_first: bool = False
    # Whether only tokens that were added to a vocabulary of pieces are looked at.
    added: bool = True


STYLES = (
    Style("m2m100", re.compile(r"__([a-z]{2,3})__")),
    Style("nllb", re.compile(r"([a-z]{3}_[A-Z][a-z]{3})")),
    Style("mbart", re.compile(r"([a-z]{2}_[A-Z]{2})")),
    Style("madlad", re.compile(r"<2([a-z]{2,3}(?:_[A-Z][a-z]{3})?)>"), True, False),
    Style("opus", re.compile(r">>([a-z]{2,3}(?:_[A-Z][a-z]{3})?)<<"), True, False),
)
# Codes of models that are not what they look like: language and script.
MEANT = {"ns": ("nso", None), "sat_Beng": ("sat", "Olck")}
# The member that stands for a macrolanguage where Unicode CLDR has none.
USUAL_MEMBER = {"nob": "nor"}
# The class that SMaLL-100 names: M2M100's, but for the side that reads the target.
SMALL_100 = "SMALL100Tokenizer"
SCRIPT = re.compile(r"[-_]([A-Z][a-z]{3})\b")
N_NAMED = 5


def _plain(code: str) -> str:
    return code.replace("-", "_").lower()


@cache
def _language_and_script(code: str) -> tuple[str | None, str | None]:
    """Return ISO 639-3 code and script of a code of a model."""
    if code in MEANT:
        return MEANT[code]
    script = SCRIPT.search(code)
    return to_iso639_3(code, errors="coerce"), script and script[1]


@cache
def _represented(language: str) -> str:
    """Return the macrolanguage that a language usually stands for, else itself."""
    from langcodes import Language

    tag = Language.get(language, normalize=False).prefer_macrolanguage().language
    return USUAL_MEMBER.get(language) or to_iso639_3(tag, errors="coerce") or language


def _usual_script(code: str) -> str | None:
    """Return the script that a language is mostly written in, there if it says so."""
    from langcodes import Language

    tag = Language.get(code.replace("_", "-"))
    return tag.script or tag.maximize().script


@dataclass(frozen=True)
class LanguageTokens:
    """The languages of a model.

    Parameters
    ----------
    name : str
        Of the model, for messages.
    style : Style
    target_first : bool
        Whether the encoder is told the target, and the decoder nothing.
    ids : dict of str to int
        Token by the code that the model has for a language.
    """

    name: str
    style: Style
    target_first: bool
    ids: dict[str, int]
    _found: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    def find(self, code: str | None, parameter: str = "target_lang") -> int:
        """Return the token of a language.

        Parameters
        ----------
        code : str or None
            The model's own code, or any that `to_iso639_3` reads. The model's own is
            taken first, then the only token of the language; of several scripts, that
            which the code names, else the usual one. A macrolanguage stands for the
            member that is usually meant (Swahili for Coastal Swahili), and the other
            way round.
        parameter : {"source_lang", "target_lang"}
            For messages.

        Raises
        ------
        ValueError
            If the model has no such language, or several and none is usual.
        """
        if code is None:
            raise ValueError(
                f"{self.name} is told the languages of its texts. {parameter} expects "
                "a code such as 'ind', or the name of a column with codes. Got None."
            )
        if code not in self._found:
            self._found[code] = self.find_code(code)
        return self.ids[self._found[code]]

    def find_code(self, code: str) -> str:
        """Return the code that the model has for a language, as `find` does."""
        own = {_plain(known): known for known in self.ids}
        if isinstance(code, str) and _plain(code) in own:
            return own[_plain(code)]
        language = to_iso639_3(code)
        candidates = self._candidates(language)
        script = SCRIPT.search(code.replace("-", "_"))
        scripts = {known: _language_and_script(known)[1] for known in candidates}
        if script and any(scripts.values()):
            candidates = [c for c in candidates if scripts[c] == script[1]]
            if not candidates:
                raise self._ambiguous(code, list(scripts))
        if len(candidates) > 1:
            usual = _usual_script(code)
            by_script = [known for known in candidates if scripts[known] == usual]
            if len(by_script) != 1:
                raise self._ambiguous(code, candidates)
            candidates = by_script
        if not candidates:
            raise self._unknown(code, language)
        return candidates[0]

    def _candidates(self, language: str) -> list[str]:
        """Return the model's codes of a language."""
        languages = {known: _language_and_script(known)[0] for known in self.ids}
        same = [known for known, other in languages.items() if other == language]
        if same:
            return same
        usual = [
            known
            for known, other in languages.items()
            if other and _represented(other) == _represented(language)
        ]
        # Pashto is the only one of its members that a model has.
        return usual or [
            known
            for known, other in languages.items()
            if other and macrolanguage(other) == language
        ]

    def _ambiguous(self, code: str, candidates: list[str]) -> ValueError:
        return ValueError(
            f"{self.name} has no one token for the language {code!r}. Pass the one of "
            f"{sorted(candidates)} that is meant."
        )

    def _unknown(self, code: str, language: str) -> ValueError:
        known = sorted(self.ids)
        family = macrolanguage(language) or language
        named = []
        for other in known:
            relative = _language_and_script(other)[0]
            if relative and family in (relative, macrolanguage(relative)):
                named.append(other)
        alike = difflib.get_close_matches(_plain(code), known, N_NAMED, cutoff=0.4)
        named = list(dict.fromkeys(named + alike))[:N_NAMED] or known[:N_NAMED]
        return ValueError(
            f"{self.name} has no token for the language {code!r}. The nearest of its "
            f"{len(known)} are {named}. Pass one of them if it is meant."
        )


def find_language_tokens(
    name: str, tokenizer: Any, tokenizer_class: str | None = None
) -> LanguageTokens | None:
    """Return the languages of a model, or None if it is told none.

    Parameters
    ----------
    name : str
        Of the model, for messages.
    tokenizer : PreTrainedTokenizerBase
    tokenizer_class : str or None
        That the files of the tokenizer name.
    """
    # M2M100 has these beside its vocabulary.
    beside = getattr(tokenizer, "lang_token_to_id", None) or {}
    added = tokenizer.get_added_vocab() | beside
    is_small = SMALL_100 in (tokenizer_class, type(tokenizer).__name__)
    vocabulary: dict[str, int] | None = None
    for style in STYLES:
        tokens = added
        if not style.added:
            vocabulary = vocabulary or tokenizer.get_vocab()
            tokens = vocabulary
        matches = {token: style.pattern.fullmatch(token) for token in tokens}
        ids = {match[1]: tokens[token] for token, match in matches.items() if match}
        if ids:
            return LanguageTokens(name, style, style.target_first or is_small, ids)
    return None
