"""Time the features of a record against their plain restatement, in one run.

    python benchmarks/text_speed.py [--sentences 100000] [--no-plain]

A record has 100,000 training sentences and 1,000 of development and test, of random
words with the frequencies of natural ones. The plain restatement is that of the tests:
counters of sentences, summed, and each text tokenized again for each feature. Then 50
records that share the training and the development set, with test sets of 750 to 1,240
sentences, are timed against one.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from proxylm import DatasetFeaturizer

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from plain_text_features import paper_features

LETTERS = np.array(list("aaaeeeeiiioootnsrhldcumfpgwybvk"))


def random_words(n_types=200_000):
    """Return words of 2 to 9 letters; the more frequent letters stand more often."""
    rng = np.random.default_rng(0)
    text = "".join(rng.choice(LETTERS, 10 * n_types))
    lengths = rng.integers(2, 10, n_types)
    return np.array([text[10 * k : 10 * k + n] for k, n in enumerate(lengths)], object)


def random_sentences(n_sentences, seed, words, n_words=20):
    """Return sentences of words whose ranks have Zipf's distribution."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(n_words, n_sentences) + 1
    shares = 1 / np.arange(2.7, len(words) + 2.7)
    ranks = np.searchsorted(
        np.cumsum(shares) / shares.sum(), rng.random(counts.sum()), side="right"
    )
    drawn = words[np.minimum(ranks, len(words) - 1)]
    ends = np.cumsum(counts)
    return [
        " ".join(drawn[end - count : end]).capitalize() + "."
        for end, count in zip(ends, counts, strict=True)
    ]


def seconds(function):
    """Return how long a call takes, and what it returns."""
    start = time.perf_counter()
    found = function()
    return time.perf_counter() - start, found


def main():
    """Print times and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sentences", type=int, default=100_000)
    parser.add_argument("--no-plain", action="store_true")
    args = parser.parse_args()
    words = random_words()
    record = [random_sentences(args.sentences, 1, words)]
    record += [random_sentences(1_000, seed, words) for seed in (2, 3)]
    characters = sum(map(len, record[0]))
    print(f"{args.sentences} training sentences, {characters / 1e6:.1f} M characters")
    for name, featurizer in {
        "words, every feature": DatasetFeaturizer(),
        "characters, every feature": DatasetFeaturizer(tokenizer="characters"),
        "as in the paper": DatasetFeaturizer(compatibility="paper"),
    }.items():
        featurizer.fit([record])
        one, features = seconds(lambda f=featurizer: f.transform([record]))
        sizes = range(750, 1_250, 10)
        shared = [[*record[:2], random_sentences(n, n, words)] for n in sizes]
        many, _ = seconds(lambda f=featurizer, rows=shared: f.transform(rows))
        print(
            f"{name}: one record {one:.2f} s; 50 with the same training set "
            f"{many:.2f} s, {many / one:.2f} times one"
        )
    if args.no_plain:
        return
    corpora = dict(zip(("train", "dev", "test"), record, strict=True))
    plain, expected = seconds(lambda: paper_features(corpora))
    names = featurizer.get_feature_names_out()
    gaps = [abs(expected[n] - v) for n, v in zip(names, features[0], strict=True)]
    print(
        f"plain restatement of the paper's: {plain:.1f} s, ratio {plain / one:.0f}; "
        f"largest difference {max(gaps):.1e}"
    )


if __name__ == "__main__":
    main()
