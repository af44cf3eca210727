"""What a model's tokenizer makes of words: fertility and its kin."""

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from ._tokens import Tokens, load_tokenizer

# What marks the beginning of a word in a piece.
MARKS = "▁Ġ "
BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")
# The space of tokenizers whose pieces are bytes, each written as a printable character.
BYTE_LEVEL_SPACE = "Ġ"
PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
COUNTS = ("words", "continued", "pieces", "unknown", "bytes")


@cache
def _byte_alphabet() -> dict[str, int]:
    """Return the byte that each character of a byte-level piece stands for.

    Printable bytes of Latin-1 stand for themselves, the others follow from U+0100 on.
    """
    others = [byte for byte in range(256) if byte not in PRINTABLE]
    shifted = {chr(256 + k): byte for k, byte in enumerate(others)}
    return {chr(byte): byte for byte in PRINTABLE} | shifted


def is_part_of_character(piece: str) -> bool:
    """Tell whether a byte-level piece is no whole characters."""
    byte_of = _byte_alphabet()
    if not all(character in byte_of for character in piece):
        return False  # a token that was added to the vocabulary as a text
    try:
        bytes(byte_of[character] for character in piece).decode()
    except UnicodeDecodeError:
        return True
    return False


def _hugging_face(tokenizer: Any) -> Callable[[Sequence[str]], list[list[str]]]:
    """Return the function from texts to pieces of a Hugging Face tokenizer."""
    return lambda texts: [tokenizer.tokenize(text) for text in texts]


def _tokenizers(tokenizer: Any) -> Callable[[Sequence[str]], list[list[str]]]:
    """Return the function from texts to pieces of a Tokenizer of that package."""

    def pieces(texts):
        found = tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [encoding.tokens for encoding in found]

    return pieces


def _sentencepiece(model: Any) -> Callable[[Sequence[str]], list[list[str]]]:
    """Return the function from texts to pieces of a SentencePiece model."""

    def pieces(texts):
        found = model.encode(list(texts), out_type=str)
        unknown = model.id_to_piece(model.unk_id())
        # A piece that is not in the vocabulary comes as it stands in the text.
        return [
            [unknown if model.is_unknown(model.piece_to_id(p)) else p for p in text]
            for text in found
        ]

    return pieces


class SubwordTokenizer:
    """The tokenizer of a language model, seen through the words that it splits.

    Parameters
    ----------
    tokenizer : object or path
        A Hugging Face tokenizer, a `tokenizers.Tokenizer`, a SentencePiece processor,
        or the path of a tokenizer.json or a SentencePiece model.
    """

    def __init__(self, tokenizer: Any):
        model = load_tokenizer(tokenizer)
        self._unknown = None
        self._is_byte_level = False
        if hasattr(model, "id_to_piece"):
            self._pieces = _sentencepiece(model)
            self._unknown = model.id_to_piece(model.unk_id())
        elif hasattr(model, "tokenize"):
            self._pieces = _hugging_face(model)
            self._unknown = getattr(model, "unk_token", None)
            self._is_byte_level = BYTE_LEVEL_SPACE in model.get_vocab()
        elif hasattr(model, "encode_batch"):
            self._pieces = _tokenizers(model)
            self._unknown = getattr(model.model, "unk_token", None)
            self._is_byte_level = model.token_to_id(BYTE_LEVEL_SPACE) is not None
        else:
            raise TypeError(
                "subword_tokenizer expects a Hugging Face tokenizer, a Tokenizer of "
                "the package tokenizers, or a SentencePiece model or its path. Got "
                f"{tokenizer!r:.80}."
            )
        # A word is seen as within a sentence: after a space, unless the tokenizer adds
        # the mark of one itself.
        ((first, *_),) = self._pieces(["a"])
        self._before = "" if first[0] in MARKS else " "

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
        words = [self._before + word for word in tokens.surfaces]
        found = self._pieces(words) if words else []
        for row, pieces in zip(rows, found, strict=True):
            # A piece that only marks the beginning is no part of the word.
            pieces = [piece for piece in pieces if piece.strip(MARKS)]
            row[:] = (
                1,
                len(pieces) > 1,
                len(pieces),
                sum(piece == self._unknown for piece in pieces),
                sum(map(self._is_byte, pieces)),
            )
        return occurrences @ rows

    def _is_byte(self, piece: str) -> bool:
        """Tell whether a piece stands for a byte or for a part of a character."""
        if self._is_byte_level:
            return is_part_of_character(piece)
        return BYTE.fullmatch(piece) is not None
