"""The cache of scores: a SQLite file that several processes may share."""

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from ._encoding import Item

FILENAME = "scores.sqlite"
BUSY_SECONDS = 60.0
# SQLite takes so many values in a question.
ASKED_AT_ONCE = 500
SCHEMA = """
CREATE TABLE IF NOT EXISTS signatures (
    id INTEGER PRIMARY KEY,
    signature TEXT NOT NULL UNIQUE,
    created REAL NOT NULL,
    used REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS results (
    signature INTEGER NOT NULL REFERENCES signatures(id) ON DELETE CASCADE,
    item BLOB NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (signature, item)
) WITHOUT ROWID;
"""


def item_key(item: Item) -> bytes:
    """Return a digest of what is scored."""
    digest = hashlib.blake2b(digest_size=16)
    for part in item:
        data = b"" if part is None else part.encode()
        digest.update(b"%d:%b" % (-1 if part is None else len(data), data))
    return digest.digest()


def _as_text(signature: Mapping[str, Any]) -> str:
    return json.dumps(signature, sort_keys=True, ensure_ascii=False)


class ScoreCache:
    """Scores by what was scored and how.

    Parameters
    ----------
    folder : str or path-like
        Made where it is missing.
    """

    def __init__(self, folder: str | os.PathLike):
        self.path = Path(folder).expanduser() / FILENAME
        with self._errors():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                self.path, timeout=BUSY_SECONDS, isolation_level=None
            )
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute("PRAGMA foreign_keys=ON")
            self._connection.executescript(SCHEMA)

    def __enter__(self) -> "ScoreCache":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def _errors(self):
        """Turn errors of SQLite into errors that say what to do."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise OSError(
                f"The cache {self.path} could not be used: {error}. Scores that were "
                "written before are kept. Free some space there, or pass another "
                "cache_dir."
            ) from error
        except sqlite3.DatabaseError as error:
            raise OSError(
                f"The cache {self.path} is damaged or no cache: {error}. Delete the "
                "file, whose scores are then computed anew, or pass another cache_dir."
            ) from error

    def find_signature(self, signature: Mapping[str, Any]) -> int | None:
        """Return the number of a signature and note its use; None of one unknown."""
        with self._errors():
            found = self._connection.execute(
                "UPDATE signatures SET used = ? WHERE signature = ? RETURNING id",
                (time.time(), _as_text(signature)),
            ).fetchall()
        return found[0][0] if found else None

    def signature_id(self, signature: Mapping[str, Any]) -> int:
        """Return the number of a signature, new or known, and note its use."""
        now = time.time()
        with self._errors():
            ((number,),) = self._connection.execute(
                "INSERT INTO signatures (signature, created, used) VALUES (?, ?, ?) "
                "ON CONFLICT (signature) DO UPDATE SET used = excluded.used "
                "RETURNING id",
                (_as_text(signature), now, now),
            ).fetchall()
        return number

    def get(self, signature: int, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the values of those keys that are there."""
        found: dict[bytes, bytes] = {}
        with self._errors():
            for start in range(0, len(keys), ASKED_AT_ONCE):
                part = keys[start : start + ASKED_AT_ONCE]
                marks = ",".join("?" * len(part))
                found |= self._connection.execute(
                    "SELECT item, value FROM results WHERE signature = ? "
                    f"AND item IN ({marks})",
                    (signature, *part),
                ).fetchall()
        return found

    def put(self, signature: int, values: Iterable[tuple[bytes, bytes]]) -> None:
        """Write values in one transaction."""
        rows = [(signature, key, value) for key, value in values]
        with self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(
                    "INSERT OR REPLACE INTO results VALUES (?, ?, ?)", rows
                )
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def summary(self) -> pd.DataFrame:
        """Return what is kept: a row per signature, those used last first."""
        with self._errors():
            rows = self._connection.execute(
                "SELECT id, signatures.signature, created, used, COUNT(item), "
                "COALESCE(SUM(LENGTH(value) + LENGTH(item)), 0) FROM signatures "
                "JOIN results ON results.signature = id "
                "GROUP BY id ORDER BY used DESC"
            ).fetchall()
        names = ["id", "signature", "created", "used", "n_texts", "n_bytes"]
        frame = pd.DataFrame(rows, columns=names)
        for name in ("created", "used"):
            frame[name] = pd.to_datetime(frame[name], unit="s", utc=True)
        frame["signature"] = [json.loads(text) for text in frame["signature"]]
        return frame

    def prune(self, signatures: Iterable[int]) -> int:
        """Remove the scores of signatures; return how many texts there were."""
        removed = 0
        with self._errors():
            for number in signatures:
                removed += self._connection.execute(
                    "DELETE FROM results WHERE signature = ?", (number,)
                ).rowcount
                self._connection.execute(
                    "DELETE FROM signatures WHERE id = ?", (number,)
                )
            self._connection.execute("VACUUM")
        return removed
