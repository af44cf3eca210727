"""Texts to learn from: pairs of what a model reads and what it is to write."""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._encoding import Item

# A pair is left out with a side of fewer characters or more words.
SHORTEST, LONGEST = 2, 1_023
SPLITS = ("train", "dev", "test")
# By task: what of an utterance of MASSIVE is to be written.
MASSIVE_FIELDS = {"intent": "intent", "slot": "annot_utt"}


class Pair(NamedTuple):
    """What a model reads, what it is to write, and the languages of both."""

    source: str
    target: str
    source_lang: str | None = None
    target_lang: str | None = None

    def to_item(self) -> Item:
        """Return the pair as ProxyScorer has it: the text is what is written."""
        return Item(self.target, self.source, self.source_lang, self.target_lang)


def _is_kept(text: str) -> bool:
    return len(text) >= SHORTEST and len(text.split()) <= LONGEST


def keep_pairs(pairs: Iterable[Pair], task: str) -> list[Pair]:
    """Return the pairs whose sides are neither nearly empty nor very long."""
    if task == "text":
        return [pair for pair in pairs if pair.target.strip()]
    return [p for p in pairs if _is_kept(p.source) and _is_kept(p.target)]


def join_sides(
    sources: Sequence[str],
    targets: Sequence[str],
    source_lang: str | None = None,
    target_lang: str | None = None,
) -> list[Pair]:
    """Return the pairs of two lists of sentences.

    Raises
    ------
    ValueError
        If one has more sentences than the other.
    """
    if len(sources) != len(targets):
        raise ValueError(
            "Source and target are expected to have as many sentences. Got "
            f"{len(sources)} and {len(targets)}."
        )
    return [
        Pair(source, target, source_lang, target_lang)
        for source, target in zip(sources, targets, strict=True)
    ]


def read_lines(path: str | os.PathLike) -> list[str]:
    """Return the lines of a text file in UTF-8."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is expected to be a text in UTF-8. Got the byte "
            f"0x{error.object[error.start]:02x} at position {error.start}."
        ) from error
    # Only line breaks end lines: texts have other separators of Unicode in them.
    return [line.rstrip("\r") for line in text.removesuffix("\n").split("\n")]


def read_parallel(
    source: str | os.PathLike,
    target: str | os.PathLike,
    source_lang: str | None = None,
    target_lang: str | None = None,
) -> list[Pair]:
    """Return the pairs of two files with a sentence a line."""
    sides = read_lines(source), read_lines(target)
    if len(sides[0]) != len(sides[1]):
        raise ValueError(
            f"{source} and {target} are expected to have as many lines. Got "
            f"{len(sides[0])} and {len(sides[1])}."
        )
    return join_sides(*sides, source_lang, target_lang)


def read_json_lines(
    path: str | os.PathLike, source_lang: str, target_lang: str
) -> list[Pair]:
    """Return pairs from JSON lines of `{"translation": {source: ..., target: ...}}`."""
    pairs = []
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        try:
            translation = json.loads(line)["translation"]
            sides = translation[source_lang], translation[target_lang]
        except (ValueError, KeyError, TypeError):
            sides = (None, None)
        if not all(isinstance(side, str) for side in sides):
            raise ValueError(
                f'{path}, line {number}: expected {{"translation": {{"{source_lang}": '
                f'"...", "{target_lang}": "..."}}}}. Got {line.strip()[:60]!r}.'
            )
        pairs.append(Pair(*sides, source_lang, target_lang))
    return pairs


def read_massive(
    path: str | os.PathLike, task: str, partition: str | None = None
) -> list[Pair]:
    """Return the utterances of a file of MASSIVE with what is to be written.

    Parameters
    ----------
    path : str or path-like
        JSON lines with `utt`, `intent`, `annot_utt`, `partition` and `locale`, as
        MASSIVE [1]_ has them.
    task : {"intent", "slot"}
        Whether the intent or the annotated utterance is to be written.
    partition : {"train", "dev", "test"} or None
        Which utterances; None takes all.

    References
    ----------
    .. [1] FitzGerald et al. (2023). "MASSIVE: a 1M-example multilingual natural
       language understanding dataset". arXiv:2204.08582.
    """
    pairs = []
    name = MASSIVE_FIELDS[task]
    needed = ("utt", name) if partition is None else ("utt", name, "partition")
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            values = [row[key] for key in needed]
        except (ValueError, KeyError, TypeError):
            values = [None]
        if not all(isinstance(value, str) for value in values):
            raise ValueError(
                f"{path}, line {number}: expected JSON with the keys {list(needed)}, "
                f"as MASSIVE has them. Got {line.strip()[:60]!r}."
            )
        if partition is None or values[2] == partition:
            locale = row.get("locale")
            pairs.append(Pair(values[0], values[1], locale, locale))
    return pairs


def read_massive_splits(path: str | os.PathLike, task: str) -> dict[str, list[Pair]]:
    """Return the pairs of each split of a file of MASSIVE, see `read_massive`."""
    found = {split: read_massive(path, task, split) for split in SPLITS}
    if not found["train"]:
        raise ValueError(
            f"{path} is expected to have utterances with partition 'train'. It has "
            "none."
        )
    return found


def draw(pairs: Sequence[Pair], size: int | None, seed: int) -> list[Pair]:
    """Return so many of the pairs, drawn by a seed, in their order.

    What is drawn for a smaller size is part of what is for a larger one.

    Raises
    ------
    ValueError
        If there are fewer pairs, or the size is not above 0.
    """
    if size is None:
        return list(pairs)
    if size < 1:
        raise ValueError(
            f"size expects a number of training pairs from 1. Got {size}. Use method="
            "'none' to run a model as it is."
        )
    if size > len(pairs):
        raise ValueError(
            f"size expects at most the {len(pairs)} training pairs that there are. "
            f"Got {size}."
        )
    order = np.random.default_rng(seed).permutation(len(pairs))
    return [pairs[number] for number in np.sort(order[:size])]


def pairs_digest(pairs: Iterable[Pair]) -> str:
    """Return a digest of pairs and their order."""
    digest = hashlib.sha256()
    for pair in pairs:
        digest.update(json.dumps(list(pair), ensure_ascii=True).encode() + b"\n")
    return digest.hexdigest()[:32]


def check_pairs(pairs: Iterable[Any], name: str, task: str) -> list[Pair]:
    """Return pairs as a list, or say what is no pair."""
    found = []
    for number, pair in enumerate(pairs):
        if task == "text" and isinstance(pair, str):
            pair = Pair("", pair)
        if (
            not isinstance(pair, tuple | list)
            or len(pair) not in (2, 4)
            or not all(isinstance(text, str) for text in pair[:2])
        ):
            expected = "pairs (source, target) of texts"
            if task == "text":
                expected = "texts"
            raise TypeError(
                f"{name} expects {expected}, with the languages of both behind them or "
                f"without. Got {pair!r:.80} at {number}."
            )
        found.append(Pair(*pair))
    return found
