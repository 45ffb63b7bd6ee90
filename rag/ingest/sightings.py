"""What scans saw of files, so that the next one reads only those that may have changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, delete, select

from rag.records import batches
from rag.schema import insert_for, reading, seen

# Some file systems keep times by two seconds: a file may change within them unnoticed.
_MARGIN_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Sighting:
    """A file as a scan saw it: its metadata, when the scan began, and its bytes' blob name."""

    stamp: str
    seen_ns: int
    blob: str

    def still_holds(self, status: os.stat_result) -> bool:
        """Tell whether a file with this metadata must have the same bytes; in doubt it need not."""
        latest = max(status.st_mtime_ns, status.st_ctime_ns)
        return self.stamp == stamp(status) and latest + _MARGIN_NS < self.seen_ns


def stamp(status: os.stat_result) -> str:
    """Return the metadata that changes with a file, one way or another."""
    # The change time tells where somebody put an old modification time back.
    return (
        f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"
        f":{status.st_ino}:{status.st_dev}"
    )


class Sightings:
    """Remembers what scans saw, by source and path."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = reading(engine)

    def of(self, source: str, paths: Sequence[str]) -> dict[str, Sighting]:
        """Return what was seen of some of a source's files."""
        found: dict[str, Sighting] = {}
        with self._reading.connect() as connection:
            for batch in batches(paths):
                here = seen.c.source == source, seen.c.path.in_(batch)
                for row in connection.execute(select(seen).where(*here)):
                    found[row.path] = Sighting(row.stamp, row.seen_ns, row.blob)
        return found

    def paths(self, source: str) -> Iterator[list[str]]:
        """Yield the paths of what was seen of a source, some at a time."""
        query = select(seen.c.path).where(seen.c.source == source).order_by(seen.c.path).limit(500)
        last = ""  # the folder itself, which is no file
        while True:
            with self._reading.connect() as connection:
                paths = list(connection.scalars(query.where(seen.c.path > last)))
            if not paths:
                return
            yield paths
            last = paths[-1]

    def oldest(self, source: str, before_ns: int, limit: int) -> set[str]:
        """Return the paths whose bytes were looked at longest ago, and before some time."""
        query = (
            select(seen.c.path)
            .where(seen.c.source == source, seen.c.path != "", seen.c.seen_ns < before_ns)
            .order_by(seen.c.seen_ns)
            .limit(limit)
        )
        with self._reading.connect() as connection:
            return set(connection.scalars(query))

    def note(self, source: str, sightings: Mapping[str, Sighting]) -> None:
        """Remember files as they were seen."""
        for batch in batches(list(sightings.items())):
            with self._engine.begin() as connection:
                new = insert_for(connection, seen)
                connection.execute(
                    new.on_conflict_do_update(
                        index_elements=["source", "path"],
                        set_={name: new.excluded[name] for name in ("stamp", "seen_ns", "blob")},
                    ),
                    [
                        {
                            "source": source,
                            "path": path,
                            "stamp": sighting.stamp,
                            "seen_ns": sighting.seen_ns,
                            "blob": sighting.blob,
                        }
                        for path, sighting in batch
                    ],
                )

    def drop(self, source: str, paths: Iterable[str]) -> None:
        """Forget about files that are gone."""
        for batch in batches(sorted(paths)):
            with self._engine.begin() as connection:
                connection.execute(
                    delete(seen).where(seen.c.source == source, seen.c.path.in_(batch))
                )
