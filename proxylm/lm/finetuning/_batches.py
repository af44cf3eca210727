"""The order in which examples are learned: by a seed, in batches of like lengths."""

from collections.abc import Sequence

import numpy as np

from .._encoding import Chunk

# Examples are sorted by length within pools of so many batches.
BATCHES_OF_POOL = 64


def n_tokens(chunk: Chunk) -> int:
    """Return how many tokens an example has on both sides."""
    return len(chunk.ids) + (0 if chunk.encoder_ids is None else len(chunk.encoder_ids))


def cut(
    numbers: Sequence[int], lengths: np.ndarray, max_tokens: int, batch_size: int
) -> list[list[int]]:
    """Cut examples into batches within a budget of tokens, their padding counted.

    Parameters
    ----------
    numbers : sequence of int
        Examples, best sorted by length.
    lengths : ndarray of shape (n_examples, 2)
        Tokens of each that a decoder and an encoder read.
    max_tokens : int
        A longer example is a batch of its own.
    batch_size : int
        Examples of a batch at most.
    """
    batches: list[list[int]] = []
    longest = np.zeros(2, dtype=np.int64)
    for number in numbers:
        wider = np.maximum(longest, lengths[number])
        n_after = len(batches[-1]) + 1 if batches else 1
        if batches and n_after <= batch_size and n_after * wider.sum() <= max_tokens:
            batches[-1].append(number)
            longest = wider
        else:
            batches.append([number])
            longest = lengths[number]
    return batches


def epoch_batches(
    lengths: np.ndarray, max_tokens: int, batch_size: int, seed: int, epoch: int
) -> list[list[int]]:
    """Return the batches of an epoch, which depend on nothing but the arguments.

    Examples are shuffled, sorted by length within pools of about 64 batches, and cut;
    then the batches are shuffled.

    Parameters
    ----------
    lengths : ndarray of shape (n_examples, 2)
        Tokens of each that a decoder and an encoder read.
    max_tokens, batch_size : int
        See `cut`.
    seed, epoch : int
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths))
    totals = lengths.sum(axis=1)
    of_batch = min(batch_size, max(max_tokens // max(int(totals.mean()), 1), 1))
    size = BATCHES_OF_POOL * of_batch
    batches: list[list[int]] = []
    for start in range(0, len(order), size):
        pool = order[start : start + size]
        pool = pool[np.argsort(totals[pool], kind="stable")]
        batches += cut(pool.tolist(), lengths, max_tokens, batch_size)
    return [batches[number] for number in rng.permutation(len(batches))]
