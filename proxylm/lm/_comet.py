"""COMET: translations scored by a model that reads source and reference as well."""

import logging
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from functools import cached_property
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from proxylm._version import __version__
from proxylm.metrics import Score
from proxylm.metrics._score import bootstrap_error, check_segments

from ._cache import ScoreCache, item_key
from ._comet_checkpoint import WMT22_COMET_DA, CometCheckpoint, CometWeights
from ._encoding import Chunk
from ._engine import TOKEN_BUDGET, AdaptiveBatches
from ._loading import DTYPES, _leave_file, _quiet, choose_device
from ._memory import give_back, keep_memory
from ._packing import pack_linear_layers
from ._torch import as_array, import_torch, import_transformers

logger = logging.getLogger(__name__)

NAME = "comet"
# Raised when the same segments get other scores than before.
VERSION = 1
# So many batches of tokens, of about so many characters, are scored before they are
# written to the cache.
BATCHES_OF_SHARD, CHARACTERS_OF_TOKEN = 16, 3
# Segments whose features are in memory at a time.
SEGMENTS_AT_ONCE = 1_024
# Texts whose embeddings are kept for other segments and the next system.
TEXTS_KEPT = 100_000
SEGMENT_SCORE = struct.Struct("<d")


class Segment(NamedTuple):
    """A translation with its source and its reference."""

    source: str
    prediction: str
    reference: str


def sparsemax(values: Any) -> Any:
    """Return the point of the simplex that is nearest to values of shape (n,).

    References
    ----------
    .. [1] Martins and Astudillo (2016). "From softmax to sparsemax". ICML,
       arXiv:1602.02068.
    """
    torch = import_torch()
    ordered = values.sort(descending=True).values
    excess = ordered.cumsum(0) - 1
    counts = torch.arange(1, len(values) + 1, dtype=values.dtype, device=values.device)
    n_positive = int((counts * ordered > excess).sum())
    return (values - excess[n_positive - 1] / n_positive).clamp(min=0)


def normalize_tokens(states: Any, mask: Any) -> Any:
    """Return states with mean 0 and variance 1 over each text, padding left out.

    Parameters
    ----------
    states : tensor of shape (n_texts, n_tokens, n_dimensions)
    mask : tensor of shape (n_texts, n_tokens)
    """
    mask = mask.to(states.dtype)[:, :, None]
    n_values = mask.sum((1, 2), keepdim=True) * states.shape[2]
    mean = (states * mask).sum((1, 2), keepdim=True) / n_values
    squares = ((states - mean) * mask).square()
    variance = squares.sum((1, 2), keepdim=True) / n_values
    return (states - mean) / (variance + 1e-12).sqrt()


def join_features(source: Any, prediction: Any, reference: Any) -> Any:
    """Return what the estimator reads, of embeddings of shape (n, n_dimensions)."""
    return import_torch().cat(
        (
            prediction,
            reference,
            prediction * reference,
            (prediction - reference).abs(),
            prediction * source,
            (prediction - source).abs(),
        ),
        dim=1,
    )


