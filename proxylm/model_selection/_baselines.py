"""Naive predictions that every result is shown beside."""

import numpy as np


def _mean(train, y, test):
    return np.full(len(test), y.mean())


def _language_mean(train, y, test):
    """Mean of the training scores of each language, averaged over both sides.

    A language without training records counts as the mean of all.
    """
    overall = y.mean()
    sides = [
        test[name].map(y.groupby(train[name].to_numpy()).mean()).fillna(overall)
        for name in test.attrs["schema"].languages
    ]
    return np.mean([side.to_numpy(dtype=float) for side in sides], axis=0)


def _best_proxy_name(train, y):
    """Return the proxy with the lowest error if taken as it is."""
    proxies = list(train.attrs["schema"].proxies)
    errors = train[proxies].sub(y.to_numpy(), axis=0).pow(2).mean()
    return errors.idxmin()


def _best_proxy(train, y, test):
    name = _best_proxy_name(train, y)
    return test[name].fillna(y.mean()).to_numpy(dtype=float)


def _line_on_best_proxy(train, y, test):
    """Least-squares line on the proxy that correlates best with the scores."""
    proxies = list(train.attrs["schema"].proxies)
    varying = [name for name in proxies if train[name].nunique() > 1]
    if not varying or y.nunique() < 2:
        return _mean(train, y, test)
    scores = y.set_axis(train.index)
    name = train[varying].corrwith(scores).abs().idxmax()
    known = train[name].notna()
    slope, intercept = np.polyfit(train.loc[known, name], scores[known], deg=1)
    line = intercept + slope * test[name].to_numpy(dtype=float)
    return np.where(np.isnan(line), y.mean(), line)


def applicable_baselines(schema):
    """Return {name: function(train, y, test)} of what the schema allows."""
    baselines = {"baseline: mean": _mean}
    if schema.languages:
        baselines["baseline: language mean"] = _language_mean
    if schema.proxies:
        baselines["baseline: best proxy"] = _best_proxy
        baselines["baseline: line on best proxy"] = _line_on_best_proxy
    return baselines
