"""Hyperparameter search inside fit, on folds of left-out languages."""

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    RandomizedSearchCV,
    cross_val_score,
)

from proxylm._optional import import_optional
from proxylm.model_selection._split import LanguageKFold

SCORING = "neg_mean_squared_error"


def inner_folds(n_samples, groups, pivots, cv, random_state):
    """Return (train, test) pairs that share no language, or no row without groups.

    Languages that every record has (pivots) cannot be left out and are not.
    """
    if groups is None:
        folds = KFold(min(cv, n_samples), shuffle=True, random_state=random_state)
        return list(folds.split(np.zeros((n_samples, 1))))
    columns = np.asarray(groups, dtype=object).reshape(n_samples, -1)
    languages = set(columns.ravel())
    everywhere = {
        language
        for language in set(columns[0])
        if (columns == language).any(axis=1).all()
    }
    pivots = (everywhere | set(pivots)) & languages
    n_splits = min(cv, len(languages) - len(pivots))
    if n_splits < 2:
        return inner_folds(n_samples, None, (), cv, random_state)
    splitter = LanguageKFold(
        n_splits, exclude=sorted(pivots, key=str), random_state=random_state
    )
    return list(splitter.split(columns, groups=columns))


def _suggest(trial, name, space):
    """Draw one value of a list or of a frozen scipy.stats distribution."""
    if not hasattr(space, "dist"):
        return trial.suggest_categorical(name, list(space))
    low, high = space.support()
    if np.isinf([low, high]).any():
        raise ValueError(
            f'search="bayes" expects bounded distributions. Got {name} between {low} '
            f"and {high}. Use randint, uniform or loguniform, or a list of values."
        )
    if space.dist.name == "randint":
        return trial.suggest_int(name, int(low), int(high))
    return trial.suggest_float(
        name,
        float(low),
        float(high),
        log=space.dist.name in ("loguniform", "reciprocal"),
    )


def _bayes_search(estimator, space, X, y, folds, n_iter, n_jobs, random_state):
    """Tree-structured Parzen estimation with optuna; returns params and scores."""
    optuna = import_optional("optuna", extra="search")
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def objective(trial):
        params = {name: _suggest(trial, name, values) for name, values in space.items()}
        scores = cross_val_score(
            clone(estimator).set_params(**params),
            X,
            y,
            cv=folds,
            scoring=SCORING,
            n_jobs=n_jobs,
            error_score="raise",
        )
        return float(np.mean(scores))

    try:
        study = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.TPESampler(seed=random_state)
        )
        study.optimize(objective, n_trials=n_iter)
    finally:
        optuna.logging.set_verbosity(verbosity)
    results = {
        "params": [trial.params for trial in study.trials],
        "mean_test_score": np.array([trial.value for trial in study.trials]),
    }
    return study.best_params, study.best_value, results


def search_parameters(
    estimator, space, X, y, *, search, folds, n_iter, n_jobs, random_state
):
    """Search the parameters of an estimator on given folds.

    Parameters
    ----------
    estimator : regressor
        Is cloned, never fitted.
    space : dict
        Parameter names to lists of values or frozen scipy.stats distributions;
        ``search="grid"`` takes lists only.
    X : ndarray of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,)
    search : {"grid", "random", "bayes"}
    folds : list of (train, test)
    n_iter : int
        Draws of "random" and "bayes".
    n_jobs : int or None
    random_state : int

    Returns
    -------
    best_params : dict
    best_rmse : float
    results : dict
        At least ``params`` and ``mean_test_score`` (negative mean squared error).
    """
    if search == "bayes":
        best, score, results = _bayes_search(
            estimator, space, X, y, folds, n_iter, n_jobs, random_state
        )
        return best, float(np.sqrt(-score)), results
    options = {
        "cv": folds,
        "scoring": SCORING,
        "n_jobs": n_jobs,
        "refit": False,
        "error_score": "raise",
    }
    if search == "grid":
        searcher = GridSearchCV(estimator, space, **options)
    else:
        searcher = RandomizedSearchCV(
            estimator, space, n_iter=n_iter, random_state=random_state, **options
        )
    searcher.fit(X, y)
    best_rmse = float(np.sqrt(-searcher.best_score_))
    return searcher.best_params_, best_rmse, searcher.cv_results_
