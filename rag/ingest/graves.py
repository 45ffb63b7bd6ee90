"""What was forgotten on purpose: it stays so, and nothing of it stays in a file."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Engine, and_, delete, exists, select

from rag.ingest.standing import Address
from rag.schema import add_to_counter, counter, forgotten, insert_for, reading, tombstone

_UNERASED = "unerased"


class Graves:
    """Remembers which bytes were forgotten where, and what is still to be erased."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = reading(engine)

    def bury(self, address: Address, sha256: str) -> None:
        """Leave a tombstone at an address, so that these bytes stay forgotten there."""
        row = {
            "scope": address.scope,
            "source": address.source,
            "name": address.name,
            "sha256": sha256,
        }
        with self._engine.begin() as connection:
            connection.execute(
                insert_for(connection, tombstone).on_conflict_do_update(
                    index_elements=["scope", "source", "name"], set_={"sha256": sha256}
                ),
                row,
            )

    def buried(self, found: Sequence[tuple[Address, str]]) -> set[Address]:
        """Return at which addresses bytes were forgotten; other bytes lift the tombstone."""
        buried: set[Address] = set()
        graves: dict[tuple[str, str], dict[str, str]] = {}
        with self._reading.connect() as connection:
            for place in {(address.scope, address.source) for address, _ in found}:
                here = tombstone.c.scope == place[0], tombstone.c.source == place[1]
                rows = connection.execute(select(tombstone.c.name, tombstone.c.sha256).where(*here))
                graves[place] = {row.name: row.sha256 for row in rows}
        for address, sha256 in found:
            here_lie = graves[address.scope, address.source]
            if here_lie.get(address.name, sha256) != sha256:
                self.unbury(address)
            # Whatever the file's name is now: renaming it is no reason to remember.
            if sha256 in here_lie.values():
                buried.add(address)
        return buried

    def is_grave(self, address: Address) -> bool:
        """Tell whether the document of an address was forgotten on purpose."""
        with self._reading.connect() as connection:
            return connection.scalar(select(exists().where(_at(address)))) is True

    def unbury(self, address: Address) -> None:
        """Lift the tombstone at an address, if there is one."""
        with self._engine.begin() as connection:
            connection.execute(delete(tombstone).where(_at(address)))

    def enter(self, document_id: str) -> None:
        """Note that a document is forgotten for good: no backup brings it back."""
        with self._engine.begin() as connection:
            row = {"document": document_id}
            connection.execute(insert_for(connection, forgotten).on_conflict_do_nothing(), row)
            add_to_counter(connection, _UNERASED, 1)

    def unerased(self) -> int:
        """Return of how many forgotten documents something may be left in the index's files."""
        query = select(counter.c.value).where(counter.c.name == _UNERASED)
        with self._reading.connect() as connection:
            return connection.scalar(query) or 0

    def erased(self, count: int) -> None:
        """Note that nothing is left of so many forgotten documents."""
        with self._engine.begin() as connection:
            add_to_counter(connection, _UNERASED, -count)

    def scrub(self) -> bool:
        """Empty SQLite's write-ahead log, where deleted text would linger; False if it is busy."""
        if self._engine.dialect.name != "sqlite":
            return True
        connection = self._engine.raw_connection()
        try:
            (busy, *_) = connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            connection.close()
        return not busy


def _at(address: Address) -> ColumnElement[bool]:
    return and_(
        tombstone.c.scope == address.scope,
        tombstone.c.source == address.source,
        tombstone.c.name == address.name,
    )
