"""What a model's tokenizer makes of words: fertility and its kin."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ._tokens import Tokens, load_sentencepiece

# What marks the beginning of a word in a piece, and where a word goes on.
MARKS = "▁Ġ "
CONTINUES = "##"
BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")
COUNTS = ("words", "continued", "pieces", "unknown", "bytes")


def _hugging_face(tokenizer: Any) -> Callable[[Sequence[str]], list[list[str]]]:
    """Return the function from words to pieces of a Hugging Face tokenizer."""

    def pieces(words):
        return [tokenizer.tokenize(" " + word) for word in words]

    return pieces


def _tokenizers(tokenizer: Any) -> Callable[[Sequence[str]], list[list[str]]]:
    """Return the function from words to pieces of a Tokenizer of that package."""

    def pieces(words):
        found = tokenizer.encode_batch(
            [" " + word for word in words], add_special_tokens=False
        )
        return [encoding.tokens for encoding in found]

    return pieces


def _sentencepiece(model: Any) -> Callable[[Sequence[str]], list[list[str]]]:
    """Return the function from words to pieces of a SentencePiece model."""

    def pieces(words):
        found = model.encode(list(words), out_type=str)
        unknown = model.id_to_piece(model.unk_id())
        # A piece that is not in the vocabulary comes as it stands in the text.
        return [
            [unknown if model.is_unknown(model.piece_to_id(p)) else p for p in word]
            for word in found
        ]

    return pieces


class SubwordTokenizer:
    """The tokenizer of a language model, seen through the words that it splits.

    Parameters
    ----------
    tokenizer : object or path
        A Hugging Face tokenizer, a `tokenizers.Tokenizer`, a SentencePiece processor,
        or the path of a SentencePiece model.
    """

    def __init__(self, tokenizer: Any):
        model = load_sentencepiece(tokenizer)
        self.unknown = None
        if hasattr(model, "id_to_piece"):
            self._pieces = _sentencepiece(model)
            self.unknown = model.id_to_piece(model.unk_id())
        elif hasattr(model, "tokenize"):
            self._pieces = _hugging_face(model)
            self.unknown = getattr(model, "unk_token", None)
        elif hasattr(model, "encode_batch"):
            self._pieces = _tokenizers(model)
            self.unknown = getattr(model.model, "unk_token", None)
        else:
            raise TypeError(
                "subword_tokenizer expects a Hugging Face tokenizer, a Tokenizer of "
                "the package tokenizers, or a SentencePiece model or its path. Got "
                f"{tokenizer!r:.80}."
            )

    def count(self, tokens: Tokens) -> np.ndarray:
        """Return how many words, continued words, pieces, unknown ones and bytes.

        Parameters
        ----------
        tokens : Tokens
            Words.

        Returns
        -------
        counts : ndarray of shape (5,)
        """
        occurrences = np.bincount(tokens.codes, minlength=len(tokens.surfaces))
        rows = np.zeros((len(tokens.surfaces), len(COUNTS)), dtype=np.int64)
        found = self._pieces(tokens.surfaces) if len(tokens.surfaces) else []
        for row, pieces in zip(rows, found, strict=True):
            # A piece that only marks the beginning is no part of the word.
            pieces = [piece for piece in pieces if piece.strip(MARKS)]
            row[:] = (
                1,
                len(pieces) > 1,
                len(pieces),
                sum(piece == self.unknown for piece in pieces),
                sum(BYTE.fullmatch(piece) is not None for piece in pieces),
            )
        return occurrences @ rows
