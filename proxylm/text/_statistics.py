"""What one pass over a corpus counts."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any
from zipfile import BadZipFile

import numpy as np
from scipy.sparse import csr_matrix

from proxylm._files import write_whole

from ._corpus import (
    Batch,
    ContentDigest,
    Reading,
    changed_corpus,
    content_digest,
    read_batches,
)
from ._hashes import HashCounter, HashCounts, combine, hash_texts
from ._subwords import COUNTS, SubwordTokenizer
from ._tokens import Tokens, WordTokenizer, code_points

logger = logging.getLogger(__name__)

# Of pairs of tokens and of sentences a sample of so many is kept.
SAMPLE = 1 << 19
# Changes when the same corpus gives other statistics.
VERSION = 1
NOTHING = np.empty(0, dtype=np.uint64)


def _no_counts(n_columns: int = 1) -> HashCounts:
    return HashCounts(NOTHING, np.empty((0, n_columns), dtype=np.int64))


@dataclass
class CorpusStatistics:
    """Counts of one corpus, from which every feature follows."""

    size: int = 0  # sentences
    n_tokens: int = 0
    sum_squared_lengths: int = 0  # of the sentences, in tokens
    n_bytes: int = 0  # of UTF-8
    characters: HashCounts = field(default_factory=_no_counts)  # by code point
    # Columns: occurrences, and sentences that have the token.
    tokens: HashCounts = field(default_factory=lambda: _no_counts(2))
    pairs: HashCounts = field(default_factory=_no_counts)  # of neighbouring tokens
    sentences: HashCounts = field(default_factory=_no_counts)
    subwords: np.ndarray = field(default_factory=lambda: np.zeros(len(COUNTS), int))
    embedding: np.ndarray | None = None  # mean over sentences

    def save(self, path: str | os.PathLike) -> None:
        """Write to a file, whole or not at all."""
        arrays = {}
        for part in fields(self):
            value = getattr(self, part.name)
            if isinstance(value, HashCounts):
                arrays[f"{part.name}.keys"] = value.keys
                arrays[f"{part.name}.values"] = value.values
                value = value.level
            if value is not None:
                arrays[part.name] = np.asarray(value)
        with write_whole(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "CorpusStatistics":
        """Read what `save` wrote."""
        loaded = cls()
        # numpy would not close a broken file.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            for part in fields(cls):
                name, old = part.name, getattr(loaded, part.name)
                if isinstance(old, HashCounts):
                    keys, values = arrays[f"{name}.keys"], arrays[f"{name}.values"]
                    setattr(loaded, name, HashCounts(keys, values, int(arrays[name])))
                elif isinstance(old, int):
                    setattr(loaded, name, int(arrays[name]))
                elif name in arrays:
                    setattr(loaded, name, arrays[name])
        return loaded


@dataclass(frozen=True)
class Counting:
    """What is counted, and how."""

    reading: Reading
    tokenizer: Any
    needs: frozenset[str]
    subword_tokenizer: SubwordTokenizer | None = None
    encode: Callable | None = None

    def signature(self) -> str | None:
        """Return what tells these statistics from others, None if nothing does."""
        tokenizer = self.tokenizer.signature()
        if tokenizer is None or self.needs & {"subwords", "embedding"}:
            return None
        kept = "all lines" if self.reading.keeps_empty else "sentences"
        return f"{VERSION} {tokenizer} {kept} {' '.join(sorted(self.needs))}"


def _sentence_frequency(codes, sentences, n_types):
    """Return in how many sentences each type occurs."""
    starts = np.searchsorted(sentences, np.arange(sentences[-1] + 2))
    ones = np.ones(len(codes), dtype=bool)
    table = csr_matrix((ones, codes, starts), shape=(len(starts) - 1, n_types))
    table.sum_duplicates()
    return np.bincount(table.indices, minlength=n_types)


class _Counter:
    """Adds batches up."""

    def __init__(self, counting: Counting):
        self._counting = counting
        self._statistics = CorpusStatistics()
        self._tokens = HashCounter(2)
        self._pairs = HashCounter(limit=SAMPLE)
        self._sentences = HashCounter(limit=SAMPLE)
        self._characters = np.zeros(0, dtype=np.int64)
        self._embedding: np.ndarray | float = 0.0

    def add(self, batch: Batch) -> None:
        """Count a batch."""
        needs, found = self._counting.needs, self._statistics
        tokens = self._counting.tokenizer(batch)
        found.size += len(batch.sentences)
        self._add_tokens(tokens, len(batch.sentences))
        if "characters" in needs:
            breaks = len(batch.sentences) - 1
            found.n_bytes += len(batch.text.encode()) - breaks
            self._add_characters(batch.text.replace("\n", ""))
        if "sentences" in needs:
            keys = hash_texts(batch.sentences)
            self._sentences.add(keys, np.ones(len(keys), dtype=np.int64))
        if "subwords" in needs:
            is_words = isinstance(self._counting.tokenizer, WordTokenizer)
            words = tokens if is_words else WordTokenizer()(batch)
            found.subwords += self._counting.subword_tokenizer.count(words)
        if "embedding" in needs:
            vectors = np.asarray(self._counting.encode(batch.sentences), np.float64)
            if vectors.ndim != 2 or len(vectors) != len(batch.sentences):
                raise ValueError(
                    "encoder expects to return an array of shape (n_sentences, "
                    f"n_dimensions) for {len(batch.sentences)} sentences. Got "
                    f"{vectors.shape}."
                )
            self._embedding = self._embedding + vectors.sum(axis=0)

    def _add_tokens(self, tokens: Tokens, n_sentences: int) -> None:
        if not len(tokens.codes):
            return
        lengths = np.bincount(tokens.sentences, minlength=n_sentences)
        self._statistics.n_tokens += len(tokens.codes)
        self._statistics.sum_squared_lengths += int(lengths @ lengths)
        # Words in upper and in lower case are one type.
        keys, types = np.unique(tokens.keys, return_inverse=True)
        codes = types[tokens.codes]
        occurrences = np.bincount(codes, minlength=len(keys))
        frequency = np.zeros_like(occurrences)
        if "sentence_frequency" in self._counting.needs:
            frequency = _sentence_frequency(codes, tokens.sentences, len(keys))
        self._tokens.add(keys, occurrences, frequency)
        if "pairs" in self._counting.needs:
            hashes = keys[codes]
            together = tokens.sentences[1:] == tokens.sentences[:-1]
            found = combine(hashes[:-1][together], hashes[1:][together])
            self._pairs.add(*np.unique(found, return_counts=True))

    def _add_characters(self, text: str) -> None:
        counts = np.bincount(code_points(text))
        short, long = sorted((counts, self._characters), key=len)
        self._characters = long.astype(np.int64)
        self._characters[: len(short)] += short

    def result(self) -> CorpusStatistics:
        """Return all counts."""
        found = self._statistics
        found.tokens = self._tokens.result()
        found.pairs = self._pairs.result()
        found.sentences = self._sentences.result()
        points = np.flatnonzero(self._characters)
        counts = self._characters[points, None]
        found.characters = HashCounts(points.astype(np.uint64), counts)
        if "embedding" in self._counting.needs and found.size:
            found.embedding = np.asarray(self._embedding) / found.size
        return found


def _load_if_whole(path: str) -> CorpusStatistics | None:
    """Return what a file of the cache holds, None without one that can be read."""
    if not os.path.exists(path):
        return None
    try:
        return CorpusStatistics.load(path)
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        logger.warning(
            "%s is no whole file (%s); its corpus is read anew.", path, error
        )
        return None


def collect(
    cell: Any, counting: Counting, cache_dir: str | os.PathLike | None
) -> CorpusStatistics:
    """Return the statistics of a corpus, from the cache if they are there.

    The cache has a file for each content of a corpus and way of counting.
    """
    signature = counting.signature()
    path, digest = None, None
    if cache_dir is not None and signature is not None:
        digest = content_digest(cell, counting.reading)
        name = hash_texts([f"{digest} {signature}"])[0]
        path = os.path.join(cache_dir, f"{digest}-{name:016x}.npz")
        kept = _load_if_whole(path)
        if kept is not None:
            return kept
    counter, content = _Counter(counting), ContentDigest()
    for batch in read_batches(cell, counting.reading):
        counter.add(batch)
        content.add(batch)
    statistics = counter.result()
    if path is not None:
        if content.result() != digest:
            raise changed_corpus(cell)
        statistics.save(path)
    return statistics
