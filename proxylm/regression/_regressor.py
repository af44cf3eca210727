"""ProxyRegressor, the estimator that users call first."""

import warnings
from dataclasses import replace
from numbers import Integral

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.model_selection import check_cv
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
)

from proxylm._nearest import nearest
from proxylm.regression._intervals import IntervalMixin
from proxylm.regression._models import (
    ModelContext,
    column_importances,
    fit_weighted,
    known_parameters,
    named_regressor,
)
from proxylm.regression._roles import (
    language_groups,
    numeric_part,
    resolve_range,
    resolve_roles,
    validate_fit,
    validate_predict,
)
from proxylm.regression._search import inner_folds, search_parameters
from proxylm.regression._stack import StackedRegressor

# Are handed a table even where it has no languages.
TAKE_TABLES = ("auto", "gp")


class ProxyRegressor(IntervalMixin, RegressorMixin, BaseEstimator):
    """Predict the score of a large language model from cheap features.

    The regressor behind it is chosen by name. Languages are roles of columns, not
    features: they define the groups over which everything inside `fit` is chosen,
    so that the choice is made for languages that were never tried.

    Parameters
    ----------
    regressor : {"auto", "xgboost", "lightgbm", "gp", "poly", "mf", "ridge"} or \
            estimator, default="auto"
        What predicts. ``"auto"`` weighs Gaussian processes, trees, lines and factors
        by how well each predicts languages that were left out, and by how well it
        predicts known ones; ``"gp"`` is a Gaussian process with effects of the
        languages, ``"poly"`` an elastic net on powers without interactions, ``"mf"``
        :class:`MatrixFactorizationRegressor`. Any scikit-learn regressor can be
        passed.
    languages : "auto", None, str or list of str, default="auto"
        Columns of X with the source and the target language, one or two.
        ``"auto"`` takes them from the schema that the loaders attach to a table
        (``X.attrs["schema"]``), and without one the columns named ``source_lang``
        and ``target_lang``, where X has them.
    proxies : "auto", None or list of str, default="auto"
        Columns of X with the scores of proxy models, likewise. Those that are found
        stand in `proxies_`.
    indicators : "auto", None or list of str, default="auto"
        Columns of zeros and ones that ``"poly"`` takes as they are.
    context : DataFrame, default=None
        Features of other records, with the columns of X and no scores of the target:
        the records to be predicted, or all there are. ``"auto"`` learns from them
        what the proxies' scores say of a language. A language that is neither in X
        nor here is predicted without that.
    regressor_params : dict, default=None
        Parameters of the regressor that replace the defaults, by its own names.
    search : {None, "grid", "random", "bayes"}, default=None
        Search of parameters inside `fit`. ``"bayes"`` needs optuna
        (``pip install "proxylm[search]"``).
    param_space : dict, default=None
        Parameter names to lists of values or, for ``"random"`` and ``"bayes"``, to
        frozen scipy.stats distributions. None takes a space that suits the regressor.
    n_iter : int, default=25
        Number of draws of ``search="random"`` and ``"bayes"``.
    cv : int, splitter or iterable of (train, test), default=5
        Folds inside `fit`. A number makes that many folds, each with its own
        left-out languages.
    score_range : "auto", None, str or (low, high), default="auto"
        Predictions are clipped to it. A string is the name of a metric, ``"auto"``
        the range of the metric in the schema of X, if there is one, and None
        switches clipping off.
    n_jobs : int, default=None
        Number of folds fitted side by side when something is chosen, and of threads
        of the final fit. None means 1, -1 all cores.
    random_state : int, RandomState instance or None, default=None
        Seed of the folds, the search and the regressor.

    Attributes
    ----------
    regressor_ : estimator
        The fitted regressor on the numeric columns.
    regressor_name_ : str
        Its name, or its class.
    languages_ : tuple of str
        The language columns that were found.
    proxies_ : tuple of str
        The proxy columns that were found.
    score_range_ : tuple of (float, float)
        The range to which predictions are clipped, in units of y.
    feature_importances_ : ndarray of shape (`n_features_in_`,)
        Importances that sum to one: with ``"auto"`` and ``"gp"`` how far predictions
        move when the column takes the values of other records, else those of the
        trees, or the absolute coefficients of the standardised features. Zero for
        language columns.
    best_params_ : dict
        The parameters found by the search; empty without one.
    weights_ : dict of str to dict
        With ``"auto"`` the weights of its members, for rows whose languages are all
        ``"known"``, for rows with one that is ``"new"``, and for those whose new
        language has no profile (``"unprofiled"``). Empty with other regressors.
    cv_rmse_ : dict
        RMSE over the inner folds, in units of y: of the members of ``"auto"`` and
        their ``"stack"``, or of the regressor that was searched. Empty when nothing
        had to be chosen.
    cv_results_ : dict
        Every point of the search with its mean score. Only after a search.
    n_features_in_ : int
        Number of columns of X, languages included.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of X, where it has names.

    See Also
    --------
    proxylm.LeaveOneLanguageOut : The splitter to judge it with.
    proxylm.evaluate : The loop that trains and tests it.

    References
    ----------
    .. [1] Anugraha et al. (2024). "ProxyLM: Predicting Language Model Performance on
       Multilingual Tasks via Proxy Models". arXiv:2406.09334.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from proxylm import ProxyRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({
    ...     "source_lang": np.repeat(["deu", "ind", "swh", "tam", "yor"], 8),
    ...     "target_lang": "eng",
    ...     "small_model": rng.uniform(0, 40, 40),
    ... })
    >>> y = 1.2 * X["small_model"] + rng.normal(size=40)
    >>> regressor = ProxyRegressor("ridge", proxies=["small_model"]).fit(X, y)
    >>> regressor.languages_
    ('source_lang', 'target_lang')
    >>> regressor.predict(X.assign(source_lang="new"))[:2].round(1)
    array([30. , 15.7])
    """

    # Languages in groups are for the folds inside fit as much as for the splitter.
    __metadata_request__fit = {"groups": True}  # noqa: RUF012

    _parameter_constraints: dict = {  # noqa: RUF012
        "regressor": [str, HasMethods(["fit", "predict"])],
        "languages": [None, str, "array-like"],
        "proxies": [None, StrOptions({"auto"}), "array-like"],
        "indicators": [None, StrOptions({"auto"}), "array-like"],
        "context": [None, pd.DataFrame],
        "regressor_params": [None, dict],
        "search": [None, StrOptions({"grid", "random", "bayes"})],
        "param_space": [None, dict],
        "n_iter": [Interval(Integral, 1, None, closed="left")],
        "cv": [Interval(Integral, 2, None, closed="left"), "cv_object"],
        "score_range": [None, str, tuple, list],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        regressor="auto",
        *,
        languages="auto",
        proxies="auto",
        indicators="auto",
        context=None,
        regressor_params=None,
        search=None,
        param_space=None,
        n_iter=25,
        cv=5,
        score_range="auto",
        n_jobs=None,
        random_state=None,
    ):
        self.regressor = regressor
        self.languages = languages
        self.proxies = proxies
        self.indicators = indicators
        self.context = context
        self.regressor_params = regressor_params
        self.search = search
        self.param_space = param_space
        self.n_iter = n_iter
        self.cv = cv
        self.score_range = score_range
        self.n_jobs = n_jobs
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, groups=None, sample_weight=None):
        """Fit the regressor to records with known scores.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Features, proxies and, in a DataFrame, language columns. Missing features
            (NaN) are allowed.
        y : array-like of shape (n_samples,)
            Scores of the target model.
        groups : array-like of shape (n_samples,) or (n_samples, 2), default=None
            Languages of the records where X has no language columns.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the records, such as one over the squared standard error.

        Returns
        -------
        self : ProxyRegressor
            The fitted regressor.
        """
        roles = resolve_roles(
            X,
            languages=self.languages,
            proxies=self.proxies,
            indicators=self.indicators,
        )
        features, y = validate_fit(self, X, y, roles)
        if groups is None:
            groups = language_groups(X, roles)
        check_consistent_length(features, groups)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, features)
        rng = check_random_state(self.random_state)
        context = ModelContext(
            n_samples=features.shape[0],
            n_features=features.shape[1],
            indicators=tuple(roles.names.index(name) for name in roles.indicators),
            random_state=int(rng.randint(np.iinfo(np.int32).max)),
            n_jobs=self.n_jobs,
            languages=roles.languages,
            proxies=roles.proxies,
            model=roles.model,
        )
        self._roles = roles
        self._feature_scale = np.nan_to_num(np.nanstd(features, axis=0))
        self.languages_ = roles.languages
        self.proxies_ = roles.proxies
        self.score_range_ = resolve_range(self.score_range, roles)
        self.best_params_, self.cv_rmse_, self.weights_ = {}, {}, {}
        self.regressor_name_ = self._name()
        if self.regressor_name_ == "auto":
            self._fit_stack(X, features, y, groups, sample_weight, context)
            return self
        estimator, inputs = self._choose(X, features, y, groups, context)
        self.regressor_ = fit_weighted(estimator, inputs, y, sample_weight)
        return self

    def predict(self, X, return_interval=False, confidence_level=0.9):
        """Predict the scores of records.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            The columns seen in `fit`. Languages that were not seen are allowed.
        return_interval : bool, default=False
            Whether to return the intervals too, as `predict_interval` does.
        confidence_level : float, default=0.9
            Share of the scores that the intervals are to hold.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Predicted scores, in units of the y of `fit`.
        interval : ndarray of shape (n_samples, 2)
            Lower and upper ends, only if `return_interval` is true.
        """
        check_is_fitted(self)
        if return_interval:
            self._check_intervals()
            return self._interval(X, confidence_level)
        features = validate_predict(self, X, self._roles)
        inputs = self._inputs(X, features, self._takes_languages)
        predicted = np.asarray(self.regressor_.predict(inputs), dtype=np.float64)
        return np.clip(predicted.reshape(-1), *self.score_range_)

    @property
    def feature_importances_(self):
        """Importances of the columns of X."""
        check_is_fitted(self)
        importances = np.zeros(self.n_features_in_)
        weights = column_importances(self.regressor_, self._feature_scale)
        importances[self._roles.numeric] = weights
        total = importances.sum()
        return importances / total if total > 0 else importances

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        # Language columns: evaluate() hands them only to estimators that say this.
        tags.input_tags.categorical = True
        return tags

    def _inputs(self, X, features, takes_languages):
        """Return what the regressor is handed: numbers, or languages beside them."""
        has_table = takes_languages and bool(self._roles.languages)
        if self.regressor_name_ not in TAKE_TABLES and not has_table:
            return features
        names = self._roles.names or [f"x{i}" for i in range(features.shape[1])]
        numbers = pd.DataFrame(features, columns=list(names))
        if not self._roles.languages:
            return numbers
        languages = X[list(self._roles.languages)].reset_index(drop=True)
        table = pd.concat([languages.astype(object), numbers], axis=1)
        # Roles are settled: what comes next is told by name, not by a schema.
        table.attrs.clear()
        return table

    def _check_intervals(self):
        """Raise an AttributeError that says how a named regressor gets intervals."""
        if self._name() != "auto":
            raise AttributeError(
                f'Intervals expect regressor="auto". Got {self.regressor!r}. Wrap it: '
                "LanguageConformalRegressor(ProxyRegressor(...))."
            )

    def _predict_with_spread(self, X):
        """Return predictions, the features of their spread, and unseen languages."""
        check_is_fitted(self)
        features = validate_predict(self, X, self._roles)
        inputs = self._inputs(X, features, self._takes_languages)
        predicted, features, unseen = self.regressor_.predict_with_spread(inputs)
        return np.clip(predicted, *self.score_range_), features, unseen

    @property
    def _calibrator(self):
        calibrator = self.regressor_.calibrator_
        if calibrator is None:
            raise ValueError(
                "Intervals expect at least 10 records to learn errors from. Got "
                "fewer in fit."
            )
        return calibrator

    def _name(self):
        """Return the name of the regressor, or of its class."""
        given = self.regressor
        return given if isinstance(given, str) else type(given).__name__

    def _fit_stack(self, table, features, y, groups, sample_weight, context):
        """Fit what "auto" stands for."""
        if self.regressor_params or self.search is not None:
            given = "regressor_params" if self.regressor_params else "search"
            raise ValueError(
                f'{given} expects a named regressor. Got regressor="auto" with '
                f"{getattr(self, given)!r}. Name the regressor that it is for."
            )
        folds = self._inner_folds(features, y, groups, context)
        if groups is None and isinstance(self.cv, Integral):
            folds = []  # of rows, which the stack makes itself
        self._takes_languages = True
        self.regressor_ = StackedRegressor(
            languages=self._roles.languages,
            proxies=self._roles.proxies,
            model=self._roles.model,
            score_range=self.score_range_,
            n_jobs=self.n_jobs,
            random_state=context.random_state,
        ).fit(
            self._inputs(table, features, takes_languages=True),
            y,
            sample_weight,
            language_folds=[test for _, test in folds],
            context=self._context_inputs(table),
        )
        self.cv_rmse_ = self.regressor_.cv_rmse_
        self.weights_ = self.regressor_.weights_

    def _context_inputs(self, X):
        """Return the context in the form of the table that the stack is handed."""
        if self.context is None or not isinstance(X, pd.DataFrame):
            return None
        missing = [name for name in X.columns if name not in self.context.columns]
        if missing:
            raise ValueError(
                f"context expects the columns of X. Got none named {missing[0]!r}. "
                "Pass the features of other records, such as records.data."
            )
        context = self.context[list(X.columns)]
        numbers = numeric_part(context, self._roles)
        return self._inputs(context, numbers.to_numpy(), takes_languages=True)

    def _choose(self, table, features, y, groups, context):
        """Return a regressor, its parameters searched, and its inputs."""
        params = self.regressor_params or {}
        name = self.regressor
        entry = named_regressor(name)
        self._takes_languages = entry.takes_languages
        inputs = self._inputs(table, features, entry.takes_languages)
        self._check_params(name, params)
        estimator = entry.build(context, **params)
        if self.search is not None:
            folds = self._inner_folds(features, y, groups, context)
            single = replace(context, n_jobs=1)  # the folds run side by side
            searched = entry.build(single, **params)
            best = self._search(searched, entry, inputs, y, folds, context)
            estimator = estimator.set_params(**best)
        return estimator, inputs

    def _check_params(self, name, params):
        """Refuse parameters that a named regressor would ignore without a word."""
        if not isinstance(name, str):
            return
        known = known_parameters(name)
        unknown = [key for key in params if key not in known]
        if unknown:
            raise ValueError(
                f"regressor_params expects parameters of {name}. Got {unknown[0]!r}."
                f"{nearest(unknown[0], known)} Known are {sorted(known)}."
            )

    def _inner_folds(self, X, y, groups, context):
        """Return folds of left-out languages; without languages, warn."""
        if not isinstance(self.cv, Integral):
            return list(check_cv(self.cv).split(X, y, groups))
        if groups is None:
            warnings.warn(
                "ProxyRegressor found no languages, so what it chooses inside fit is "
                "chosen on folds of rows, which flatters models that do not carry over "
                "to new languages. Name the language columns in languages=[...] or "
                "pass groups to fit.",
                UserWarning,
                stacklevel=4,
            )
        return inner_folds(
            len(X), groups, self._roles.pivots, self.cv, context.random_state
        )

    def _search(self, estimator, entry, X, y, folds, context):
        """Return the best parameters by their nested names."""
        label = self.regressor_name_
        space = self.param_space
        if space is None:
            space = entry.grid if self.search == "grid" else entry.distributions
        if not space:
            raise ValueError(
                f"search={self.search!r} expects a param_space for {label}. Got "
                f"{self.param_space!r}. Pass param_space={{parameter: values}}."
            )
        nested = {entry.paths.get(key, key): values for key, values in space.items()}
        known = estimator.get_params()
        unknown = [key for key in nested if key not in known]
        if unknown:
            raise ValueError(
                f"param_space expects parameters of {label}. Got {unknown}. Known are "
                f"{sorted({*entry.paths, *known} - {'steps', 'verbose'})}."
            )
        best, rmse, self.cv_results_ = search_parameters(
            estimator,
            nested,
            X,
            y,
            search=self.search,
            folds=folds,
            n_iter=self.n_iter,
            n_jobs=self.n_jobs,
            random_state=context.random_state,
        )
        short = {path: key for key, path in entry.paths.items()}
        self.best_params_ = {short.get(key, key): value for key, value in best.items()}
        self.cv_rmse_ = {label: rmse}
        return best
