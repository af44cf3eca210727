"""Language models from folders, hubs, GGUF files and objects, loaded on first use."""

import hashlib
import json
import logging
import os
import re
import shutil
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from proxylm._files import file_sha256
from proxylm._optional import import_optional

from ._attention import use_blocks
from ._language_tokens import SMALL_100, LanguageTokens, find_language_tokens
from ._memory import give_back
from ._packing import fuse_gated_layers, pack_linear_layers
from ._torch import import_torch, import_transformers
from ._wide_states import keeps_wide_states, widen_states

logger = logging.getLogger(__name__)

DTYPES = ("auto", "float32", "bfloat16", "float16", "float64")
SAFE_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
PICKLED_WEIGHTS = ("pytorch_model.bin", "pytorch_model.bin.index.json")
# With several models in memory, those that something still uses are shared.
_modules: weakref.WeakValueDictionary = weakref.WeakValueDictionary()


class PickledWeightsError(ValueError):
    """Weights that are there as a pickle only, which was not allowed."""

    def __str__(self) -> str:
        return (
            f"{self.args[0]} Convert them to safetensors, or pass allow_pickle=True if "
            "you trust their source."
        )


class Location(NamedTuple):
    """Where a model is: a folder, a file in it (GGUF), or a name and revision."""

    place: str
    revision: str | None = None
    gguf_file: str | None = None


@dataclass(frozen=True)
class LoadingOptions:
    """How a model is loaded."""

    revision: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    allow_pickle: bool = False
    trust_remote_code: bool = False
    attention: str | None = None
    compile: bool = False
    conversions: str | None = None  # folder that keeps what was made of GGUF files


def choose_device(device: str) -> str:
    """Return the device that `"auto"` stands for, or check the named one."""
    torch = import_torch()
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise ValueError(
            f"device expects 'auto', 'cpu', 'cuda', 'cuda:1' or the like. Got "
            f"{device!r}."
        ) from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device={device!r} expects a GPU that torch can use. There is none. Pass "
            "device='auto'."
        )
    return device


def choose_dtype(dtype: str, device: str) -> str:
    """Return the type of numbers that `"auto"` stands for on a device."""
    if dtype != "auto":
        return dtype
    torch = import_torch()
    if device.startswith("cuda"):
        has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has_bfloat16 = device == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return "bfloat16" if has_bfloat16 else "float32"


def _first_line(error: BaseException) -> str:
    """Return the first sentence or two of an error of another library."""
    line = next((x for x in str(error).splitlines() if x.strip()), "")
    return line.strip() or type(error).__name__


def _locate(model: str, revision: str | None) -> Location:
    """Return where a model is; a name in a hub gets the commit it stands for."""
    path = Path(model).expanduser()
    if path.suffix.lower() == ".gguf":
        if not path.is_file():
            raise FileNotFoundError(f"There is no GGUF file {model!r}.")
        return Location(os.fspath(path.parent), gguf_file=path.name)
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise FileNotFoundError(
                f"The folder of a model is expected to have a config.json. {model!r} "
                "has none. Pass the folder that save_pretrained wrote."
            )
        return Location(os.fspath(path))
    if path.exists() or model.startswith((".", "/", "~")) or model.count("/") > 1:
        raise FileNotFoundError(
            f"model expects a folder, a GGUF file or a name in a hub such as "
            f"'HuggingFaceTB/SmolLM-135M'. There is no folder {model!r}."
        )
    hub = import_optional("transformers.utils.hub", extra="lm")
    try:
        config = hub.cached_file(model, "config.json", revision=revision)
    except (OSError, ValueError) as error:
        at = f" at revision {revision!r}" if revision else ""
        raise OSError(
            f"The model {model!r}{at} could not be found, neither as a folder nor in "
            f"the hub or its cache ({_first_line(error)})."
        ) from error
    commit = hub.extract_commit_hash(config, None)
    return Location(model, commit or revision)


