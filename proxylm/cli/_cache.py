"""The command `cache`: what a cache of scores keeps, and what is removed from it."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from proxylm.cli._report import align
from proxylm.lm._cache import FILENAME, ScoreCache

HEADINGS = ["id", "model", "task", "dtype", "texts", "MB", "last used"]
RIGHT = (0, 4, 5)


def _format(kept: pd.DataFrame) -> str:
    """Return what is kept as a table for a terminal."""
    rows = [
        [
            str(row.id),
            *(str(row.signature.get(key, "")) for key in ("model", "task", "dtype")),
            f"{row.n_texts:,}",
            f"{row.n_bytes / 1e6:,.1f}",
            f"{row.used.floor('s').to_pydatetime().astimezone():%Y-%m-%d %H:%M}",
        ]
        for row in kept.itertuples()
    ]
    return align([HEADINGS, *rows], RIGHT)


def _chosen(
    kept: pd.DataFrame, ids: str | Sequence[int] | None, days: float | None
) -> list[int]:
    """Return the ids to remove."""
    if ids == "all":
        return kept["id"].tolist()
    if days is not None:
        limit = pd.Timestamp.now("UTC") - pd.Timedelta(days=days)
        return kept.loc[kept["used"] < limit, "id"].tolist()
    unknown = sorted({*(ids or ())} - {*kept["id"]})
    if unknown:
        raise ValueError(
            f"--prune expects ids among {sorted(kept['id'])}, or all. Got {unknown}. "
            "Without an option the command lists them."
        )
    return list(ids or ())


def show_cache(
    folder: Path, ids: str | Sequence[int] | None, days: float | None
) -> None:
    """Print what a cache keeps, after what is asked for was removed."""
    if not (folder / FILENAME).is_file():
        raise FileNotFoundError(
            f"{folder} is expected to be the folder of a cache. It has no {FILENAME}. "
            "Give the folder of --cache, or the cache_dir of ProxyScorer."
        )
    with ScoreCache(folder) as cache:
        if ids is not None or days is not None:
            chosen = _chosen(cache.summary(), ids, days)
            print(f"Removed {cache.prune(chosen):,} texts.")
        kept = cache.summary()
    print(_format(kept) if len(kept) else f"{folder} keeps no scores.")
