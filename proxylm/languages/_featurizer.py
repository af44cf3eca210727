"""LanguageFeaturizer, from two columns of language codes to numbers."""

import warnings
from collections.abc import Sequence
from numbers import Integral
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from proxylm._mixed_output import mixed_output

from ._codes import to_iso639_3
from ._imputation import fill_from_neighbors
from ._knowledge import KNOWLEDGE, WORDS, families
from ._uriel import KINDS, angular_distances
from ._uriel import vectors as uriel_vectors


class LanguageFeaturizer(TransformerMixin, BaseEstimator):
    """Turn language codes into distances, typological features and facts.

    Distances and vectors are those of URIEL [1]_, from the arrays of URIEL+ [2]_,
    which the extra `uriel` installs: 7,970 languages.

    Parameters
    ----------
    distances : "all" or sequence of str, default="all"
        Kinds of distance between the languages of a row, of `"genetic"`,
        `"geographic"`, `"syntactic"`, `"inventory"`, `"phonological"`, `"featural"`
        and `"script"`. Between 0 and 1; 0 from a language to itself, else NaN where
        the two share no known feature. With one column of languages there are none.
    coverage : bool, default=False
        Whether to add, beside each distance, the share of its features that are known
        for both languages, whether or not the others are filled.
    vectors : sequence of str, default=()
        Kinds of vector to add of each language, of the same kinds. A feature that two
        of them have is added once; one that is not known is NaN.
    fill : None or "knn", default=None
        What to do where a feature of a language is not known: leave it out of
        distances and NaN in vectors, or take what most of the nearest languages have
        that know it (see Notes). Values that are known stay as they are.
    n_neighbors : int, default=10
        How many of the nearest languages vote with `fill="knn"`.
    knowledge : sequence of str, default=()
        What to add of each language:

        - `"population"`, the decimal logarithm of how many people write it (Unicode
          CLDR; NaN where it has no estimate);
        - `"web_share"`, that of its share of the web's pages;
        - `"script"`, the ISO 15924 code of the script it is mostly written in. A
          script in the code decides (`zho_Hant`, `srp_Latn`), then, with the country
          where one is given (`zh-TW`), the likely subtags of Unicode CLDR; NaN where
          they name none;
        - `"family"`, the name of its family in Glottolog, as URIEL+ has it, `"Basque"`
          for the isolate that Basque is; NaN where it is not known.
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
    URIEL+ gives isolates, and languages whose family it does not record, the same
    genetic vector, so that their genetic distance is 0.

    With `fill="knn"` the nearness of the languages l and m is the mean of their
    genetic distance g, their geographic distance o and their featural distance f, as
    in URIEL [1]_, but that f has the weight of the root of its coverage c, since it
    says little where little is known:

        d(l, m) = (g + o + sqrt(c) f) / (2 + sqrt(c)).

    A feature of l that is not known becomes 1 if the `n_neighbors` languages nearest
    to it that know the feature, and those as near as the last of them, have it by at
    least half of their weights 1 / max(d, 0.1), and else 0. Languages without a
    recorded family are here 1 apart in g. A language that URIEL+ does not list has no
    neighbours and stays unknown.

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

    No phonological feature is known for both Georgian and Tamil, unless it is filled:

    >>> pair = [["kat", "tam"]]
    >>> LanguageFeaturizer(["phonological"]).fit_transform(pair)
    array([[nan]])
    >>> LanguageFeaturizer(["phonological"], fill="knn").fit_transform(pair).round(2)
    array([[0.5]])
    """

    _parameter_constraints: ClassVar[dict] = {
        "distances": [StrOptions({"all"}), list, tuple],
        "coverage": ["boolean"],
        "vectors": [list, tuple],
        "fill": [None, StrOptions({"knn"})],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "knowledge": [list, tuple],
        "unknown": [StrOptions({"error", "nan"})],
    }

    def __init__(
        self,
        distances: str | Sequence[str] = "all",
        *,
        coverage: bool = False,
        vectors: Sequence[str] = (),
        fill: Literal["knn"] | None = None,
        n_neighbors: int = 10,
        knowledge: Sequence[str] = (),
        unknown: Literal["error", "nan"] = "error",
    ) -> None:
        self.distances = distances
        self.coverage = coverage
        self.vectors = vectors
        self.fill = fill
        self.n_neighbors = n_neighbors
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
        self._vector_kinds = _known_names("vectors", self.vectors, KINDS)
        self._facts = _known_names("knowledge", self.knowledge, KNOWLEDGE)
        # Both say at once what has to be installed.
        for kind in self._kinds + self._vector_kinds:
            uriel_vectors(kind)
        if "family" in self._facts:
            families()
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
            Of type float64; of type object where `knowledge` asks for words, script
            or family. In a DataFrame (`set_output`) the columns of numbers are float64
            in either case.
        """
        check_is_fitted(self)
        table = self._table(X, reset=False)
        numbers, written = pd.factorize(table.to_numpy().ravel(), use_na_sentinel=False)
        codes = [self._resolve(code) for code in written]
        self._warn_of([w for w, code in zip(written, codes, strict=True) if not code])
        language_of, languages = pd.factorize(
            np.array(codes, dtype=object), use_na_sentinel=False
        )
        languages = [code if isinstance(code, str) else None for code in languages]
        numbers = numbers.reshape(table.shape)
        observed, filled = self._all_vectors(languages)
        columns = [
            column
            for kind in self._kinds
            for column in self._distance(
                observed[kind], filled[kind], language_of[numbers], languages
            )
        ]
        facts = [self._fact(fact, codes, written) for fact in self._facts]
        features = [
            filled[kind][:, kept] for kind, kept in self._kept_features().items()
        ]
        for side in numbers.T:
            columns += [fact[side] for fact in facts]
            columns += [values[language_of[side]] for values in features]
        result = np.column_stack(columns) if columns else np.empty((len(table), 0))
        words = {f"{side}_{fact}" for side in self._sides() for fact in WORDS}
        return mixed_output(self, result, table.index, words)

    def get_feature_names_out(self, input_features: None = None) -> np.ndarray:
        """Return the names of the features.

        Parameters
        ----------
        input_features : None
            Ignored: distances are named by their kind, as in record tables, facts
            and features of vectors by the column of the language and their own name.

        Returns
        -------
        names : ndarray of str
        """
        check_is_fitted(self)
        names = []
        for kind in self._kinds:
            names += [kind, f"{kind}_coverage"][: 1 + self.coverage]
        of_a_language = list(self._facts)
        for kind, kept in self._kept_features().items():
            of_a_language += [uriel_vectors(kind).features[k] for k in kept]
        names += [f"{side}_{name}" for side in self._sides() for name in of_a_language]
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

    def _sides(self):
        """Return the names of the columns of languages."""
        unnamed = [f"x{k}" for k in range(self.n_features_in_)]
        return getattr(self, "feature_names_in_", unnamed)

    def _kept_features(self):
        """Return, by kind of vector, which features no kind before it has."""
        kept, seen = {}, set()
        for kind in dict.fromkeys(self._vector_kinds):
            names = uriel_vectors(kind).features
            kept[kind] = [k for k, name in enumerate(names) if name not in seen]
            seen.update(names)
        return kept

    def _all_vectors(self, languages):
        """Return the vectors of languages by kind, as observed and as filled."""
        kinds = dict.fromkeys(self._kinds + self._vector_kinds)
        observed = {kind: uriel_vectors(kind).of_all(languages) for kind in kinds}
        if self.fill is None or not observed:
            return observed, observed
        return observed, fill_from_neighbors(observed, languages, self.n_neighbors)

    def _distance(self, observed, filled, sides, languages):
        """Return the distances of a kind, and their coverage if it is asked for."""
        distances, shares = angular_distances(filled)
        if self.coverage and filled is not observed:
            shares = angular_distances(observed)[1]
        np.fill_diagonal(distances, 0.0)
        unknown = np.equal(np.array(languages, dtype=object), None)
        for matrix in (distances, shares):
            matrix[unknown] = matrix[:, unknown] = np.nan
        first, second = sides.T
        columns = distances[first, second], shares[first, second]
        return columns[: 1 + self.coverage]

    def _fact(self, fact, codes, written):
        """Return a fact of each code."""
        values = [
            np.nan if code is None else KNOWLEDGE[fact](code, given)
            for code, given in zip(codes, written, strict=True)
        ]
        return np.array(values, dtype=object if fact in WORDS else np.float64)


def _known_names(parameter, names, known):
    """Return a tuple of names, each of which is known."""
    wrong = [name for name in names if name not in known]
    if wrong:
        raise ValueError(
            f"{parameter} expects names among {list(known)}. Got {wrong[0]!r}."
        )
    return tuple(names)
