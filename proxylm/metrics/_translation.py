"""Scores of translations: sacrebleu's metrics, and the model behind spBLEU."""

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from proxylm._files import file_sha256
from proxylm._nearest import nearest
from proxylm._optional import import_optional
from proxylm._remote import RemoteFile, fetch_file
from proxylm._sentencepiece import load_sentencepiece

from ._score import Score, bootstrap_error, check_segments

FLORES_200 = RemoteFile(
    filename="flores200sacrebleuspm",
    url="https://tinyurl.com/flores200sacrebleuspm",
    sha256="14bb8dfb35c0ffdea7bc01e56cea38b9e3d5efcdcb9c251d6b40538e1aab555a",
)
# By name: the class of sacrebleu and its parameters.
METRICS: dict[str, tuple[str, dict[str, Any]]] = {
    "spBLEU": ("BLEU", {"tokenize": "none", "force": True}),
    "chrF2++": ("CHRF", {"word_order": 2}),
    "BLEU": ("BLEU", {}),
    "chrF2": ("CHRF", {}),
    "TER": ("TER", {}),
}


def _pieces(segments: Sequence[str], model: Any) -> list[str]:
    """Return the pieces of each segment, with spaces between them."""
    return [" ".join(found) for found in model.encode(list(segments), out_type=str)]


@lru_cache(maxsize=4)
def _load_once(path: str, size: int, modified: int) -> tuple[Any, str]:
    """Return a SentencePiece model and its digest, while its file stays as it is."""
    return load_sentencepiece(path, extra="metrics"), file_sha256(path)


def _spm_model(path: str | os.PathLike | None, data_home: str | os.PathLike | None):
    """Return a SentencePiece model, and the name of it that signatures have."""
    if path is None:
        path, name = fetch_file(FLORES_200, data_home), "flores200"
    elif not Path(path).is_file():
        raise FileNotFoundError(
            f"spm_model expects the path of a SentencePiece model. There is no file "
            f"{os.fspath(path)!r}."
        )
    else:
        name = None
    status = os.stat(path)
    model, digest = _load_once(os.fspath(path), status.st_size, status.st_mtime_ns)
    if digest == FLORES_200.sha256:
        name = "flores200"
    return model, name or f"spm-{digest[:8]}"


def score_translations(
    predictions: Sequence[str],
    references: Sequence[str],
    metrics: Sequence[str] = tuple(METRICS),
    *,
    spm_model: str | os.PathLike | None = None,
    data_home: str | os.PathLike | None = None,
    n_bootstrap: int = 1_000,
    random_state: int = 0,
) -> dict[str, Score]:
    """Score translations against one reference each.

    Parameters
    ----------
    predictions, references : sequence of str
        As many of one as of the other, not tokenized.
    metrics : sequence of str, default=("spBLEU", "chrF2++", "BLEU", "chrF2", "TER")
        Which, by the names of record tables.
    spm_model : str or path-like, default=None
        SentencePiece model of `spBLEU`. None takes that of FLORES-200 [1]_, which is
        downloaded once and verified. Another model makes another metric, whose name
        has the first digits of the model's SHA-256 digest: `"spBLEU-1a2b3c4d"`.
    data_home : str or path-like, default=None
        Folder of the model of FLORES-200, else `PROXYLM_DATA` or `~/proxylm_data`.
    n_bootstrap : int, default=1000
        Number of bootstrap samples behind each standard error.
    random_state : int, default=0
        Seed of the samples, which are of the same segments for every metric.

    Returns
    -------
    scores : dict of str to Score
        By name, with the signatures of sacrebleu [2]_. All are from 0 to 100; of TER,
        which may be larger, less is better.

    Raises
    ------
    ValueError
        If a metric is unknown, there are no segments, or predictions and references
        are not as many.
    ConnectionError
        If the model of FLORES-200 is neither there nor can be downloaded. It is never
        replaced by another.

    References
    ----------
    .. [1] NLLB Team (2022). "No language left behind: scaling human-centered machine
       translation". arXiv:2207.04672.
    .. [2] Post (2018). "A call for clarity in reporting BLEU scores". WMT.

    Examples
    --------
    >>> from proxylm.metrics import score_translations
    >>> scores = score_translations(
    ...     ["the cat sat there", "a dog"], ["the cat sat here", "a dog"], ["chrF2"]
    ... )
    >>> print(scores["chrF2"])
    chrF2 = 80.47 ± 8.34 (nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:...)
    """
    predictions, references = check_segments(
        predictions=predictions, references=references
    )
    for name in metrics:
        if name not in METRICS:
            raise ValueError(
                f"metrics expects names among {list(METRICS)}. Got {name!r}."
                + nearest(str(name), METRICS)
            )
    library = import_optional("sacrebleu.metrics", extra="metrics")
    scores = {}
    for name in metrics:
        kind, parameters = METRICS[name]
        metric = getattr(library, kind)(**parameters)
        texts, tokens = (predictions, references), None
        if name == "spBLEU":
            model, tokens = _spm_model(spm_model, data_home)
            texts = _pieces(predictions, model), _pieces(references, model)
            if tokens != "flores200":
                name = f"spBLEU-{tokens.removeprefix('spm-')}"
        scores[name] = _score(metric, name, *texts, tokens, n_bootstrap, random_state)
    return scores


def _score(metric, name, predictions, references, tokens, n_bootstrap, random_state):
    """Return the score of a metric of sacrebleu."""
    statistics = metric._extract_corpus_statistics(predictions, [references])

    def value_of(row):
        return metric._aggregate_and_compute([row.tolist()]).score

    statistics = np.array(statistics)
    value = float(value_of(statistics.sum(axis=0)))
    error = bootstrap_error(statistics, value_of, n_bootstrap, random_state)
    signature = metric.get_signature().format()
    if tokens is not None:
        signature = signature.replace("tok:none", f"tok:{tokens}")
    return Score(name, value, error, signature)
