"""Verified downloads: the one place of the package that opens the network."""

import http.client
import logging
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxylm._files import file_sha256, write_whole

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 18
_TIMEOUT_SECONDS = 30
_BYTES_BETWEEN_MESSAGES = 100_000_000
_RANGE_NOT_SATISFIABLE = 416


@dataclass(frozen=True)
class RemoteFile:
    """A file in the network, known by its content.

    Parameters
    ----------
    filename : str
        Name of the file in the data folder.
    url : str
        Where it is downloaded from.
    sha256 : str, default=None
        Expected SHA-256 digest, in hexadecimal digits. None where it is not known: the
        digest of the first copy is then kept beside it, in a file with the suffix
        `.sha256`, and is expected from then on.
    """

    filename: str
    url: str
    sha256: str | None = None


def get_data_home(data_home: str | os.PathLike | None = None) -> Path:
    """Return the folder that holds downloaded files.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder. With None it is taken from the environment variable
        `PROXYLM_DATA`, and where that is not set it is `~/proxylm_data`.

    Returns
    -------
    pathlib.Path
        The folder, which need not exist yet.
    """
    folder = data_home or os.environ.get("PROXYLM_DATA") or "~/proxylm_data"
    return Path(folder).expanduser()


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def seen_digest(path: Path) -> str | None:
    """Return the digest that was kept beside a file when it was first seen, if any."""
    try:
        words = _beside(path, ".sha256").read_text(encoding="utf-8").split()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return words[0] if words else None


def _keep_digest(path: Path, digest: str) -> None:
    """Keep the digest of a file beside it, as sha256sum writes it."""
    logger.info("%s: SHA-256 %s, expected from now on", path, digest)
    with write_whole(_beside(path, ".sha256")) as temporary:
        temporary.write_text(f"{digest}  {path.name}\n", encoding="utf-8")


def _mismatch(place: str | Path, expected: str, found: str) -> str:
    return (
        f"{place} is not the published file: expected SHA-256 {expected}, found {found}"
    )


def _changed(place: str | Path, path: Path, expected: str, found: str) -> str:
    return (
        f"{place} is not the file that was there at first: expected SHA-256 "
        f"{expected}, found {found}. It is not used. If the change is meant, delete "
        f"{_beside(path, '.sha256')}."
    )