def _object_digest(module: Any, tokenizer: Any) -> str:
    """Return a digest of weights, configuration and tokenizer of objects."""
    torch = import_torch()
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        if flat.numel():
            digest.update(flat.view(torch.uint8).numpy())
    digest.update(module.config.to_json_string().encode())
    digest.update(_tokenizer_text(tokenizer).encode())
    return digest.hexdigest()


def _tokenizer_text(tokenizer: Any) -> str:
    """Return all that a tokenizer knows, as text."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        return backend.to_str()
    return json.dumps(sorted(tokenizer.get_vocab().items())) + repr(tokenizer)


def _folder_digest(folder: Path) -> str:
    """Return a digest of the files that a folder's model and tokenizer are made of."""
    digest = hashlib.sha256()
    suffixes = (".json", ".safetensors", ".bin", ".model", ".txt", ".jinja")
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix in suffixes:
            digest.update(f"{path.name} {_file_digest(path)}".encode())
    return digest.hexdigest()


_digests: dict[tuple, str] = {}


def _file_digest(path: Path) -> str:
    """Return the digest of a file, computed once while it stays as it is."""
    status = path.stat()
    key = (os.path.realpath(path), status.st_size, status.st_mtime_ns)
    if key not in _digests:
        _digests[key] = file_sha256(path)
    return _digests[key]


