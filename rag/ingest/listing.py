"""What a scan of a folder found, on disk, so that no folder is too large to be scanned."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Changed:
    """A file that must be learned, with its blob where it could be read."""

    name: str
    path: Path
    stamp: str
    weight: int
    blob: str | None
    answered: bool
    """Whether a document of this name answered already."""


class Listing:
    """A scratch database that goes when it is closed; for one thread."""

    def __init__(self) -> None:
        # A database without a name is a file of SQLite's own, which it uses when memory runs out.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(
            """
            CREATE TABLE found (name TEXT PRIMARY KEY) WITHOUT ROWID;
            CREATE TABLE changed (
                name TEXT PRIMARY KEY, path BLOB, stamp TEXT, weight INTEGER, blob TEXT, answered
            );
            CREATE TABLE gone (id TEXT PRIMARY KEY, sha256 TEXT);
            CREATE INDEX gone_by_sha256 ON gone (sha256);
            """
        )

    def close(self) -> None:
        """Remove all of it."""
        self._database.close()

    def found(self, names: Iterable[str]) -> None:
        """Note that files are there."""
        self._many("INSERT OR IGNORE INTO found VALUES (?)", [(name,) for name in names])

    def missing(self, names: Collection[str]) -> set[str]:
        """Return those of the names, a few hundred at most, that no file has."""
        marks = ",".join("?" * len(names))
        rows = self._database.execute(f"SELECT name FROM found WHERE name IN ({marks})", [*names])  # noqa: S608
        return set(names) - {name for (name,) in rows}

    def is_empty(self) -> bool:
        """Tell whether no file was found."""
        return self._database.execute("SELECT 1 FROM found LIMIT 1").fetchone() is None

    def change(self, files: Iterable[Changed]) -> None:
        """Note that files must be learned."""
        self._many(
            "INSERT OR REPLACE INTO changed VALUES (?, ?, ?, ?, ?, ?)",
            [
                (f.name, os.fsencode(f.path), f.stamp, f.weight, f.blob, f.answered)
                for f in files
            ],
        )  # fmt: skip

    def learned(self, name: str) -> None:
        """Note that a file needn't be learned after all."""
        self._database.execute("DELETE FROM changed WHERE name = ?", [name])

    def changes(self) -> Iterator[Changed]:
        """Yield the files that must be learned, by name; more may be noted meanwhile."""
        last = ""
        query = "SELECT * FROM changed WHERE name > ? ORDER BY name LIMIT ?"
        while rows := self._database.execute(query, [last, _BATCH]).fetchall():
            for name, path, stamp, weight, blob, answered in rows:
                yield Changed(name, Path(os.fsdecode(path)), stamp, weight, blob, bool(answered))
            last = rows[-1][0]

    def amount(self) -> tuple[int, int]:
        """Return how many files must be learned, and what they weigh together."""
        query = "SELECT count(*), coalesce(sum(weight), 0) FROM changed"
        count, weight = self._database.execute(query).fetchone()
        return count, weight

    def lose(self, documents: Iterable[tuple[str, str]]) -> None:
        """Note documents whose file is gone, each by its id and the hash of its bytes."""
        self._many("INSERT OR REPLACE INTO gone VALUES (?, ?)", list(documents))

    def regain(self, sha256: str) -> str | None:
        """Return a document whose file is gone and had these bytes, which is then gone no more."""
        query = "DELETE FROM gone WHERE id = (SELECT id FROM gone WHERE sha256 = ? LIMIT 1)"
        row = self._database.execute(f"{query} RETURNING id", [sha256]).fetchone()
        return row[0] if row else None

    def lost(self) -> Iterator[str]:
        """Yield the documents whose file is gone."""
        yield from (i for (i,) in self._database.execute("SELECT id FROM gone ORDER BY rowid"))

    def _many(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        self._database.execute("BEGIN")
        self._database.executemany(statement, rows)
        self._database.execute("COMMIT")
