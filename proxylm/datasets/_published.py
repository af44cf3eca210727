"""The published figures, to stand beside ours."""

from importlib.resources import files

import pandas as pd

from proxylm.records._tables import EXACT_NUMBERS


def load_published() -> pd.DataFrame:
    """Load the published errors of predicted scores.

    The mean RMSE of each published setting for the feature sets `ensemble` and
    `nlperf`, with every published regressor, and the best figure of each setting
    whatever its features. No network is needed.

    Returns
    -------
    DataFrame of shape (214, 12)
        One row per figure, with the columns

        dataset : str
            "mt560", "nusa", "mt560->nusa" (trained on one and tested on the other),
            "intent" or "slot".
        protocol : str
            "random", "lolo", "unseen", "unseen_reverse", "cross_dataset" or
            "incremental".
        model, score : str
            Target model and metric.
        regressor : str
            "xgboost", "lightgbm", "poly2", "poly3" or "mf".
        features : str
            Feature set, as the `fetch_*` functions name it.
        train_portion : float
            Portion of the training records, for "incremental" only.
        rmse : float
            Root mean squared error in units of the score; where the next two are
            there, their mean.
        rmse_as_source, rmse_as_target : float
            The same over the records with the left-out language as source and as
            target.
        best : bool
            Whether this is the lowest figure of its setting.
        note : str
            What to know before comparing with it.

    See Also
    --------
    list_datasets : The tables that the figures are about.

    Notes
    -----
    Figures are means over seeds 42 to 46 and, for `lolo` and `unseen`, over languages.
    Those of `incremental` come from an older, smaller table (830 training records where
    today's has 1,367): compare the shape of the curve, not its values.

    References
    ----------
    .. [1] Anugraha et al. (2024). ProxyLM: predicting language model performance on
       multilingual tasks via proxy models. arXiv:2406.09334.

    Examples
    --------
    >>> from proxylm.datasets import load_published
    >>> published = load_published()
    >>> best = published.query("best and dataset == 'nusa' and protocol == 'lolo'")
    >>> best[["model", "regressor", "features", "rmse"]].values.tolist()
    [['m2m100', 'poly2', 'language+small100_ft', 3.15291],
     ['nllb', 'lightgbm', 'ensemble', 3.74041]]
    """
    table = pd.read_csv(files("proxylm.datasets") / "published.csv", **EXACT_NUMBERS)
    table["best"] = table["best"] == "best"
    table["note"] = table["note"].fillna("")
    return table
