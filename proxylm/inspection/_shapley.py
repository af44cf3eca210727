"""Shapley values of the columns of a table, for any regressor."""

import numpy as np
import pandas as pd

# So many rows are predicted at once.
BATCH = 20_000


def players_of(estimator, X):
    """Return {name: columns} of what is shown or hidden as one.

    The languages of a row go together: a profile, an effect and what is known of a
    language come with its name.
    """
    last = estimator[-1] if hasattr(estimator, "steps") else estimator
    languages = [name for name in getattr(last, "languages_", ()) if name in X.columns]
    players = {"languages": languages} if languages else {}
    players |= {name: [name] for name in X.columns if name not in languages}
    return players


def shapley_values(predict, X, background, players, n_draws, random_state):
    """Estimate how far each player moves the mean prediction of some rows.

    Parameters
    ----------
    predict : callable
        From a table to predictions of shape (n_rows,).
    X, background : DataFrame
        The rows to explain, and those that stand for not knowing.
    players : dict of str to list of str
        Columns that are shown or hidden together.
    n_draws : int
        Number of draws; rounded up to pairs.
    random_state : int or None

    Returns
    -------
    moves : ndarray of shape (n_draws, n_players)
        Change of the prediction when the player is shown, one draw per row.
    start, end : float
        Mean predictions of the drawn rows with everything hidden and shown; the mean
        moves add up to their difference.

    Notes
    -----
    A draw takes a row to explain, a row of the background and an order of the players,
    and shows them one after another; the mean change over all orders is the Shapley
    value [1]_. Every order is drawn with its reverse, which takes away the variance of
    pairwise interactions [2]_.

    References
    ----------
    .. [1] Štrumbelj and Kononenko (2014). "Explaining prediction models and individual
       predictions with feature contributions". Knowledge and Information Systems 41.
    .. [2] Mitchell, Cooper, Frank and Holmes (2022). "Sampling permutations for Shapley
       value estimation". Journal of Machine Learning Research 23.
    """
    rng = np.random.default_rng(random_state)
    n_pairs = (n_draws + 1) // 2
    # Each row as often as any other, as far as the number of draws allows.
    explained = rng.permutation(np.resize(rng.permutation(len(X)), n_pairs))
    hidden = rng.permutation(np.resize(rng.permutation(len(background)), n_pairs))
    names, n_players = list(players), len(players)
    orders = np.array([rng.permutation(n_players) for _ in range(n_pairs)])
    orders = np.vstack([orders, orders[:, ::-1]])
    explained, hidden = np.tile(explained, 2), np.tile(hidden, 2)
    rank = np.argsort(orders, axis=1)
    moves = np.empty((len(orders), n_players))
    start, end = [], []
    size = max(BATCH // (n_players + 1), 1)
    for first in range(0, len(orders), size):
        draws = slice(first, first + size)
        shown = np.arange(n_players + 1)[:, None, None] > rank[draws]
        rows = np.tile(explained[draws], n_players + 1)
        others = np.tile(hidden[draws], n_players + 1)
        shown = shown.reshape(-1, n_players)
        table = background.iloc[others].reset_index(drop=True)
        known = X.iloc[rows].reset_index(drop=True)
        for k, name in enumerate(names):
            for column in players[name]:
                table[column] = known[column].where(shown[:, k], table[column])
        predicted = np.asarray(predict(table)).reshape(n_players + 1, -1)
        steps = np.diff(predicted, axis=0).T
        moves[draws] = np.take_along_axis(steps, rank[draws], axis=1)
        start.append(predicted[0])
        end.append(predicted[-1])
    return moves, np.concatenate(start).mean(), np.concatenate(end).mean()


def contributions_of(
    estimator, X, background, *, n_draws=200, max_features=None, random_state=None
):
    """Return a table of contributions with standard errors, and both mean predictions.

    Returns
    -------
    contributions : DataFrame of shape (n_players, 2)
        Columns `contribution` and `standard_error`, indexed by the name of the player,
        the largest move first. Beyond `max_features` the rest is one row. The errors
        are those of records drawn independently; as each is drawn as often as any
        other, drawing anew moves the contributions less.
    start, end : float
        See `shapley_values`.
    """
    players = players_of(estimator, X)
    moves, start, end = shapley_values(
        estimator.predict, X, background, players, n_draws, random_state
    )
    names = list(players)
    order = np.argsort(-np.abs(moves.mean(axis=0)), kind="stable")
    names, moves = [names[k] for k in order], moves[:, order]
    if max_features is not None and len(names) > max_features:
        rest = moves[:, max_features:].sum(axis=1, keepdims=True)
        names = [*names[:max_features], f"{len(names) - max_features} others"]
        moves = np.hstack([moves[:, :max_features], rest])
    # A draw and its reverse are no two draws.
    pairs = moves.reshape(2, -1, moves.shape[1]).mean(axis=0)
    spread = (
        pairs.std(axis=0, ddof=1) if len(pairs) > 1 else np.full(len(names), np.nan)
    )
    table = pd.DataFrame(
        {
            "contribution": moves.mean(axis=0),
            "standard_error": spread / np.sqrt(len(pairs)),
        },
        index=pd.Index(names, name="feature"),
    )
    return table, float(start), float(end)
