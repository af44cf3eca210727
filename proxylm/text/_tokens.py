"""Tokenizers: from a batch of sentences to numbered tokens."""

import hashlib
import os
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from proxylm._nearest import nearest
from proxylm._optional import import_optional
from proxylm._sentencepiece import load_sentencepiece
from proxylm._words import find_segments, has_letter_or_digit

from ._corpus import Batch
from ._hashes import hash_texts

UNICODE = f"Unicode {unicodedata.unidata_version}"
# Soft hyphens, byte order marks and marks of direction are no part of a word.
INVISIBLE = dict.fromkeys(
    [
        0xAD,
        0x61C,
        0x200E,
        0x200F,
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
        0xFEFF,
    ]
)


class Tokens(NamedTuple):
    """The tokens of a batch, sentence after sentence."""

    surfaces: Sequence[str]  # as they stand in the text, each once
    keys: np.ndarray  # (n_surfaces,) hash of each, whatever its case
    codes: np.ndarray  # (n_tokens,) number of the surface of each token
    sentences: np.ndarray  # (n_tokens,) number of the sentence of each token


def _folded_keys(surfaces: Sequence[str]) -> np.ndarray:
    """Return hashes that are the same for upper and lower case."""
    visible = [text.lower().translate(INVISIBLE) for text in surfaces]
    return hash_texts([unicodedata.normalize("NFC", text) for text in visible])


def _kept(surfaces, keys_of, codes, sentences, is_kept):
    """Return the tokens whose surface is kept."""
    inside = is_kept[codes]
    renumbered = np.cumsum(is_kept) - 1
    surfaces = [text for text, kept in zip(surfaces, is_kept, strict=True) if kept]
    return Tokens(
        surfaces, keys_of(surfaces), renumbered[codes[inside]], sentences[inside]
    )


@dataclass(frozen=True)
class WordTokenizer:
    """Words as ICU finds them: by dictionaries where a script has no spaces.

    Segments without a letter or digit are no words; case is folded.
    """

    def __call__(self, batch: Batch) -> Tokens:
        """Tokenize a batch."""
        segments = np.array(find_segments(batch.text), dtype=object)
        codes, surfaces = pd.factorize(segments)
        # A line break is always a segment of its own.
        sentences = np.cumsum(np.asarray(surfaces == "\n")[codes])
        is_word = np.array([has_letter_or_digit(text) for text in surfaces], bool)
        return _kept(surfaces, _folded_keys, codes, sentences, is_word)

    def signature(self) -> str:
        """Return what tells its results from those of other tokenizers."""
        icu = import_optional("icu4py", extra="text")
        return f"words, ICU {icu.icu_version}, {UNICODE}"


def code_points(text: str) -> np.ndarray:
    """Return the code points of a text as uint32."""
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")


def _numbered(points: np.ndarray):
    """Return the number of each code point among the distinct ones, and these."""
    counts = np.bincount(points)
    distinct = np.flatnonzero(counts)
    numbers = np.empty(len(counts), dtype=np.int32)
    numbers[distinct] = np.arange(len(distinct))
    return numbers[points], [chr(point) for point in distinct]


@dataclass(frozen=True)
class CharacterTokenizer:
    """Characters (code points of NFC) other than white space; case is folded."""

    def __call__(self, batch: Batch) -> Tokens:
        """Tokenize a batch."""
        points = code_points(unicodedata.normalize("NFC", batch.text.lower()))
        codes, surfaces = _numbered(points)
        sentences = np.cumsum(points == ord("\n"))
        is_kept = np.array([not text.isspace() for text in surfaces], bool)
        return _kept(surfaces, hash_texts, codes, sentences, is_kept)

    def signature(self) -> str:
        """Return what tells its results from those of other tokenizers."""
        return f"characters, {UNICODE}"


