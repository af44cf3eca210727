"""What is known of one language: its writers, its web pages, its script, its family."""

import csv
from collections import Counter
from functools import cache
from importlib.resources import files

import numpy as np

from proxylm._optional import import_optional

from ._codes import macrolanguage
from ._pretraining import NLLB
from ._uriel import stand_ins, vectors
from ._web_share import log_web_share

# Languages that are written otherwise than the macrolanguage that holds them.
SCRIPT_APART = {"bxu": "Mong", "mvf": "Mong", "pga": "Latn", "uzs": "Arab"}
# Codes of ISO 15924 that a tag may have and that name no script.
NO_SCRIPT = {"Zxxx", "Zyyy", "Zzzz"}
# What Glottolog has at the top of its tree for what it can't place.
NO_FAMILY = {"Bookkeeping", "Unattested", "Unclassifiable"}


def log_population(code, _):
    """Return the decimal logarithm of how many write a language, NaN if none is known.

    The estimates are those of Unicode CLDR.
    """
    from langcodes import Language

    population = Language.get(code).writing_population()
    return np.log10(population) if population else np.nan


@cache
def _scripts_of_nllb():
    """Return the script of each language that NLLB knows in one script alone."""
    pairs = [name.split("_") for name in NLLB.split()]
    times = Counter(code for code, _ in pairs)
    return {code: script for code, script in pairs if times[code] == 1}


def script(code, written):
    """Return the script that a language is mostly written in, as ISO 15924 has it.

    Parameters
    ----------
    code : str
        ISO 639-3 code.
    written : str
        The code as it was given, which may name a script or a country.

    Returns
    -------
    str or nan
    """
    from iso639 import Lang
    from langcodes import Language
    from langcodes.data_dicts import LIKELY_SUBTAGS

    tag = Language.get(written, normalize=False)
    if tag.script and tag.script not in NO_SCRIPT:
        return tag.script

    def likely(code):
        names = [name for name in (Lang(code).pt1, code) if name]
        names = [f"{name}-{tag.territory}" for name in names] + names
        found = [LIKELY_SUBTAGS[name] for name in names if name in LIKELY_SUBTAGS]
        return found[0].split("-")[1] if found else None

    wider = macrolanguage(code)
    return (
        likely(code)
        or SCRIPT_APART.get(code)
        or _scripts_of_nllb().get(code)
        or (wider and likely(wider))
        or np.nan
    )


def _table(name):
    """Return the rows of a table of URIEL+, each as a dict."""
    import_optional("urielplus.database", extra="uriel")
    path = files("urielplus.database") / "urielplus_csvs" / name
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@cache
def families():
    """Return the families of the languages of URIEL+, by ISO 639-3 code.

    URIEL+ has the lineage of each Glottolog entry. What it can't join to an entry,
    most of it macrolanguages, has the family of those that share the widest of its
    nodes in the family tree.
    """
    tops = {}
    for row in _table("lang_fam_geo.csv"):
        top = row["lineage"].split(", ")[0] or row["language_name"]  # an isolate
        tops[row["language_id"]] = None if top in NO_FAMILY else top
    entries = {
        row["iso_code"]: tops[row["glottocode"]]
        for row in _table("uriel_glottocode_map.csv")
        if row["glottocode"] in tops
    }
    tree = vectors("genetic")
    widest = np.argmax(tree.values * tree.values.sum(axis=0), axis=1)
    nodes = {c: widest[row] for c, row in tree.rows.items() if tree.informative[row]}
    named = {}
    for code in sorted(nodes.keys() & entries.keys()):
        if entries[code]:
            named.setdefault(nodes[code], Counter())[entries[code]] += 1
    joined = {
        code: named[node].most_common(1)[0][0]
        for code, node in nodes.items()
        if code not in entries and node in named
    }
    return {code: family for code, family in (entries | joined).items() if family}


def family(code, _):
    """Return the name that Glottolog gives to the family of a language, or NaN.

    An isolate is its own family.
    """
    known = families()
    return next((known[name] for name in stand_ins(code) if name in known), np.nan)


# By name: a function of the ISO 639-3 code and of the code as it was given.
NUMBERS = {
    "population": log_population,
    "web_share": lambda code, _: log_web_share(code),
}
WORDS = {"script": script, "family": family}
KNOWLEDGE = NUMBERS | WORDS
