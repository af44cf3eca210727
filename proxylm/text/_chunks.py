"""The TF-IDF distance of the original: the mean over chunks of the longer corpus."""

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, vstack

from ._corpus import Batch, changed_corpus, read_batches
from ._hashes import HashCounter, HashCounts
from ._statistics import CorpusStatistics, Counting

# Squared weight of a token that one of two documents has, (log(3 / 2) + 1)^2; that of
# one that both have is 1.
ALONE = (np.log(1.5) + 1) ** 2


def _document(vocabulary: np.ndarray, tokens: HashCounts):
    """Return the counts of a document over a vocabulary, and its squared norm."""
    counts = np.zeros(len(vocabulary))
    values = tokens.values[:, 0].astype(np.float64)
    if len(vocabulary):
        position = np.searchsorted(vocabulary, tokens.keys)
        position = np.minimum(position, len(vocabulary) - 1)
        found = vocabulary[position] == tokens.keys
        counts[position[found]] = values[found]
    return counts, ALONE * values @ values


def _cosine_distances(chunks, documents: np.ndarray, squares: np.ndarray):
    """Return the distance of each chunk to each document, NaN without a token.

    Parameters
    ----------
    chunks : sparse matrix of shape (n_chunks, n_types)
    documents : ndarray of shape (n_types, n_documents)
    squares : ndarray of shape (n_documents,)
        Squared norms, as if no token were shared.
    """
    chunks.sum_duplicates()
    has = chunks.astype(bool).astype(np.float64)
    own = chunks.multiply(chunks) @ np.where(documents > 0, 1.0, ALONE)
    other = squares + (1 - ALONE) * (has @ documents**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1 - (chunks @ documents) / np.sqrt(own * other)


class _Chunks:
    """The chunks of a corpus of some number of sentences, as they become complete."""

    def __init__(self, step: int, n_types: int):
        self.step = step
        self.rest = csr_matrix((1, n_types))  # counts of the unfinished chunk

    def boundaries(self, start: int, end: int) -> np.ndarray:
        """Return where chunks end between two sentences, the last included."""
        return np.arange(start // self.step + 1, end // self.step + 1) * self.step

    def take(self, segments, starts: np.ndarray, end: int):
        """Return the chunks that segments of a corpus complete.

        Parameters
        ----------
        segments : sparse matrix of shape (n_segments, n_types)
        starts : ndarray of shape (n_segments,)
            Number of the first sentence of each.
        end : int
            Number of the sentence after the last.
        """
        chunk = np.r_[starts[0], starts] // self.step
        chunk -= chunk[0]
        n_complete = end // self.step - starts[0] // self.step
        ones = np.ones(len(chunk))
        members = csr_matrix(
            (ones, (chunk, np.arange(len(chunk)))), shape=(n_complete + 1, len(chunk))
        )
        found = members @ vstack([self.rest, segments], format="csr")
        self.rest = found[n_complete:]
        return found[:n_complete]


def _prefix(cell: Any, n_sentences: int, counting: Counting):
    """Return the counts of the first sentences of a corpus, and the first one."""
    counter = HashCounter()
    left, first = n_sentences, None
    for batch in read_batches(cell, counting.reading):
        first = batch.sentences[0] if first is None else first
        sentences = batch.sentences[:left]
        tokens = counting.tokenizer(Batch(sentences, "\n".join(sentences)))
        counts = np.bincount(tokens.codes, minlength=len(tokens.keys))
        counter.add(tokens.keys, counts)
        left -= len(sentences)
        if left <= 0:
            break
    return counter.result(), first


def chunk_distances(
    cell: Any,
    own: CorpusStatistics,
    others: list[tuple[Any, CorpusStatistics]],
    counting: Counting,
) -> list[float]:
    """Return the TF-IDF distances of a corpus to others, as the original defines them.

    The corpus is cut into chunks of as many sentences as the other one has; each chunk
    is compared with the other corpus, the last one, which may be shorter, with as many
    of its first sentences. The vectors of the two have the counts of tokens, times
    log(3 / (1 + d)) + 1 where d of the two have the token; the distance is the mean of
    the cosine distances. A chunk of a single empty sentence is passed over.

    Parameters
    ----------
    cell : corpus
    own : CorpusStatistics
        Of that corpus.
    others : list of (corpus, CorpusStatistics)
    counting : Counting

    Returns
    -------
    distances : list of float
        NaN where a corpus is empty or a chunk has no token.
    """
    vocabulary, n_types = own.tokens.keys, len(own.tokens)
    found = [_document(vocabulary, other.tokens) for _, other in others]
    documents = np.column_stack([counts for counts, _ in found])
    squares = np.array([square for _, square in found])
    sizes = np.array([other.size for _, other in others])
    chunkings = [_Chunks(int(step), n_types) for step in np.unique(sizes) if step]
    totals, n_compared = np.zeros(len(others)), np.zeros(len(others))
    start, is_last_empty = 0, False
    for batch in read_batches(cell, counting.reading):
        end = start + len(batch.sentences)
        tokens = counting.tokenizer(batch)
        # Chunks of every length are sums of the same segments.
        ends = [chunks.boundaries(start, end) for chunks in chunkings]
        starts = np.unique(np.concatenate([[start], *ends])).astype(int)
        starts = starts[starts < end]
        places = np.searchsorted(tokens.sentences, np.r_[starts, end] - start)
        ids = np.searchsorted(vocabulary, tokens.keys)[tokens.codes]
        segments = csr_matrix(
            (np.ones(len(ids)), ids, places), shape=(len(starts), n_types)
        )
        segments.sum_duplicates()
        is_empty = np.array([not sentence for sentence in batch.sentences])
        is_last_empty = bool(is_empty[-1])
        for chunks in chunkings:
            complete = chunks.take(segments, starts, end)
            if chunks.step == 1:
                complete = complete[np.flatnonzero(~is_empty)]
            same = np.flatnonzero(sizes == chunks.step)
            distances = _cosine_distances(complete, documents[:, same], squares[same])
            totals[same] += distances.sum(axis=0)
            n_compared[same] += len(distances)
        start = end
    if start != own.size:
        raise changed_corpus(cell)
    rests = {chunks.step: chunks.rest for chunks in chunkings}
    for j, (other, _) in enumerate(others):
        n_left = start % sizes[j] if sizes[j] else 0
        if not n_left:
            continue
        tokens, first = _prefix(other, n_left, counting)
        if n_left > 1 or (first and not is_last_empty):
            counts, square = _document(vocabulary, tokens)
            rest = rests[sizes[j]]
            totals[j] += _cosine_distances(rest, counts[:, None], square).item()
            n_compared[j] += 1
    with np.errstate(invalid="ignore"):
        return list(totals / n_compared)
