"""Models of the Hugging Face hub, downloaded into folders of their own."""

import errno
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from proxylm._files import file_sha256
from proxylm._optional import import_optional

from ._loading import PICKLED_WEIGHTS, SAFE_WEIGHTS

HUB = "https://huggingface.co"
# Those that are not pickled come first.
WEIGHTS = (
    re.compile(r"model(-\d+-of-\d+)?\.safetensors"),
    re.compile(r"pytorch_model(-\d+-of-\d+)?\.bin"),
)
SMALL_FILE = re.compile(r"[^/]+\.(json|model|txt|jinja)|(README|LICENSE|NOTICE)[^/]*")


def is_downloaded(folder: Path, files: Iterable[str] = ()) -> bool:
    """Tell whether a folder has a whole model: the named files, or all of the weights.

    Weights are downloaded last, so that where they are nothing is missing.
    """
    if files:
        return all((folder / name).is_file() for name in files)
    if not (folder / "config.json").is_file():
        return False
    for whole, index in (SAFE_WEIGHTS, PICKLED_WEIGHTS):
        if (folder / whole).is_file():
            return True
        if (folder / index).is_file():
            text = (folder / index).read_text(encoding="utf-8")
            if all((folder / name).is_file() for name in _shards(text)):
                return True
    return False


def _shards(index: str) -> set[str]:
    """Return the files that the index of weights names; one at least."""
    try:
        return set(json.loads(index)["weight_map"].values()) or {""}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {""}


def choose_files(names: Iterable[str], model: str) -> tuple[list[str], list[str]]:
    """Return which small files and which weights of a model are needed."""
    names = sorted(names)
    small = [name for name in names if SMALL_FILE.fullmatch(name)]
    for pattern in WEIGHTS:
        weights = [name for name in names if pattern.fullmatch(name)]
        if weights:
            return small, weights
    raise ValueError(
        f"{model} is expected to have weights, such as model.safetensors or "
        f"pytorch_model.bin. It has {names}."
    )


def _check_space(folder: Path, size: int) -> None:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < size:
        raise OSError(
            errno.ENOSPC,
            f"Could not write {folder}: {size / 1e9:,.2f} GB are needed and "
            f"{free / 1e9:,.2f} GB are free. Free some space there or set PROXYLM_DATA "
            "to another folder.",
        )


def _verify(folder: Path, digests: Mapping[str, str]) -> None:
    for name, expected in digests.items():
        path = folder / name
        if not path.is_file():
            continue
        found = file_sha256(path)
        if found != expected:
            path.unlink()
            raise ValueError(
                f"{path} is not the published file: expected SHA-256 {expected}, "
                f"found {found}. It was deleted. Download it again."
            )


def _explain(error: Exception, model: str, revision: str, folder: Path) -> Exception:
    """Return an error of the hub in one line, with a remedy."""
    errors = import_optional("huggingface_hub.errors", extra="lm")
    page = f"{HUB}/{model}"
    if isinstance(error, errors.GatedRepoError):
        return PermissionError(
            f"{model} is gated. Accept its licence at {page}, make a token at "
            f"{HUB}/settings/tokens, and set HF_TOKEN to it or run `hf auth login`."
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return ValueError(f"{model} has no revision {revision!r}. {page} lists them.")
    if isinstance(error, errors.RepositoryNotFoundError):
        return FileNotFoundError(
            f"The hub has no model {model}, or only for those with another token than "
            "yours."
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OSError(
            error.errno,
            f"Could not write {folder}: {os.strerror(error.errno)}. Free some space "
            "and start again: the download goes on where it stopped.",
        )
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    cause = (lines or [type(error).__name__])[0].rstrip(".")
    return ConnectionError(
        f"{model} could not be downloaded ({cause}). Start again later, and it goes on "
        f"where it stopped; or save the files of {page}/tree/{revision} in {folder} by "
        "hand."
    )


@contextmanager
def _in_one_line(model: str, revision: str, folder: Path) -> Iterator[None]:
    """Turn what goes wrong in the hub's library into one line with a remedy."""
    errors = import_optional("huggingface_hub.errors", extra="lm")
    try:
        yield
    except (OSError, RuntimeError, errors.HTTPError) as error:
        raise _explain(error, model, revision, folder) from error


@contextmanager
def _bars(hub: Any, shown: bool) -> Iterator[None]:
    """Keep the progress bars of the hub from being shown."""
    if shown or hub.utils.are_progress_bars_disabled():
        yield
        return
    hub.utils.disable_progress_bars()
    try:
        yield
    finally:
        hub.utils.enable_progress_bars()


def download_model(
    model: str,
    folder: str | os.PathLike,
    *,
    revision: str = "main",
    files: Iterable[str] = (),
    digests: Mapping[str, str] | None = None,
    endpoint: str | None = None,
    progress: bool = True,
) -> Path:
    """Return the folder of a model, downloading what is missing of it.

    Only what is needed to load it: the configuration, the tokenizer and the weights,
    as safetensors if the model has them. A download that broke off goes on where it
    stopped. A folder that has a whole model is used as it is, without a network.

    Parameters
    ----------
    model : str
        Name of the model in the hub, such as `"HuggingFaceTB/SmolLM-135M"`.
    folder : str or path-like
        Where its files are to be.
    revision : str, default="main"
        Commit, branch or tag.
    files : iterable of str, default=()
        Names of the files that are needed, where they are not those of transformers.
    digests : mapping of str to str, default=None
        SHA-256 digests of files, which are verified.
    endpoint : str, default=None
        Address of the hub; None takes that of `HF_ENDPOINT`.
    progress : bool, default=True
        Whether progress bars are shown.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    PermissionError
        If the model is gated and the token, if there is one, does not open it.
    FileNotFoundError
        If the hub has no such model.
    ValueError
        If it has no such revision, or a file has the wrong digest, which is deleted.
    ConnectionError
        If the hub can't be reached or the download breaks off.
    OSError
        If there is not enough space.
    """
    hub = import_optional("huggingface_hub", extra="lm")
    folder, files = Path(folder), list(files)
    if not is_downloaded(folder, files):
        with _in_one_line(model, revision, folder):
            info = hub.HfApi(endpoint=endpoint).model_info(
                model, revision=revision, files_metadata=True
            )
        sizes = {file.rfilename: file.size or 0 for file in info.siblings}
        parts = (files,) if files else choose_files(sizes, model)
        missing = [x for part in parts for x in part if not (folder / x).is_file()]
        _check_space(folder, sum(sizes.get(name, 0) for name in missing))
        with _in_one_line(model, revision, folder), _bars(hub, progress):
            # One after the other, and here: threads of a pool would not hear Ctrl-C.
            for name in (x for x in chain(*parts) if x in sizes):
                hub.hf_hub_download(
                    model, name, revision=info.sha, local_dir=folder, endpoint=endpoint
                )
        if not is_downloaded(folder, files):
            raise FileNotFoundError(
                f"{model} at {revision} is expected to have {files or 'all weights'}. "
                f"It has {sorted(sizes)}."
            )
    _verify(folder, digests or {})
    return folder