class _Network:
    """The encoder and the estimator, with their weights."""

    def __init__(self, checkpoint: CometCheckpoint, device: str, dtype: str):
        torch = import_torch()
        weights = checkpoint.check()
        self._device, self._padding = device, checkpoint.config.pad_token_id
        self._settings = weights.settings
        self._encoder = self._load_encoder(checkpoint, weights, dtype)
        self._gamma = weights.gamma.float().to(device)
        self._layers = self._weigh(weights.layers.float())
        self._estimator = [
            tuple(tensor.to(device, torch.float32, copy=True) for tensor in layer)
            for layer in weights.estimator
        ]

    def _load_encoder(self, checkpoint, weights: CometWeights, dtype: str) -> Any:
        with _quiet():
            encoder = import_transformers().XLMRobertaModel.from_pretrained(
                None,
                config=checkpoint.config,
                state_dict=dict(weights.encoder),
                dtype=getattr(import_torch(), dtype),
                add_pooling_layer=False,
            )
        encoder = encoder.to(self._device).eval().requires_grad_(False)
        if self._device == "cpu":
            pack_linear_layers(encoder)
            _leave_file(encoder)
            give_back()
        return encoder

    def _weigh(self, layers: Any) -> list[float]:
        """Return the share of each layer."""
        if self._settings["layer_transformation"] == "sparsemax":
            return sparsemax(layers).tolist()
        return layers.softmax(0).tolist()

    def embed(self, texts: Sequence[np.ndarray]) -> np.ndarray:
        """Return the embeddings of texts, given as tokens."""
        torch = import_torch()
        lengths = np.array([len(ids) for ids in texts])
        padded = np.full((len(texts), lengths.max()), self._padding, dtype=np.int64)
        for row, ids in zip(padded, texts, strict=True):
            row[: len(ids)] = ids
        is_text = np.arange(lengths.max()) < lengths[:, None]
        ids, mask = (torch.from_numpy(x).to(self._device) for x in (padded, is_text))
        with torch.inference_mode():
            states = self._encoder(
                input_ids=ids, attention_mask=mask.long(), output_hidden_states=True
            ).hidden_states
            mixed = torch.zeros((), device=self._device)
            for share, layer in zip(self._layers, states, strict=True):
                if share:
                    layer = layer.float()
                    if self._settings["layer_norm"]:
                        layer = normalize_tokens(layer, mask)
                    mixed = mixed + share * layer
            # A text with the word <pad> in it: counted, but not added up.
            mixed = mixed.masked_fill((ids == self._padding)[:, :, None], 0.0)
            summed = self._gamma * mixed.sum(1)
            return as_array(summed / mask.sum(1, keepdim=True))

    def estimate(self, *embeddings: np.ndarray) -> np.ndarray:
        """Return the scores of sources, predictions and references."""
        torch = import_torch()
        activations, final = (
            getattr(torch, (self._settings[name] or "clone").lower())
            for name in ("activations", "final_activation")
        )
        with torch.inference_mode():
            values = join_features(
                *(torch.from_numpy(x).to(self._device) for x in embeddings)
            )
            for number, (weight, bias) in enumerate(self._estimator):
                if number:
                    values = activations(values)
                values = torch.nn.functional.linear(values, weight, bias)
            return as_array(final(values[:, 0]))


