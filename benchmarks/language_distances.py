"""Compare the time of LanguageFeaturizer with that of the code of URIEL+ itself.

All seven kinds of distance between every two of 440 languages, after loading, are to
take under 5 seconds. The code of urielplus runs on 20 languages in the same run, and
LanguageFeaturizer on the same; the ratio of these two is printed.

    python benchmarks/language_distances.py
"""

import logging
import sys
import time
import warnings

import numpy as np

from proxylm import LanguageFeaturizer
from proxylm.languages._uriel import KINDS, vectors

N_LANGUAGES = 440
N_PEER = 20
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
    return int(seconds > MOST_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
