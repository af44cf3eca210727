"""The kinds of things that can be downloaded: models, files and archives."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from proxylm._files import unpack_whole
from proxylm._remote import RemoteFile, fetch_file
from proxylm.lm._download import HUB, download_model, is_downloaded


@dataclass(frozen=True, kw_only=True)
class HubModel:
    """A model of the Hugging Face hub, at a commit.

    Parameters
    ----------
    name, what, licence : str
        Name on the command line, description and licence.
    size : int
        Bytes to download, roughly.
    model, revision : str
        Name in the hub and commit.
    files : tuple of str
        The files that are needed, where they are not those of transformers.
    digests : mapping of str to str or None
        SHA-256 digests of the weights at this commit, where they are known.
    is_gated : bool
        Whether the licence has to be accepted first.
    parts : tuple of HubModel
        What it needs of other models, in folders of their names in its own.
    """

    name: str
    what: str
    licence: str
    size: int
    model: str
    revision: str
    files: tuple[str, ...] = ()
    digests: Mapping[str, str] | None = None
    is_gated: bool = False
    parts: "tuple[HubModel, ...]" = ()

    @property
    def source(self) -> str:
        """Where it is from."""
        return f"{HUB}/{self.model} at {self.revision}"

    def place(self, home: Path) -> Path:
        """Return the folder of the model."""
        return home / "models" / self.name

    def is_there(self, home: Path) -> bool:
        """Tell whether it need not be downloaded."""
        return all(is_downloaded(x, one.files) for x, one in self._folders(home))

    def _folders(self, home: Path) -> "list[tuple[Path, HubModel]]":
        """Return the folders of its parts, then its own with the weights."""
        place = self.place(home)
        return [*((place / part.name, part) for part in self.parts), (place, self)]

    def at(self, revision: str) -> "HubModel":
        """Return it at another revision, in a folder of its own."""
        name = f"{self.name}-{revision.replace('/', '-')}"
        return replace(self, name=name, revision=revision, digests=None)

    def fetch(self, home: Path, progress: bool) -> None:
        """Download it."""
        for folder, one in self._folders(home):
            download_model(
                one.model,
                folder,
                revision=one.revision,
                files=one.files,
                digests=one.digests,
                progress=progress,
            )


@dataclass(frozen=True, kw_only=True)
class Files:
    """Files that are downloaded one by one.

    Parameters
    ----------
    name, what, licence : str
        Name on the command line, description and licence.
    size : int
        Bytes to download, roughly.
    source : str
        Page that has them.
    files : tuple of RemoteFile
        The files, in a folder of the data folder if there are several.
    """

    name: str
    what: str
    licence: str
    size: int
    source: str
    files: tuple[RemoteFile, ...]
    is_gated: bool = False

    def place(self, home: Path) -> Path:
        """Return the file, or the folder of the files."""
        path = home / self.files[0].filename
        return path if len(self.files) == 1 else path.parent

    def is_there(self, home: Path) -> bool:
        """Tell whether it need not be downloaded."""
        return all((home / file.filename).is_file() for file in self.files)

    def fetch(self, home: Path, progress: bool) -> None:
        """Download what is missing and verify all."""
        for file in self.files:
            fetch_file(file, home)


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A tar archive that is unpacked into a folder.

    Parameters
    ----------
    name, what, licence : str
        Name on the command line, description and licence.
    size : int or None
        Bytes to download, roughly; None where that is not known.
    source : str
        Page that tells about it.
    file : RemoteFile
        The archive. Its address is "" where only a person can download it.
    """

    name: str
    what: str
    licence: str
    size: int | None
    source: str
    file: RemoteFile
    is_gated: bool = False

    def place(self, home: Path) -> Path:
        """Return the folder that it is unpacked to."""
        return home / self.name

    def is_there(self, home: Path) -> bool:
        """Tell whether it need not be downloaded."""
        folder = self.place(home)
        return folder.is_dir() and any(folder.iterdir())

    def from_url(self, url: str) -> "Archive":
        """Return it from another address."""
        return replace(self, file=replace(self.file, url=url))

    def fetch(self, home: Path, progress: bool) -> None:
        """Download it, verify it and unpack it."""
        if self.is_there(home):
            return
        path = home / self.file.filename
        if not self.file.url and not path.is_file():
            raise FileNotFoundError(
                f"{self.name} has no address that a program can download from. Save "
                f"the archive that {self.source} links to as {path} by hand, or give "
                "an address of it with --url."
            )
        unpack_whole(fetch_file(self.file, home), self.place(home))


Download = HubModel | Files | Archive
