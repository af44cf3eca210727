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


@dataclass(frozen=True)
class Vectors:
    """The vectors of all languages: values, NaN where nothing is known."""

    rows: dict[str, int]  # ISO 639-3 code -> row
    values: np.ndarray  # (n_languages, n_features)

    def of(self, code):
        """Return the vector of a language, all NaN if nothing is known of it.

        A macrolanguage has that of the language its code is mostly used for, and a
        language of which nothing is known that of its macrolanguage.
        """
        usual = REPRESENTATIVE.get(code)
        wider = code and covered_by(code)
        for name in (usual, code) if usual else (code, wider):
            row = self.rows.get(name)
            if row is not None and not np.isnan(self.values[row]).all():
                return self.values[row]
        return np.full(self.values.shape[1], np.nan, dtype=self.values.dtype)


@cache
def _archive(name):
    """Return codes, feature names and values, the largest over all sources."""
    import_optional("urielplus.database", extra="uriel")
    folder = files("urielplus.database") / "original_uriel"
    with np.load(str(folder / f"{name}.npz"), allow_pickle=False) as archive:
        data = archive["data"].max(axis=2).astype(np.float32)
        codes = [str(code) for code in archive["langs"]]
        return codes, [str(feature) for feature in archive["feats"]], data


@cache
def vectors(kind):
    """Return the Vectors of a kind of distance."""
    name, prefixes = KINDS[kind]
    codes, features, data = _archive(name)
    chosen = [k for k, feature in enumerate(features) if feature.startswith(prefixes)]
    values = np.where(data[:, chosen] == -1, np.nan, data[:, chosen])
    return Vectors({code: row for row, code in enumerate(codes)}, values)


def angular_distances(values):
    """Return the angular distances between vectors with holes, and their coverage.

    Parameters
    ----------
    values : ndarray of shape (n_languages, n_features)
        At least 0; NaN where a feature is not known.

    Returns
    -------
    distances : ndarray of shape (n_languages, n_languages)
        2 / pi * arccos(cos) over the features that both vectors know, so that vectors
        with nothing in common are 1 apart; NaN where there are none.
    coverage : ndarray of shape (n_languages, n_languages)
        Share of the features that both vectors know.

    Notes
    -----
    A vector of zeros has no direction; as in URIEL+ it gets that of a vector of ones.
    """
    known = np.isfinite(values).astype(np.float64)
    values = np.nan_to_num(values).astype(np.float64)
    shared = known @ known.T
    # Of the row's vector, over what the column's vector knows too.
    squares, sums = values**2 @ known.T, values @ known.T
    is_zero = squares == 0
    products = np.where(is_zero, sums.T, values @ values.T)
    products = np.where(is_zero.T, np.where(is_zero, shared, sums), products)
    squares = np.where(is_zero, shared, squares)
    with np.errstate(invalid="ignore"):
        cosine = np.clip(products / np.sqrt(squares * squares.T), -1, 1)
    distances = np.where(shared > 0, 2 / np.pi * np.arccos(cosine), np.nan)
    return distances, shared / values.shape[1]
