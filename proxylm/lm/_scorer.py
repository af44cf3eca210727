"""ProxyScorer, from texts to what small language models make of them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context, clone
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from ._cells import parse_cell
from ._comet import CometScorer
from ._generation import GenerationOptions, Generator
from ._labels import DEFAULT_PROMPT, NORMALIZE, LabelTask
from ._loading import DTYPES, LanguageModel, LoadingOptions
from ._run import ModelRecipe, answer_items, name_models
from ._tasks import LikelihoodTask, Task
from ._translation import COMET_METRICS, TranslationTask

POSITIVE = Interval(Integral, 1, None, closed="left")


class ProxyScorer(TransformerMixin, BaseEstimator):
    """Score texts by small language models.

    Each text is scored once, however often it stands in X, alone: its score does not
    depend on the texts that are scored with it.

    Parameters
    ----------
    model : str, path-like, (module, tokenizer), list or dict of these
        A folder that `save_pretrained` wrote, a name in the Hugging Face hub, a GGUF
        file, or a model with its tokenizer. Several models are run one after another;
        the names of their features begin with those of the models, which are the keys
        of a dict.
    metrics : "default" or sequence of str, default="default"
        Which features to make; the user guide lists them with their formulas.
    task : {"likelihood", "translation", "labels"}, default="likelihood"
        What the models do: say how probable they find texts, which encoder-decoders
        do of (source, text) pairs; translate the sources of (source, reference) pairs;
        or find the labels of (text, label) pairs.
    tokenizer : str, path-like or object, default=None
        Another tokenizer than the model's own.
    revision : str, default=None
        Branch, tag or commit of a model in the hub.
    device : str or list of str, default="auto"
        `"auto"` is the GPU if there is one. Of a list, and of several GPUs, the
        workers of `n_jobs` take turns.
    dtype : {"auto", "float32", "bfloat16", "float16", "float64"}, default="auto"
        Type of weights and activations. `"auto"` is bfloat16 where the hardware
        computes with it, else float32. On a CPU narrow types are for products with
        weights alone, and states between them are float32, where the model allows it.
        Probabilities are always summed in float32 or wider.
    max_tokens_per_batch : int or "auto", default="auto"
        Tokens of a batch with their padding. Where memory runs out it is halved.
    window : int, default=None
        Tokens that a model reads at once. None takes what the model was made for, at
        most 8,192.
    stride : int, default=None
        How many tokens further on the next window of a longer text begins. None is
        half a window.
    bos : "auto", bool or str, default="auto"
        What stands before each text, and in it before each window. `"auto"` takes what
        the tokenizer puts there itself, else its BOS token, else nothing. True insists
        on one, False leaves it out, a string names another token. Where there is
        nothing, the first token of a text is not scored, and its bytes do not count.
        Only for causal models; others get the special tokens of their tokenizer.
    source_lang, target_lang : str, default=None
        Languages of sources and texts, for models and prompts that name them: a code
        for all rows, of any kind that `to_iso639_3` reads or the model's own, or the
        name of a column of X that has a code in each row.
    prompt : str, default=None
        What a model reads in place of a source or a text, with `{text}` for it, and
        `{source_language}` and `{target_language}` for the English names of the
        languages. None is the text alone; a causal model translates by a prompt only,
        and finds labels behind the text and a line break.
    chat : bool, default=False
        Whether what a causal model reads is the message of a user in its chat template,
        behind which it writes the translation or the label.
    labels : sequence of str, default=None
        Those to choose from. None takes those that `fit` sees.
    method : {"likelihood", "generation"}, default="likelihood"
        How labels are found: the most probable one is chosen, or the model writes. Slot
        F1 is of annotated utterances that a model writes.
    normalize : {"none", "tokens", "bytes"}, default="none"
        By what the log-probabilities of labels are divided before they are compared.
    generation : dict, default=None
        How a model writes: `num_beams` (1, which is greedy), `length_penalty` (1.0) and
        `max_new_tokens` (256). What a causal model writes ends with the line.
    spm_model : str or path-like, default=None
        SentencePiece model of spBLEU, see `proxylm.metrics.score_translations`.
    comet_model : str or path-like, default=None
        Checkpoint of the metric `"comet"`, see `proxylm.lm.CometScorer`.
    cache_dir : str or path-like, default=None
        Folder that keeps the scores of every text, so that interrupted work goes on
        and nothing is scored twice. Several processes may share it.
    allow_pickle : bool, default=False
        Whether weights may be read that were saved as a pickle, which can run code.
    trust_remote_code : bool, default=False
        Whether code that comes with a model may be run.
    attention : str, default=None
        Attention of transformers, such as `"sdpa"`, `"eager"`, `"flash_attention_2"`.
        None is the default of the model; on a CPU, causal models that would use
        `"sdpa"` attend in blocks of queries, which is faster there.
    compile : bool, default=False
        Whether to run the model through `torch.compile`. Encoder-decoders run as they
        are.
    n_jobs : int or None, default=None
        Workers, each of which loads the model and scores its share of the texts.
        Inside `joblib.parallel_config("dask")` they are those of the cluster.
    progress : bool, default=False
        Whether to show a progress bar.

    Attributes
    ----------
    signatures_ : dict of str to str
        How the scores are made, by the name of the model: scores can be compared if
        their signatures are the same.
    labels_ : list of str or None
        The labels to choose from, where `task` is "labels" and `method` "likelihood".
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where X has names.

    See Also
    --------
    DatasetFeaturizer : Statistics of texts that need no model.

    Notes
    -----
    Tokens that a text needs to be read are no part of it: BOS, EOS and other special
    tokens are never scored. What looks like one in a text is read as plain text.

    Causal models predict each token from those before it. Masked models predict each
    token from all others, which makes pseudo-likelihoods [1]_.

    References
    ----------
    .. [1] Salazar et al. (2020). "Masked language model scoring". ACL,
       arXiv:1910.14659.

    Examples
    --------
    >>> from proxylm import ProxyScorer
    >>> scorer = ProxyScorer("HuggingFaceTB/SmolLM-135M", metrics=["bits_per_byte"])
    >>> scorer.fit_transform(["All human beings are born free."])  # doctest: +SKIP
    array([[0.7]])
    """

    _parameter_constraints: ClassVar[dict] = {
        "model": "no_validation",
        "metrics": [StrOptions({"default"}), list, tuple],
        "task": [StrOptions({"likelihood", "translation", "labels"})],
        "tokenizer": "no_validation",
        "revision": [str, None],
        "device": [str, list, tuple],
        "dtype": [StrOptions(set(DTYPES))],
        "max_tokens_per_batch": [StrOptions({"auto"}), POSITIVE],
        "window": [POSITIVE, None],
        "stride": [POSITIVE, None],
        "bos": [str, "boolean"],
        "source_lang": [str, None],
        "target_lang": [str, None],
        "prompt": [str, None],
        "chat": ["boolean"],
        "labels": ["array-like", None],
        "method": [StrOptions({"likelihood", "generation"})],
        "normalize": [StrOptions(set(NORMALIZE))],
        "generation": [dict, None],
        "spm_model": [str, os.PathLike, None],
        "comet_model": [str, os.PathLike, None],
        "cache_dir": [str, os.PathLike, None],
        "allow_pickle": ["boolean"],
        "trust_remote_code": ["boolean"],
        "attention": [str, None],
        "compile": ["boolean"],
        "n_jobs": [Integral, None],
        "progress": ["boolean"],
    }

    def __init__(
        self,
        model: Any,
        *,
        metrics: str | Sequence[str] = "default",
        task: str = "likelihood",
        tokenizer: Any = None,
        revision: str | None = None,
        device: str | Sequence[str] = "auto",
        dtype: str = "auto",
        max_tokens_per_batch: int | str = "auto",
        window: int | None = None,
        stride: int | None = None,
        bos: str | bool = "auto",
        source_lang: str | None = None,
        target_lang: str | None = None,
        prompt: str | None = None,
        chat: bool = False,
        labels: Sequence[str] | None = None,
        method: str = "likelihood",
        normalize: str = "none",
        generation: Mapping[str, Any] | None = None,
        spm_model: str | os.PathLike | None = None,
        comet_model: str | os.PathLike | None = None,
        cache_dir: str | os.PathLike | None = None,
        allow_pickle: bool = False,
        trust_remote_code: bool = False,
        attention: str | None = None,
        compile: bool = False,
        n_jobs: int | None = None,
        progress: bool = False,
    ) -> None:
        self.model = model
        self.metrics = metrics
        self.task = task
        self.tokenizer = tokenizer
        self.revision = revision
        self.device = device
        self.dtype = dtype
        self.max_tokens_per_batch = max_tokens_per_batch
        self.window = window
        self.stride = stride
        self.bos = bos
        self.source_lang = source_lang
        self.target_lang = target_lang
        self.prompt = prompt
        self.chat = chat
        self.labels = labels
        self.method = method
        self.normalize = normalize
        self.generation = generation
        self.spm_model = spm_model
        self.comet_model = comet_model
        self.cache_dir = cache_dir
        self.allow_pickle = allow_pickle
        self.trust_remote_code = trust_remote_code
        self.attention = attention
        self.compile = compile
        self.n_jobs = n_jobs
        self.progress = progress

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: None = None) -> "ProxyScorer":
        """Check parameters, texts and models; no weights are loaded.

        Parameters
        ----------
        X : array-like of shape (n_samples,) or (n_samples, n_columns)
            A text, a tuple (source, text) or a list of either in each row. A list is a
            corpus, whose scores are taken together. None or NaN where there is none.
            Beside that column there may be those of `source_lang` and `target_lang`.
        y : None
            Ignored.

        Returns
        -------
        self : ProxyScorer
        """
        corpora = self._corpora(X, reset=True)
        self.labels_ = None
        if self.task == "labels" and self.method == "likelihood":
            labels = self.labels
            if labels is None:
                labels = sorted({item.text for c in corpora for item in c or ()})
            self.labels_ = list(dict.fromkeys(labels))
        task = self._make_task()
        self.signatures_ = {}
        for name, recipe in self._recipes().items():
            model = self._load(recipe)
            task.check(model)
            signature = task.signatures(model)[0] | {"digest": model.digest[:16]}
            # In one line, as tables and pictures have it: prompts have line breaks.
            self.signatures_[name or model.name] = "|".join(
                f"{key}:{value}" for key, value in signature.items()
            ).replace("\n", "\\n")
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Return the scores of rows.

        Parameters
        ----------
        X : array-like of shape (n_samples,) or (n_samples, n_columns)
            As in `fit`.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_features_out)
            NaN where a row has no text, or one without a token that can be scored.
        """
        check_is_fitted(self)
        corpora = self._corpora(X, reset=False)
        task = self._make_task()
        columns = []
        for recipe in self._recipes().values():
            model = self._load(recipe)
            wanted = (
                part
                for corpus in corpora
                for item in corpus or ()
                for part in task.items_of(item, model)
            )
            items = list(dict.fromkeys(wanted))  # each once
            answers = answer_items(
                items,
                task,
                recipe,
                model,
                devices=self.device,
                cache_dir=self.cache_dir,
                n_jobs=self.n_jobs,
                progress=self.progress,
            )
            by_item = dict(zip(items, answers, strict=True))
            missing = [np.nan] * len(task.metrics)
            columns.append(
                [
                    missing if corpus is None else task.measure(corpus, by_item, model)
                    for corpus in corpora
                ]
            )
        return np.hstack([np.array(column, dtype=np.float64) for column in columns])

    def get_feature_names_out(self, input_features: None = None) -> np.ndarray:
        """Return the names of the scores.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        names : ndarray of str
        """
        check_is_fitted(self)
        metrics = self._make_task().names
        if not isinstance(self.model, list | Mapping):
            return np.asarray(metrics, dtype=object)
        names = [
            f"{model}_{metric}" for model in self.signatures_ for metric in metrics
        ]
        return np.asarray(names, dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.allow_nan = True
        return tags

    def __sklearn_clone__(self):
        # A copy of the weights would be of no use.
        parameters = self.get_params(deep=False)
        copies = {
            name: value if name in ("model", "tokenizer") else clone(value, safe=False)
            for name, value in parameters.items()
        }
        return type(self)(**copies)

    def __getstate__(self):
        state = dict(super().__getstate__())
        for name in ("_loaded", "_comet"):
            state.pop(name, None)
        for model in name_models(self.model).values():
            if isinstance(model, tuple):
                raise TypeError(
                    "A ProxyScorer whose model is an object can't be pickled: weights "
                    "are never written. Save the model with save_pretrained and pass "
                    "the path of its folder."
                )
        return state

    def _load(self, recipe: ModelRecipe) -> LanguageModel:
        """Return a model, whose weights stay in memory until there is another one."""
        if getattr(self, "_loaded", (None, None))[0] != recipe:
            self._loaded = (recipe, recipe.load())
        return self._loaded[1]

    def _load_comet(self) -> CometScorer:
        """Return COMET, whose weights stay in memory while it is the same."""
        device = self.device if isinstance(self.device, str) else self.device[0]
        wanted = self.comet_model, device, self.cache_dir
        if getattr(self, "_comet", (None, None))[0] != wanted:
            comet = CometScorer(wanted[0], device=device, cache_dir=self.cache_dir)
            self._comet = (wanted, comet)
        return self._comet[1]

    def _make_task(self) -> Task:
        """Return what the models are asked."""
        kinds = {
            "likelihood": LikelihoodTask,
            "translation": TranslationTask,
            "labels": LabelTask,
        }
        metrics = self.metrics
        if metrics == "default":
            metrics = kinds[self.task].default_metrics
        metrics, max_tokens = tuple(metrics), self.max_tokens_per_batch
        if self.task == "likelihood":
            return LikelihoodTask(
                metrics, self.bos, self.window, self.stride, max_tokens, self.prompt
            )
        options = GenerationOptions.of(self.generation)
        generator = Generator(
            self.prompt, self.bos, options, max_tokens, chat=self.chat
        )
        if self.task == "translation":
            comet = self._load_comet() if {*COMET_METRICS} & {*metrics} else None
            return TranslationTask(metrics, generator, self.spm_model, comet)
        generator = replace(generator, default_prompt=DEFAULT_PROMPT)
        labels = None if self.labels_ is None else tuple(self.labels_)
        return LabelTask(metrics, generator, labels, self.normalize)

    def _recipes(self) -> dict[str | None, ModelRecipe]:
        """Return how each model is loaded, by its name."""
        device = self.device if isinstance(self.device, str) else self.device[0]
        conversions = None if self.cache_dir is None else os.fspath(self.cache_dir)
        options = LoadingOptions(
            self.revision,
            device,
            self.dtype,
            self.allow_pickle,
            self.trust_remote_code,
            self.attention,
            self.compile,
            conversions,
        )
        return {
            name: ModelRecipe(model, self.tokenizer, options)
            for name, model in name_models(self.model).items()
        }

    def _corpora(self, X, reset):
        """Return the texts of each row."""
        if not isinstance(X, pd.DataFrame | pd.Series | np.ndarray):
            cells = list(X)
            X = np.empty((len(cells), 1), dtype=object)
            X[:, 0] = cells
        elif X.ndim == 1:
            X = X.to_frame() if isinstance(X, pd.Series) else X[:, None]
        codes = self._language_columns(X)
        columns = {column for column in codes if column is not None}
        if X.ndim != 2 or X.shape[1] - len(columns) != 1:
            raise ValueError(
                "X expects one column of texts, and those that source_lang and "
                f"target_lang name. Got an array of shape {X.shape}. Pass "
                'X[["text"]], or name the column in a ColumnTransformer.'
            )
        validate_data(self, X, skip_check_array=True, reset=reset)
        languages = [
            [given] * len(X) if column is None else [_code(x) for x in X[column]]
            for given, column in zip(
                (self.source_lang, self.target_lang), codes, strict=True
            )
        ]
        if isinstance(X, pd.DataFrame):
            (texts,) = (X[name] for name in X.columns if name not in columns)
        else:
            texts = X[:, 0]
        return [
            parse_cell(cell, row, pair)
            for row, (cell, *pair) in enumerate(
                zip(texts.tolist(), *languages, strict=True)
            )
        ]

    def _language_columns(self, X):
        """Return the columns of X that hold languages, or None for each."""
        names = X.columns if isinstance(X, pd.DataFrame) else ()
        return [
            code if code is not None and code in names else None
            for code in (self.source_lang, self.target_lang)
        ]


def _code(cell: Any) -> str | None:
    """Return the code in a cell; None where there is none."""
    return None if pd.isna(cell) else cell
