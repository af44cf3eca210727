"""From pairs of texts to what a model reads: one text as the context of the other."""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ._encoding import (
    Chunk,
    EncodedText,
    EncodingPolicy,
    Item,
    added_by_tokenizer,
    causal_chunks,
    encode_texts,
    find_prefix,
    model_window,
)
from ._loading import LanguageModel
from ._prompts import check_prompt, fill_prompt


class Frame(NamedTuple):
    """The special tokens around the texts of a pair of languages."""

    prefix: tuple[int, ...]  # of what the encoder reads
    suffix: tuple[int, ...]
    start: int  # the first token of the decoder
    forced: tuple[int, ...]  # those that follow it before the text


class ModelInput(NamedTuple):
    """What a model reads before it writes."""

    number: int
    ids: np.ndarray
    frame: Frame | None = None  # of an encoder-decoder


def _too_long(model: LanguageModel, text: str, n_tokens: int, n_free: int, where: str):
    return ValueError(
        f"{model.name} reads at most {n_free} tokens of {where}. Got {n_tokens}: "
        f"{text[:40]!r}... Cut the text into sentences."
    )


def check_pair(item: Item, model: LanguageModel, prompt: str | None) -> None:
    """Say if an item has no source, or languages that a model doesn't know."""
    if item.source is None:
        raise ValueError(
            f"{model.name} expects tuples (source, text) in X. Got the text "
            f"{item.text[:40]!r} alone."
        )
    fill_prompt(prompt, "", item.source_lang, item.target_lang)
    if model.kind == "seq2seq" and model.languages is not None:
        model.languages.find(item.target_lang)
        if not model.languages.target_first:
            model.languages.find(item.source_lang, "source_lang")


class PairEncoder:
    """How the pairs of an encoder-decoder become tokens.

    The encoder reads the source, in a prompt where there is one, with the special
    tokens of the tokenizer around it; the decoder reads its start, the token of the
    target language, and the text.

    Parameters
    ----------
    model : LanguageModel
    prompt : str or None
    window : int or None
        Tokens of a text that the decoder reads at once.
    stride : int or None
        By how many the next window is further on.
    """

    def __init__(
        self,
        model: LanguageModel,
        prompt: str | None = None,
        window: int | None = None,
        stride: int | None = None,
    ):
        self._model = model
        self._prompt = prompt
        self.limit = model_window(model)
        if window is not None and not 4 <= window <= self.limit:
            raise ValueError(
                f"window expects from 4 to {self.limit} tokens for {model.name}. Got "
                f"{window}."
            )
        self.window = window or self.limit
        self.stride = stride or (self.window - 2) // 2
        if self.stride > self.window - 2:
            raise ValueError(
                f"stride expects at most {self.window - 2} tokens with a window of "
                f"{self.window}. Got {self.stride}."
            )
        self._frames: dict[tuple, Frame] = {}

    @cached_property
    def _around(self) -> tuple[list[int], list[int]]:
        return added_by_tokenizer(self._model.tokenizer)

    def describe(self) -> str:
        """Return how sources and texts are framed, for signatures."""
        if self._model.languages is None:
            return "none"
        side = "encoder" if self._model.languages.target_first else "decoder"
        return f"{self._model.languages.style.name}-{side}"

    def frame(self, source_lang: str | None, target_lang: str | None) -> Frame:
        """Return the special tokens around the texts of two languages."""
        key = (source_lang, target_lang)
        if key not in self._frames:
            self._frames[key] = self._make_frame(*key)
        return self._frames[key]

    def _make_frame(self, source_lang, target_lang) -> Frame:
        (prefix, suffix), languages = self._around, self._model.languages
        start = _decoder_start(self._model)
        if start is None and (languages is None or languages.target_first):
            raise ValueError(
                f"{self._model.name} has no decoder_start_token_id. Set it in its "
                "config.json."
            )
        if languages is None:
            return Frame(tuple(prefix), tuple(suffix), start, ())
        target = languages.find(target_lang)
        read = target
        if not languages.target_first:
            read = languages.find(source_lang, "source_lang")
        known = set(languages.ids.values())
        has_language = known & {*prefix, *suffix}
        # The tokenizer puts a language there, whichever it is set to.
        new_prefix, new_suffix = (
            tuple(read if token in known else token for token in side)
            for side in (prefix, suffix)
        )
        if not has_language:
            new_prefix = (read, *new_prefix)
        if languages.target_first:
            return Frame(new_prefix, new_suffix, start, ())
        is_first_mbart = self._model.config.model_type == "mbart" and known & {*suffix}
        if start is None or is_first_mbart:
            return Frame(new_prefix, new_suffix, target, ())
        return Frame(new_prefix, new_suffix, start, (target,))

    def read(
        self, numbers: Sequence[int], texts: Sequence[str], items: Sequence[Item]
    ) -> list[ModelInput]:
        """Return what the encoder reads of texts in the languages of items."""
        prompts = _fill(self._prompt, texts, items)
        found = []
        for number, item, prompt, encoded in zip(
            numbers,
            items,
            prompts,
            encode_texts(prompts, self._model.tokenizer),
            strict=True,
        ):
            frame = self.frame(item.source_lang, item.target_lang)
            ids = np.concatenate([frame.prefix, encoded.ids, frame.suffix])
            if len(ids) > self.limit:
                n_free = self.limit - len(frame.prefix) - len(frame.suffix)
                n_tokens = len(encoded.ids)
                raise _too_long(self._model, prompt, n_tokens, n_free, "a source")
            if not len(ids):
                ids = np.array([frame.start])
            found.append(ModelInput(number, ids.astype(np.int64), frame))
        return found

    def n_tokens(self, items: Sequence[Item]) -> list[int]:
        """Return how many tokens the longer side of each pair has."""
        prompts = _fill(self._prompt, [item.source or "" for item in items], items)
        sources = encode_texts(prompts, self._model.tokenizer)
        texts = [item.text for item in items]
        targets = encode_texts(texts, self._model.tokenizer, as_target=True)
        found = []
        for item, source, target in zip(items, sources, targets, strict=True):
            frame = self.frame(item.source_lang, item.target_lang)
            n_read = len(frame.prefix) + len(source.ids) + len(frame.suffix)
            found.append(max(n_read, 1 + len(frame.forced) + len(target.ids)))
        return found

    def __call__(
        self, numbers: Sequence[int], items: Sequence[Item]
    ) -> list[tuple[EncodedText, list[Chunk]]]:
        """Return the tokens of the texts of items, and the chunks that score them."""
        encoded = encode_texts(
            [item.text for item in items], self._model.tokenizer, as_target=True
        )
        found = []
        read = self.read(numbers, [item.source or "" for item in items], items)
        for tokens, source in zip(encoded, read, strict=True):
            prefix = (source.frame.start, *source.frame.forced)
            policy = EncodingPolicy(prefix, (), "", self.window, self.stride)
            chunks = [
                chunk._replace(encoder_ids=source.ids)
                for chunk in causal_chunks(source.number, tokens.ids, policy)
            ]
            found.append((tokens._replace(n_first_characters=0), chunks))
        return found


