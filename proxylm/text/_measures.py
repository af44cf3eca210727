"""The features: functions of the statistics of one or two corpora."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ._hashes import HashCounts, at_same_level, shared_positions
from ._statistics import CorpusStatistics

COMMON = {"Zyyy", "Zinh", "Zzzz"}


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else np.nan


def _overlap(first: HashCounts, second: HashCounts) -> float:
    """Return |A and B| / (|A| + |B|), at most 1/2."""
    first, second = at_same_level(first, second)
    shared, _ = shared_positions(first, second)
    return _ratio(len(shared), len(first) + len(second))


def size(corpus: CorpusStatistics) -> float:
    """Return the number of sentences."""
    return corpus.size


def vocabulary_size(corpus: CorpusStatistics) -> float:
    """Return the number of types."""
    return len(corpus.tokens)


def sentence_length(corpus: CorpusStatistics) -> float:
    """Return the mean number of tokens in a sentence."""
    return _ratio(corpus.n_tokens, corpus.size)


def sentence_length_spread(corpus: CorpusStatistics) -> float:
    """Return the standard deviation of the number of tokens in a sentence."""
    if not corpus.size:
        return np.nan
    mean = corpus.n_tokens / corpus.size
    return np.sqrt(max(corpus.sum_squared_lengths / corpus.size - mean**2, 0))


def type_token_ratio(corpus: CorpusStatistics) -> float:
    """Return types over tokens."""
    return _ratio(len(corpus.tokens), corpus.n_tokens)


def bytes_per_character(corpus: CorpusStatistics) -> float:
    """Return the mean number of bytes of a character in UTF-8."""
    return _ratio(corpus.n_bytes, corpus.characters.values.sum())


def character_entropy(corpus: CorpusStatistics) -> float:
    """Return the entropy of the characters in bits."""
    counts = corpus.characters.values[:, 0]
    if not len(counts):
        return np.nan
    shares = counts / counts.sum()
    return float(-shares @ np.log2(shares))


def script_shares(corpus: CorpusStatistics) -> dict[str, float]:
    """Return the share of each script among the characters that belong to one."""
    from fontTools.unicodedata import script

    counts: dict[str, int] = {}
    points, occurrences = corpus.characters.keys, corpus.characters.values[:, 0]
    for point, count in zip(points, occurrences, strict=True):
        name = script(chr(point))
        if name not in COMMON:
            counts[name] = counts.get(name, 0) + int(count)
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items()}


def script_share(corpus: CorpusStatistics) -> float:
    """Return the share of the script that most characters belong to."""
    return max(script_shares(corpus).values(), default=np.nan)


def main_script(corpus: CorpusStatistics) -> str | float:
    """Return the ISO 15924 code of the script that most characters belong to."""
    shares = script_shares(corpus)
    return max(shares, key=lambda name: shares[name]) if shares else np.nan


def duplicates(corpus: CorpusStatistics) -> float:
    """Return the share of sentences that repeat an earlier one."""
    total = corpus.sentences.values.sum()
    return _ratio(total - len(corpus.sentences), total)


def _subwords(numerator: int, denominator: int):
    def measure(corpus: CorpusStatistics) -> float:
        return _ratio(corpus.subwords[numerator], corpus.subwords[denominator])

    return measure


def word_overlap(first: CorpusStatistics, second: CorpusStatistics) -> float:
    """Return |A and B| / (|A| + |B|) of the types, at most 1/2."""
    return _overlap(first.tokens, second.tokens)


def ngram_overlap(first: CorpusStatistics, second: CorpusStatistics) -> float:
    """Return |A and B| / (|A| + |B|) of the pairs of neighbouring tokens."""
    return _overlap(first.pairs, second.pairs)


def type_token_ratio_distance(
    first: CorpusStatistics, second: CorpusStatistics
) -> float:
    """Return (1 - TTR_A / TTR_B)^2."""
    ratio = _ratio(type_token_ratio(first), type_token_ratio(second))
    return (1 - ratio) ** 2


def jensen_shannon(first: CorpusStatistics, second: CorpusStatistics) -> float:
    """Return the Jensen-Shannon distance of the tokens, in natural units.

    That is the square root of the divergence. A token that only one corpus has, with
    the share p there, adds p log 2 / 2: so a sum over the shared ones is enough.
    """
    if not first.n_tokens or not second.n_tokens:
        return np.nan
    rows, columns = shared_positions(first.tokens, second.tokens)
    counts = first.tokens.values[rows, 0], second.tokens.values[columns, 0]
    p, q = counts[0] / first.n_tokens, counts[1] / second.n_tokens
    mean = (p + q) / 2
    shared = p @ np.log(p / mean) + q @ np.log(q / mean)
    # In whole numbers, so that nothing is left of equal corpora.
    alone = (first.n_tokens - counts[0].sum()) / first.n_tokens
    alone += (second.n_tokens - counts[1].sum()) / second.n_tokens
    return np.sqrt(max((shared + np.log(2) * alone) / 2, 0))


def tf_idf(first: CorpusStatistics, second: CorpusStatistics) -> float:
    """Return the cosine distance of the TF-IDF vectors of two corpora.

    The weight of a token is log((1 + n) / (1 + d)) + 1, where d of the n sentences of
    both corpora have it.
    """
    rows, columns = shared_positions(first.tokens, second.tokens)
    n = first.size + second.size
    weighted = []
    for own, other, mine, theirs in (
        (first.tokens, second.tokens, rows, columns),
        (second.tokens, first.tokens, columns, rows),
    ):
        frequency = own.values[:, 1].copy()
        frequency[mine] += other.values[theirs, 1]
        weight = np.log((1 + n) / (1 + frequency)) + 1
        weighted.append(own.values[:, 0] * weight)
    norms = [np.sqrt(vector @ vector) for vector in weighted]
    return 1 - _ratio(weighted[0][rows] @ weighted[1][columns], norms[0] * norms[1])


def embedding_distance(first: CorpusStatistics, second: CorpusStatistics) -> float:
    """Return the cosine distance of the mean sentence embeddings."""
    if first.embedding is None or second.embedding is None:
        return np.nan
    norms = np.linalg.norm(first.embedding) * np.linalg.norm(second.embedding)
    return 1 - _ratio(first.embedding @ second.embedding, norms)


def out_of_vocabulary(first: CorpusStatistics, second: CorpusStatistics) -> float:
    """Return the share of the second's tokens that the first does not have."""
    _, columns = shared_positions(first.tokens, second.tokens)
    known = second.tokens.values[columns, 0].sum()
    return _ratio(second.n_tokens - known, second.n_tokens)


