"""MatrixFactorizationRegressor, for tables of scores with holes."""

import warnings
from numbers import Integral, Real

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import (
    _check_sample_weight,
    check_array,
    check_is_fitted,
    check_X_y,
    validate_data,
)

from proxylm._nearest import nearest
from proxylm.regression._als import fit_als
from proxylm.regression._bayes import fit_bayes
from proxylm.regression._cold_start import fit_cold_start
from proxylm.regression._ids import IdCoder
from proxylm.regression._roles import attached_schema

CHECKS = {"dtype": np.float64, "ensure_all_finite": "allow-nan"}
# Elements of the dense design of the Bayesian solver: 800 MB.
LARGEST_DESIGN = 1e8


def _without_attributes(X):
    """Return a table without attributes, which pandas copies at every step."""
    if isinstance(X, pd.DataFrame) and X.attrs:
        X = X.copy(deep=False)
        X.attrs = {}
    return X


class MatrixFactorizationRegressor(RegressorMixin, BaseEstimator):
    r"""Fill the holes of a table of scores, with error bars.

    A score is explained by who meets whom: by biases of the ids of its record
    (languages, models, tasks, data sizes), by inner products of their factors, and
    by side features :math:`z`:

    .. math::

        y = \mu + \sum_k b_k[i_k] + c^\top z
            + \sum_{k < l} v_k[i_k]^\top v_l[i_l] + \varepsilon

    With ``solver="bayes"`` everything is learned: the precision of each coefficient,
    of the biases of each id column, of each component of its factors and of the
    noise, so there is nothing to tune, and components that the data do not support
    vanish. Two things are treated apart:

    - Records that have the same id in two columns (a model trained and tested on
      one language) have no transfer in them. They share an id of their own in both.
    - Where an id was never seen, its bias and factors are unknown, and coefficients
      that explain known ids need not carry over. Such records are predicted by a
      sparse linear model of the side features and by shrunken biases of the ids
      that are known, both chosen by leaving ids out. Or, where `id_features` names
      features of the new id, by the bias and the factors that these imply.

    Parameters
    ----------
    n_components : int, default=10
        Number of components of the factors, an upper bound. Zero leaves biases and
        side features.
    solver : {"bayes", "als"}, default="bayes"
        Variational Bayes, or alternating least squares with given penalties for
        tables of any size. Least squares give a new id no bias and no factors, and
        no standard deviations.
    id_columns : "auto" or list of str, default="auto"
        Columns of X with ids. ``"auto"`` takes the language columns of the schema
        that the loaders attach to a table (without one those named ``source_lang``
        and ``target_lang``) and all columns that are not numeric.
    id_features : dict of str to list of str, default=None
        Numeric columns of X that describe the ids of an id column, such as the size
        of a model or the script of a language. Prior means of its biases and factors
        are linear in them. They are not side features of the record too. Only for
        ``solver="bayes"``.
    alpha_bias, alpha_factor, alpha_coef : float, default=1.0
        Penalties of ``solver="als"`` on squared biases, factors and coefficients of
        standardised features, for scores of unit variance.
    alpha_per : {"id", "record"}, default="id"
        What a penalty of ``solver="als"`` counts for: once for each id, or once for
        each record of it, which shrinks ids with few records no more than others
        [4]_; that of a coefficient once, or once for each record.
    max_iter : int, default=300
        Largest number of sweeps.
    tol : float, default=1e-3
        Stop when a sweep changes fitted values by less, relative to their spread
        (``"bayes"``), or the objective, relative to its value (``"als"``).
    n_jobs : int, default=None
        Threads of ``solver="als"``. None means 1, -1 all cores.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial factors.

    Attributes
    ----------
    id_columns_ : tuple of str
        The id columns that were found.
    ids_ : dict of str to ndarray
        The ids of each column, sorted.
    biases_ : dict of str to ndarray of shape (n_ids,)
        Posterior means of the biases, in units of y.
    factors_ : dict of str to ndarray of shape (n_ids, n_components)
        Posterior means of the factors, scaled so that inner products are in units
        of y.
    coef_ : ndarray of shape (n_side_features,)
        Coefficients of the side features for known ids, in units of y per unit of
        the feature. Side features are the numeric columns without `id_features`.
    cold_start_coef_ : ndarray of shape (n_side_features,)
        Coefficients where an id is new; most are zero.
    noise_std_ : float
        Standard deviation of the noise of a record of weight one, in units of y; of
        the residuals with ``solver="als"``.
    n_iter_ : int
        Number of sweeps.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of X, where it has names.

    See Also
    --------
    ProxyRegressor : Has it as ``regressor="mf"``.

    References
    ----------
    .. [1] Koren, Bell and Volinsky (2009). "Matrix factorization techniques for
       recommender systems". Computer 42(8).
    .. [2] Rendle (2010). "Factorization machines". ICDM.
    .. [3] Lim and Teh (2007). "Variational Bayesian approach to movie rating
       prediction". KDD Cup and Workshop.
    .. [4] Zhou, Wilkinson, Schreiber and Pan (2008). "Large-scale parallel
       collaborative filtering for the Netflix prize". AAIM.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from proxylm import MatrixFactorizationRegressor
    >>> models, tasks = np.meshgrid(["a", "b", "c", "d"], ["qa", "ner", "mt", "sum"])
    >>> X = pd.DataFrame({"model": models.ravel(), "task": tasks.ravel()})
    >>> y = 10.0 * (X["model"].map(ord) - 96) + X["task"].str.len()
    >>> known = np.arange(16) != 5
    >>> regressor = MatrixFactorizationRegressor(n_components=2, random_state=0)
    >>> regressor = regressor.fit(X[known], y[known])
    >>> mean, std = regressor.predict(X[~known], return_std=True)
    >>> abs(mean[0] - y[5]) < 1
    np.True_
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "n_components": [Interval(Integral, 0, None, closed="left")],
        "solver": [StrOptions({"bayes", "als"})],
        "id_columns": [StrOptions({"auto"}), "array-like"],
        "id_features": [None, dict],
        "alpha_bias": [Interval(Real, 0, None, closed="left")],
        "alpha_factor": [Interval(Real, 0, None, closed="neither")],
        "alpha_coef": [Interval(Real, 0, None, closed="left")],
        "alpha_per": [StrOptions({"id", "record"})],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_components=10,
        *,
        solver="bayes",
        id_columns="auto",
        id_features=None,
        alpha_bias=1.0,
        alpha_factor=1.0,
        alpha_coef=1.0,
        alpha_per="id",
        max_iter=300,
        tol=1e-3,
        n_jobs=None,
        random_state=None,
    ):
        self.n_components = n_components
        self.solver = solver
        self.id_columns = id_columns
        self.id_features = id_features
        self.alpha_bias = alpha_bias
        self.alpha_factor = alpha_factor
        self.alpha_coef = alpha_coef
        self.alpha_per = alpha_per
        self.max_iter = max_iter
        self.tol = tol
        self.n_jobs = n_jobs
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the factorization to records with known scores.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Id columns, two or more, and numeric side features. Missing features are
            replaced by their means, a missing id is an unknown one. Without id
            columns the side features alone predict.
        y : array-like of shape (n_samples,)
            Scores. A score of zero is a score.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the records, such as one over the squared standard error,
            divided by their mean: a weight of two counts as two records.

        Returns
        -------
        self : MatrixFactorizationRegressor
            The fitted regressor.
        """
        self.id_columns_ = self._find_id_columns(X)
        X = _without_attributes(X)
        features, y = self._validate_fit(X, y)
        weights = _check_sample_weight(sample_weight, features)
        self._standardise(features, y, weights)
        self._find_id_features(X)
        numbers = self._standardised(features)
        Z = numbers[:, self._side]
        target = (y - self._y_mean) / self._y_scale
        self._coder = IdCoder(self.id_columns_)
        ids, units = self._coder.fit(X, len(y))
        self.ids_, self._n_ids = self._coder.labels, self._coder.n_codes
        self._cold_start = None
        if self.solver == "als":
            converged = self._fit_als(ids, Z, target, weights)
        else:
            features = self._fit_id_features(numbers, ids, weights)
            converged = self._fit_bayes(ids, units, Z, target, weights, features)
        self._publish()
        if not converged:
            warnings.warn(
                f"MatrixFactorizationRegressor did not converge in {self.max_iter} "
                f"sweeps to tol {self.tol:.1e}. Increase max_iter or tol.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def predict(self, X, return_std=False):
        """Predict scores.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            The columns seen in `fit`; ids may be new.
        return_std : bool, default=False
            Whether to return the standard deviation of a new observation, noise
            included.

        Returns
        -------
        mean : ndarray of shape (n_samples,)
            Predicted scores, in units of the y of `fit`.
        std : ndarray of shape (n_samples,)
            Only with ``return_std=True``.
        """
        check_is_fitted(self)
        X = _without_attributes(X)
        numbers = self._standardised(self._validate_predict(X))
        Z = numbers[:, self._side]
        ids = self._coder.codes(X, len(Z))
        if self.solver == "als":
            if return_std:
                raise ValueError(
                    'return_std expects solver="bayes". Got solver="als", which has no '
                    "standard deviations."
                )
            return self._y_mean + self._y_scale * self._model.predict(ids, Z)
        mean, variance = self._predict_bayes(ids, Z, numbers)
        mean = self._y_mean + self._y_scale * mean
        return (mean, self._y_scale * np.sqrt(variance)) if return_std else mean

    def _fit_als(self, ids, Z, y, weights):
        """Fit by least squares; return whether the sweeps converged."""
        if self.id_features:
            raise ValueError(
                'id_features expects solver="bayes". Got solver="als", in which a new '
                "id adds nothing."
            )
        self._model, objectives = fit_als(
            ids,
            Z,
            y,
            weights,
            n_components=self.n_components,
            alpha_bias=self.alpha_bias,
            alpha_factor=self.alpha_factor,
            alpha_coef=self.alpha_coef,
            per_record=self.alpha_per == "record",
            max_iter=self.max_iter,
            tol=self.tol,
            random_state=self.random_state,
            n_ids=self._n_ids,
            n_jobs=self.n_jobs,
        )
        residual = y - self._model.predict(ids, Z)
        self._noise_variance = np.average(residual**2, weights=weights)
        self.n_iter_ = max(1, len(objectives) - 1)
        return len(objectives) <= self.max_iter

    def _fit_bayes(self, ids, units, Z, y, weights, features):
        """Fit by variational Bayes; return whether the sweeps converged."""
        size = len(y) * (1 + Z.shape[1] + sum(self._n_ids))
        if size > LARGEST_DESIGN:
            raise ValueError(
                'MatrixFactorizationRegressor expects for solver="bayes" that records '
                f"times ids and features are at most {LARGEST_DESIGN:.0e}. Got "
                f'{len(y)} records and {sum(self._n_ids)} ids. Use solver="als".'
            )
        self._model = fit_bayes(
            ids,
            Z,
            y,
            weights,
            features,
            n_components=self.n_components,
            max_iter=self.max_iter,
            tol=self.tol,
            rng=check_random_state(self.random_state),
        )
        if self.id_columns_:
            self._cold_start = fit_cold_start(ids, units, Z, y, weights, self._n_ids)
        self._noise_variance = self._model.noise_variance
        self.n_iter_ = self._model.n_iter
        return self._model.change <= self.tol

    def _predict_bayes(self, ids, Z, numbers):
        """Return means and variances, those of new ids from what is known of them."""
        described = np.array([bool(block) for block in self._described], dtype=bool)
        known = ((ids >= 0) | described).all(axis=1)
        mean, variance = np.empty(len(Z)), np.empty(len(Z))
        features = [
            (numbers[known][:, block] - centre) / scale
            for block, (centre, scale) in zip(
                self._described, self._id_scales, strict=True
            )
        ]
        mean[known], variance[known] = self._model.predict(
            ids[known], Z[known], features
        )
        if not known.all():
            mean[~known] = self._cold_start.predict(ids[~known], Z[~known])
            variance[~known] = self._cold_start.variance
        return mean, variance

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags

    def _find_id_columns(self, X):
        """Return the names of the id columns of X."""
        automatic = isinstance(self.id_columns, str)
        if not isinstance(X, pd.DataFrame):
            if not automatic and len(self.id_columns):
                raise TypeError(
                    f"id_columns={list(self.id_columns)!r} names columns, which needs "
                    f"X to be a pandas DataFrame. Got {type(X).__name__}."
                )
            return ()
        if automatic:
            languages = attached_schema(X).languages
            return tuple(
                name
                for name, dtype in zip(X.columns, X.dtypes, strict=True)
                if name in languages
                or not (is_numeric_dtype(dtype) or is_bool_dtype(dtype))
            )
        missing = [name for name in self.id_columns if name not in X.columns]
        if missing:
            raise ValueError(
                f"id_columns expects names of columns of X. Got {missing}, which X "
                f"does not have.{nearest(str(missing[0]), map(str, X.columns))}"
            )
        return tuple(self.id_columns)

    def _validate_fit(self, X, y):
        """Return the numeric columns and the scores of `fit`."""
        if not isinstance(X, pd.DataFrame):
            return validate_data(
                self, X, y, y_numeric=True, ensure_min_samples=2, **CHECKS
            )
        validate_data(self, X, skip_check_array=True)
        # A table of ids alone has no numeric column, which check_X_y refuses.
        numeric = X.drop(columns=list(self.id_columns_))
        padded = numeric.assign(_=0.0) if numeric.empty else numeric
        if all(isinstance(dtype, np.dtype) for dtype in padded.dtypes):
            padded = padded.to_numpy()  # is checked in a fraction of the time
        padded, y = check_X_y(
            padded, y, y_numeric=True, ensure_min_samples=2, estimator=self, **CHECKS
        )
        return padded[:, : numeric.shape[1]], y

    def _validate_predict(self, X):
        """Return the numeric columns of `predict`."""
        if not isinstance(X, pd.DataFrame):
            if self.id_columns_:
                raise TypeError(
                    "MatrixFactorizationRegressor was fitted with the id columns "
                    f"{list(self.id_columns_)} and expects a pandas DataFrame that has "
                    f"them. Got {type(X).__name__}."
                )
            return validate_data(self, X, reset=False, **CHECKS)
        validate_data(self, X, skip_check_array=True, reset=False)
        numeric = X.drop(columns=list(self.id_columns_))
        if numeric.shape[1] == 0:
            return np.empty((len(X), 0))
        return check_array(numeric, estimator=self, **CHECKS)

    def _standardise(self, features, y, weights):
        """Learn weighted means and scales of features and scores."""
        present = ~np.isnan(features)
        shares = np.where(present, weights[:, None], 0.0)
        totals = np.maximum(shares.sum(axis=0), 1e-12)
        filled = np.where(present, features, 0.0)
        self._z_mean = (shares * filled).sum(axis=0) / totals
        spread = np.where(present, features - self._z_mean, 0.0) ** 2
        scale = np.sqrt((shares * spread).sum(axis=0) / totals)
        tiny = scale <= 1e-12 * np.maximum(1.0, np.abs(self._z_mean))
        self._z_scale = np.where(tiny, 1.0, scale)
        self._y_mean = np.average(y, weights=weights)
        scale = np.sqrt(np.average((y - self._y_mean) ** 2, weights=weights))
        self._y_scale = scale if scale > 0 else 1.0

    def _find_id_features(self, X):
        """Set the positions of the features of each id column, and of the others."""
        given = self.id_features or {}
        names = []
        if isinstance(X, pd.DataFrame):
            names = [name for name in X.columns if name not in self.id_columns_]
        unknown = [name for name in given if name not in self.id_columns_]
        unknown += [f for block in given.values() for f in block if f not in names]
        if unknown:
            raise ValueError(
                "id_features expects id columns with lists of numeric columns of X. "
                f"Got {unknown[0]!r}, which is none of {[*self.id_columns_, *names]}."
            )
        self._described = [
            [names.index(feature) for feature in given.get(name, ())]
            for name in self.id_columns_
        ]
        taken = {position for block in self._described for position in block}
        self._side = [i for i in range(len(self._z_mean)) if i not in taken]

    def _fit_id_features(self, numbers, ids, weights):
        """Return the features of the ids of each column, standardised over ids."""
        self._id_scales, blocks = [], []
        for k, (described, n) in enumerate(
            zip(self._described, self._n_ids, strict=True)
        ):
            totals = np.maximum(np.bincount(ids[:, k], weights, minlength=n), 1e-12)
            means = [
                np.bincount(ids[:, k], weights * numbers[:, j], minlength=n) / totals
                for j in described
            ]
            # The last id is no id of this column, so it has no features.
            block = np.array(means).reshape(len(described), n).T
            centre = block[:-1].mean(axis=0) if n > 1 else np.zeros(len(described))
            scale = block[:-1].std(axis=0) if n > 1 else np.ones(len(described))
            scale = np.where(scale > 1e-12, scale, 1.0)
            block = (block - centre) / scale
            block[-1] = 0.0
            self._id_scales.append((centre, scale))
            blocks.append(block)
        return blocks

    def _standardised(self, features):
        """Return standardised features, zero (the mean) where one is missing."""
        return np.nan_to_num((features - self._z_mean) / self._z_scale, nan=0.0)

    def _publish(self):
        """Set the fitted attributes in units of y and of the features."""
        model, scale = self._model, self._y_scale
        z_scale = self._z_scale[self._side]
        self.coef_ = scale * model.coef / z_scale
        self.cold_start_coef_ = self.coef_
        if self._cold_start is not None:
            self.cold_start_coef_ = scale * self._cold_start.coef / z_scale
        self.biases_ = {
            name: scale * biases[:-1]
            for name, biases in zip(self.id_columns_, model.biases, strict=True)
        }
        self.factors_ = {
            name: np.sqrt(scale) * factors[:-1]
            for name, factors in zip(self.id_columns_, model.factors, strict=True)
        }
        self.noise_std_ = float(scale * np.sqrt(self._noise_variance))