def _decoder_start(model: LanguageModel) -> int | None:
    """Return the token that a decoder begins with."""
    config = model.config
    for name in ("decoder_start_token_id", "bos_token_id"):
        token = getattr(config, name, None)
        if isinstance(token, int):
            return token
    return None


class PromptEncoder:
    """How prompts and their continuations become tokens of a causal model.

    Parameters
    ----------
    model : LanguageModel
    prompt : str or None
    bos : {"auto"}, bool or str
        What stands before each prompt, see ProxyScorer.
    chat : bool
        Whether prompts are messages of a user in the chat template of the model, and
        what follows them its answers. The template stands before each instead.
    """

    def __init__(
        self,
        model: LanguageModel,
        prompt: str | None,
        bos: bool | str = "auto",
        chat: bool = False,
    ):
        self._model = model
        self._prompt = prompt
        self.suffix: tuple[int, ...] = ()
        if chat:
            self.prefix, self.suffix = _chat_template(model)
        else:
            self.prefix = tuple(find_prefix(model.tokenizer, bos))
        self.limit = model_window(model)

    def describe(self) -> str:
        """Return what stands before each prompt, for signatures."""
        tokens = self._model.tokenizer.convert_ids_to_tokens(list(self.prefix))
        behind = self._model.tokenizer.convert_ids_to_tokens(list(self.suffix))
        return "".join(tokens + (["{text}", *behind] if behind else [])) or "none"

    def read(
        self, numbers: Sequence[int], texts: Sequence[str], items: Sequence[Item]
    ) -> list[ModelInput]:
        """Return the tokens of the prompts of texts in the languages of items."""
        prompts = _fill(self._prompt, texts, items)
        encoded = encode_texts(prompts, self._model.tokenizer)
        return [
            ModelInput(number, self._around(tokens.ids))
            for number, tokens in zip(numbers, encoded, strict=True)
        ]

    def _around(self, ids: np.ndarray) -> np.ndarray:
        return np.concatenate([self.prefix, ids, self.suffix]).astype(np.int64)

    def n_tokens(self, items: Sequence[Item]) -> list[int]:
        """Return how many tokens each prompt has with the text behind it."""
        return [len(ids) for ids, _ in self._with_texts(items)]

    def _with_texts(self, items: Sequence[Item]) -> list[tuple[np.ndarray, int]]:
        """Return prompts with the texts behind them, and where the texts begin."""
        tokenizer = self._model.tokenizer
        prompts = _fill(self._prompt, [item.source or "" for item in items], items)
        alone = encode_texts(prompts, tokenizer)
        if self.suffix:
            # The template ends a token there, and no text may pose as a part of it.
            texts = encode_texts([item.text for item in items], tokenizer)
            contexts = [self._around(before.ids) for before in alone]
            return [
                (np.concatenate([context, text.ids]).astype(np.int64), len(context))
                for context, text in zip(contexts, texts, strict=True)
            ]
        texts = [prompt + i.text for prompt, i in zip(prompts, items, strict=True)]
        together = encode_texts(texts, tokenizer)
        return [
            (self._around(whole.ids), len(self.prefix) + _n_common(one.ids, whole.ids))
            for one, whole in zip(alone, together, strict=True)
        ]

    def __call__(
        self, numbers: Sequence[int], items: Sequence[Item]
    ) -> list[tuple[EncodedText, list[Chunk]]]:
        """Return the tokens of the texts of items, and the chunks that score them.

        Prompt and text are tokenized together. A token belongs to the text from where
        the tokens are others than those of the prompt alone.
        """
        found = []
        for number, item, (ids, first) in zip(
            numbers, items, self._with_texts(items), strict=True
        ):
            if len(ids) - 1 > self.limit:
                text = f"{item.source or ''} {item.text}"
                n_around = len(self.prefix) + len(self.suffix)
                counts = len(ids) - n_around, self.limit + 1 - n_around
                raise _too_long(self._model, text, *counts, "prompt and text")
            # Without a context the first token of all has no score.
            first = max(first, 1)
            scored = EncodedText(ids[first:], 0, 0)
            chunks = []
            if len(scored.ids):
                positions = np.arange(first, len(ids)) - 1
                chunk = Chunk(number, ids[:-1], positions, scored.ids, 0)
                chunks = [chunk._replace(n_context=first)]
            found.append((scored, chunks))
        return found


