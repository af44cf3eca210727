"""DatasetFeaturizer: time and memory for records of ten thousand sentences."""

import numpy as np

from proxylm import DatasetFeaturizer

WORDS = 20_000


def corpus(n_sentences, seed):
    """Return sentences of twenty words whose ranks have Zipf's distribution."""
    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(2, WORDS + 2)
    ranks = rng.choice(WORDS, (n_sentences, 20), p=shares / shares.sum())
    words = np.array([f"{rank:x}" for rank in range(WORDS)], dtype=object)
    return [" ".join(sentence) for sentence in words[ranks]]


class Features:
    """All features of one record, and of ten that share a training set."""

    params = (("words", "characters", "paper"), (1, 10))
    param_names = ("tokens", "n_records")

    def setup(self, tokens, n_records):
        train, dev = corpus(10_000, 0), corpus(1_000, 1)
        self.rows = [[train, dev, corpus(1_000, k + 2)] for k in range(n_records)]
        is_paper = tokens == "paper"
        self.featurizer = DatasetFeaturizer(
            tokenizer="words" if is_paper else tokens,
            compatibility="paper" if is_paper else None,
        ).fit(self.rows[:1])

    def time_transform(self, tokens, n_records):
        self.featurizer.transform(self.rows)

    def peakmem_transform(self, tokens, n_records):
        self.featurizer.transform(self.rows)