@dataclass(frozen=True)
class PaperTokenizer:
    """The tokens of the original: a sentence's characters, each tokenized alone.

    There a sentence is put into lower case and decomposed (NFD), and only letters,
    digits and white space are kept; then spaces are put between all characters, and
    SentencePiece tokenizes that. As no piece crosses a space, the pieces of a sentence
    are those of its characters. Without a SentencePiece model the character itself is
    the piece, which it is for most characters with the model, too.
    """

    model: Any = None

    def _pieces(self, character: str) -> list[str]:
        is_kept = character.isalnum()
        if character == "\n" or not (is_kept or character.isspace()):
            return []
        if self.model is not None:
            return self.model.encode(character, out_type=str)
        return [character] if is_kept else []

    def __call__(self, batch: Batch) -> Tokens:
        """Tokenize a batch."""
        points = code_points(unicodedata.normalize("NFD", batch.text.lower()))
        codes, characters = _numbered(points)
        sentences = np.cumsum(points == ord("\n"))
        pieces = [self._pieces(character) for character in characters]
        lengths = np.array([len(found) for found in pieces], dtype=int)
        flat, surfaces = pd.factorize(
            np.array([piece for found in pieces for piece in found], dtype=object)
        )
        starts = np.cumsum(lengths) - lengths
        repeats = lengths[codes]
        # Number of each token within its character's pieces.
        within = np.arange(repeats.sum()) - np.repeat(
            np.cumsum(repeats) - repeats, repeats
        )
        codes = flat[np.repeat(starts[codes], repeats) + within]
        surfaces = list(surfaces)
        sentences = np.repeat(sentences, repeats)
        return Tokens(surfaces, hash_texts(surfaces), codes, sentences)

    def signature(self) -> str:
        """Return what tells its results from those of other tokenizers."""
        return f"paper {_model_signature(self.model)}, {UNICODE}"


def _model_signature(model: Any) -> str:
    """Return the digest of a SentencePiece model."""
    if model is None:
        return ""
    return hashlib.blake2b(model.serialized_model_proto(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class CallableTokenizer:
    """What a function says the tokens of a sentence are."""

    function: Callable[[str], Sequence[Any]]

    def __call__(self, batch: Batch) -> Tokens:
        """Tokenize a batch."""
        found = [list(self.function(sentence)) for sentence in batch.sentences]
        lengths = [len(tokens) for tokens in found]
        flat = [str(token) for tokens in found for token in tokens]
        codes, surfaces = pd.factorize(np.array(flat, dtype=object))
        sentences = np.repeat(np.arange(len(found)), lengths)
        return Tokens(list(surfaces), hash_texts(list(surfaces)), codes, sentences)

    def signature(self) -> None:
        """Return None: nothing tells one function from another."""


def load_tokenizer(tokenizer: Any) -> Any:
    """Return a tokenizer, read from its file if it is a path.

    A name that ends in `.json` is that of a `tokenizers.Tokenizer`, any other that of a
    SentencePiece model.
    """
    if not isinstance(tokenizer, str | os.PathLike):
        return tokenizer
    path = os.fspath(tokenizer)
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"A tokenizer is expected to be one of {list(NAMED)}, a function from a "
            "sentence to its tokens, a tokenizer, or the path of a SentencePiece model "
            f"or a tokenizer.json. There is no file {path!r}." + nearest(path, NAMED)
        )
    if not path.lower().endswith(".json"):
        return load_sentencepiece(path, extra="text")
    tokenizers = import_optional("tokenizers", extra="lm")
    try:
        return tokenizers.Tokenizer.from_file(path)
    except Exception as error:  # tokenizers raises nothing that is more precise
        raise ValueError(f"{path} is no tokenizer.json ({error}).") from error


def make_tokenizer(tokenizer: Any, compatibility: str | None) -> Any:
    """Return the tokenizer that a user named or gave."""
    is_named = isinstance(tokenizer, str) and tokenizer in NAMED
    if compatibility == "paper":
        model = None if is_named else load_tokenizer(tokenizer)
        if model is not None and not hasattr(model, "serialized_model_proto"):
            raise TypeError(
                'compatibility="paper" expects a SentencePiece model as tokenizer, or '
                f"the default. Got {tokenizer!r:.80}."
            )
        return PaperTokenizer(model)
    if is_named:
        return NAMED[tokenizer]()
    model = load_tokenizer(tokenizer)
    for name in ("encode_as_pieces", "tokenize"):
        if hasattr(model, name):
            return CallableTokenizer(getattr(model, name))
    if hasattr(model, "encode_batch"):
        return CallableTokenizer(_TokensOfEncoding(model))
    if not callable(model):
        raise TypeError(
            f"tokenizer expects one of {list(NAMED)}, a function from a sentence to "
            "its tokens, an object with a method tokenize, or a tokenizer or its path. "
            f"Got {tokenizer!r:.80}."
        )
    return CallableTokenizer(model)


@dataclass(frozen=True)
class _TokensOfEncoding:
    """Tokenizes a sentence with a Tokenizer of the package tokenizers."""

    tokenizer: Any

    def __call__(self, sentence: str) -> list[str]:
        return self.tokenizer.encode(sentence, add_special_tokens=False).tokens


NAMED = {"words": WordTokenizer, "characters": CharacterTokenizer}
