"""Metrics of likelihood: from the scores of tokens to the scores of corpora."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from proxylm._nearest import nearest
from proxylm._words import count_words

from ._encoding import Item
from ._likelihood import TokenScores

LN2 = math.log(2)
TOP_K = re.compile(r"top_([1-9]\d*)_accuracy")


@dataclass
class Corpus:
    """The texts of a row, their scores, and those of their parallel texts."""

    items: Sequence[Item]
    scores: Sequence[TokenScores]
    source_scores: Sequence[TokenScores] | None = None

    @cached_property
    def bits(self) -> np.ndarray:
        """Bits of each text."""
        return _bits(self.scores)

    @cached_property
    def source_bits(self) -> np.ndarray:
        """Bits of each parallel text."""
        return _bits(self.source_scores)

    @cached_property
    def characters(self) -> np.ndarray:
        """Characters of each text that are scored."""
        pairs = zip(self.items, self.scores, strict=True)
        return np.array([len(item.text) - s.n_first_characters for item, s in pairs])

    @cached_property
    def bytes(self) -> np.ndarray:
        """Bytes of UTF-8 of each text that are scored."""
        pairs = zip(self.items, self.scores, strict=True)
        return np.array(
            [len(i.text[s.n_first_characters :].encode()) for i, s in pairs]
        )

    @cached_property
    def source_characters(self) -> np.ndarray:
        """Characters of each parallel text."""
        return np.array([len(item.source) for item in self.items])

    @cached_property
    def words(self) -> np.ndarray:
        """Words of each text."""
        return np.array([count_words(item.text) for item in self.items])

    @cached_property
    def tokens(self) -> np.ndarray:
        """Tokens of each text, scored or not."""
        return np.array([score.n_tokens for score in self.scores])

    @cached_property
    def surprisals(self) -> np.ndarray:
        """Bits of each token."""
        return -np.concatenate([score.logprob for score in self.scores]) / LN2

    @cached_property
    def entropies(self) -> np.ndarray:
        """Entropy at each token in bits."""
        return np.concatenate([score.entropy for score in self.scores]) / LN2

    @cached_property
    def ranks(self) -> np.ndarray:
        """Rank of each token."""
        return np.concatenate([score.rank for score in self.scores])


def _bits(scores):
    return np.array([-score.logprob.sum(dtype=np.float64) / LN2 for score in scores])


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values, dtype=np.float64)) if len(values) else math.nan


def _std(values: np.ndarray) -> float:
    """Return the standard deviation of a sample; NaN of fewer than two."""
    values = values[np.isfinite(values)]
    return (
        float(np.std(values, dtype=np.float64, ddof=1))
        if len(values) > 1
        else (math.nan)
    )


def _divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Return the ratio of each text, NaN where it has none."""
    missing = np.full(np.shape(above), math.nan)
    return np.divide(above, below, out=missing, where=np.asarray(below) > 0)


@dataclass(frozen=True)
class LikelihoodMetric:
    """A metric of likelihood.

    `full` tells whether it needs entropies or ranks, `needs_source` whether it needs
    parallel texts, `scores_source` whether it needs scores of these.
    """

    compute: Callable[[Corpus], float]
    full: bool = False
    needs_source: bool = False
    scores_source: bool = False


def _ratio(above: str, below: str, **needs: bool) -> dict[str, LikelihoodMetric]:
    """Return the metric of a ratio of sums, and of its spread over texts."""

    def total(corpus):
        sums = getattr(corpus, above).sum(), getattr(corpus, below).sum()
        return float(_divide(*map(np.asarray, sums)))

    def spread(corpus):
        return _std(_divide(getattr(corpus, above), getattr(corpus, below)))

    return {
        "": LikelihoodMetric(total, **needs),
        "_std": LikelihoodMetric(spread, **needs),
    }


def _tokenwise(values: Callable, *, full: bool = True) -> dict[str, LikelihoodMetric]:
    """Return the metric of a mean over tokens, and of its spread over tokens."""
    return {
        "": LikelihoodMetric(lambda corpus: _mean(values(corpus)), full),
        "_std": LikelihoodMetric(lambda corpus: _std(values(corpus)), full),
    }


FAMILIES = {
    "bits_per_byte": _ratio("bits", "bytes"),
    "bits_per_character": _ratio("bits", "characters"),
    "bits_per_token": _tokenwise(lambda corpus: corpus.surprisals, full=False),
    "bits_per_text": {
        "": LikelihoodMetric(lambda corpus: _mean(corpus.bits)),
        "_std": LikelihoodMetric(lambda corpus: _std(corpus.bits)),
    },
    "bits_per_source_character": _ratio("bits", "source_characters", needs_source=True),
    "information_parity": _ratio(
        "source_bits", "bits", needs_source=True, scores_source=True
    ),
    "token_entropy": _tokenwise(lambda corpus: corpus.entropies),
    "expected_rank": _tokenwise(lambda corpus: corpus.ranks),
    "log_rank": _tokenwise(lambda corpus: np.log2(corpus.ranks)),
    "fertility": _ratio("tokens", "words"),
}
METRICS: dict[str, LikelihoodMetric] = {
    name + suffix: metric
    for name, family in FAMILIES.items()
    for suffix, metric in family.items()
} | {
    "unknown_rate": LikelihoodMetric(
        lambda corpus: float(
            _divide(
                np.asarray(sum(score.n_unknown for score in corpus.scores)),
                np.asarray(corpus.tokens.sum()),
            )
        )
    ),
    "n_tokens": LikelihoodMetric(lambda corpus: float(corpus.tokens.sum())),
}
DEFAULT_METRICS = (
    "bits_per_byte",
    "bits_per_character",
    "bits_per_token",
    "bits_per_token_std",
    "token_entropy",
    "token_entropy_std",
    "log_rank",
    "log_rank_std",
    "top_1_accuracy",
    "top_10_accuracy",
    "fertility",
)


def find_metric(name: str) -> LikelihoodMetric:
    """Return a metric by its name.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    top = TOP_K.fullmatch(str(name))
    if top:
        k = int(top[1])
        return LikelihoodMetric(
            lambda corpus: 100 * _mean(corpus.ranks <= k), full=True
        )
    if name not in METRICS:
        raise ValueError(
            f"metrics expects names among {[*METRICS, 'top_1_accuracy']}, with any "
            f"number for 1. Got {name!r}." + nearest(str(name), METRICS)
        )
    return METRICS[name]