class CometScorer:
    """COMET, a score of translations by a model that reads source and reference.

    A checkpoint of `unbabel-comet` is read as weights alone, without that library, and
    gives the scores that it gives there [1]_.

    Parameters
    ----------
    model : str or path-like, default=None
        Checkpoint of a regression metric, or the folder that has it as
        `checkpoints/model.ckpt`. None is wmt22-comet-da [2]_ where
        `proxylm download comet` puts it: `models/comet` in the folder of `PROXYLM_DATA`
        or `~/proxylm_data`.
    encoder : str or path-like, default=None
        Folder or name in the Hugging Face hub that has `config.json` and
        `tokenizer.json` of the encoder, whose weights are in the checkpoint. None is
        the folder `encoder` beside the settings of the checkpoint, and where there is
        none the encoder that they name, from the hub.
    device : str, default="auto"
        `"auto"` is the GPU if there is one.
    dtype : {"float32", "bfloat16", "float16", "float64"}, default="float32"
        Type of weights and activations of the encoder. Other types than float32 are
        faster on some hardware and give scores that differ in the third digit.
    max_tokens_per_batch : int or "auto", default="auto"
        Tokens of a batch with their padding. Where memory runs out it is halved.
    cache_dir : str or path-like, default=None
        Folder that keeps the score of every segment, so that interrupted work goes on
        and nothing is scored twice.

    See Also
    --------
    proxylm.metrics.score_translations : Scores that need no model.
    ProxyScorer : Scores of translations that models write, COMET among them.

    Notes
    -----
    Source, translation and reference are encoded apart, each text once however often
    it stands there. The embedding of a text is the mean over its tokens of a weighted
    mean of all layers; a small network makes the score of the embeddings, their
    products and their differences. Texts of more tokens than the encoder reads, 510 for
    XLM-RoBERTa, are cut off, as in the library.

    The score of a segment does not depend on others, but for rounding: less than 1e-5
    in float32.

    References
    ----------
    .. [1] Rei et al. (2020). "COMET: a neural framework for MT evaluation". EMNLP,
       arXiv:2009.09025.
    .. [2] Rei et al. (2022). "COMET-22: Unbabel-IST 2022 submission for the metrics
       shared task". WMT.

    Examples
    --------
    >>> from proxylm.lm import CometScorer
    >>> comet = CometScorer()
    >>> score = comet.score(
    ...     ["Le chantier est terminé."],
    ...     ["The construction site is finished."],
    ...     ["The work is done."],
    ... )  # doctest: +SKIP
    """

    def __init__(
        self,
        model: str | os.PathLike | None = None,
        *,
        encoder: str | os.PathLike | None = None,
        device: str = "auto",
        dtype: str = "float32",
        max_tokens_per_batch: int | str = "auto",
        cache_dir: str | os.PathLike | None = None,
    ) -> None:
        self.model = model
        self.encoder = encoder
        self.device = device
        self.dtype = dtype
        self.max_tokens_per_batch = max_tokens_per_batch
        self.cache_dir = cache_dir

    @property
    def name(self) -> str:
        """Name of the metric: `"comet"` is wmt22-comet-da alone.

        Those of other checkpoints have the first digits of their SHA-256 digest.
        """
        digest = self._checkpoint.digest
        return NAME if digest == WMT22_COMET_DA else f"{NAME}-{digest[:8]}"

    @property
    def signature(self) -> str:
        """How scores are made: two can be compared if their signatures are the same."""
        parts = {"nrefs": 1, **self._origin, "version": f"proxylm-{__version__}"}
        parts["digest"] = self._checkpoint.digest[:16]
        return "|".join(f"{key}:{value}" for key, value in parts.items())

    def check(self) -> None:
        """Say at once what is wrong with the checkpoint; no weights are loaded."""
        if self.dtype not in DTYPES[1:]:
            raise ValueError(
                f"dtype expects one of {list(DTYPES[1:])}. Got {self.dtype!r}."
            )
        choose_device(self.device)
        self._checkpoint.check()

    def score_segments(
        self,
        sources: Sequence[str],
        predictions: Sequence[str],
        references: Sequence[str],
    ) -> np.ndarray:
        """Return the score of each translation.

        Parameters
        ----------
        sources, predictions, references : sequence of str
            As many of each, not tokenized.

        Returns
        -------
        scores : ndarray of shape (n_segments,)
            Most are from 0 to 1, the better the larger; there are no bounds.
        """
        lists = check_segments(
            sources=sources, predictions=predictions, references=references
        )
        self.check()
        segments = [Segment(*texts) for texts in zip(*lists, strict=True)]
        unique = sorted(dict.fromkeys(segments), key=_length, reverse=True)
        cache = nullcontext() if self.cache_dir is None else ScoreCache(self.cache_dir)
        with cache as opened:
            found = self._score_all(unique, opened)
        return np.array([found[segment] for segment in segments])

    def score(
        self,
        sources: Sequence[str],
        predictions: Sequence[str],
        references: Sequence[str],
        *,
        n_bootstrap: int = 1_000,
        random_state: int = 0,
    ) -> Score:
        """Return the score of a system: the mean over its segments.

        Parameters
        ----------
        sources, predictions, references : sequence of str
            As many of each, not tokenized.
        n_bootstrap : int, default=1000
            Number of bootstrap samples behind the standard error, which is that of the
            mean over segments.
        random_state : int, default=0
            Seed of the samples, which are of the same segments as those of
            :func:`proxylm.metrics.score_translations`.

        Returns
        -------
        score : Score
            With the signature of this scorer.
        """
        scores = self.score_segments(sources, predictions, references)
        n_segments = len(scores)
        error = bootstrap_error(
            scores[:, None], lambda row: row[0] / n_segments, n_bootstrap, random_state
        )
        value = float(scores.mean())
        return Score(self.name, value, error, self.signature, n_digits=4)

    def __getstate__(self):
        state = dict(self.__dict__)
        for name in ("_checkpoint", "_network", "_batches", "_embeddings"):
            state.pop(name, None)
        return state

    @cached_property
    def _checkpoint(self) -> CometCheckpoint:
        return CometCheckpoint(self.model, self.encoder)

    @property
    def _origin(self) -> dict[str, str]:
        """What scores depend on."""
        return {
            "digest": self._checkpoint.digest,
            "encoder": self._checkpoint.encoder_name,
            "dtype": self.dtype,
        }

    @cached_property
    def _network(self) -> _Network:
        return _Network(self._checkpoint, choose_device(self.device), self.dtype)

    @cached_property
    def _embeddings(self) -> dict[str, np.ndarray]:
        """Those of texts that were read before."""
        return {}

    @cached_property
    def _batches(self) -> AdaptiveBatches:
        budget = self.max_tokens_per_batch
        if budget == "auto":
            kind = choose_device(self.device).partition(":")[0]
            budget = TOKEN_BUDGET.get(kind, TOKEN_BUDGET["cpu"])
        return AdaptiveBatches(budget, self._embed_batch)

    def _score_all(
        self, segments: list[Segment], cache: ScoreCache | None
    ) -> dict[Segment, float]:
        """Return the scores of segments, each once, the longest first."""
        found: dict[Segment, float] = {}
        keys = {segment: item_key(segment) for segment in segments} if cache else {}
        if cache is not None:
            signature = cache.signature_id(
                {"task": NAME, "model": self.name, **self._origin, "version": VERSION}
            )
            values = cache.get(signature, list(keys.values()))
            for segment, key in keys.items():
                score = _from_bytes(values.get(key))
                if score is not None:
                    found[segment] = score
        missing = [segment for segment in segments if segment not in found]
        for shard in self._shards(missing):
            scores = self._score_shard(shard)
            found |= zip(shard, scores, strict=True)
            if cache is not None:
                values = map(SEGMENT_SCORE.pack, scores)
                cache.put(signature, zip(map(keys.get, shard), values, strict=True))
            for text in list(self._embeddings)[:-TEXTS_KEPT]:
                del self._embeddings[text]
        return found

    def _shards(self, segments: Iterable[Segment]) -> Iterator[list[Segment]]:
        """Yield segments by as many as are scored before they are written down."""
        most = self._batches.budget * BATCHES_OF_SHARD * CHARACTERS_OF_TOKEN
        shard, size = [], 0
        for segment in segments:
            shard.append(segment)
            size += _length(segment)
            if size >= most:
                yield shard
                shard, size = [], 0
        if shard:
            yield shard

    def _score_shard(self, segments: list[Segment]) -> list[float]:
        """Return the scores of segments, whose texts are encoded where they are new."""
        network, known = self._network, self._embeddings
        texts = dict.fromkeys(text for segment in segments for text in segment)
        on_cpu = choose_device(self.device) == "cpu"
        with keep_memory() if on_cpu else nullcontext():
            self._embed([text for text in texts if text not in known])
        scores = []
        for start in range(0, len(segments), SEGMENTS_AT_ONCE):
            part = segments[start : start + SEGMENTS_AT_ONCE]
            columns = zip(*part, strict=True)
            arrays = [np.stack([known[text] for text in column]) for column in columns]
            scores += network.estimate(*arrays).astype(float).tolist()
        if not np.isfinite(scores).all():
            raise FloatingPointError(
                f"COMET in {self.dtype} gave scores that are not finite. Pass "
                "dtype='float32'."
            )
        return scores

    def _embed(self, texts: list[str]) -> None:
        """Add the embeddings of texts to those that are known."""
        encoded = self._checkpoint.tokenizer.encode_batch(texts)
        n_cut = sum(bool(one.overflowing) for one in encoded)
        if n_cut:
            logger.warning("COMET reads only the first part of long texts: %d", n_cut)
        none = np.empty(0, dtype=np.int64)
        chunks = [
            Chunk(number, np.array(one.ids, dtype=np.int64), none, none, 0)
            for number, one in enumerate(encoded)
        ]
        for batch, embeddings in self._batches(chunks):
            for chunk, embedding in zip(batch, embeddings, strict=True):
                self._embeddings[texts[chunk.text]] = embedding

    def _embed_batch(self, batch: list[Chunk]) -> tuple[list[Chunk], np.ndarray]:
        return batch, self._network.embed([chunk.ids for chunk in batch])


def _length(segment: Segment) -> int:
    return sum(map(len, segment))


def _from_bytes(value: bytes | None) -> float | None:
    """Return the score that was written, or None if it was damaged."""
    if value is None or len(value) != SEGMENT_SCORE.size:
        return None
    (score,) = SEGMENT_SCORE.unpack(value)
    return score if isfinite(score) else None
