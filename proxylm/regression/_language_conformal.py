"""LanguageConformalRegressor, which gives any regressor its intervals."""

from numbers import Integral

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import (
    BaseEstimator,
    MetaEstimatorMixin,
    RegressorMixin,
    _fit_context,
    clone,
)
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing, check_random_state, get_tags
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    has_fit_parameter,
)

from proxylm.regression._conformal import IntervalCalibrator, unseen_sides
from proxylm.regression._intervals import IntervalMixin
from proxylm.regression._models import fit_weighted
from proxylm.regression._roles import (
    numeric_part,
    resolve_roles,
    validate_fit,
    validate_predict,
)
from proxylm.regression._search import inner_folds


def calibration_folds(n_samples, languages, pivots, cv, random_state):
    """Return folds that leave out languages, then folds that leave out rows."""
    by_row = inner_folds(n_samples, None, (), cv, random_state)
    if languages is None:
        return by_row
    by_language = inner_folds(n_samples, languages, pivots, cv, random_state)
    # Rows again, where there are too few languages to leave any out.
    if np.array_equal(by_language[0][1], by_row[0][1]):
        return by_row
    return by_language + by_row


def fit_estimator(estimator, X, y, groups, sample_weight):
    """Fit an estimator, with the groups if it takes them."""
    if groups is None or not has_fit_parameter(estimator, "groups"):
        return fit_weighted(estimator, X, y, sample_weight)
    return estimator.fit(X, y, groups=groups, sample_weight=sample_weight)


def predict_fold(estimator, X, y, groups, sample_weight, train, test):
    """Fit a copy of an estimator to some rows and predict others."""
    rows = [
        None if part is None else _safe_indexing(part, train)
        for part in (X, y, groups, sample_weight)
    ]
    fitted = fit_estimator(clone(estimator), *rows)
    return np.asarray(fitted.predict(_safe_indexing(X, test)), dtype=float).reshape(-1)