def _chat_template(model: LanguageModel) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the tokens that a chat template has before and after a user's message."""
    tokenizer = model.tokenizer
    if not getattr(tokenizer, "chat_template", None):
        raise ValueError(
            f"chat=True expects a tokenizer with a chat template. That of {model.name} "
            "has none. Pass a prompt instead."
        )
    mark = "\ue000"  # of no meaning in Unicode
    whole = tokenizer.apply_chat_template(
        [{"role": "user", "content": mark}], add_generation_prompt=True, tokenize=False
    )
    sides = whole.partition(mark)[::2]
    before, after = (
        tokenizer(side, add_special_tokens=False)["input_ids"] if side else []
        for side in sides
    )
    return tuple(before), tuple(after)


def make_encoder(
    model: LanguageModel, prompt: str | None, bos: bool | str, chat: bool = False
) -> PairEncoder | PromptEncoder:
    """Return how what a model is asked becomes tokens; None is the text alone."""
    if model.kind == "masked":
        raise ValueError(
            f"{model.name} is a masked model, which neither writes nor continues a "
            "text. Pass a causal model or an encoder-decoder."
        )
    if prompt is not None:
        check_prompt(prompt)
    if model.kind == "seq2seq":
        return PairEncoder(model, prompt)
    return PromptEncoder(model, prompt, bos, chat)


def _fill(prompt, texts, items):
    return [
        fill_prompt(prompt, text, item.source_lang, item.target_lang)
        for text, item in zip(texts, items, strict=True)
    ]


def _n_common(first: np.ndarray, second: np.ndarray) -> int:
    """Return how many tokens two sequences begin with in common."""
    n = min(len(first), len(second))
    differing = np.flatnonzero(first[:n] != second[:n])
    return int(differing[0]) if len(differing) else n
