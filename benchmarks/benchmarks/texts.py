"""DatasetFeaturizer and NGramLanguageModel on thousands of sentences."""

import numpy as np

from proxylm import DatasetFeaturizer
from proxylm.text import NGramLanguageModel

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


class NGrams:
    """A million characters to learn from, a tenth of that to score."""

    params = (3, 6)
    param_names = ("order",)

    def setup(self, order):
        self.train, self.test = corpus(10_000, 0), corpus(1_000, 1)
        self.model = NGramLanguageModel(order).fit(self.train)

    def time_fit(self, order):
        NGramLanguageModel(order).fit(self.train)

    def time_score(self, order):
        self.model.score(self.test)

    def peakmem_fit(self, order):
        NGramLanguageModel(order).fit(self.train)

    def track_bits_per_character(self, order):
        n_characters = sum(map(len, self.test))
        return -self.model.score(self.test) / np.log(2) / n_characters