class LanguageConformalRegressor(
    IntervalMixin, MetaEstimatorMixin, RegressorMixin, BaseEstimator
):
    """Intervals for the predictions of any regressor, valid for unseen languages.

    The regressor is fitted to all records and predicts. Copies of it that miss a fold
    of languages, or a fold of rows, show how far such predictions are off, and a
    conformal quantile of these errors makes the intervals. Exchangeable are the
    languages, not the rows: an interval of 90% holds for 90% of the records of a
    language that was never seen, on average over such languages.

    Parameters
    ----------
    estimator : estimator
        Any regressor. One that accepts categorical input (as
        :class:`ProxyRegressor` does) is handed the language columns too, others
        only the numeric ones.
    languages : "auto", None, str or list of str, default="auto"
        Columns of X with the source and the target language, one or two.
        ``"auto"`` takes them from the schema that the loaders attach to a table, and
        without one the columns named ``source_lang`` and ``target_lang``, where X
        has them.
    cv : int, splitter or iterable of (train, test), default=10
        Folds for the calibration. A number makes that many folds of languages and as
        many of rows. A splitter is used as it is, with the languages as groups; what
        it never leaves out borrows from what it does.
    random_state : int, RandomState instance or None, default=None
        Seed of the folds.
    n_jobs : int, default=None
        Number of folds fitted side by side. None means 1, -1 all cores.

    Attributes
    ----------
    estimator_ : estimator
        The regressor fitted to all records.
    languages_ : tuple of str
        The language columns that were found.
    score_range_ : tuple of (float, float)
        The range of the metric in the schema of X, to which predictions and intervals
        are clipped.
    exact_level_ : ndarray of shape (n_sides + 1,)
        The highest confidence level that needs no assumption on the distribution of
        errors, for records with 0, 1 and 2 unseen languages: K / (K + 1) with K
        calibration languages (records, for 0).
    n_features_in_ : int
        Number of columns of X, languages included.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of X, where it has names.

    See Also
    --------
    proxylm.evaluate : Measures the coverage over left-out languages.
    CoverageDisplay : Draws it.

    Notes
    -----
    A language is unseen if `fit` had no record with it on that side. Where X has no
    language columns and `fit` was given groups, all languages count as unseen.

    References
    ----------
    .. [1] Dunn, Wasserman, Ramdas (2022). "Distribution-Free Prediction Sets for
       Two-Layer Hierarchical Models". arXiv:1809.07441.
    .. [2] Lee, Barber, Willett (2023). "Distribution-Free Inference with Hierarchical
       Data". arXiv:2306.06342.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn.linear_model import Ridge
    >>> from proxylm import LanguageConformalRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({
    ...     "source_lang": np.repeat([f"l{i:02}" for i in range(30)], 4),
    ...     "target_lang": "eng",
    ...     "small_model": rng.uniform(0, 40, 120),
    ... })
    >>> y = X["small_model"] + np.repeat(rng.normal(size=30), 4)
    >>> regressor = LanguageConformalRegressor(Ridge(), random_state=0).fit(X, y)
    >>> low, high = regressor.predict_interval(X[:1].assign(source_lang="new"))[0]
    >>> bool(low < y[0] < high)
    True
    >>> regressor.exact_level_.round(2)
    array([0.99, 0.97, 0.97])
    """

    __metadata_request__fit = {"groups": True}  # noqa: RUF012

    _parameter_constraints: dict = {  # noqa: RUF012
        "estimator": [HasMethods(["fit", "predict"])],
        "languages": [None, str, "array-like"],
        "cv": [Interval(Integral, 2, None, closed="left"), "cv_object"],
        "random_state": ["random_state"],
        "n_jobs": [None, Integral],
    }

    def __init__(
        self, estimator, *, languages="auto", cv=10, random_state=None, n_jobs=None
    ):
        self.estimator = estimator
        self.languages = languages
        self.cv = cv
        self.random_state = random_state
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, groups=None, sample_weight=None):
        """Fit the regressor, and copies of it on the folds of the calibration.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Features and, in a DataFrame, language columns.
        y : array-like of shape (n_samples,)
            Scores of the target model.
        groups : array-like of shape (n_samples,) or (n_samples, 2), default=None
            Languages of the records where X has no language columns.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the records.

        Returns
        -------
        self : LanguageConformalRegressor
            The fitted regressor.
        """
        roles = resolve_roles(
            X, languages=self.languages, proxies=None, indicators=None
        )
        self._roles = roles
        self.languages_ = roles.languages
        self.score_range_ = roles.score_range
        features, y = validate_fit(self, X, y, self._roles)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, features)
        languages = self._language_table(X)
        if languages is not None:
            groups = None  # the estimator finds the columns itself
        elif groups is not None:
            check_consistent_length(features, groups)
            groups = np.asarray(groups, dtype=object)
            languages = groups.reshape(len(features), -1)
        inputs = self._inputs(X, features)
        folds = self._folds(inputs, y, languages)
        predicted = Parallel(n_jobs=self.n_jobs)(
            delayed(predict_fold)(
                self.estimator, inputs, y, groups, sample_weight, train, test
            )
            for train, test in folds
        )
        self.estimator_ = fit_estimator(
            clone(self.estimator), inputs, y, groups, sample_weight
        )
        self._calibrate(features, y, languages, sample_weight, folds, predicted)
        return self

    def predict(self, X, return_interval=False, confidence_level=0.9):
        """Predict the scores of records.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            The columns seen in `fit`. Languages that were not seen are allowed.
        return_interval : bool, default=False
            Whether to return the intervals too.
        confidence_level : float, default=0.9
            Share of the scores that the intervals are to hold.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Predicted scores, in units of the y of `fit`.
        interval : ndarray of shape (n_samples, 2)
            Lower and upper ends, only if `return_interval` is true.
        """
        if return_interval:
            return self._interval(X, confidence_level)
        return self._predict_with_spread(X)[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = get_tags(self.estimator).input_tags.allow_nan
        tags.input_tags.categorical = True
        return tags

    def _language_table(self, X):
        """Return the language columns of X as an array, or None."""
        if not self.languages_:
            return None
        return X[list(self.languages_)].to_numpy(dtype=object)

    def _inputs(self, X, features):
        """Return what the estimator is handed."""
        if not isinstance(X, pd.DataFrame):
            return features
        if get_tags(self.estimator).input_tags.categorical:
            return X
        return numeric_part(X, self._roles)

    def _folds(self, inputs, y, languages):
        """Return the folds of the calibration."""
        if not isinstance(self.cv, Integral):
            one = languages is not None and languages.shape[1] == 1
            groups = languages[:, 0] if one else languages
            return list(check_cv(self.cv).split(inputs, y, groups))
        rng = check_random_state(self.random_state)
        seed = int(rng.randint(np.iinfo(np.int32).max))
        return calibration_folds(len(y), languages, self._roles.pivots, self.cv, seed)

    def _calibrate(self, features, y, languages, sample_weight, folds, predicted):
        """Fit the calibrator to what the folds predicted."""
        test = np.concatenate([test for _, test in folds])
        oof = np.clip(np.concatenate(predicted), *self.score_range_)
        unseen = None
        if languages is not None:
            unseen = np.concatenate(
                [unseen_sides(languages[t], languages[train].T) for train, t in folds]
            )
        self._calibrator = IntervalCalibrator().fit(
            y[test],
            oof,
            features[test],
            None if languages is None else languages[test],
            unseen,
            None if sample_weight is None else sample_weight[test],
        )
        self._known = None if languages is None else [set(c) for c in languages.T]
        n_regimes = 1 if languages is None else 1 + languages.shape[1]
        self.exact_level_ = np.array(
            [self._calibrator.exact_level(regime) for regime in range(n_regimes)]
        )

    def _predict_with_spread(self, X):
        """Return predictions, numeric features and which languages are unseen."""
        check_is_fitted(self)
        features = validate_predict(self, X, self._roles)
        predicted = self.estimator_.predict(self._inputs(X, features))
        predicted = np.asarray(predicted, dtype=float).reshape(-1)
        languages = self._language_table(X)
        if languages is not None:
            unseen = unseen_sides(languages, self._known)
        else:
            n_sides = 0 if self._known is None else len(self._known)
            unseen = np.ones((len(features), n_sides), dtype=bool)
        return np.clip(predicted, *self.score_range_), features, unseen
