"""Labels that models give to texts, by likelihood or by writing them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from proxylm.metrics import score_labels, score_slots

from ._encoding import Item
from ._generation import Generated, Generator
from ._likelihood import TokenScores, score_likelihoods
from ._loading import LanguageModel
from ._pairs import check_pair
from ._translation import ERROR, N_BOOTSTRAP, check_metrics

METRICS = ("accuracy", "accuracy_se", "f1", "f1_se")
# Raised when the same labels get other likelihoods: older caches are not read.
VERSION = 1
# What a causal model continues, where no prompt is given.
DEFAULT_PROMPT = "{text}\n"
NORMALIZE = ("none", "tokens", "bytes")


@dataclass(frozen=True)
class LabelTask:
    """How often a model finds the labels of texts.

    Parameters
    ----------
    metrics : tuple of str
    generator : Generator
        What is asked, also where labels are compared by their likelihood.
    labels : tuple of str or None
        Among which those of highest likelihood are chosen; None lets the model write.
    normalize : {"none", "tokens", "bytes"}
        By what log-probabilities are divided before they are compared.
    """

    metrics: tuple[str, ...]
    generator: Generator
    labels: tuple[str, ...] | None = None
    normalize: str = "none"

    default_metrics: ClassVar = METRICS[:2]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the features."""
        return self.metrics

    def check(self, model: LanguageModel) -> None:
        """Say at once what is wrong."""
        check_metrics(self.metrics, METRICS)
        self.generator.check(model)
        if self.labels is None:
            return
        if any(name.startswith("f1") for name in self.metrics):
            raise ValueError(
                "The metric 'f1' is of annotated utterances that a model writes. It "
                "expects method='generation'. Got method='likelihood'."
            )
        if len(self.labels) < 2 or not all(
            isinstance(label, str) and label for label in self.labels
        ):
            raise ValueError(
                "labels expects at least two strings to choose from. Got "
                f"{list(self.labels)}. Pass them, or (text, label) pairs with two "
                "labels to fit."
            )

    def items_of(self, item: Item, model: LanguageModel) -> list[Item]:
        """Return what is written about, or each label that the text may have."""
        check_pair(item, model, self.generator.prompt)
        if self.labels is None:
            return [self.generator.item_of(item)]
        return [item._replace(text=label) for label in self.labels]

    def signatures(self, model: LanguageModel) -> list[dict[str, Any]]:
        """Return how answers are made."""
        if self.labels is None:
            return [self.generator.signature(model)]
        signature = self.generator.signature(model)
        kept = ("model", "digest", "kind", "dtype", "context", "prompt")
        signature = {name: signature[name] for name in kept}
        return [{"task": "continuation", **signature, "version": VERSION}]

    def answer(
        self, items: Sequence[Item], model: LanguageModel
    ) -> Iterator[list[tuple[int, TokenScores | Generated]]]:
        """Yield numbers and answers of items as they are done."""
        if self.labels is None:
            return self.generator.answer(items, model)
        encoder, tokens = self.generator.encoder(model), self.generator.max_tokens
        return score_likelihoods(items, model, encoder, "logprob", tokens)

    def to_bytes(self, answer: TokenScores | Generated) -> bytes:
        """Return an answer as bytes."""
        return answer.to_bytes()

    def from_bytes(self, value: bytes) -> TokenScores | Generated | None:
        """Return the answer that `to_bytes` wrote, or None if it was damaged."""
        kind = Generated if self.labels is None else TokenScores
        return kind.from_bytes(value)

    def measure(
        self,
        items: Sequence[Item],
        answers: Mapping[Item, Any],
        model: LanguageModel,
    ) -> list[float]:
        """Return the metrics of a corpus."""
        predictions = [self._predict(item, answers, model) for item in items]
        references = [item.text for item in items]
        has_error = any(name.endswith(ERROR) for name in self.metrics)
        n_bootstrap = N_BOOTSTRAP if has_error else 0
        found = {}
        for name in dict.fromkeys(name.removesuffix(ERROR) for name in self.metrics):
            score = score_slots if name == "f1" else score_labels
            found[name] = score(predictions, references, n_bootstrap=n_bootstrap)
        return [
            found[name.removesuffix(ERROR)].standard_error
            if name.endswith(ERROR)
            else found[name].value
            for name in self.metrics
        ]

    def _predict(self, item, answers, model) -> str:
        """Return the label of a text; of equally likely ones the first."""
        asked = self.items_of(item, model)
        if self.labels is None:
            return answers[asked[0]].text
        totals = [answers[one].logprob.sum(dtype=np.float64) for one in asked]
        lengths = {
            "none": [1] * len(asked),
            "tokens": [len(answers[one].logprob) for one in asked],
            "bytes": [len(label.encode()) for label in self.labels],
        }[self.normalize]
        return self.labels[int(np.argmax(np.divide(totals, np.maximum(lengths, 1))))]

    def n_tokens(self, answer: TokenScores | Generated) -> int:
        """Return how many tokens an answer has."""
        return answer.n_tokens
