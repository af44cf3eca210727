"""Compare the time of LanguageFeaturizer with that of the code of URIEL+ itself.

All seven kinds of distance between every two of 440 languages, after loading, are to
take under 5 seconds, as observed and as filled. The code of urielplus runs on 20
languages in the same run, and LanguageFeaturizer on the same; the ratio of these two is
printed. Last comes how much of what is known is restored by `fill="knn"` where it is
hidden: all of syntax, of the inventory or of phonology, from 400 languages.

    python benchmarks/language_distances.py
"""

import logging
import sys
import time
import warnings

import numpy as np

from proxylm import LanguageFeaturizer
from proxylm.languages._imputation import plain_distances, vote_of_neighbors
from proxylm.languages._uriel import KINDS, angular_distances, vectors

N_LANGUAGES = 440
N_PEER = 20
N_HIDDEN = 400
MOST_SECONDS = 5.0


def known_languages():
    """Return codes of languages with features of every kind."""
    known = [
        {c for c, r in vectors(kind).rows.items() if has_value(vectors(kind), r)}
        for kind in KINDS
    ]
    return sorted(set.intersection(*known))


def has_value(table, row):
    """Say whether anything is known of a language."""
    return bool(np.isfinite(table.values[row]).any())


def seconds_of(featurizer, codes):
    """Return the time for every two of some languages."""
    pairs = np.array([(i, j) for i in codes for j in codes], dtype=object)
    start = time.perf_counter()
    featurizer.transform(pairs)
    return time.perf_counter() - start


def restored(kind):
    """Return which share of hidden values the neighbours restore, and the majority."""
    table = vectors("featural")
    known = np.isfinite(table.values)
    rows = np.random.default_rng(0).choice(
        np.flatnonzero(known.sum(axis=1) >= 60), N_HIDDEN, replace=False
    )
    of_kind = np.isin(table.features, vectors(kind).features)
    hidden = known[rows] & of_kind
    truth = table.values[rows]
    donors = table.values.copy()
    donors[rows] = np.where(hidden, np.nan, truth)
    # As in distances_to_all, but that what is hidden is hidden from distances too.
    distances = sum(
        plain_distances(vectors(name).values[rows], vectors(name).values)
        for name in ("genetic", "geographic")
    )
    featural, coverage = angular_distances(donors[rows], donors)
    weights = np.sqrt(coverage)
    distances = (distances + weights * np.nan_to_num(featural)) / (2 + weights)
    filled = vote_of_neighbors(donors[rows], donors, distances, 10)
    usual = np.broadcast_to(np.nanmean(donors, axis=0) >= 0.5, truth.shape)
    return [np.mean(guess[hidden] == truth[hidden]) for guess in (filled, usual)]


def main():
    """Print the times; return 1 if they are too long."""
    from urielplus import urielplus

    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore", UserWarning)
    start = time.perf_counter()
    featurizer = LanguageFeaturizer(unknown="nan").fit([["eng", "ind"]])
    loading = time.perf_counter() - start
    every = sorted(vectors("featural").rows)
    seconds = seconds_of(featurizer, every[:: len(every) // N_LANGUAGES][:N_LANGUAGES])
    print(f"loading {loading:.1f} s; {N_LANGUAGES} languages, 7 kinds: {seconds:.2f} s")
    filling = LanguageFeaturizer(unknown="nan", fill="knn").fit([["eng", "ind"]])
    filled_seconds = seconds_of(
        filling, every[:: len(every) // N_LANGUAGES][:N_LANGUAGES]
    )
    print(f"filled: {filled_seconds:.2f} s")
    known = known_languages()
    few = known[:: len(known) // N_PEER][:N_PEER]
    own = seconds_of(featurizer, few)
    peer = urielplus.URIELPlus()
    start = time.perf_counter()
    for kind in KINDS:
        peer.new_distance(kind, few)
    theirs = time.perf_counter() - start
    print(
        f"{N_PEER} languages: urielplus {theirs:.1f} s, "
        f"LanguageFeaturizer {own:.3f} s, ratio {theirs / own:.0f}"
    )
    for kind in ("syntactic", "inventory", "phonological"):
        neighbors, majority = restored(kind)
        print(f"{kind} restored: {neighbors:.1%}, majority {majority:.1%}")
    return int(max(seconds, filled_seconds) > MOST_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
