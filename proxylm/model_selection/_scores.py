"""How far predictions are from the truth, whether they order it and know it."""

import numpy as np
from scipy.stats import kendalltau, rankdata


def rmse(truth, prediction):
    """Root mean squared error, in units of the scores."""
    return float(np.sqrt(np.mean((truth - prediction) ** 2)))


def mae(truth, prediction):
    """Mean absolute error, in units of the scores."""
    return float(np.mean(np.abs(truth - prediction)))


def r2(truth, prediction):
    """Share of the variance that is explained; NaN where there is none."""
    variance = np.sum((truth - truth.mean()) ** 2)
    if variance == 0:
        return np.nan
    return float(1 - np.sum((truth - prediction) ** 2) / variance)


def spearman(truth, prediction):
    """Spearman's rank correlation; NaN where one side is constant."""
    ranks, predicted = rankdata(truth), rankdata(prediction)
    spread = ranks.std() * predicted.std()
    if spread == 0:
        return np.nan
    covariance = np.mean((ranks - ranks.mean()) * (predicted - predicted.mean()))
    return float(covariance / spread)


def _tied_pairs(values):
    counts = np.unique(values, return_counts=True)[1]
    return float(np.sum(counts * (counts - 1)) / 2)


def pairwise_accuracy(truth, prediction):
    """Share of the pairs of records that are put in the right order.

    Pairs with equal truth are left out, pairs with equal predictions count one
    half, as in Kocmi et al. (2021), arXiv:2107.10821. NaN where all are equal.
    Time O(n log n): with C right and D wrong pairs of P, the share is
    1/2 + (C - D) / 2P, and Kendall's tau-b is (C - D) / sqrt(P P').
    """
    pairs = len(truth) * (len(truth) - 1) / 2
    decided = pairs - _tied_pairs(truth)
    predicted = pairs - _tied_pairs(prediction)
    if decided == 0:
        return np.nan
    if predicted == 0:
        return 0.5
    tau = kendalltau(truth, prediction).statistic
    return float(0.5 + tau * np.sqrt(predicted / decided) / 2)


def covered(rows):
    """Whether each score lies in its interval: 1 or 0, NaN without an interval."""
    inside = rows["truth"].between(rows["lower"], rows["upper"])
    return inside.astype(float).where(rows["lower"].notna())


def interval_width(rows):
    """Width of each interval, in units of the scores."""
    return rows["upper"] - rows["lower"]
