"""Checkpoints of COMET, read as weights alone, and the encoders that they are for."""

import hashlib
import json
import os
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from proxylm._optional import import_optional
from proxylm._remote import get_data_home

from ._loading import _file_digest, _first_line, _quiet
from ._torch import import_torch, import_transformers

# Of Unbabel/wmt22-comet-da, the metric that is called comet in record tables.
WMT22_COMET_DA = "e213091cde220f97b89f8bdfa750c458cfea741ad62affb455b59900210ff2af"
CHECKPOINT = "checkpoints/model.ckpt"
SETTINGS = "hparams.yaml"
ENCODER_FOLDER = "encoder"
CONFIGURATION, TOKENIZER = ENCODER_FILES = ("config.json", "tokenizer.json")
REGRESSION = "regression_metric"
# By setting: what is read here. The library takes every transformation of layers but
# sparsemax as softmax, and has no setting for it in checkpoints older than that.
CHOICES: dict[str, tuple[Any, ...]] = {
    "class_identifier": (REGRESSION,),
    "encoder_model": ("XLM-RoBERTa",),
    "layer": ("mix",),
    "pool": ("avg",),
    "layer_transformation": ("softmax", "sparsemax", "sparsemax_patch"),
    "layer_norm": (True, False),
    "activations": ("Tanh", "Sigmoid"),
    "final_activation": (None, "Tanh", "Sigmoid"),
}
DEFAULTS = {"layer_transformation": "softmax", "final_activation": None}
WORDS = {"null": None, "~": None, "true": True, "false": False}
SETTING = re.compile(r"(?P<name>\w+): +(?P<value>\S.*)")
FORBIDDEN = re.compile(r"GLOBAL ([\w.]+)")
LINEAR = re.compile(r"ff\.(\d+)\.weight")
# Of older versions of transformers, and not used.
UNUSED = ("pooler.", "embeddings.position_ids")
UNREADABLE = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
)


def find_checkpoint(model: str | os.PathLike | None) -> Path:
    """Return the file of a checkpoint, given as it is or by its folder."""
    if model is None:
        path = get_data_home() / "models" / "comet" / CHECKPOINT
        if not path.is_file():
            raise FileNotFoundError(
                f"COMET expects its checkpoint as {path}. Run `proxylm download "
                "comet`, or pass the folder that has it."
            )
        return path
    path = Path(model).expanduser()
    for found in (path, path / CHECKPOINT, path / Path(CHECKPOINT).name):
        if found.is_file():
            return found
    raise FileNotFoundError(
        f"COMET expects a checkpoint, or a folder that has one as {CHECKPOINT}. Got "
        f"{os.fspath(model)!r}. `proxylm download comet` makes such a folder."
    )


def _home_of(path: Path) -> Path:
    """Return the folder that a checkpoint and its settings are in."""
    inside = path.parent.name == Path(CHECKPOINT).parent.name
    return path.parent.parent if inside else path.parent


def _read_lines(path: Path) -> dict[str, Any]:
    """Return the settings that stand on a line of their own in a file."""
    found: dict[str, Any] = {}
    if not path.is_file():
        return found
    for line in path.read_text(encoding="utf-8").splitlines():
        match = SETTING.fullmatch(line.rstrip())
        if match is None:
            continue
        name, value = match["name"], match["value"].strip("'\"")
        if name in found:
            raise ValueError(f"{path} is expected to have {name!r} once. It has two.")
        found[name] = WORDS.get(value.lower(), value)
    return found


@dataclass(frozen=True)
class CometWeights:
    """What a checkpoint holds.

    Parameters
    ----------
    settings : mapping of str to object
        Those of `CHOICES`.
    encoder : mapping of str to tensor
        Weights of the encoder, by their names there.
    layers : tensor of shape (n_layers + 1,)
        Weight of each layer before its transformation.
    gamma : tensor of shape (1,)
        What the mean of layers is multiplied by.
    estimator : list of (tensor, tensor)
        Weight and bias of each layer.
    """

    settings: Mapping[str, Any]
    encoder: Mapping[str, Any]
    layers: Any
    gamma: Any
    estimator: list[tuple[Any, Any]]


