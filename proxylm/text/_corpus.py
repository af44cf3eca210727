"""Corpora: from lists, files and iterators to batches of sentences."""

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pandas as pd

from proxylm._unicode import valid_unicode

BATCH_CHARACTERS = 1_000_000
BLOCK_BYTES = 4 << 20
GZIP_MAGIC = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
BROKEN_GZIP = (EOFError, gzip.BadGzipFile, zlib.error)


class Batch(NamedTuple):
    """Some sentences of a corpus, none of which has a line break."""

    sentences: list[str]
    text: str  # the sentences, joined by line breaks


@dataclass(frozen=True)
class Reading:
    """How corpora are read.

    `field` is the key of the text in JSON lines, with dots between nested keys.
    """

    field: str = "text"
    encoding_errors: str = "strict"
    keeps_empty: bool = False


def is_missing(cell: Any) -> bool:
    """Tell whether a cell has no corpus."""
    return cell is None or cell is pd.NA or (isinstance(cell, float) and np.isnan(cell))


def identity(cell: Any) -> Any:
    """Return what two cells have in common if they are the same corpus."""
    if isinstance(cell, str | os.PathLike):
        return os.path.realpath(cell)
    if callable(cell) and getattr(cell, "__hash__", None):
        return cell
    return id(cell)


def check_corpus(cell: Any) -> None:
    """Refuse what can't be read as a corpus, before any time is spent."""
    if is_missing(cell) or callable(cell):
        return
    if isinstance(cell, str | os.PathLike):
        path = Path(cell)
        if path.is_dir():
            raise IsADirectoryError(
                f"A corpus is expected to be a file. {path} is a folder. Give the path "
                "of a text file in it."
            )
        if not path.is_file():
            raise FileNotFoundError(
                f"No corpus at {str(cell)[:200]!r}. A string is the path of a text "
                "file; pass sentences as a list of strings."
            )
    elif not isinstance(cell, list | tuple | np.ndarray | pd.Series):
        raise TypeError(
            "A corpus is expected to be a list of sentences, a path, or a function "
            f"that returns an iterator of sentences. Got {cell!r:.80} of type "
            f"{type(cell).__name__}."
        )


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """Yield the bytes of a file in blocks that end where a line does."""
    rest: list[bytes] = []
    while block := file.read(BLOCK_BYTES):
        end = block.rfind(b"\n") + 1
        if end:
            yield b"".join([*rest, block[:end]])
            rest = []
        rest.append(block[end:])
    if any(rest):
        yield b"".join(rest)


def _decoded(path: Path, file: BinaryIO, errors: str) -> Iterator[tuple[int, str]]:
    """Yield the number of the first line of each block, and its text."""
    first = 1
    for block in _blocks(file):
        block = block.removeprefix(BOM) if first == 1 else block
        try:
            text = block.decode("utf-8", errors)
        except UnicodeDecodeError as error:
            line = first + block.count(b"\n", 0, error.start)
            raise ValueError(
                f"{path}, line {line}: the byte 0x{block[error.start]:02x} is not "
                "UTF-8. Convert the file to UTF-8, or pass encoding_errors='replace'."
            ) from None
        yield first, text.replace("\r\n", "\n").replace("\r", "\n")
        first += block.count(b"\n")


def _text_of(path: Path, number: int, line: str, field: str) -> str:
    """Return the text in a line of JSON."""
    try:
        value = json.loads(line)
        for key in () if isinstance(value, str) else field.split("."):
            value = value[key]
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path}, line {number}: expected JSON. Got {line[:60]!r} ({error.msg}). A "
            "file of plain text has another suffix, such as .txt."
        ) from None
    except (KeyError, TypeError, IndexError):
        value = None
    if not isinstance(value, str):
        raise ValueError(
            f"{path}, line {number}: expected a text at {field!r}. Got "
            f"{line.strip()[:60]!r}. Name the field with field=..."
        )
    return value