def _kind_of(config: Any, module: Any) -> str:
    """Return `"causal"`, `"masked"` or `"seq2seq"`."""
    if getattr(config, "is_encoder_decoder", False):
        return "seq2seq"
    architectures = getattr(config, "architectures", None) or []
    if module is not None:
        architectures = [type(module).__name__]
    if any("MaskedLM" in name for name in architectures):
        return "masked"
    return "causal"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the progress bars of transformers out of ours."""
    messages = import_optional("transformers.utils.logging", extra="lm")
    is_shown = messages.is_progress_bar_enabled()
    messages.disable_progress_bar()
    try:
        yield
    finally:
        if is_shown:
            messages.enable_progress_bar()


class LanguageModel:
    """A language model whose parts are loaded when they are first used.

    Parameters
    ----------
    model : str, path-like or (module, tokenizer)
        A folder, a GGUF file, a name in a hub, or a model and its tokenizer.
    tokenizer : str, path-like or object, default=None
        Another tokenizer than the model's own.
    options : LoadingOptions
    """

    def __init__(
        self, model: Any, tokenizer: Any = None, options: LoadingOptions | None = None
    ):
        self._options = options or LoadingOptions()
        self._objects = None
        if isinstance(model, str | os.PathLike):
            self._location = _locate(os.fspath(model), self._options.revision)
            stem = self._location.gguf_file or self._location.place
            self.name = Path(stem).name.removesuffix(".gguf")
        elif isinstance(model, tuple) and len(model) == 2:
            self._objects = model
            path = getattr(model[0], "name_or_path", "")
            self.name = Path(path).name or type(model[0]).__name__
        else:
            raise TypeError(
                "model expects a folder, a GGUF file, a name in a hub or a tuple "
                f"(model, tokenizer). Got {model!r:.80} of type {type(model).__name__}."
            )
        self._tokenizer_given = tokenizer
        self.device = choose_device(self._options.device)
        if self._objects is not None:
            self.device = str(self._objects[0].device)
            self.dtype = str(self._objects[0].dtype).removeprefix("torch.")
        else:
            self.dtype = choose_dtype(self._options.dtype, self.device)

    @cached_property
    def digest(self) -> str:
        """What tells this model and its tokenizer from every other."""
        if self._objects is not None:
            digest = _object_digest(*self._objects)
        elif self._location.gguf_file:
            path = Path(self._location.place) / self._location.gguf_file
            digest = _file_digest(path)
        elif self._location.revision:
            digest = f"{self._location.place}@{self._location.revision}"
        else:
            digest = _folder_digest(Path(self._location.place))
        if self._tokenizer_given is None:
            return digest
        text = _tokenizer_text(self.tokenizer).encode()
        return f"{digest}+{hashlib.sha256(text).hexdigest()}"

    @cached_property
    def config(self) -> Any:
        """The configuration."""
        if self._objects is not None:
            return self._objects[0].config
        return self._load(import_transformers().AutoConfig)

    @cached_property
    def kind(self) -> str:
        """`"causal"`, `"masked"` or `"seq2seq"`."""
        module = None if self._objects is None else self._objects[0]
        return _kind_of(self.config, module)

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer."""
        given = self._tokenizer_given
        if given is not None and not isinstance(given, str | os.PathLike):
            return given
        if given is None and self._objects is not None:
            return self._objects[1]
        auto = import_transformers().AutoTokenizer
        if self.tokenizer_class == SMALL_100:
            # Code of its own, of which this is all but the place of the language.
            auto = import_transformers().M2M100Tokenizer
        return self._load(auto, self._tokenizer_location)

    @cached_property
    def tokenizer_class(self) -> str | None:
        """The class that the configuration of the tokenizer names."""
        if self._tokenizer_location is None or self._tokenizer_location.gguf_file:
            return None
        auto = import_optional("transformers.models.auto.tokenization_auto", extra="lm")
        place, revision, _ = self._tokenizer_location
        configuration = auto.get_tokenizer_config(place, revision=revision or "main")
        return configuration.get("tokenizer_class")

    @cached_property
    def languages(self) -> LanguageTokens | None:
        """The languages that the model is told, or None."""
        return find_language_tokens(self.name, self.tokenizer, self.tokenizer_class)

    @cached_property
    def _tokenizer_location(self) -> Location | None:
        """Where the tokenizer is; None for an object."""
        if isinstance(self._tokenizer_given, str | os.PathLike):
            return _locate(os.fspath(self._tokenizer_given), None)
        is_object = self._tokenizer_given is not None or self._objects is not None
        return None if is_object else self._location

    @cached_property
    def module(self) -> Any:
        """The model with its weights, ready to be run."""
        if self._objects is not None:
            return self._objects[0].eval()
        key = (self.digest, self.dtype, self.device, self._options)
        module = _modules.get(key)
        if module is None:
            module = _modules[key] = self._load_module()
        return module

    def _load(self, auto: Any, location: Location | None = None, **arguments) -> Any:
        """Load with one of the classes of transformers, or say what is wrong."""
        location = location or self._location
        if location.gguf_file:
            arguments["gguf_file"] = location.gguf_file
        try:
            with _quiet():
                return auto.from_pretrained(
                    location.place,
                    revision=location.revision or "main",
                    trust_remote_code=self._options.trust_remote_code,
                    **arguments,
                )
        except (OSError, ValueError, KeyError) as error:
            if "trust_remote_code" in str(error):
                raise ValueError(
                    f"{location.place} holds code of its own, which is not run unless "
                    "trust_remote_code=True. Read the code first."
                ) from error
            if "use_safetensors" in str(error):
                raise PickledWeightsError(
                    f"{location.place!r} has no weights as safetensors. A pickle can "
                    "run code when it is read."
                ) from error
            raise ValueError(
                f"{location.place} could not be loaded as a model of transformers: "
                f"{_first_line(error)}"
            ) from error

    def load_trainable(self, dtype: str = "float32") -> Any:
        """Return the model with weights of its own, as training needs them."""
        if self._objects is not None:
            raise TypeError(
                f"{self.name} is an object, whose weights training would change. Save "
                "it with save_pretrained and pass the path of its folder."
            )
        module = self._read_weights(dtype).to(self.device)
        # Positions by a formula, which are read as weights and never saved.
        fixed = getattr(module, "_keys_to_ignore_on_save", None) or ()
        for name, parameter in module.named_parameters():
            if any(re.search(pattern, name) for pattern in fixed):
                parameter.requires_grad_(False)
        return module

    def _load_module(self) -> Any:
        return self._ready(self._read_weights(self.dtype))

    def _read_weights(self, dtype: str) -> Any:
        transformers, torch = import_transformers(), import_torch()
        if self._location.gguf_file:
            return self._read_gguf(getattr(torch, dtype))
        self._check_weights()
        auto = {
            "causal": transformers.AutoModelForCausalLM,
            "masked": transformers.AutoModelForMaskedLM,
            "seq2seq": transformers.AutoModelForSeq2SeqLM,
        }[self.kind]
        arguments = {"dtype": getattr(torch, dtype)}
        if not self._options.allow_pickle:
            arguments["use_safetensors"] = True
        if self._options.attention is not None:
            arguments["attn_implementation"] = self._options.attention
        return self._load(auto, **arguments)

    def _ready(self, module: Any) -> Any:
        module = module.to(self.device).eval().requires_grad_(False)
        if self._options.compile:
            module.base_model.compile(dynamic=True)
        elif self.device == "cpu":
            if pack_linear_layers(module):
                fuse_gated_layers(module)
                _leave_file(module)
            if self._is_wide:
                widen_states(module)
            if self.kind == "causal" and self._options.attention is None:
                use_blocks(module)
            give_back()
        return module

    @property
    def _is_wide(self) -> bool:
        """Whether states have more bits than the products, where that is possible."""
        is_plain = self._objects is None and not self._options.compile
        return is_plain and keeps_wide_states(self.dtype, self.device)

    @property
    def arithmetic(self) -> str:
        """The types of numbers that scores come from, as far as the model allows it."""
        return f"{self.dtype}, states float32" if self._is_wide else self.dtype

    def _check_weights(self) -> None:
        """Refuse a folder without weights, or with pickled ones only."""
        folder = Path(self._location.place)
        if self._location.revision or not folder.is_dir():
            return
        if any((folder / name).is_file() for name in SAFE_WEIGHTS):
            return
        pickled = [name for name in PICKLED_WEIGHTS if (folder / name).is_file()]
        if not pickled:
            raise FileNotFoundError(
                f"The folder of a model is expected to have model.safetensors. "
                f"{os.fspath(folder)!r} has none: it holds no weights."
            )
        if not self._options.allow_pickle:
            raise PickledWeightsError(
                f"{os.fspath(folder)!r} has its weights as a pickle ({pickled[0]}), "
                "which can run code when it is read."
            )

    def _read_gguf(self, dtype: Any) -> Any:
        """Load a GGUF file by way of a folder that is made of it once."""
        transformers, torch = import_transformers(), import_torch()
        for package in ("gguf", "accelerate"):
            import_optional(package, extra="gguf")
        auto = transformers.AutoModelForCausalLM
        kept = None
        if self._options.conversions is not None:
            kept = Path(self._options.conversions) / f"gguf-{self.digest[:32]}"
            if kept.is_dir():
                return self._load(auto, Location(os.fspath(kept)), dtype=dtype)
        quantization = transformers.GgufConfig(dequantize=True)
        wide = torch.float32 if kept is not None else dtype
        logger.info("%s: converting from GGUF", self.name)
        module = self._load(auto, dtype=wide, quantization_config=quantization)
        if kept is not None:
            save_whole(module, kept)
        return module.to(dtype)


def _leave_file(module: Any) -> None:
    """Copy what is left of the weights, so that their file need not stay in memory."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.device.type == "cpu":
            tensor.data = tensor.data.clone()


def save_whole(module: Any, folder: Path, tokenizer: Any = None) -> None:
    """Save a model, with its tokenizer, to a folder that is complete or not there."""
    unfinished = folder.with_name(f".{uuid4().hex[:12]}-{folder.name}")
    try:
        with _quiet():
            module.save_pretrained(unfinished)
        if tokenizer is not None:
            tokenizer.save_pretrained(unfinished)
        if not folder.exists():
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