def _read_pickle(path: Path) -> Mapping[str, Any]:
    """Return what a checkpoint has; code in it is refused, not run."""
    torch = import_torch()
    try:
        # Weights are read when they are used, but for the format before torch 1.6.
        is_lazy = zipfile.is_zipfile(path)
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=is_lazy)
    except UNREADABLE as error:
        code = FORBIDDEN.search(str(error))
        if code is not None:
            raise ValueError(
                f"{path} holds more than weights ({code[1]}), which can run code when "
                "it is read. It was not read. Download it again from its publisher."
            ) from error
        raise ValueError(
            f"{path} is expected to be a checkpoint that torch has saved. It is "
            "damaged or none. Download it again."
        ) from error
    weights = found.get("state_dict") if isinstance(found, Mapping) else None
    if not isinstance(weights, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in weights.values()
    ):
        raise ValueError(
            f"{path} is expected to be a checkpoint with weights as 'state_dict'. It "
            f"has {list(found)[:8] if isinstance(found, Mapping) else type(found)}."
        )
    return found


def _check_settings(path: Path, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that matter, or say which ones are not supported."""
    if "referenceless" in str(found.get("class_identifier")):
        raise ValueError(
            f"{path} is a metric without references (QE). CometScorer expects one "
            "with references, such as wmt22-comet-da."
        )
    settings = {**DEFAULTS, **{k: v for k, v in found.items() if k in CHOICES}}
    for name, choices in CHOICES.items():
        if name not in settings:
            raise ValueError(
                f"{path} is expected to say its {name!r}, in itself or in "
                f"{_home_of(path) / SETTINGS}. Put that file there."
            )
        if settings[name] not in choices:
            raise ValueError(
                f"{path} is expected to be a regression metric of COMET, whose {name} "
                f"is among {list(choices)}. It is {settings[name]!r}."
            )
    return settings


def _take(path: Path, weights: Mapping[str, Any], name: str, *shape: int) -> Any:
    """Return a tensor, or say that it is missing or has another shape."""
    tensor = weights.get(name)
    if tensor is None or (shape and tuple(tensor.shape) != shape):
        found = "no such weights" if tensor is None else f"{tuple(tensor.shape)}"
        expected = f"{name} of shape {shape}" if shape else name
        raise ValueError(f"{path} is expected to have {expected}. It has {found}.")
    return tensor


def _read_estimator(path: Path, weights: Mapping[str, Any], n_inputs: int):
    """Return the weights and biases of the estimator, whose shapes must fit."""
    matches = (LINEAR.fullmatch(name.removeprefix("estimator.")) for name in weights)
    numbers = sorted(int(match[1]) for match in matches if match)
    # Linear layer, activation, dropout.
    if not numbers or numbers != [3 * k for k in range(len(numbers))]:
        raise ValueError(
            f"{path} is expected to have an estimator with layers 0, 3, 6. It has "
            f"{numbers}."
        )
    layers = []
    for number in numbers:
        name = f"estimator.ff.{number}"
        n_outputs = len(_take(path, weights, f"{name}.weight"))
        if number == numbers[-1]:
            n_outputs = 1
        layers.append(
            (
                _take(path, weights, f"{name}.weight", n_outputs, n_inputs),
                _take(path, weights, f"{name}.bias", n_outputs),
            )
        )
        n_inputs = n_outputs
    return layers


def read_checkpoint(path: Path) -> tuple[CometWeights, Mapping[str, Any]]:
    """Return the weights of a checkpoint, and all of its settings.

    Its own settings count, as in the library; what they lack is in a file beside.
    """
    found = _read_pickle(path)
    weights, own = found["state_dict"], found.get("hyper_parameters", {})
    settings = _read_lines(_home_of(path) / SETTINGS) | dict(own)
    torch = import_torch()
    parts = "encoder.model.", "layerwise_attention.scalar_parameters."
    encoder, layers = (
        {
            name.removeprefix(part): value
            for name, value in weights.items()
            if name.startswith(part)
        }
        for part in parts
    )
    checked = _check_settings(path, settings)
    embeddings = _take(path, weights, f"{parts[0]}embeddings.word_embeddings.weight")
    numbers = [str(k) for k in range(len(layers))]
    mixed = [_take(path, weights, f"{parts[1]}{number}", 1) for number in numbers]
    return (
        CometWeights(
            settings=checked,
            encoder={k: v for k, v in encoder.items() if not k.startswith(UNUSED)},
            layers=torch.cat(mixed) if mixed else torch.empty(0),
            gamma=_take(path, weights, "layerwise_attention.gamma", 1),
            # Of the translation, the reference, and how it differs from either.
            estimator=_read_estimator(path, weights, 6 * embeddings.shape[-1]),
        ),
        settings,
    )


class CometCheckpoint:
    """A checkpoint and its encoder, as files whose contents are read when needed.

    Parameters
    ----------
    model : str, path-like or None
        The checkpoint or its folder.
    encoder : str, path-like or None
        Folder or name in a hub of the configuration and tokenizer of the encoder.
    """

    def __init__(self, model: str | os.PathLike | None, encoder: Any = None):
        self.path = find_checkpoint(model)
        self._encoder = encoder

    @cached_property
    def digest(self) -> str:
        """The digest of the checkpoint."""
        return _file_digest(self.path)

    @cached_property
    def _contents(self) -> tuple[CometWeights, Mapping[str, Any]]:
        return read_checkpoint(self.path)

    @cached_property
    def encoder_name(self) -> str:
        """The encoder, by its name and its files."""
        digest = hashlib.sha256()
        for name, path in self._encoder_files.items():
            digest.update(f"{name} {_file_digest(path)}".encode())
        name = Path(str(self._contents[1].get("pretrained_model", "encoder"))).name
        return f"{name}-{digest.hexdigest()[:8]}"

    @cached_property
    def _encoder_files(self) -> dict[str, Path]:
        """The files of the encoder: those given, those beside, or those of a hub."""
        beside = _home_of(self.path) / ENCODER_FOLDER
        place = self._encoder
        if place is None and beside.is_dir():
            place = beside
        if place is None:
            place = self._contents[1].get("pretrained_model", "")
        folder = Path(place).expanduser()
        if folder.is_dir():
            found = {name: folder / name for name in ENCODER_FILES}
            missing = [name for name, path in found.items() if not path.is_file()]
            if missing:
                raise FileNotFoundError(
                    f"{folder} is expected to have {' and '.join(ENCODER_FILES)} of "
                    f"the encoder. It lacks {' and '.join(missing)}."
                )
            return found
        hub = import_optional("transformers.utils.hub", extra="lm")
        try:
            with _quiet():
                return {
                    name: Path(hub.cached_file(str(place), name))
                    for name in ENCODER_FILES
                }
        except (OSError, ValueError) as error:
            raise OSError(
                f"COMET expects {' and '.join(ENCODER_FILES)} of its encoder, "
                f"{place or 'which its checkpoint does not name'}. They are not in "
                f"{beside}, and not in the hub or its cache ({_first_line(error)}). "
                "Put them there, which `proxylm download comet` does, or pass encoder."
            ) from error

    @cached_property
    def config(self) -> Any:
        """The configuration of the encoder."""
        path = self._encoder_files[CONFIGURATION]
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            kind = dict(values).get("model_type")
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path} is no configuration: {error}.") from error
        if kind != "xlm-roberta":
            raise ValueError(
                f"{path} is expected to be the configuration of an XLM-RoBERTa. Its "
                f"model_type is {kind!r}."
            )
        return import_transformers().XLMRobertaConfig.from_dict(values)

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer, which cuts off what the encoder can't read."""
        path = self._encoder_files[TOKENIZER]
        library = import_optional("tokenizers", extra="lm")
        try:
            tokenizer = library.Tokenizer.from_file(os.fspath(path))
        except Exception as error:  # the library raises nothing narrower
            raise ValueError(f"{path} is no tokenizer: {error}") from error
        tokenizer.no_padding()
        # Two positions are those of padding; the library leaves two more free.
        tokenizer.enable_truncation(self.config.max_position_embeddings - 4)
        return tokenizer

    def check(self) -> CometWeights:
        """Return the weights if they fit the encoder, or say why not."""
        weights, _ = self._contents
        n_layers = self.config.num_hidden_layers + 1
        if len(weights.layers) != n_layers:
            raise ValueError(
                f"{self.path} is expected to weigh {n_layers} layers, as the encoder "
                f"{self.encoder_name} has. It weighs {len(weights.layers)}."
            )
        with import_torch().device("meta"):
            empty = self._make_encoder(self.config)
        for name, tensor in empty.state_dict().items():
            _take(self.path, weights.encoder, name, *tensor.shape)
        size, n_known = self.config.vocab_size, self.tokenizer.get_vocab_size()
        if n_known > size:
            raise ValueError(
                f"{self.path} is expected to know the {n_known} tokens of its encoder "
                f"{self.encoder_name}. It knows {size}."
            )
        return weights

    def _make_encoder(self, config: Any) -> Any:
        return import_transformers().XLMRobertaModel(config, add_pooling_layer=False)