def _reason(error: Exception) -> str:
    """Say why the network failed; some of its exceptions have no text."""
    return str(getattr(error, "reason", None) or error) or type(error).__name__


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Let one process at a time download to a folder, where the system has locks."""
    if sys.platform == "win32":
        yield
        return
    descriptor = None
    # Some network folders have no locks, and what is wrong with others writing tells.
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


class _Unfinished:
    """A download that broke off, and the version of the file that it is of."""

    def __init__(self, path: Path, url: str):
        self.path = path
        self.url = url
        self.note = _beside(path, ".version")

    @property
    def headers(self) -> dict[str, str]:
        """What asks for the rest, or for all if the file has another version by now."""
        try:
            url, version = self.note.read_text(encoding="utf-8").splitlines()
            size = self.path.stat().st_size
        except (OSError, ValueError):
            return {}
        if url != self.url or not size:
            return {}
        return {"Range": f"bytes={size}-", "If-Range": version}

    def start(self, headers: Any) -> None:
        """Note the version that is being downloaded, if the server names one."""
        version = headers.get("ETag") or headers.get("Last-Modified")
        if not version or version.startswith("W/"):
            self.note.unlink(missing_ok=True)
        else:
            self.note.write_text(f"{self.url}\n{version}\n", encoding="utf-8")

    def remove(self) -> None:
        """Forget it: without the note nothing goes on with what may be left."""
        for path in (self.note, self.path):
            with suppress(OSError):
                path.unlink()


def _open(url: str, unfinished: _Unfinished) -> Any:
    """Return the answer of the server; every failure of the network is one line."""
    request = urllib.request.Request(url, headers=unfinished.headers)
    try:
        return urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == _RANGE_NOT_SATISFIABLE and request.has_header("Range"):
            unfinished.remove()
            return _open(url, unfinished)
        raise ConnectionError(f"{url} answered {error.code} {error.reason}.") from error
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionError(
            f"{url} could not be reached: {_reason(error)}."
        ) from error


def _download(remote: RemoteFile, unfinished: _Unfinished) -> None:
    """Copy the remote file, or what is missing of it."""
    goes_on = bool(unfinished.headers)
    with _open(remote.url, unfinished) as response:
        goes_on = goes_on and response.status == http.client.PARTIAL_CONTENT
        unfinished.start(response.headers)
        with open(unfinished.path, "ab" if goes_on else "wb") as file:
            received = file.tell()
            length = response.headers.get("Content-Length", "")
            total = received + int(length) if length.isdigit() else None
            logger.info(
                "Downloading %s (%s bytes%s)",
                remote.url,
                total or "unknown",
                f", {received} are there" if received else "",
            )
            told = received
            while True:
                try:
                    chunk = response.read(_CHUNK_BYTES)
                except (OSError, http.client.HTTPException) as error:
                    raise ConnectionError(
                        f"The download of {remote.url} broke off after {received} "
                        f"bytes: {_reason(error)}."
                    ) from error
                if not chunk:
                    break
                file.write(chunk)
                received += len(chunk)
                if received - told >= _BYTES_BETWEEN_MESSAGES:
                    told = received
                    logger.info("%s: %d bytes", remote.filename, received)
    if total is not None and received != total:
        raise ConnectionError(
            f"The download of {remote.url} broke off after {received} of {total} bytes."
        )
    logger.info("Downloaded %s: %d bytes", remote.filename, received)


def _digest_if_there(path: Path, by_hand: str) -> str | None:
    try:
        return file_sha256(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise OSError(
            error.errno, f"Could not read {path}: {error.strerror}. {by_hand}"
        ) from error


def _remove_bad(path: Path, expected: str, found: str) -> str:
    """Delete a file whose digest is wrong; return what happened, in a sentence."""
    bad = _mismatch(path, expected, found)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ValueError(
            f"{bad}, and could not be deleted ({error.strerror}). It is not used. "
            "Replace it by hand, or set PROXYLM_DATA to a folder with the right file."
        ) from error
    logger.warning("%s; it was deleted and will be downloaded again.", bad)
    return f" Before that, {bad}, and was deleted."


def _is_good(path: Path, remote: RemoteFile, found: str | None) -> bool:
    """Tell whether a copy is the file; the first one whose digest is not known is."""
    if found is None:
        return False
    expected = remote.sha256 or seen_digest(path)
    if expected is None:
        _keep_digest(path, found)
    elif found != expected and remote.sha256 is None:
        raise ValueError(_changed(path, path, expected, found))
    return expected in (None, found)


def _fetch(remote: RemoteFile, path: Path, before: str, by_hand: str) -> None:
    """Download a file to its place and verify it on the way."""
    unfinished = _Unfinished(path.with_name(f".{path.name}.part"), remote.url)
    seen = seen_digest(path)
    try:
        with write_whole(path, unfinished=unfinished.path.name):
            _download(remote, unfinished)
            found = file_sha256(unfinished.path)
            if found != (remote.sha256 or seen or found):
                unfinished.remove()
                if remote.sha256 is None:
                    raise ValueError(_changed(remote.url, path, seen, found))
                raise ValueError(
                    f"{_mismatch(remote.url, remote.sha256, found)} and was not kept."
                    f"{before} Try again later, or from another network. {by_hand}"
                )
    finally:
        if not unfinished.headers:  # there is nothing to go on with
            unfinished.remove()
    if remote.sha256 is None and seen is None:
        _keep_digest(path, found)


def fetch_file(
    remote: RemoteFile,
    data_home: str | os.PathLike | None = None,
    download_if_missing: bool = True,
) -> Path:
    """Return the path of a verified local copy, downloading it where needed.

    A copy that is already there is verified every time. One with another digest is
    never used: it is deleted and downloaded again, or, where only the digest of an
    earlier copy is known, left where it is. A download that broke off goes on where it
    stopped when it is started again, if the server still has the same version.

    Parameters
    ----------
    remote : RemoteFile
        What to fetch.
    data_home : str or path-like, default=None
        Folder of the copy, see :func:`get_data_home`.
    download_if_missing : bool, default=True
        Whether the network may be used. If not, a bad copy is left where it is.

    Returns
    -------
    pathlib.Path
        The verified file.

    Raises
    ------
    ValueError
        If a file has the wrong digest and can't be replaced, or if the download itself
        has the wrong digest. Both digests are in the message.
    ConnectionError
        If the network or the server fails, or the download breaks off.
    OSError
        If the copy is missing and may not be downloaded, can't be read, or the folder
        can't be written to.
    """
    path = get_data_home(data_home) / remote.filename
    by_hand = (
        "Set PROXYLM_DATA to a folder that has the file, or save "
        f"{remote.url} as {path} by hand."
    )
    found = _digest_if_there(path, by_hand)
    if _is_good(path, remote, found):
        return path
    if not download_if_missing and found is None:
        raise FileNotFoundError(
            f"{path} is missing and download_if_missing=False. {by_hand}"
        )
    if not download_if_missing:
        raise ValueError(
            f"{_mismatch(path, remote.sha256, found)}. It is not used. Delete it and "
            "allow the download, or set PROXYLM_DATA to a folder with the right file."
        )
    before = "" if found is None else _remove_bad(path, remote.sha256, found)
    try:
        with _one_at_a_time(path.parent):
            # Another process may have been faster.
            if not _is_good(path, remote, _digest_if_there(path, by_hand)):
                _fetch(remote, path, before, by_hand)
    except ConnectionError as error:
        raise ConnectionError(f"{error}{before} {by_hand}") from error
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}{before} {by_hand}") from error
    return path
