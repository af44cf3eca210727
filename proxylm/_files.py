"""Files that are written whole or not at all, and their digests."""

import errno
import hashlib
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NO_PERMISSION = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_FOLDER = (errno.ENOTDIR, errno.EEXIST)


def file_sha256(path: str | os.PathLike) -> str:
    """Return the SHA-256 digest of a file in hexadecimal digits.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remedy(code: int) -> str:
    if code in _NO_SPACE:
        return "Free some space there or choose another folder."
    if code in _NO_PERMISSION:
        return "Choose a folder that you may write to."
    if code in _NO_FOLDER:
        return "Choose a folder whose path has no file in it."
    if code == errno.EISDIR:
        return "Choose a name that is not a folder's."
    return "Choose another path."


def _flush_to_disk(path: Path) -> None:
    """Make the file system report now what it would otherwise report too late."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


@contextmanager
def write_whole(
    path: str | os.PathLike, *, unfinished: str | None = None
) -> Iterator[Path]:
    r"""Write a file so that it is either complete or not there.

    The block writes to a temporary file beside `path`, which takes the place of
    `path` only when the block ends without an exception. Whatever goes wrong, an old
    file at `path` stays as it was and the temporary file is removed. Folders that are
    missing are created.

    Parameters
    ----------
    path : str or path-like
        The file to write.
    unfinished : str, default=None
        Name of the temporary file, which then stays where it is when the block fails,
        so that a later block may go on with it.

    Yields
    ------
    pathlib.Path
        The temporary file, in the same folder and, unless it is named, with the same
        suffixes. The block has to create it.

    Raises
    ------
    OSError
        If the file can't be written: one line with the path, the cause and a remedy,
        and the `errno` of the cause. Exceptions of the block that are not about this
        file are passed on unchanged.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from proxylm._files import write_whole
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "results" / "summary.csv"
    ...     with write_whole(path) as temporary:
    ...         _ = temporary.write_text("rmse\n3.7\n")
    ...     print(path.read_text().split())
    ['rmse', '3.7']
    """
    path = Path(path)
    temporary = path.with_name(unfinished or f".{uuid4().hex[:12]}-{path.name}")
    ours = {str(part) for part in (temporary, path, *path.parents)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _flush_to_disk(temporary)
        os.replace(temporary, path)
    except BaseException as error:
        if unfinished is None:
            with suppress(OSError):
                temporary.unlink()
        if not isinstance(error, OSError) or error.errno is None:
            raise
        if error.filename is not None and str(error.filename) not in ours:
            raise
        cause = os.strerror(error.errno)
        raise OSError(
            error.errno, f"Could not write {path}: {cause}. {_remedy(error.errno)}"
        ) from error


def unpack_whole(archive: str | os.PathLike, folder: str | os.PathLike) -> None:
    """Unpack a tar archive so that the folder is either complete or not there.

    Parameters
    ----------
    archive : str or path-like
        A tar archive, perhaps compressed.
    folder : str or path-like
        The folder to make, which must not have anything in it.

    Raises
    ------
    ValueError
        If the archive is broken, or has a member that would be written outside the
        folder.
    OSError
        If the folder can't be written: one line with the cause and a remedy.
    """
    archive, folder = Path(archive), Path(folder)
    temporary = folder.with_name(f".{uuid4().hex[:12]}-{folder.name}")
    try:
        temporary.mkdir(parents=True)
        with tarfile.open(archive) as members:
            members.extractall(temporary, filter="data")
        os.rename(temporary, folder)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ValueError(_unsound(archive, error)) from error
    except OSError as error:
        if error.errno is None:  # of a compression: those have no number
            raise ValueError(_unsound(archive, error)) from error
        cause = os.strerror(error.errno)
        raise OSError(
            error.errno,
            f"Could not unpack {archive} to {folder}: {cause}. {_remedy(error.errno)}",
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _unsound(archive: Path, error: Exception) -> str:
    cause = next(iter(str(error).splitlines()), type(error).__name__).rstrip(":")
    return (
        f"{archive} is no sound tar archive: {cause}. Nothing was unpacked. Delete it "
        "and download it again."
    )