def _numbered_lines(path: Path, errors: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file, perhaps compressed, with their numbers from one."""
    with open(path, "rb") as raw:
        is_gzip = raw.read(2) == GZIP_MAGIC or path.suffix.lower() == ".gz"
        raw.seek(0)
        file = gzip.GzipFile(fileobj=raw) if is_gzip else raw
        try:
            for first, text in _decoded(path, file, errors):
                yield from enumerate(text.removesuffix("\n").split("\n"), first)
        except BROKEN_GZIP as error:
            raise ValueError(
                f"{path} is no whole gzip file ({error}). Compress or fetch it again."
            ) from error


def read_lines(path: Path, errors: str = "strict") -> Iterator[str]:
    """Yield the lines of a file of UTF-8, perhaps compressed, without their breaks."""
    return (line for _, line in _numbered_lines(path, errors))


def _file_sentences(path: Path, reading: Reading) -> Iterator[str]:
    """Yield the lines of a text file or the texts of a file of JSON lines."""
    if not path.name.lower().removesuffix(".gz").endswith(JSON_SUFFIXES):
        yield from read_lines(path, reading.encoding_errors)
        return
    for number, line in _numbered_lines(path, reading.encoding_errors):
        if line.strip():
            yield _text_of(path, number, line, reading.field)


def _sentences(cell: Any, reading: Reading) -> Iterable[Any]:
    """Return the sentences of a corpus as they come."""
    if isinstance(cell, str | os.PathLike):
        return _file_sentences(Path(cell), reading)
    return cell() if callable(cell) else cell


def _one_line(sentence: Any, number: int) -> str:
    """Return a sentence without line breaks and space around it."""
    if not isinstance(sentence, str):
        raise TypeError(
            f"A corpus is expected to hold strings. Sentence {number} is "
            f"{sentence!r:.60} of type {type(sentence).__name__}."
        )
    if "\n" in sentence or "\r" in sentence:
        sentence = sentence.replace("\r", " ").replace("\n", " ")
    return sentence.strip()


def _batch(sentences: list[str]) -> Batch:
    """Join sentences; half of a surrogate pair becomes the replacement character."""
    joined = "\n".join(sentences)
    text = valid_unicode(joined)
    if text != joined:
        sentences = text.split("\n")
    return Batch(sentences, text)


def read_batches(cell: Any, reading: Reading) -> Iterator[Batch]:
    """Read a corpus once, in batches of about a million characters.

    Parameters
    ----------
    cell : list of str, str, path-like or callable
        Sentences; the path of a text file with a sentence a line, or of JSON lines,
        both perhaps compressed by gzip; or a function that returns an iterator.
    reading : Reading

    Yields
    ------
    Batch
    """
    sentences: list[str] = []
    size = 0
    for number, raw in enumerate(_sentences(cell, reading), 1):
        sentence = _one_line(raw, number)
        if sentence or reading.keeps_empty:
            sentences.append(sentence)
            size += len(sentence) + 1
            if size > BATCH_CHARACTERS:
                yield _batch(sentences)
                sentences, size = [], 0
    if sentences:
        yield _batch(sentences)


class ContentDigest:
    """A digest of the sentences of a corpus, wherever they are kept."""

    def __init__(self) -> None:
        self._digest = hashlib.blake2b(digest_size=16)

    def add(self, batch: Batch) -> None:
        """Take the next batch; how batches are cut does not matter."""
        self._digest.update(batch.text.encode() + b"\n")

    def result(self) -> str:
        """Return the digest in hexadecimal digits."""
        return self._digest.hexdigest()


def content_digest(cell: Any, reading: Reading) -> str:
    """Return the digest of the sentences of a corpus."""
    digest = ContentDigest()
    for batch in read_batches(cell, reading):
        digest.add(batch)
    return digest.result()


def changed_corpus(cell: Any) -> ValueError:
    """Return the error of a corpus that is not what it was when it was read before."""
    return ValueError(
        f"The corpus {cell!r:.80} is read twice and was not the same both times. A "
        "function is expected to return a new iterator each time; a file must not be "
        "written while it is read."
    )
