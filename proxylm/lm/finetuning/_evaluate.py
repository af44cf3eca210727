"""What a model is asked after its fine-tuning, or without one."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .._loading import LanguageModel, LoadingOptions
from .._scorer import ProxyScorer
from .._translation import ERROR
from ._data import check_pairs
from ._recipe import Recipe

# By task: parameters of ProxyScorer.
SCORING: dict[str, dict[str, Any]] = {
    "translation": {"task": "translation"},
    "intent": {"task": "labels", "method": "generation"},
    "slot": {"task": "labels", "method": "generation"},
    "text": {"task": "likelihood"},
}


@dataclass(frozen=True)
class TestScores:
    """The scores of a model on a test set.

    Attributes
    ----------
    values : dict of str to float
        By metric; those with `_se` are bootstrap standard errors.
    signature : str
        How they were made.
    """

    __test__ = False  # no test of pytest

    values: dict[str, float]
    signature: str


def score_model(
    recipe: Recipe,
    test: Sequence[tuple],
    *,
    model: str | os.PathLike | None = None,
    cache_dir: str | os.PathLike | None = None,
    device: str = "auto",
    spm_model: str | os.PathLike | None = None,
    options: Mapping[str, Any] | None = None,
) -> TestScores:
    """Let a model write the targets of test pairs, and measure them.

    Parameters
    ----------
    recipe : Recipe
        Says what the model reads, how it writes and what is measured.
    test : sequence of (source, target) or (source, target, source_lang, target_lang)
        All of one pair of languages. For the task `"text"` a sequence of str.
    model : str or path-like, default=None
        The folder of the model; None is the recipe's model as it is.
    cache_dir : str or path-like, default=None
        Folder that keeps what was written, from which interrupted work goes on.
    device : str, default="auto"
    spm_model : str or path-like, default=None
        SentencePiece model of spBLEU, see `proxylm.metrics.score_translations`.
    options : mapping or None
        Further parameters of ProxyScorer.

    Returns
    -------
    scores : TestScores
    """
    pairs = check_pairs(test, "test", recipe.task)
    if not pairs:
        raise ValueError("test expects pairs of texts. Got none.")
    languages = {(pair.source_lang, pair.target_lang) for pair in pairs}
    if len(languages) > 1:
        raise ValueError(
            "test expects pairs of one source and one target language. Got "
            f"{sorted(map(str, languages))[:4]}. Score each of them apart."
        )
    is_own = model is None
    if is_own and recipe.model is None:
        raise ValueError(
            f"The model of the recipe {recipe.name!r} is made from scratch: there is "
            "none to run before it is trained. Pass model."
        )
    location = recipe.model if is_own else os.fspath(model)
    revision = recipe.revision if is_own else None
    language_model = LanguageModel(
        location,
        options=LoadingOptions(
            revision=revision, trust_remote_code=recipe.trust_remote_code
        ),
    )
    parameters = dict(SCORING[recipe.task])
    metrics = list(recipe.metrics)
    if recipe.task != "text":
        metrics = [name + suffix for name in recipe.metrics for suffix in ("", ERROR)]
        parameters |= {
            "prompt": recipe.prompt_for(language_model.kind),
            "chat": recipe.chat,
            "generation": dict(recipe.generation),
            "spm_model": spm_model,
            "comet_model": recipe.comet_model,
        }
        ((parameters["source_lang"], parameters["target_lang"]),) = languages
    scorer = ProxyScorer(
        location,
        metrics=metrics,
        revision=revision,
        device=device,
        cache_dir=cache_dir,
        allow_pickle=recipe.allow_pickle,
        trust_remote_code=recipe.trust_remote_code,
        **{**parameters, **(options or {})},
    )
    cells = np.empty((1, 1), dtype=object)
    is_text = recipe.task == "text"
    cells[0, 0] = [p.target if is_text else (p.source, p.target) for p in pairs]
    values = scorer.fit_transform(pd.DataFrame(cells, columns=["text"]))[0]
    names = scorer.get_feature_names_out()
    (signature,) = scorer.signatures_.values()
    return TestScores(dict(zip(names, map(float, values), strict=True)), signature)
