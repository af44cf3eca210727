"""The folders of the original ProxyLM: parallel texts by language and split."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path

import pandas as pd

from ._corpus import read_lines

SHORTEST, LONGEST = 2, 1023  # characters, words
# Training sets that are developed on another data set.
DEVELOPED_ON_FLORES = re.compile(r"cc_aligned$|MT560")
# A number after the language is the size of a part that the original has cut.
TEXT_FILE = re.compile(
    r"(?P<split>train|dev|test)_(?P<language>[A-Za-z]+(_[A-Za-z]+|-\w+)*)\.txt(\.gz)?"
)


@dataclass(frozen=True)
class ParallelTexts:
    """One side of the sentence pairs of a data set.

    Pairs with a side shorter than 2 characters, its line break counted where it has
    one, or longer than 1,023 words are left out.

    Parameters
    ----------
    paths : tuple of str
        The files of the two sides, or one file of JSON lines with both:
        `{"translation": {"ace": "...", "eng": "..."}}`.
    languages : tuple of str
        The codes of the two sides.
    side : int
        Which of the two it gives.
    n_pairs : int or None
        Only so many of the pairs that are kept, from the first.
    """

    paths: tuple[str, ...]
    languages: tuple[str, str]
    side: int
    n_pairs: int | None = None

    def __call__(self) -> Iterator[str]:
        """Yield the sentences."""
        pairs = self._json_pairs() if len(self.paths) == 1 else self._text_pairs()
        kept = (pair[self.side] for pair in pairs if all(map(_is_kept, pair)))
        for sentence in islice(kept, self.n_pairs):
            yield sentence.rstrip("\n")

    def _json_pairs(self):
        (path,) = self.paths
        for number, line in enumerate(read_lines(Path(path)), 1):
            if not line.strip():
                continue
            try:
                translation = json.loads(line)["translation"]
                pair = tuple(translation[language] for language in self.languages)
            except (ValueError, KeyError, TypeError):
                pair = (None,)
            if not all(isinstance(text, str) for text in pair):
                first, second = self.languages
                raise ValueError(
                    f'{path}, line {number}: expected {{"translation": {{"{first}": '
                    f'"...", "{second}": "..."}}}}. Got {line.strip()[:60]!r}.'
                )
            yield pair

    def _text_pairs(self):
        sides = [read_lines(Path(path)) for path in self.paths]
        for number, pair in enumerate(zip_longest(*sides), 1):
            if None in pair:
                ended = self.paths[pair.index(None)]
                raise ValueError(
                    f"The two sides are expected to have as many lines. {ended} ends "
                    f"before line {number} of the other, "
                    f"{self.paths[1 - pair.index(None)]}."
                )
            yield tuple(line + "\n" for line in pair)


def _is_kept(text):
    return len(text) >= SHORTEST and len(text.split(" ")) <= LONGEST


def _pairs_in(folder: Path, split: str):
    """Return the files and the languages of the pairs of a data set's folder."""
    for name in (f"{split}.json", f"{split}.jsonl", f"{split}.json.gz"):
        path = folder / name
        if path.is_file():
            line = next(iter(read_lines(path)), "")
            try:
                languages = tuple(json.loads(line)["translation"])
            except (ValueError, KeyError, TypeError):
                languages = ()
            if len(languages) != 2:
                raise ValueError(
                    f'{path}, line 1: expected {{"translation": {{...}}}} with two '
                    f"languages. Got {line[:60]!r}."
                )
            return [((str(path),), languages)]
    texts = {}
    for path in sorted(folder.iterdir()):
        match = TEXT_FILE.fullmatch(path.name)
        if match and match["split"] == split:
            texts[match["language"]] = str(path)
    language = folder.parent.parent.name
    if language not in texts:
        return []
    return [
        ((texts[language], path), (language, other))
        for other, path in texts.items()
        if other != language
    ]


def _sides(folder: Path, split: str, n_pairs: int | None = None):
    """Return {(source, target): texts of the target side} of a data set's folder."""
    found = {}
    if folder.is_dir():
        for paths, languages in _pairs_in(folder, split):
            for side in (0, 1):
                pair = languages[1 - side], languages[side]
                found[pair] = ParallelTexts(paths, languages, side, n_pairs)
    return found


def _subfolders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir())


def read_dataset_folder(
    folder: str | os.PathLike, *, sizes: Sequence[int | None] = (None,)
) -> pd.DataFrame:
    """List the records that a folder in the layout of the original ProxyLM has.

    A folder for each language has the folders `train`, `dev` and `test`, and these one
    for each data set, with the sides of a parallel corpus in `train_ace.txt` and
    `train_eng.txt`, or both in `train.json`, JSON lines of
    `{"translation": {"ace": "...", "eng": "..."}}`.

    Parameters
    ----------
    folder : str or path-like
        The folder of the languages.
    sizes : sequence of int or None, default=(None,)
        How many of the first training pairs a record has; None means all.

    Returns
    -------
    records : DataFrame of shape (n_records, 8)
        A row for each direction, training set, size and test set, with the columns
        `source_lang`, `target_lang`, `train_dataset`, `dataset_size`,
        `test_dataset`, and `train`, `dev`, `test`: the texts on the target side, as
        `DatasetFeaturizer` reads them. The size of all pairs is not known before they
        are read; `dataset_size` is then missing. Training sets of MT560 and CCAligned
        have `flores` as development set, others the one of their own name.

    Raises
    ------
    ValueError
        If the folder has no such data.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(
            f"Expected the folder of a data set. There is none at {str(folder)!r}."
        )
    rows = []
    for language in _subfolders(folder):
        tests = [
            (path.name, _sides(path, "test")) for path in _subfolders(language / "test")
        ]
        for train in _subfolders(language / "train"):
            is_other = DEVELOPED_ON_FLORES.match(train.name)
            development = "flores" if is_other else train.name
            dev = _sides(language / "dev" / development, "dev")
            for size in sizes:
                for pair, texts in _sides(train, "train", size).items():
                    rows += [
                        {
                            "source_lang": pair[0],
                            "target_lang": pair[1],
                            "train_dataset": train.name,
                            "dataset_size": size,
                            "test_dataset": name,
                            "train": texts,
                            "dev": dev.get(pair),
                            "test": test.get(pair),
                        }
                        for name, test in tests or [(None, {})]
                    ]
    if not rows:
        raise ValueError(
            f"No training set was found in {folder}. Expected folders such as "
            "ace/train/nusa_translation with train_ace.txt and train_eng.txt, or "
            "train.json, in it."
        )
    return pd.DataFrame(rows)
