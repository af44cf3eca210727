"""Verified downloads: the one place of the package that opens the network."""

import http.client
import logging
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from proxylm._files import file_sha256, write_whole

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 18
_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class RemoteFile:
    """A file in the network, known by its content.

    Parameters
    ----------
    filename : str
        Name of the file in the data folder.
    url : str
        Where it is downloaded from.
    sha256 : str
        Expected SHA-256 digest, in hexadecimal digits.
    """

    filename: str
    url: str
    sha256: str


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


def _mismatch(place: str | Path, remote: RemoteFile, found: str) -> str:
    return (
        f"{place} is not the published file: expected SHA-256 {remote.sha256}, "
        f"found {found}"
    )


def _reason(error: Exception) -> str:
    """Say why the network failed; some of its exceptions have no text."""
    return str(getattr(error, "reason", None) or error) or type(error).__name__


def _download(remote: RemoteFile, path: Path) -> None:
    """Copy the remote file to `path`; every failure of the network is one line."""
    try:
        request = urllib.request.urlopen(remote.url, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        raise ConnectionError(
            f"{remote.url} answered {error.code} {error.reason}."
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionError(
            f"{remote.url} could not be reached: {_reason(error)}."
        ) from error
    with request as response, open(path, "wb") as file:
        length = response.headers.get("Content-Length", "")
        received, total = 0, int(length) if length.isdigit() else None
        logger.info("Downloading %s (%s bytes)", remote.url, total or "unknown")
        while True:
            try:
                chunk = response.read(_CHUNK_BYTES)
            except (OSError, http.client.HTTPException) as error:
                raise ConnectionError(
                    f"The download of {remote.url} broke off after {received} bytes: "
                    f"{_reason(error)}."
                ) from error
            if not chunk:
                break
            file.write(chunk)
            received += len(chunk)
            logger.debug("%s: %d bytes", remote.filename, received)
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


def _remove_bad(remote: RemoteFile, path: Path, found: str) -> str:
    """Delete a file whose digest is wrong; return what happened, in a sentence."""
    bad = _mismatch(path, remote, found)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ValueError(
            f"{bad}, and could not be deleted ({error.strerror}). It is not used. "
            "Replace it by hand, or set PROXYLM_DATA to a folder with the right file."
        ) from error
    logger.warning("%s; it was deleted and will be downloaded again.", bad)
    return f" Before that, {bad}, and was deleted."


def fetch_file(
    remote: RemoteFile,
    data_home: str | os.PathLike | None = None,
    download_if_missing: bool = True,
) -> Path:
    """Return the path of a verified local copy, downloading it where needed.

    A copy that is already there is verified every time. One with another digest is
    never used: it is deleted and downloaded again.

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
    if found == remote.sha256:
        return path
    if not download_if_missing and found is None:
        raise FileNotFoundError(
            f"{path} is missing and download_if_missing=False. {by_hand}"
        )
    if not download_if_missing:
        raise ValueError(
            f"{_mismatch(path, remote, found)}. It is not used. Delete it and allow "
            "the download, or set PROXYLM_DATA to a folder with the right file."
        )
    before = "" if found is None else _remove_bad(remote, path, found)
    try:
        with write_whole(path) as temporary:
            _download(remote, temporary)
            found = file_sha256(temporary)
            if found != remote.sha256:
                raise ValueError(
                    f"{_mismatch(remote.url, remote, found)} and was not kept.{before} "
                    f"Try again later, or from another network. {by_hand}"
                )
    except ConnectionError as error:
        raise ConnectionError(f"{error}{before} {by_hand}") from error
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}{before} {by_hand}") from error
    return path
