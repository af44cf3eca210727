"""Recipes: what is fine-tuned, how, and what the model is asked afterwards."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from numbers import Integral, Real
from typing import Any

from proxylm._nearest import nearest

from .._generation import GenerationOptions
from ._schedule import SCHEDULES

TASKS = ("translation", "intent", "slot", "text")
METHODS = ("full", "lora", "none")
VOCABULARIES = ("bpe", "unigram")
DTYPES = ("auto", "float32", "bfloat16", "float16")
# By task: what is measured.
METRICS = {
    "translation": ("spBLEU", "chrF2++", "BLEU", "chrF2", "TER"),
    "intent": ("accuracy",),
    "slot": ("f1", "accuracy"),
    "text": ("bits_per_byte", "bits_per_character", "bits_per_token", "bits_per_text"),
}
# What is measured where it is asked for: it has a model of its own.
OPTIONAL_METRICS = {"translation": ("comet",)}
# By task: what causal models read where a recipe has no prompt.
PROMPTS = {
    "translation": "Translate from {source_language} to {target_language}.\n{text}\n",
    "intent": "What is the intent of this request?\n{text}\n",
    "slot": "Write this request with its slots marked as [slot : words].\n{text}\n",
    "text": None,
}


def _refuse(where: str, expected: str, given: Any) -> ValueError:
    return ValueError(f"{where} expects {expected}. Got {given!r}.")


def _check_number(values: Any, name: str, least: float, whole: bool = False) -> None:
    value = getattr(values, name)
    kind = Integral if whole else Real
    if isinstance(value, bool) or not isinstance(value, kind) or value < least:
        what = "a whole number" if whole else "a number"
        raise _refuse(f"{values.SECTION}{name}", f"{what} from {least:g}", value)


def _check_choice(values: Any, name: str, known: tuple[str, ...]) -> None:
    value = getattr(values, name)
    if value not in known:
        expected = f"one of {list(known)}"
        error = _refuse(f"{values.SECTION}{name}", expected, value)
        raise ValueError(f"{error}{nearest(str(value), known)}")


def _make(cls: type, values: Any) -> Any:
    """Return a dataclass from a mapping whose keys it knows."""
    section = cls.SECTION.rstrip(".") or "A recipe"
    if not isinstance(values, Mapping):
        raise TypeError(f"{section} expects keys with values. Got {values!r:.80}.")
    known = [entry.name for entry in fields(cls)]
    for key in values:
        if key not in known:
            raise ValueError(
                f"{section} expects keys among {known}. Got {key!r}."
                f"{nearest(str(key), known)}"
            )
    return cls(**values)


@dataclass(frozen=True)
class TrainingOptions:
    """How weights are trained.

    Parameters
    ----------
    learning_rate : float, default=1e-4
        The largest.
    schedule : {"inverse_sqrt", "cosine", "linear", "constant"}
        How it goes on after the warm-up.
    warmup_steps : int, default=0
        Updates over which it rises from 0.
    warmup_ratio : float, default=0.0
        The same as a part of all updates, where `warmup_steps` is 0.
    max_epochs : int, default=10
        How often all examples are seen at most.
    max_updates : int or None, default=None
        Updates at most.
    batch_size : int, default=32
        Examples of a batch at most.
    max_tokens : int, default=1792
        Tokens of a batch at most, its padding counted.
    accumulation : int, default=1
        Batches of an update.
    label_smoothing : float, default=0.0
        Part of the probability that is spread over the vocabulary.
    weight_decay : float, default=0.0
        Of the weights, apart from the gradient [1]_; biases and the scales of
        normalisations are spared.
    clip_norm : float or None, default=None
        Largest norm of the gradient.
    betas, eps : (float, float) and float
        Of Adam.
    patience : int or None, default=None
        Evaluations without a better development loss after which training ends. None
        trains to the end.
    evaluate_every : int or None, default=None
        Updates between two evaluations; None evaluates after each epoch.
    dtype : {"auto", "float32", "bfloat16", "float16"}
        Of the products; weights and their updates are in float32.
    gradient_checkpointing : bool, default=False
        Whether activations are computed again rather than kept.
    pack : bool, default=False
        Whether examples of a causal model share rows, blind to each other.
    seed : int, default=0
        Of the order of examples, dropout and new weights.

    References
    ----------
    .. [1] Loshchilov and Hutter (2019). "Decoupled weight decay regularization".
       arXiv:1711.05101.
    """

    SECTION = "training."

    learning_rate: float = 1e-4
    schedule: str = "inverse_sqrt"
    warmup_steps: int = 0
    warmup_ratio: float = 0.0
    max_epochs: int = 10
    max_updates: int | None = None
    batch_size: int = 32
    max_tokens: int = 1_792
    accumulation: int = 1
    label_smoothing: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float | None = None
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-6
    patience: int | None = None
    evaluate_every: int | None = None
    dtype: str = "auto"
    gradient_checkpointing: bool = False
    pack: bool = False
    seed: int = 0

    def __post_init__(self):
        for name in ("learning_rate", "label_smoothing", "weight_decay", "eps"):
            _check_number(self, name, 0)
        for name in ("max_epochs", "batch_size", "max_tokens", "accumulation"):
            _check_number(self, name, 1, whole=True)
        for name in ("max_updates", "patience", "evaluate_every"):
            if getattr(self, name) is not None:
                _check_number(self, name, 1, whole=True)
        if self.clip_norm is not None:
            _check_number(self, "clip_norm", 1e-12)
        for name in ("warmup_steps", "seed"):
            _check_number(self, name, 0, whole=True)
        for name in ("label_smoothing", "warmup_ratio"):
            _check_number(self, name, 0)
            if getattr(self, name) >= 1:
                given = getattr(self, name)
                raise _refuse(f"training.{name}", "a number below 1", given)
        _check_choice(self, "schedule", tuple(SCHEDULES))
        _check_choice(self, "dtype", DTYPES)
        if self.schedule == "inverse_sqrt" and not (
            self.warmup_steps or self.warmup_ratio
        ):
            raise _refuse(
                "training.warmup_steps",
                "updates from 1 with the schedule 'inverse_sqrt'",
                self.warmup_steps,
            )
        betas = self.betas
        if not (
            isinstance(betas, list | tuple)
            and len(betas) == 2
            and all(isinstance(beta, Real) and 0 <= beta < 1 for beta in betas)
        ):
            raise _refuse("training.betas", "two numbers from 0 and below 1", betas)
        object.__setattr__(self, "betas", tuple(map(float, betas)))


@dataclass(frozen=True)
class LoraOptions:
    """Low-rank adapters (LoRA, arXiv:2106.09685) beside the linear layers.

    Parameters
    ----------
    rank : int, default=8
        Of the adapters.
    alpha : float, default=16
        They are multiplied by alpha / rank.
    dropout : float, default=0.0
        Of what they read.
    layers : "all-linear" or list of str
        Names of the layers that get one; all but the output layer.
    """

    SECTION = "lora."

    rank: int = 8
    alpha: float = 16
    dropout: float = 0.0
    layers: Any = "all-linear"

    def __post_init__(self):
        _check_number(self, "rank", 1, whole=True)
        _check_number(self, "alpha", 0)
        _check_number(self, "dropout", 0)


@dataclass(frozen=True)
class VocabularyOptions:
    """The vocabulary of a model from scratch, made from its training texts.

    Parameters
    ----------
    kind : {"bpe", "unigram"}
    size : int, default=8000
        Pieces at most, one vocabulary for both sides.
    """

    SECTION = "vocabulary."

    kind: str = "bpe"
    size: int = 8_000

    def __post_init__(self):
        _check_choice(self, "kind", VOCABULARIES)
        _check_number(self, "size", 300, whole=True)


@dataclass(frozen=True)
class Recipe:
    """What is fine-tuned, how, and what the model is asked afterwards.

    Parameters
    ----------
    name : str
        Names the columns of its scores.
    task : {"translation", "intent", "slot", "text"}
        What it learns: to translate, to write the label of an utterance, the
        utterance with its slots annotated, or texts alone.
    model : str or None, default=None
        A folder, a GGUF file or a name in a hub. None is a model from scratch.
    revision : str or None, default=None
        Commit of the hub.
    architecture : mapping or None, default=None
        Of a model from scratch: `model_type` and parameters of its configuration in
        transformers.
    vocabulary : VocabularyOptions
        Of a model from scratch.
    method : {"full", "lora", "none"}
        Whether all weights are trained, adapters alone, or nothing.
    lora : LoraOptions
    training : TrainingOptions
    prompt : str or None, default=None
        What the model reads, with `{text}` in it, and `{source_language}` and
        `{target_language}` where the names of languages belong. None is the text
        alone, for causal models with an instruction before it.
    chat : bool, default=False
        Whether that is the message of a user in the chat template of the model.
    cutoff : int, default=1024
        Longer training examples, in tokens, are left out.
    generation : mapping
        `num_beams`, `length_penalty` and `max_new_tokens` of what it writes.
    metrics : sequence of str or None, default=None
        None is all of the task, COMET excepted.
    comet_model : str or None, default=None
        Checkpoint of COMET, see :class:`~proxylm.lm.CometScorer`.
    allow_pickle : bool, default=False
        Whether weights may be read that were saved as a pickle.
    trust_remote_code : bool, default=False
        Whether code that comes with the model may be run.
    """

    SECTION = ""

    name: str
    task: str = "translation"
    model: str | None = None
    revision: str | None = None
    architecture: Mapping[str, Any] | None = None
    vocabulary: VocabularyOptions = field(default_factory=VocabularyOptions)
    method: str = "full"
    lora: LoraOptions = field(default_factory=LoraOptions)
    training: TrainingOptions = field(
        default_factory=lambda: TrainingOptions(schedule="constant")
    )
    prompt: str | None = None
    chat: bool = False
    cutoff: int = 1_024
    generation: Mapping[str, Any] = field(default_factory=dict)
    metrics: tuple[str, ...] | None = None
    comet_model: str | None = None
    allow_pickle: bool = False
    trust_remote_code: bool = False

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name:
            raise _refuse("name", "a text", self.name)
        _check_choice(self, "task", TASKS)
        _check_choice(self, "method", METHODS)
        _check_number(self, "cutoff", 4, whole=True)
        for name, cls in (
            ("vocabulary", VocabularyOptions),
            ("lora", LoraOptions),
            ("training", TrainingOptions),
        ):
            if not isinstance(getattr(self, name), cls):
                object.__setattr__(self, name, _make(cls, getattr(self, name)))
        if (self.model is None) == (self.architecture is None):
            raise ValueError(
                "A recipe expects either a model or the architecture of one from "
                f"scratch. Got model={self.model!r} and architecture="
                f"{self.architecture!r}."
            )
        if self.model is None and self.method != "full":
            raise _refuse("method", "'full' for a model from scratch", self.method)
        if self.task == "text" and (self.prompt or self.chat):
            raise _refuse("prompt", "null for the task 'text'", self.prompt)
        GenerationOptions.of(self.generation)
        metrics = METRICS[self.task] if self.metrics is None else tuple(self.metrics)
        known = METRICS[self.task] + OPTIONAL_METRICS.get(self.task, ())
        for metric in metrics:
            if metric not in known:
                error = _refuse("metrics", f"names among {list(known)}", metric)
                raise ValueError(f"{error}{nearest(str(metric), known)}")
        object.__setattr__(self, "metrics", metrics)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Recipe":
        """Return a recipe from a mapping, such as a YAML file has.

        Raises
        ------
        TypeError, ValueError
            If a key is unknown, with the nearest one, or a value out of its range.
        """
        return _make(cls, values)

    def prompt_for(self, kind: str) -> str | None:
        """Return what a model of a kind (`"causal"` or `"seq2seq"`) reads."""
        if self.prompt is None and kind == "causal":
            return PROMPTS[self.task]
        return self.prompt

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as a mapping, complete with defaults."""
        values = asdict(self)
        values["metrics"] = list(self.metrics)
        values["training"]["betas"] = list(self.training.betas)
        for name in ("architecture", "generation"):
            if values[name] is not None:
                values[name] = dict(values[name])
        return values
