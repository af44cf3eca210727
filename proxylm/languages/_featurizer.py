"""LanguageFeaturizer, from two columns of language codes to numbers."""

import warnings
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from ._codes import to_iso639_3
from ._uriel import KINDS, angular_distances, vectors
from ._web_share import log_web_share


def _log_population(code):
    """Return the decimal logarithm of how many write a language, NaN if none is known.

    The estimates are those of Unicode CLDR.
    """
    from langcodes import Language

    population = Language.get(code).writing_population()
    return np.log10(population) if population else np.nan


# What is known of a single language, by its ISO 639-3 code.
KNOWLEDGE = {"population": _log_population, "web_share": log_web_share}


class LanguageFeaturizer(TransformerMixin, BaseEstimator):
    """Turn language codes into distances between languages and facts about them.

    Distances are those of URIEL [1]_, from the arrays of URIEL+ [2]_, which the extra
    `uriel` installs: 7,970 languages.

    Parameters
    ----------
    distances : "all" or sequence of str, default="all"
        Kinds of distance between the languages of a row, of `"genetic"`,
        `"geographic"`, `"syntactic"`, `"inventory"`, `"phonological"`, `"featural"`
        and `"script"`. Between 0 and 1; 0 from a language to itself, else NaN where
        the two share no known feature. With one column of languages there are none.
    coverage : bool, default=False
        Whether to add, beside each distance, the share of its features that are known
        for both languages.
    knowledge : sequence of str, default=()
        What to add of each language: `"population"`, the decimal logarithm of how many
        people write it (Unicode CLDR; NaN where it has no estimate), or `"web_share"`,
        that of its share of the web's pages.
    unknown : {"error", "nan"}, default="error"
        What to do with a code that is no language: refuse it, with the nearest known
        codes, or make its features NaN, with a warning.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns, one or two.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where X has names.

    See Also
    --------
    proxylm.languages.web_share : The share of the web's pages of one language.

    Notes
    -----
    The distance of two languages is the angle between their vectors over the features
    that are known for both, 2 / pi * arccos(cos), which is 1 for languages that have
    nothing in common. Other than a cosine distance it obeys the triangle inequality
    where all features are known. A macrolanguage has the vector of the language that
    its code is mostly used for: `zho` that of Mandarin, `msa` that of Standard Malay.

    References
    ----------
    .. [1] Littell et al. (2017). "URIEL and lang2vec: representing languages as
       typological, geographical, and phylogenetic vectors". EACL.
    .. [2] Khan et al. (2025). "URIEL+: enhancing linguistic inclusion and usability in
       a typological and multilingual knowledge base". COLING, arXiv:2409.18472.

    Examples
    --------
    >>> from proxylm.languages import LanguageFeaturizer
    >>> featurizer = LanguageFeaturizer(["genetic", "syntactic"])
    >>> featurizer.fit_transform([["eng", "ind"], ["deu_Latn", "nl"]]).round(2)
    array([[1.  , 0.5 ],
           [0.52, 0.2 ]])
    """

    _parameter_constraints: ClassVar[dict] = {
        "distances": [StrOptions({"all"}), list, tuple],
        "coverage": ["boolean"],
        "knowledge": [list, tuple],
        "unknown": [StrOptions({"error", "nan"})],
    }

    def __init__(
        self,
        distances: str | Sequence[str] = "all",
        coverage: bool = False,
        knowledge: Sequence[str] = (),
        unknown: Literal["error", "nan"] = "error",
    ) -> None:
        self.distances = distances
        self.coverage = coverage
        self.knowledge = knowledge
        self.unknown = unknown

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: None = None) -> "LanguageFeaturizer":
        """Check parameters and columns; nothing is learned.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_languages)
            One or two columns of codes that `to_iso639_3` reads.
        y : None
            Ignored.

        Returns
        -------
        self : LanguageFeaturizer
        """
        table = self._table(X, reset=True)
        kinds = self.distances
        if isinstance(kinds, str):  # "all"
            kinds = tuple(KINDS) if table.shape[1] == 2 else ()
        if len(kinds) and table.shape[1] == 1:
            raise ValueError(
                "distances expects two columns of languages. Got one. Pass "
                "distances=()."
            )
        self._kinds = _known_names("distances", kinds, KINDS)
        self._facts = _known_names("knowledge", self.knowledge, KNOWLEDGE)
        for kind in self._kinds:
            vectors(kind)  # says at once what has to be installed
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Return the features of rows.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_languages)
            The columns seen in `fit`.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features_out)
        """
        check_is_fitted(self)
        table = self._table(X, reset=False)
        numbers, written = pd.factorize(table.to_numpy().ravel(), use_na_sentinel=False)
        numbers = numbers.reshape(table.shape)
        codes = [self._resolve(code) for code in written]
        self._warn_of([w for w, code in zip(written, codes, strict=True) if not code])
        columns = [
            column
            for kind in self._kinds
            for column in self._distance(kind, numbers, codes)
        ]
        for side in numbers.T:
            for fact in self._facts:
                values = [np.nan if c is None else KNOWLEDGE[fact](c) for c in codes]
                columns.append(np.array(values, dtype=np.float64)[side])
        return np.column_stack(columns) if columns else np.empty((len(table), 0))

    def get_feature_names_out(self, input_features: None = None) -> np.ndarray:
        """Return the names of the features.

        Parameters
        ----------
        input_features : None
            Ignored: distances are named by their kind, as in record tables.

        Returns
        -------
        names : ndarray of str
        """
        check_is_fitted(self)
        names = []
        for kind in self._kinds:
            names += [kind, f"{kind}_coverage"][: 1 + self.coverage]
        sides = getattr(self, "feature_names_in_", None)
        if sides is None:
            sides = [f"x{k}" for k in range(self.n_features_in_)]
        names += [f"{side}_{fact}" for side in sides for fact in self._facts]
        return np.asarray(names, dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.input_tags.two_d_array = False
        return tags

    def _table(self, X, reset):
        """Return the codes as a DataFrame of one or two columns, as in `fit`."""
        if isinstance(X, pd.Series):
            X = X.to_frame()
        elif not isinstance(X, pd.DataFrame):
            X = np.asarray(X, dtype=object)
        if X.ndim != 2 or X.shape[1] not in (1, 2):
            raise ValueError(
                "X expects one or two columns of language codes. Got an array of "
                f'shape {X.shape}. Pass X[["source_lang", "target_lang"]].'
            )
        validate_data(self, X, skip_check_array=True, reset=reset)
        return pd.DataFrame(X).astype(object)

    def _resolve(self, code):
        """Return the ISO 639-3 code, or None where that is asked for."""
        if self.unknown == "error":
            return to_iso639_3(code)
        return to_iso639_3(code, errors="coerce")

    def _warn_of(self, unknown):
        if unknown:
            names = ", ".join(sorted(map(repr, unknown)))
            warnings.warn(
                f"No language is known by {names}: the features are NaN. The nearest "
                'known codes are named with unknown="error".',
                UserWarning,
                stacklevel=3,
            )

    def _distance(self, kind, numbers, codes):
        """Return the distances of a kind, and their coverage if it is asked for."""
        table = vectors(kind)
        distances, shares = angular_distances(np.array([table.of(c) for c in codes]))
        names = np.array(codes, dtype=object)
        distances[names[:, None] == names[None]] = 0.0
        unknown = np.equal(names, None)
        for matrix in (distances, shares):
            matrix[unknown] = matrix[:, unknown] = np.nan
        first, second = numbers.T
        columns = distances[first, second], shares[first, second]
        return columns[: 1 + self.coverage]


def _known_names(parameter, names, known):
    """Return a tuple of names, each of which is known."""
    wrong = [name for name in names if name not in known]
    if wrong:
        raise ValueError(
            f"{parameter} expects names among {list(known)}. Got {wrong[0]!r}."
        )
    return tuple(names)
