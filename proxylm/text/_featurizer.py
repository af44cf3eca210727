"""DatasetFeaturizer, from texts to statistics of them."""

import os
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from proxylm._mixed_output import mixed_output

from ._corpus import Reading
from ._features import (
    SPLITS,
    Table,
    choose_features,
    list_features,
    measure_rows,
)
from ._measures import MEASURES
from ._statistics import Counting, collect
from ._subwords import SubwordTokenizer
from ._tokens import make_tokenizer

# Of one, two or three columns that have other names.
BY_NUMBER = {1: ("train",), 2: ("train", "test"), 3: SPLITS}


class DatasetFeaturizer(TransformerMixin, BaseEstimator):
    """Turn training, development and test texts into the features of a record.

    Each text is counted once, however many rows have it, in bounded memory.

    Parameters
    ----------
    features : "all" or sequence of str, default="all"
        Names of measures, such as `"jsd"`, or of columns, such as `"train_test_jsd"`;
        the user guide lists them with their formulas. `"all"` leaves out the name of
        the script (`"script"`), which is no number, and those that need an encoder or
        a subword tokenizer where none is given; with `compatibility="paper"` it means
        the features of the paper.
    tokenizer : {"words", "characters"}, callable, object or path, default="words"
        What a token is. `"words"` are those of ICU, which has dictionaries for scripts
        without spaces (extra `text`); case is folded. A function takes a sentence and
        returns its tokens. An object has a method `tokenize` or is a SentencePiece
        processor or a `tokenizers.Tokenizer`. A path is that of a SentencePiece model,
        or of a tokenizer.json.
    compatibility : {"paper"} or None, default=None
        `"paper"` computes the features as the original ProxyLM [1]_ did: tokens are
        characters without marks, in the pieces of a SentencePiece model if `tokenizer`
        is one; empty lines are sentences; and the TF-IDF distance is a mean over
        chunks of the training set.
    splits : "auto" or sequence of str, default="auto"
        What each column of X is, of `"train"`, `"dev"` and `"test"`. `"auto"` goes by
        the names of the columns where they are such names, else by their number: one
        is the training set, two are training and test set.
    encoder : callable or object, default=None
        Sentence encoder of `st_similarity`: a function from a list of sentences to an
        array of shape (n_sentences, n_dimensions), or an object with such a method
        `encode`.
    subword_tokenizer : object or path, default=None
        Tokenizer of a language model, whose fertility is measured: a Hugging Face
        tokenizer, a `tokenizers.Tokenizer`, a SentencePiece model, or the path of
        a tokenizer.json or a SentencePiece model.
    field : str, default="text"
        Key of the text in files of JSON lines, with dots between nested keys, such as
        `"translation.deu"`.
    encoding_errors : {"strict", "replace"}, default="strict"
        Whether bytes that are not UTF-8 are an error or become U+FFFD.
    cache_dir : str or path-like, default=None
        Folder that keeps what was counted of each corpus, by its content, so that
        interrupted work goes on. None keeps nothing. What a function, an encoder or a
        subword tokenizer finds is not kept: nothing tells one from another.
    n_jobs : int or None, default=None
        Corpora read side by side.
    progress : bool, default=False
        Whether to show a progress bar.

    Attributes
    ----------
    splits_ : tuple of str
        What each column is.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where X has names.

    See Also
    --------
    LanguageFeaturizer : Distances between the languages of a record.
    make_features : Both together, for a table of corpora and codes.

    Notes
    -----
    Tokens are counted by 64-bit hashes: two of ten million tokens are taken for one
    with a chance of 3e-6. Pairs of neighbouring tokens and whole sentences are counted
    in full up to half a million of them; beyond that overlaps are estimated from as
    many, with a relative error below 1%.

    References
    ----------
    .. [1] Anugraha et al. (2025). "ProxyLM: predicting language model performance on
       multilingual tasks via proxy models". NAACL Findings, arXiv:2406.09334.

    Examples
    --------
    >>> from proxylm import DatasetFeaturizer
    >>> train, test = ["the cat sat", "the dog sat"], ["the cat ran"]
    >>> featurizer = DatasetFeaturizer(
    ...     ["size", "oov_rate", "train_test_jsd"], tokenizer=str.split
    ... ).set_output(transform="pandas")
    >>> featurizer.fit_transform([[train, test]]).round(2)
       dataset_size  test_size  train_test_oov_rate  train_test_jsd
    0           2.0        1.0                 0.33            0.55
    """

    _parameter_constraints: ClassVar[dict] = {
        "features": [StrOptions({"all"}), list, tuple],
        "tokenizer": "no_validation",
        "compatibility": [StrOptions({"paper"}), None],
        "splits": [StrOptions({"auto"}), list, tuple],
        "encoder": "no_validation",
        "subword_tokenizer": "no_validation",
        "field": [str],
        "encoding_errors": [StrOptions({"strict", "replace"})],
        "cache_dir": [str, os.PathLike, None],
        "n_jobs": [int, None],
        "progress": ["boolean"],
    }

    def __init__(
        self,
        features: str | Sequence[str] = "all",
        *,
        tokenizer: Any = "words",
        compatibility: Literal["paper"] | None = None,
        splits: str | Sequence[str] = "auto",
        encoder: Any = None,
        subword_tokenizer: Any = None,
        field: str = "text",
        encoding_errors: Literal["strict", "replace"] = "strict",
        cache_dir: str | os.PathLike | None = None,
        n_jobs: int | None = None,
        progress: bool = False,
    ) -> None:
        self.features = features
        self.tokenizer = tokenizer
        self.compatibility = compatibility
        self.splits = splits
        self.encoder = encoder
        self.subword_tokenizer = subword_tokenizer
        self.field = field
        self.encoding_errors = encoding_errors
        self.cache_dir = cache_dir
        self.n_jobs = n_jobs
        self.progress = progress

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: None = None) -> "DatasetFeaturizer":
        """Check parameters and columns; nothing is learned.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_splits)
            Columns of corpora: lists of sentences, paths of text files with a sentence
            a line or of JSON lines (`.jsonl`), both perhaps compressed (`.gz`), or
            functions that return an iterator of sentences. None where there is none.
        y : None
            Ignored.

        Returns
        -------
        self : DatasetFeaturizer
        """
        table = self._table(X, reset=True)
        self.splits_ = self._find_splits(table)
        self._features = self._choose_features()
        self._counting()  # says at once what is wrong with the tokenizers
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Return the features of rows.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_splits)
            The columns seen in `fit`.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features_out)
            NaN where a feature's corpus is missing or has too little text for it. Of
            type float64; with `"script"`, a word, of type object. In a DataFrame
            (`set_output`) the columns of numbers are float64 in either case.
        """
        check_is_fitted(self)
        cells = self._table(X, reset=False)
        table = Table(cells.to_numpy(), self.splits_)
        counting = self._counting()
        statistics = Parallel(n_jobs=self.n_jobs, return_as="generator")(
            delayed(collect)(cell, counting, self.cache_dir)
            for cell in table.corpora.values()
        )
        if self.progress:
            from tqdm import tqdm

            statistics = tqdm(
                statistics, total=len(table.corpora), desc="texts", unit="corpus"
            )
        chunking = counting if self.compatibility == "paper" else None
        values = measure_rows(table, self._features, statistics, chunking, self.n_jobs)
        words = {f.column for f in self._features if MEASURES[f.measure].is_word}
        return mixed_output(self, values, cells.index, words)

    def get_feature_names_out(self, input_features: None = None) -> np.ndarray:
        """Return the names of the features, those of record tables.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        names : ndarray of str
        """
        check_is_fitted(self)
        return np.asarray([feature.column for feature in self._features], dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.input_tags.allow_nan = True
        return tags

    def _table(self, X, reset):
        """Return the corpora as a DataFrame of objects."""
        if isinstance(X, pd.Series):
            X = X.to_frame()
        elif isinstance(X, np.ndarray) and X.ndim == 1:
            X = X[:, None]
        elif not isinstance(X, pd.DataFrame | np.ndarray):
            # An array of lists that are equally long would have three dimensions.
            X = pd.DataFrame(list(X)).to_numpy()
        if X.ndim != 2 or X.shape[1] not in BY_NUMBER:
            raise ValueError(
                "X expects one to three columns of corpora. Got an array of shape "
                f'{X.shape}. Pass X[["train", "dev", "test"]].'
            )
        validate_data(self, X, skip_check_array=True, reset=reset)
        return pd.DataFrame(X).astype(object)

    def _find_splits(self, table):
        """Return what each column is."""
        splits = tuple(table.columns if self.splits == "auto" else self.splits)
        if self.splits == "auto" and not set(splits) <= set(SPLITS):
            splits = BY_NUMBER[table.shape[1]]
        if len(splits) != table.shape[1] or not set(splits) <= set(SPLITS):
            raise ValueError(
                f"splits expects {table.shape[1]} names among {list(SPLITS)}, one for "
                f"each column of X. Got {list(splits)}."
            )
        if len(set(splits)) < len(splits):
            raise ValueError(
                f"splits expects each name once. Got {list(splits)}. Name the columns "
                "with splits=..."
            )
        return splits

    def _choose_features(self):
        """Return the features that are asked for."""
        given = {"embedding": self.encoder, "subwords": self.subword_tokenizer}
        parameters = {"embedding": "encoder", "subwords": "subword_tokenizer"}
        absent = {need for need, value in given.items() if value is None}
        if self.features == "all":
            is_paper = self.compatibility == "paper"
            return [
                feature
                for feature in list_features(self.splits_)
                if not absent & set(MEASURES[feature.measure].needs)
                and not MEASURES[feature.measure].is_word
                and (MEASURES[feature.measure].is_published or not is_paper)
            ]
        chosen = choose_features(self.features, self.splits_)
        for feature in chosen:
            for need in absent & set(MEASURES[feature.measure].needs):
                raise ValueError(
                    f"The feature {feature.measure!r} needs {parameters[need]}=... Got "
                    f"None. Give one, or leave {feature.measure!r} out of features."
                )
        return chosen

    def _counting(self) -> Counting:
        """Return what is counted, and how."""
        is_paper = self.compatibility == "paper"
        measures = [MEASURES[feature.measure] for feature in self._features]
        needs = {need for measure in measures for need in measure.needs}
        if is_paper:
            needs.discard("sentence_frequency")
        subwords = None
        if "subwords" in needs:
            subwords = SubwordTokenizer(self.subword_tokenizer)
        return Counting(
            Reading(self.field, self.encoding_errors, keeps_empty=is_paper),
            make_tokenizer(self.tokenizer, self.compatibility),
            frozenset(needs),
            subwords,
            _encode_function(self.encoder) if "embedding" in needs else None,
        )


def _encode_function(encoder: Any) -> Callable:
    """Return the function from sentences to vectors of an encoder."""
    encode = getattr(encoder, "encode", encoder)
    if not callable(encode):
        raise TypeError(
            "encoder expects a function from a list of sentences to an array, or an "
            f"object with a method encode. Got {encoder!r:.80}."
        )
    return encode
