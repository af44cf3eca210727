"""The command `download`: the models and data of the experiments, listed or fetched."""

import sys
from collections.abc import Iterable, Sequence

from proxylm._nearest import nearest
from proxylm._remote import get_data_home
from proxylm.cli._catalogue import CATALOGUE
from proxylm.cli._downloads import Archive, Download, HubModel
from proxylm.cli._report import align

HEADINGS = ["name", "what", "size", "licence", "access", "place"]
RIGHT = (2,)
LARGE = 1_000_000_000


def _size(n_bytes: int | None) -> str:
    if n_bytes is None:
        return "unknown"
    unit, scale = ("GB", 1e9) if n_bytes >= LARGE else ("MB", 1e6)
    return f"{n_bytes / scale:.{2 if unit == 'GB' else 0}f} {unit}"


def _access(thing: Download) -> str:
    return "gated" if thing.is_gated else "open"


def list_downloads() -> None:
    """Print what can be downloaded, and what is there."""
    home = get_data_home()
    rows = [
        [
            *(thing.name, thing.what, _size(thing.size), thing.licence),
            _access(thing),
            str(thing.place(home)) if thing.is_there(home) else "not yet",
        ]
        for thing in CATALOGUE
    ]
    print(align([HEADINGS, *rows], RIGHT))


def _find(names: Iterable[str]) -> list[Download]:
    things = {thing.name: thing for thing in CATALOGUE}
    for name in names:
        if name not in things:
            raise ValueError(
                f"download expects names among {list(things)}. Got {name!r}."
                f"{nearest(name, things)}"
            )
    return [things[name] for name in dict.fromkeys(names)]


def _choose(
    names: Sequence[str], revision: str | None, url: str | None
) -> list[Download]:
    """Return what is to be downloaded, from where the options say."""
    things = _find(names)
    if revision is not None:
        others = [thing.name for thing in things if not isinstance(thing, HubModel)]
        if others:
            raise ValueError(f"--revision expects models. Got {', '.join(others)}.")
        things = [thing.at(revision) for thing in things]
    if url is not None:
        if len(things) > 1 or not isinstance(things[0], Archive):
            archives = [x.name for x in CATALOGUE if isinstance(x, Archive)]
            raise ValueError(
                f"--url expects one name among {archives}. Got {', '.join(names)}."
            )
        things = [things[0].from_url(url)]
    return things


def _check_consent(thing: Download) -> None:
    """Ask before much is downloaded, or what has a licence to accept."""
    reasons = [
        *(["gated"] if thing.is_gated else []),
        *([_size(thing.size)] if (thing.size or 0) > LARGE else []),
    ]
    if not reasons:
        return
    what = f"{thing.name} is {' and '.join(reasons)}"
    if sys.stdin is None or not sys.stdin.isatty():
        raise ValueError(f"{what}. Pass --yes to download it.")
    if input(f"{what}. Download it? [y/N] ").strip().lower() not in ("y", "yes"):
        raise ValueError(f"{what}, and was not downloaded.")


def download(
    names: Sequence[str],
    *,
    revision: str | None = None,
    url: str | None = None,
    yes: bool = False,
    progress: bool = True,
) -> None:
    """Download models and data that are not there yet."""
    home = get_data_home()
    things = _choose(names, revision, url)
    missing = [thing for thing in things if not thing.is_there(home)]
    for thing in missing:
        print(
            f"{thing.name}: {thing.what}; {_size(thing.size)}, licence "
            f"{thing.licence}, {_access(thing)}; {thing.source}"
        )
        if not yes:
            _check_consent(thing)
    for thing in things:
        try:
            thing.fetch(home, progress)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"Interrupted. What was downloaded is kept in {home}. Run the same "
                "command again to go on."
            ) from None
        verb = "is now in" if thing in missing else "was already in"
        print(f"{thing.name} {verb} {thing.place(home)}")
