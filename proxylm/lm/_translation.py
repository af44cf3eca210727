"""Translations that models write, measured against references."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from proxylm._nearest import nearest
from proxylm.metrics import score_translations

from ._comet import NAME as COMET
from ._comet import CometScorer
from ._encoding import Item
from ._generation import Generated, Generator
from ._loading import LanguageModel
from ._pairs import check_pair

ERROR = "_se"
SCORES = ("spBLEU", "chrF2++", "BLEU", "chrF2", "TER")
METRICS = tuple(name + suffix for name in SCORES for suffix in ("", ERROR))
# These have to be asked for: they need a model of their own.
COMET_METRICS = (COMET, COMET + ERROR)
N_BOOTSTRAP = 1_000


def check_metrics(metrics: Sequence[str], known: Sequence[str]) -> None:
    """Say which metric there is not."""
    for name in metrics:
        if name not in known:
            raise ValueError(
                f"metrics expects names among {list(known)}. Got {name!r}."
                + nearest(str(name), known)
            )


@dataclass(frozen=True)
class TranslationTask:
    """How well a model translates sources, by references."""

    metrics: tuple[str, ...]
    generator: Generator
    spm_model: str | os.PathLike | None = None
    comet: CometScorer | None = None

    default_metrics: ClassVar = METRICS

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the features: those of models say by which they are made."""
        made = {}
        if "spBLEU" in self._asked:
            (made["spBLEU"],) = score_translations(
                ["a"], ["a"], ["spBLEU"], spm_model=self.spm_model, n_bootstrap=0
            )
        if self.comet is not None:
            made[COMET] = self.comet.name
        scores = (name.removesuffix(ERROR) for name in self.metrics)
        return tuple(
            name.replace(score, made.get(score, score), 1)
            for name, score in zip(self.metrics, scores, strict=True)
        )

    @property
    def _asked(self) -> list[str]:
        """The scores behind the metrics."""
        return list(dict.fromkeys(name.removesuffix(ERROR) for name in self.metrics))

    def check(self, model: LanguageModel) -> None:
        """Say at once what is wrong: before anything is translated."""
        check_metrics(self.metrics, (*METRICS, *COMET_METRICS))
        generator = self.generator
        if model.kind == "causal" and generator.prompt_of(model) is None:
            raise ValueError(
                f"{model.name} is a causal model, which translates by a prompt. Pass "
                "one, such as prompt='{source_language}: {text}\\n{target_language}:'."
            )
        self.generator.check(model)
        self._overlaps(["a"], ["a"], n_bootstrap=0)
        if self.comet is not None:
            self.comet.check()

    def items_of(self, item: Item, model: LanguageModel) -> list[Item]:
        """Return the source."""
        check_pair(item, model, self.generator.prompt)
        return [self.generator.item_of(item)]

    def signatures(self, model: LanguageModel) -> list[dict[str, Any]]:
        """Return how translations are made."""
        return [self.generator.signature(model)]

    def answer(
        self, items: Sequence[Item], model: LanguageModel
    ) -> Iterator[list[tuple[int, Generated]]]:
        """Yield numbers and translations of sources as they are done."""
        return self.generator.answer(items, model)

    def to_bytes(self, answer: Generated) -> bytes:
        """Return a translation as bytes."""
        return answer.to_bytes()

    def from_bytes(self, value: bytes) -> Generated | None:
        """Return the translation that `to_bytes` wrote, or None if it was damaged."""
        return Generated.from_bytes(value)

    def measure(
        self,
        items: Sequence[Item],
        answers: Mapping[Item, Generated],
        model: LanguageModel,
    ) -> list[float]:
        """Return the metrics of a corpus."""
        predictions = [answers[self.generator.item_of(item)].text for item in items]
        references = [item.text for item in items]
        has_error = any(name.endswith(ERROR) for name in self.metrics)
        n_bootstrap = N_BOOTSTRAP if has_error else 0
        found = self._overlaps(predictions, references, n_bootstrap)
        if self.comet is not None:
            sources = [item.source or "" for item in items]
            found[COMET] = self.comet.score(
                sources, predictions, references, n_bootstrap=n_bootstrap
            )
        return [
            found[name.removesuffix(ERROR)].standard_error
            if name.endswith(ERROR)
            else found[name].value
            for name in self.metrics
        ]

    def _overlaps(self, predictions, references, n_bootstrap):
        """Return the scores without a model, by the names they were asked by."""
        asked = [name for name in self._asked if name in SCORES]
        found = score_translations(
            predictions,
            references,
            asked,
            spm_model=self.spm_model,
            n_bootstrap=n_bootstrap,
        )
        return dict(zip(asked, found.values(), strict=True))

    def n_tokens(self, answer: Generated) -> int:
        """Return how many tokens a translation has."""
        return answer.n_tokens
