"""Which of two models is better where neither was tried."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_consistent_length, column_or_1d

from proxylm.regression._regressor import ProxyRegressor

LEAST_RECORDS = 10


def compare(
    X: pd.DataFrame,
    y_first: ArrayLike,
    y_second: ArrayLike,
    X_new: pd.DataFrame,
    *,
    regressor: BaseEstimator | None = None,
    greater_is_better: bool = True,
    confidence_level: float = 0.9,
) -> pd.DataFrame:
    """Predict which of two models is better, and how sure that is.

    Two models err together: both are worse on a language than its features say, or
    both better. So what is predicted is the difference of their scores, learned from
    the records that have both.

    Parameters
    ----------
    X : DataFrame of shape (n_samples, n_features)
        Features of the records that both models were tried on: languages, data set,
        and the proxies of either.
    y_first, y_second : array-like of shape (n_samples,)
        Scores of the two models; NaN where one was not tried.
    X_new : DataFrame of shape (n_new, n_features)
        Features of the records to compare on, with the columns of X.
    regressor : estimator, default=None
        What predicts the difference: a regressor with `predict(X,
        return_interval=True)` and `predict_proba_above`. None takes
        :class:`ProxyRegressor`, with the features of all records as context.
    greater_is_better : bool, default=True
        Whether the better score is the greater one; False for TER.
    confidence_level : float, default=0.9
        Share of the differences that the intervals are to hold.

    Returns
    -------
    comparison : DataFrame of shape (n_new, 4)
        Indexed like `X_new`: the predicted `difference`, first less second, the ends
        of its interval (`lower`, `upper`), in units of the scores, and the
        `probability` that the first model is the better one. The mean probability of
        the records of a language is the share of them to expect the first to win.

    Raises
    ------
    ValueError
        If fewer than 10 records have both scores.

    See Also
    --------
    ProxyRegressor.predict_proba_above : The probability that one score is above a
        threshold.

    Examples
    --------
    >>> from proxylm import compare, fetch_nusa
    >>> first, second = fetch_nusa(target="nllb"), fetch_nusa(target="m2m100")
    >>> new = first.groups.eq("mad").any(axis=1)
    >>> comparison = compare(
    ...     first.data[~new], first.target[~new], second.target[~new], first.data[new]
    ... )
    >>> bool((comparison["probability"] > 0.5).all())  # NLLB, wherever Madurese is
    True
    """
    check_consistent_length(X, y_first, y_second)
    first, second = (np.asarray(y, dtype=np.float64) for y in (y_first, y_second))
    difference = column_or_1d(first - second)
    known = np.isfinite(difference)
    if known.sum() < LEAST_RECORDS:
        raise ValueError(
            f"compare expects at least {LEAST_RECORDS} records with the scores of both "
            f"models. Got {known.sum()}. Try both on more of the same records."
        )
    if regressor is None:
        context = pd.concat([X, X_new[list(X.columns)]], ignore_index=True)
        regressor = ProxyRegressor(context=context, score_range=None, random_state=0)
    fitted = clone(regressor).fit(X[known], difference[known])
    predicted, interval = fitted.predict(
        X_new, return_interval=True, confidence_level=confidence_level
    )
    above = fitted.predict_proba_above(X_new, 0.0)
    return pd.DataFrame(
        {
            "difference": predicted,
            "lower": interval[:, 0],
            "upper": interval[:, 1],
            "probability": above if greater_is_better else 1 - above,
        },
        index=X_new.index,
    )
