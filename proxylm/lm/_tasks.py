"""What a model is asked to do with a text, and how the answer is measured."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Protocol

import numpy as np

from ._encoding import EncodingPolicy, Item, encode_alone, make_policy
from ._likelihood import Encode, TokenScores, score_likelihoods
from ._loading import LanguageModel
from ._measures import DEFAULT_METRICS, Corpus, find_metric
from ._pairs import PairEncoder, check_pair
from ._prompts import check_prompt

# Raised when the same texts get other scores than before: older caches are not read.
VERSION = 1


class Task(Protocol):
    """What is asked of a model: items in, an answer for each, metrics of corpora."""

    default_metrics: ClassVar[tuple[str, ...]]

    @property
    def metrics(self) -> tuple[str, ...]:
        """What is asked for."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the features that these make."""

    def check(self, model: LanguageModel) -> None:
        """Say at once what is wrong."""

    def items_of(self, item: Item, model: LanguageModel) -> list[Item]:
        """Return what has to be answered for an item of X."""

    def signatures(self, model: LanguageModel) -> list[dict[str, Any]]:
        """Return how answers are made, then others whose answers will do as well."""

    def answer(
        self, items: Sequence[Item], model: LanguageModel
    ) -> Iterator[list[tuple[int, Any]]]:
        """Yield numbers and answers of items as they are done."""

    def to_bytes(self, answer: Any) -> bytes:
        """Return an answer as bytes."""

    def from_bytes(self, value: bytes) -> Any:
        """Return the answer that `to_bytes` wrote, or None if it was damaged."""

    def measure(
        self, items: Sequence[Item], answers: Mapping[Item, Any], model: LanguageModel
    ) -> list[float]:
        """Return the metrics of a corpus."""

    def n_tokens(self, answer: Any) -> int:
        """Return how many tokens an answer took, for the progress bar."""


@dataclass(frozen=True)
class LikelihoodTask:
    """How probable a model finds texts."""

    metrics: tuple[str, ...]
    bos: Any = "auto"
    window: int | None = None
    stride: int | None = None
    max_tokens: int | str = "auto"
    prompt: str | None = None

    default_metrics: ClassVar = DEFAULT_METRICS

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the features."""
        return self.metrics

    @property
    def level(self) -> str:
        """Whether entropies and ranks are needed."""
        is_full = any(find_metric(name).full for name in self.metrics)
        return "full" if is_full else "logprob"

    @property
    def needs_source(self) -> bool:
        """Whether a metric needs parallel texts."""
        return any(find_metric(name).needs_source for name in self.metrics)

    def policy(self, model: LanguageModel) -> EncodingPolicy:
        """Return how texts become tokens, those of encoder-decoders apart."""
        return make_policy(model, self.bos, self.window, self.stride)

    def pairs(self, model: LanguageModel) -> PairEncoder:
        """Return how the pairs of an encoder-decoder become tokens."""
        return PairEncoder(model, self.prompt, self.window, self.stride)

    def check(self, model: LanguageModel) -> None:
        """Say at once what is wrong."""
        if model.kind == "seq2seq":
            self.pairs(model)
            self._check_pairs(model)
            return
        self.policy(model)
        if self.prompt is not None:
            raise ValueError(
                "With task='likelihood' a prompt is what the encoder of an "
                f"encoder-decoder reads. {model.name} is none. Write the prompt into "
                "the texts, or leave prompt at None."
            )
        if model.kind == "masked" and model.tokenizer.mask_token_id is None:
            raise ValueError(
                f"{model.name} is a masked model whose tokenizer has no mask token."
            )

    def _check_pairs(self, model: LanguageModel) -> None:
        if self.prompt is not None:
            check_prompt(self.prompt)
        alone = [name for name in self.metrics if find_metric(name).scores_source]
        if alone:
            raise ValueError(
                f"The metrics {alone} expect a model that scores a source alone. "
                f"{model.name} is an encoder-decoder, which scores texts by their "
                "sources. Leave them out."
            )

    def items_of(self, item: Item, model: LanguageModel) -> list[Item]:
        """Return the text, and its parallel text where it is needed."""
        if model.kind == "seq2seq":
            check_pair(item, model, self.prompt)
            return [item]
        if not self.needs_source:
            return [Item(item.text)]
        if item.source is None:
            needing = [name for name in self.metrics if find_metric(name).needs_source]
            raise ValueError(
                f"The metrics {needing} expect tuples (source, text) in X. Got the "
                f"text {item.text[:40]!r}."
            )
        return [Item(item.text), Item(item.source)]

    def signatures(self, model: LanguageModel) -> list[dict[str, Any]]:
        """Return how scores are made; those with entropies will always do."""
        signature = {
            "task": "likelihood",
            "model": model.name,
            "digest": model.digest,
            "kind": model.kind,
            "dtype": model.arithmetic,
            "version": VERSION,
        }
        if model.kind == "seq2seq":
            pairs = self.pairs(model)
            signature |= {
                "languages": pairs.describe(),
                "prompt": self.prompt,
                "window": pairs.window,
                "stride": pairs.stride,
            }
        else:
            policy = self.policy(model)
            signature |= {
                "bos": policy.prefix_text,
                "window": policy.window,
                "stride": policy.stride,
            }
        full = signature | {"level": "full"}
        if self.level == "full":
            return [full]
        return [signature | {"level": "logprob"}, full]

    def answer(
        self, items: Sequence[Item], model: LanguageModel
    ) -> Iterator[list[tuple[int, TokenScores]]]:
        """Yield numbers and scores of texts as they are done."""
        encode: Encode
        if model.kind == "seq2seq":
            encode = self.pairs(model)
        else:
            encode = partial(encode_alone, model=model, policy=self.policy(model))
        return score_likelihoods(items, model, encode, self.level, self.max_tokens)

    def to_bytes(self, answer: TokenScores) -> bytes:
        """Return scores as bytes."""
        return answer.to_bytes()

    def from_bytes(self, value: bytes) -> TokenScores | None:
        """Return the scores that `to_bytes` wrote, or None if they were damaged."""
        return TokenScores.from_bytes(value)

    def measure(
        self,
        items: Sequence[Item],
        answers: Mapping[Item, TokenScores],
        model: LanguageModel,
    ) -> list[float]:
        """Return the metrics of a corpus."""
        asked = [[answers[i] for i in self.items_of(item, model)] for item in items]
        scores = [answer for answer, *_ in asked]
        if not sum(len(score.logprob) for score in scores):
            return [np.nan] * len(self.metrics)
        sources = None
        if self.needs_source and model.kind != "seq2seq":
            sources = [source for _, source in asked]
        corpus = Corpus(items, scores, sources)
        return [find_metric(name).compute(corpus) for name in self.metrics]

    def n_tokens(self, answer: TokenScores) -> int:
        """Return how many tokens a text has."""
        return answer.n_tokens
