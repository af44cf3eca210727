"""The typological vectors of URIEL+, and distances between them."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from proxylm._optional import import_optional

from ._pretraining import covered_by

# Which array and which of its columns a distance is made of.
KINDS = {
    "genetic": ("family_features", ("F_",)),
    "geographic": ("geocoord_features", ("GC_",)),
    "syntactic": ("features", ("S_",)),
    "inventory": ("features", ("INV_",)),
    "phonological": ("features", ("P_",)),
    "featural": ("features", ("S_", "INV_", "P_")),
    "script": ("script_features", ("SC_",)),
}
# The language that a macrolanguage's code is mostly used for.
REPRESENTATIVE = {
    "ara": "arb",
    "aze": "azj",
    "est": "ekk",
    "fas": "pes",
    "kur": "kmr",
    "lav": "lvs",
    "mlg": "plt",
    "mon": "khk",
    "msa": "zsm",
    "nep": "npi",
    "nor": "nob",
    "ori": "ory",
    "orm": "gaz",
    "pus": "pbt",
    "que": "quy",
    "sqi": "als",
    "swa": "swh",
    "uzb": "uzn",
    "yid": "ydd",
    "zho": "cmn",
}


def stand_ins(code):
    """Return the codes whose entries may speak for a language, the best one first."""
    usual = REPRESENTATIVE.get(code)
    return (usual, code) if usual else (code, code and covered_by(code))


@dataclass(frozen=True)
class Vectors:
    """The vectors of all languages: values, NaN where nothing is known.

    The rows of all kinds are in one order.
    """

    rows: dict[str, int]  # ISO 639-3 code -> row
    features: list[str]
    values: np.ndarray  # (n_languages, n_features)
    informative: np.ndarray  # (n_languages,), whether a row says anything

    def of(self, code):
        """Return the vector of a language, all NaN if nothing is known of it.

        A macrolanguage has that of the language its code is mostly used for, and a
        language of which nothing is known that of its macrolanguage.
        """
        rows = [self.rows[name] for name in stand_ins(code) if name in self.rows]
        for row in rows:
            if self.informative[row]:
                return self.values[row]
        if rows:
            return self.values[rows[0]]
        return np.full(self.values.shape[1], np.nan, dtype=self.values.dtype)

    def of_all(self, codes):
        """Return the vectors of languages, an array of shape (n_codes, n_features)."""
        shape = len(codes), self.values.shape[1]
        return np.array([self.of(code) for code in codes]).reshape(shape)


@cache
def _archive(name):
    """Return codes, feature names and values, the largest over all sources."""
    import_optional("urielplus.database", extra="uriel")
    folder = files("urielplus.database") / "original_uriel"
    with np.load(str(folder / f"{name}.npz"), allow_pickle=False) as archive:
        data = archive["data"].max(axis=2).astype(np.float32)
        codes = [str(code) for code in archive["langs"]]
        features = [str(feature) for feature in archive["feats"]]
    order = np.argsort(codes)  # that of the files differs
    return [codes[row] for row in order], features, data[order]


@cache
def vectors(kind):
    """Return the Vectors of a kind of distance."""
    name, prefixes = KINDS[kind]
    codes, features, data = _archive(name)
    chosen = [k for k, feature in enumerate(features) if feature.startswith(prefixes)]
    values = np.where(data[:, chosen] == -1, np.nan, data[:, chosen])
    # A language outside of every node of the family tree is an isolate, or one whose
    # family URIEL+ does not record; the zeros can't tell.
    informative = (values != 0 if kind == "genetic" else np.isfinite(values)).any(
        axis=1
    )
    rows = {code: row for row, code in enumerate(codes)}
    return Vectors(rows, [features[k] for k in chosen], values, informative)


def angular_distances(values, others=None):
    """Return the angular distances between vectors with holes, and their coverage.

    Parameters
    ----------
    values : ndarray of shape (n_languages, n_features)
        At least 0; NaN where a feature is not known.
    others : ndarray of shape (n_others, n_features), default=None
        The vectors to measure from; the same ones if None.

    Returns
    -------
    distances : ndarray of shape (n_languages, n_others)
        2 / pi * arccos(cos) over the features that both vectors know, so that vectors
        with nothing in common are 1 apart; NaN where there are none.
    coverage : ndarray of shape (n_languages, n_others)
        Share of the features that both vectors know.

    Notes
    -----
    A vector of zeros has no direction; as in URIEL+ it gets that of a vector of ones.
    """
    others = values if others is None else others
    known, others_known = (np.isfinite(v).astype(np.float64) for v in (values, others))
    values, others = (np.nan_to_num(v).astype(np.float64) for v in (values, others))
    shared = known @ others_known.T
    # Of one vector, over what the other vector knows too.
    squares, others_squares = values**2 @ others_known.T, known @ (others**2).T
    is_zero, others_zero = squares == 0, others_squares == 0
    products = np.where(is_zero, known @ others.T, values @ others.T)
    products = np.where(others_zero, values @ others_known.T, products)
    products = np.where(is_zero & others_zero, shared, products)
    squares = np.where(is_zero, shared, squares)
    others_squares = np.where(others_zero, shared, others_squares)
    with np.errstate(invalid="ignore"):
        cosine = np.clip(products / np.sqrt(squares * others_squares), -1, 1)
    distances = np.where(shared > 0, 2 / np.pi * np.arccos(cosine), np.nan)
    return distances, shared / values.shape[1]
