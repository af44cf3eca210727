"""load_predictor, from a name to a fitted regressor."""

import logging
import os
from pathlib import Path

import pandas as pd
from sklearn.utils import Bunch

from proxylm._nearest import nearest
from proxylm._remote import get_data_home
from proxylm.datasets._loaders import LOADERS
from proxylm.datasets._tables import TABLES
from proxylm.datasets._udhr import SCORES as UDHR_SCORES
from proxylm.datasets._udhr import TARGETS
from proxylm.regression import ProxyRegressor

from ._store import describe, load, save

logger = logging.getLogger(__name__)

# Of each table the models and the scores that can be predicted.
MODELS = {"udhr": TARGETS} | {table.name: table.targets for table in TABLES}
SCORES = {"udhr": UDHR_SCORES} | {table.name: table.scores for table in TABLES}
SHIPPED = "udhr/smollm2/bits_per_text"
FOLDER = Path(__file__).parent
SEED = 42


def _parse(name: str) -> tuple[str, str, str]:
    """Return table, model and score of a name, the first score where it has none."""
    known = [f"{table}/{model}" for table in MODELS for model in MODELS[table]]
    parts = name.split("/") if isinstance(name, str) else []
    if "/".join(parts[:2]) not in known or len(parts) > 3:
        raise ValueError(
            f"load_predictor expects TABLE/MODEL or TABLE/MODEL/SCORE, such as one of "
            f"{known}. Got {name!r}.{nearest(str(name), known)}"
        )
    table, model, *score = parts
    if score and score[0] not in SCORES[table]:
        raise ValueError(
            f"load_predictor expects a score of {table} among {list(SCORES[table])}. "
            f"Got {score[0]!r}.{nearest(score[0], SCORES[table])}"
        )
    return table, model, score[0] if score else SCORES[table][0]


def list_predictors() -> pd.DataFrame:
    """List the predictors by name.

    Returns
    -------
    DataFrame of shape (30, 4)
        Columns `name`, `table`, `model` and `score`.

    Examples
    --------
    >>> from proxylm.predictors import list_predictors
    >>> list_predictors().head(3)
                             name  table    model          score
    0  udhr/smollm2/bits_per_text   udhr  smollm2  bits_per_text
    1  udhr/smollm2/bits_per_byte   udhr  smollm2  bits_per_byte
    2         mt560/m2m100/spBLEU  mt560   m2m100         spBLEU
    """
    rows = [
        (f"{table}/{model}/{score}", table, model, score)
        for table, models in MODELS.items()
        for model in models
        for score in SCORES[table]
    ]
    return pd.DataFrame(rows, columns=["name", "table", "model", "score"])


def load_records_of(name: str, data_home: str | os.PathLike | None = None) -> Bunch:
    """Return the records that a predictor learns from."""
    table, model, score = _parse(name)
    options = {} if table == "udhr" else {"data_home": data_home}
    return LOADERS[table](target=model, score=score, **options)


def fit_predictor(records: Bunch) -> ProxyRegressor:
    """Fit the default to all records."""
    regressor = ProxyRegressor(context=records.data, random_state=SEED)
    regressor.fit(records.data, records.target)
    # What it tells is learned; the table itself need not be kept.
    return regressor.set_params(context=None)


def load_predictor(
    name: str, *, data_home: str | os.PathLike | None = None
) -> ProxyRegressor:
    """Load a regressor that is fitted to all records of a table.

    That of `"udhr/smollm2"` comes with proxylm. Others are fitted when they are first
    asked for, in some seconds, and kept in files that hold arrays and parameters and
    no code [1]_.

    Parameters
    ----------
    name : str
        `"TABLE/MODEL"` or `"TABLE/MODEL/SCORE"`, as :func:`list_predictors` has them;
        the first score of a table where none is given.
    data_home : str or path-like, default=None
        Folder of tables and of what is kept; else the environment variable
        PROXYLM_DATA, else `~/proxylm_data`.

    Returns
    -------
    regressor : ProxyRegressor
        Fitted. `feature_names_in_` has the columns that it predicts from: those of the
        table's `data`.

    Raises
    ------
    ValueError
        If there is no predictor of that name.

    See Also
    --------
    list_predictors : All names.

    Notes
    -----
    A file that other versions of proxylm, scikit-learn or LightGBM have written is not
    read: the predictor is fitted anew.

    References
    ----------
    .. [1] skops, https://skops.readthedocs.io.

    Examples
    --------
    >>> from proxylm import load_predictor, load_udhr_records
    >>> predictor = load_predictor("udhr/smollm2")
    >>> records = load_udhr_records()
    >>> predictor.predict(records.data.head(2)).shape
    (2,)
    """
    table, model, score = _parse(name)
    name = f"{table}/{model}/{score}"
    records = load_records_of(name, data_home)
    facts = describe(records)
    stem = name.replace("/", "-").replace("+", "p")
    kept = get_data_home(data_home) / "predictors"
    places = [FOLDER, kept] if name == SHIPPED else [kept]
    for place in places:
        regressor = load(place / stem, facts)
        if regressor is not None:
            return regressor
    logger.info("Fitting %s to %d records.", name, len(records.target))
    regressor = fit_predictor(records)
    try:
        save(regressor, kept / stem, facts)
    except OSError as error:
        logger.warning("%s could not be kept in %s: %s", name, kept, error)
    return regressor
