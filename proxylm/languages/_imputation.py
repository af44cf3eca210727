"""What is not known of a language, estimated from its nearest languages."""

import numpy as np

from ._uriel import angular_distances, vectors

# A neighbour that is nearer than this weighs no more than one at this distance, so that
# a dialect does not outvote all others. Of the floors from 0 to 0.2 this one restored
# hidden values best.
CLOSEST = 0.1
# Two languages at distances nearer to each other than this are equally near.
TOLERANCE = 1e-6
# Languages that are measured against all others at a time: 30 MB an array.
BLOCK = 512


def plain_distances(values, others):
    """Return the angular distances between vectors without holes.

    Other than with `angular_distances`, vectors of zeros are 1 apart: two isolates are
    not related.
    """
    used = np.nan_to_num(values).any(axis=0)
    products = (values[:, used] @ others[:, used].T).astype(np.float64)
    norms, others_norms = (
        np.sqrt(np.einsum("ij,ij->i", v, v, dtype=np.float64)) for v in (values, others)
    )
    scale = np.outer(norms, others_norms)
    cosine = np.clip(products / np.where(scale == 0, 1, scale), -1, 1)
    return 2 / np.pi * np.arccos(cosine)


def distances_to_all(codes):
    """Return how far languages are from every language of URIEL+.

    Parameters
    ----------
    codes : sequence of n_languages str or None
        ISO 639-3 codes.

    Returns
    -------
    distances : ndarray of shape (n_languages, n_all)
        Mean of the genetic, the geographic and the featural distance, the last with
        the square root of its coverage as its weight; NaN for a language that URIEL+
        does not list. The columns are in the order of the rows of `vectors`.
    """
    tables = [vectors(kind) for kind in ("genetic", "geographic", "featural")]
    genetic, geographic, featural = (
        (table.of_all(codes), table.values) for table in tables
    )
    # Counts of nodes are exact in 32 bits, products of coordinates are not.
    distances = plain_distances(*genetic)
    distances += plain_distances(*(v.astype(np.float64) for v in geographic))
    third, coverage = angular_distances(*featural)
    weights = np.sqrt(coverage)
    return (distances + weights * np.nan_to_num(third)) / (2 + weights)


def vote_of_neighbors(values, donors, distances, n_neighbors):
    """Fill the holes of vectors with what most of the nearest donors have.

    Parameters
    ----------
    values : ndarray of shape (n_languages, n_features)
        0 or 1, NaN where a feature is not known.
    donors : ndarray of shape (n_donors, n_features)
        The vectors to learn from, with holes too.
    distances : ndarray of shape (n_languages, n_donors)
        How far they are; a row of NaN for a language that has no neighbours.
    n_neighbors : int
        How many of the donors that know a feature vote on it, and beside them all
        that are as near as the last.

    Returns
    -------
    filled : ndarray of shape (n_languages, n_features)
    """
    filled = values.copy()
    to_fill = np.isnan(values) & np.isfinite(distances).all(axis=1, keepdims=True)
    columns = np.flatnonzero(to_fill.any(axis=0))
    if not len(columns):
        return filled
    # Features that the same donors know have the same neighbours.
    known = np.isfinite(donors[:, columns])
    _, first, group_of = np.unique(
        np.packbits(known, axis=0), axis=1, return_index=True, return_inverse=True
    )
    for number, knows in enumerate(known.T[first]):
        features = columns[group_of.ravel() == number]
        rows = np.flatnonzero(to_fill[:, features].any(axis=1))
        voters = np.flatnonzero(knows)
        if not len(voters):
            continue
        far = distances[np.ix_(rows, voters)]
        last = min(n_neighbors, len(voters)) - 1
        reach = np.partition(far, last, axis=1)[:, [last]]
        weights = (far <= reach + TOLERANCE) / np.maximum(far, CLOSEST)
        share = weights @ donors[np.ix_(voters, features)]
        share /= weights.sum(axis=1, keepdims=True)
        cells = np.ix_(rows, features)
        filled[cells] = np.where(
            to_fill[cells], share >= 0.5 - TOLERANCE, filled[cells]
        )
    return filled


def fill_from_neighbors(observed, codes, n_neighbors):
    """Fill the vectors of some languages from their neighbours among all.

    Parameters
    ----------
    observed : dict of str to ndarray of shape (n_languages, n_features)
        The vectors of some languages, by kind.
    codes : sequence of n_languages str or None
        ISO 639-3 codes of these languages.
    n_neighbors : int
        As in `vote_of_neighbors`.

    Returns
    -------
    filled : dict of str to ndarray of shape (n_languages, n_features)
    """
    blocks = {kind: [] for kind in observed}
    for start in range(0, max(len(codes), 1), BLOCK):
        block = slice(start, start + BLOCK)
        distances = distances_to_all(codes[block])
        for kind, values in observed.items():
            donors = vectors(kind).values
            blocks[kind].append(
                vote_of_neighbors(values[block], donors, distances, n_neighbors)
            )
    return {kind: np.concatenate(parts) for kind, parts in blocks.items()}