def sentence_overlap(first: CorpusStatistics, second: CorpusStatistics) -> float:
    """Return the share of the second's sentences that the first has word for word."""
    own, other = at_same_level(first.sentences, second.sentences)
    _, columns = shared_positions(own, other)
    return _ratio(other.values[columns, 0].sum(), other.values.sum())


def script_overlap(first: CorpusStatistics, second: CorpusStatistics) -> float:
    """Return what two corpora share of their scripts: the sum of min(p_s, q_s)."""
    shares, others = script_shares(first), script_shares(second)
    if not shares or not others:
        return np.nan
    return sum(min(share, others.get(name, 0)) for name, share in shares.items())


@dataclass(frozen=True)
class Measure:
    """A feature of each corpus (`is_pair` false) or of each pair of them.

    `column` is the name of its columns, with places for the names of the corpora. A
    measure whose values `is_word` is taken only where it is named.
    """

    column: str
    function: Callable
    is_pair: bool = False
    needs: tuple[str, ...] = ()
    is_published: bool = False
    is_word: bool = False

    def columns_of(self, splits: tuple[str, ...]) -> list[tuple[str, tuple[str, ...]]]:
        """Return the name of each column and the splits that it is of."""
        chosen = [(split,) for split in splits]
        if self.is_pair:
            pairs = enumerate(splits)
            chosen = [(a, b) for i, a in pairs for b in splits[i + 1 :]]
        names = [self.column.format(*group) for group in chosen]
        # The size of the training set has a name of its own in record tables.
        names = ["dataset_size" if name == "train_size" else name for name in names]
        return list(zip(names, chosen, strict=True))


MEASURES = {
    "size": Measure("{}_size", size, is_published=True),
    "vocabulary_size": Measure(
        "{}_word_vocab_size", vocabulary_size, is_published=True
    ),
    "sentence_length": Measure(
        "avg_{}_sentence_length", sentence_length, is_published=True
    ),
    "word_overlap": Measure("{}_{}_word_overlap", word_overlap, True, (), True),
    "ttr": Measure("ttr_{}", type_token_ratio, is_published=True),
    "ttr_distance": Measure(
        "{}_{}_ttr_distance", type_token_ratio_distance, True, (), True
    ),
    "jsd": Measure("{}_{}_jsd", jensen_shannon, True, (), True),
    "tf_idf": Measure("{}_{}_tf_idf", tf_idf, True, ("sentence_frequency",), True),
    "st_similarity": Measure(
        "{}_{}_st_similarity", embedding_distance, True, ("embedding",), True
    ),
    "sentence_length_spread": Measure("std_{}_sentence_length", sentence_length_spread),
    "bytes_per_character": Measure(
        "{}_bytes_per_character", bytes_per_character, needs=("characters",)
    ),
    "character_entropy": Measure(
        "{}_character_entropy", character_entropy, needs=("characters",)
    ),
    "script": Measure("{}_script", main_script, needs=("characters",), is_word=True),
    "script_share": Measure("{}_script_share", script_share, needs=("characters",)),
    "script_overlap": Measure(
        "{}_{}_script_overlap", script_overlap, True, ("characters",)
    ),
    "duplicates": Measure("{}_duplicates", duplicates, needs=("sentences",)),
    "sentence_overlap": Measure(
        "{}_{}_sentence_overlap", sentence_overlap, True, ("sentences",)
    ),
    "oov_rate": Measure("{}_{}_oov_rate", out_of_vocabulary, True),
    "ngram_overlap": Measure("{}_{}_ngram_overlap", ngram_overlap, True, ("pairs",)),
    "fertility": Measure("{}_fertility", _subwords(2, 0), needs=("subwords",)),
    "continued_words": Measure(
        "{}_continued_words", _subwords(1, 0), needs=("subwords",)
    ),
    "unknown_pieces": Measure(
        "{}_unknown_pieces", _subwords(3, 2), needs=("subwords",)
    ),
    "byte_pieces": Measure("{}_byte_pieces", _subwords(4, 2), needs=("subwords",)),
}
