"""Likelihoods of texts: log-probability, entropy and rank of every token."""

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ._encoding import Chunk, EncodedText, Item
from ._engine import LikelihoodEngine
from ._loading import LanguageModel

# So many characters are tokenized at a time, while the model works on those before.
SHARD_CHARACTERS = 8_000_000
HEADER = struct.Struct("<IBIII")
Encode = Callable[
    [Sequence[int], Sequence[Item]], list[tuple[EncodedText, list[Chunk]]]
]


@dataclass
class TokenScores:
    """What a model makes of the tokens of a text.

    `logprob` are natural logarithms, `entropy` is in nats; the first token is not
    there where nothing stands before it.
    """

    logprob: np.ndarray  # (n_scored,)
    entropy: np.ndarray | None  # (n_scored,)
    rank: np.ndarray | None  # (n_scored,)
    n_tokens: int
    n_unknown: int
    n_first_characters: int  # of the token that is not scored

    def to_bytes(self) -> bytes:
        """Return the scores as bytes, float32 each, with a checksum."""
        columns = [
            column
            for column in (self.logprob, self.entropy, self.rank)
            if column is not None
        ]
        data = np.concatenate([column.astype("<f4") for column in columns]).tobytes()
        header = HEADER.pack(
            zlib.crc32(data),
            len(columns),
            self.n_tokens,
            self.n_unknown,
            self.n_first_characters,
        )
        return header + data

    @classmethod
    def from_bytes(cls, value: bytes) -> "TokenScores | None":
        """Return the scores that `to_bytes` wrote; None if they were damaged."""
        if len(value) < HEADER.size:
            return None
        checksum, n_columns, *counts = HEADER.unpack_from(value)
        data = value[HEADER.size :]
        if zlib.crc32(data) != checksum or n_columns not in (1, 3):
            return None
        columns = np.frombuffer(data, "<f4").reshape(n_columns, -1)
        absent = [None] * (3 - n_columns)
        return cls(*columns, *absent, *counts)


class _Assembly:
    """The scores of a text while not all of its chunks are done."""

    def __init__(self, encoded: EncodedText, n_scored: int, level: str):
        n_columns = 3 if level == "full" else 1
        self.values = np.zeros((n_columns, n_scored), dtype=np.float32)
        self.missing = n_scored
        self._encoded = encoded

    def add(self, scores) -> bool:
        """Take the scores of a chunk; tell whether it was the last."""
        n = len(scores.logprob)
        place = slice(scores.chunk.first, scores.chunk.first + n)
        columns = (scores.logprob, scores.entropy, scores.rank)
        for row, column in zip(self.values, columns, strict=False):
            row[place] = column
        self.missing -= n
        return not self.missing

    def result(self) -> TokenScores:
        """Return the scores of the text."""
        absent = [None] * (3 - len(self.values))
        encoded = self._encoded
        return TokenScores(
            *self.values,
            *absent,
            len(encoded.ids),
            encoded.n_unknown,
            encoded.n_first_characters,
        )


def cut_shards(
    items: Sequence[Item], n_characters: int = SHARD_CHARACTERS
) -> Iterator[range]:
    """Yield ranges of items of about so many characters."""
    begin = size = 0
    for number, item in enumerate(items):
        size += len(item.text) + len(item.source or "")
        if size >= n_characters:
            yield range(begin, number + 1)
            begin, size = number + 1, 0
    if begin < len(items):
        yield range(begin, len(items))


def score_likelihoods(
    items: Sequence[Item],
    model: LanguageModel,
    encode: Encode,
    level: str,
    max_tokens: int | str,
) -> Iterator[list[tuple[int, TokenScores]]]:
    """Score texts, the longest first.

    Parameters
    ----------
    items : sequence of Item
        Each once.
    model : LanguageModel
    encode : callable
        From numbers of items and items to their tokens and the chunks that score them.
    level : {"logprob", "full"}
    max_tokens : int or "auto"

    Yields
    ------
    list of (int, TokenScores)
        Numbers and scores of the texts that a batch completed.
    """
    shards = list(cut_shards(items))
    if not shards:
        return

    def encode_shard(shard):
        return encode(shard, [items[number] for number in shard])

    engine = None
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(encode_shard, shards[0])
        for number, shard in enumerate(shards):
            encoded = future.result()
            if number + 1 < len(shards):
                future = pool.submit(encode_shard, shards[number + 1])
            waiting, chunks, empty = {}, [], []
            for text, (tokens, pieces) in zip(shard, encoded, strict=True):
                n_scored = sum(len(piece.targets) for piece in pieces)
                assembly = _Assembly(tokens, n_scored, level)
                if pieces:
                    waiting[text] = assembly
                    chunks += pieces
                else:
                    empty.append((text, assembly.result()))
            if empty:
                yield empty
            if chunks and engine is None:
                engine = LikelihoodEngine(model, level, max_tokens)
            for scored in engine(chunks) if chunks else ():
                done = [s.chunk.text for s in scored if waiting[s.chunk.text].add(s)]
                yield [(text, waiting.pop(text).result()) for text in done]
