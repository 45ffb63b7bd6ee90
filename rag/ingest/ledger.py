"""Which documents there are and which version of each answers: the records' writing side.

Transactions are short, so that nothing else that shares the database waits; the one that flips a
document's live version is what people's questions see.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, Table, and_, delete, func, select, update

from rag.errors import DocumentCode
from rag.ingest.staging import insert_for
from rag.ingest.terms import TermCounts, add_to_counter
from rag.records import FORGOTTEN
from rag.schema import content, document, reading, tombstone, version


@dataclass(frozen=True, slots=True)
class Address:
    """What names a document: the same address is the same document."""

    scope: str
    source: str
    name: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How a document stands: what is on its way in or failed, and what answers."""

    id: str
    address: Address
    state: str
    incoming: str | None
    code: DocumentCode | None
    message: str | None
    version: str | None
    number: int
    content: str | None
    splitter: str | None
    embedder: str | None
    chunks: int
    pages: int | None


class Ledger:
    """Writes which documents there are; safe from any thread."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reading = reading(engine)
        self._clock = clock
        self._terms = TermCounts(engine)

    def standing(self, document_id: str) -> Standing | None:
        """Return how a document stands, None if there is none."""
        return next(iter(self._standings(document.c.id == document_id)), None)

    def standings(self, source: str | None = None) -> list[Standing]:
        """Return how the documents of a source, or all, stand, by name."""
        return self._standings(
            document.c.source == source if source else document.c.source != FORGOTTEN
        )

    def taught_by(self, user: str) -> list[str]:
        """Return the ids of the documents that a person taught."""
        return self._ids(document.c.taught_by == user)

    def forgotten(self) -> list[str]:
        """Return the ids of the documents whose removal was interrupted."""
        return self._ids(document.c.source == FORGOTTEN)

    def admit(self, address: Address, taught_by: str | None) -> Standing:
        """Return how the document of an address stands; a new one waits."""
        for standing in self._standings(_at(document, address)):
            return standing
        now = self._clock().isoformat()
        row = {
            "id": uuid.uuid4().hex,
            "scope": address.scope,
            "source": address.source,
            "name": address.name,
            "state": "waiting",
            "taught_by": taught_by,
            "created_at": now,
            "updated_at": now,
        }
        with self._engine.begin() as connection:
            connection.execute(insert_for(connection, document).on_conflict_do_nothing(), row)
        (standing,) = self._standings(_at(document, address))
        return standing

    def note(
        self,
        document_id: str,
        state: str,
        incoming: str | None = None,
        code: DocumentCode | None = None,
        message: str | None = None,
    ) -> None:
        """Write down what becomes of a document; the version that answers stays."""
        with self._engine.begin() as connection:
            connection.execute(
                update(document)
                .where(document.c.id == document_id, document.c.source != FORGOTTEN)
                .values(
                    state=state,
                    incoming=incoming,
                    code=code,
                    message=message,
                    updated_at=self._clock().isoformat(),
                )
            )

    def rename(self, document_id: str, name: str) -> None:
        """Give a document another name; its id and all that is known of it stay."""
        with self._engine.begin() as connection:
            connection.execute(
                update(document)
                .where(document.c.id == document_id)
                .values(name=name, updated_at=self._clock().isoformat())
            )

    def publish(self, version_id: str) -> bool:
        """Let a staged version answer instead of the one before; False if it was forgotten."""
        with self._reading.connect() as connection:
            row = connection.execute(
                select(document.c.id, document.c.live_version)
                .join(version, version.c.document == document.c.id)
                .where(version.c.id == version_id, document.c.source != FORGOTTEN)
            ).first()
        if row is None:
            return False
        ready = {"state": "ready", "incoming": None, "code": None, "message": None}
        return self._flip(row.id, row.live_version, version_id, ready)

    def hide(self, document_id: str, *, bury: bool) -> None:
        """Let a document answer no more and free its address.

        `bury` leaves a tombstone, so that a watched file's bytes stay forgotten.
        """
        freed = {
            "source": FORGOTTEN,
            "name": document_id,
            "taught_by": None,
            "incoming": None,
            "code": None,
            "message": None,
        }
        while (standing := self.standing(document_id)) is not None:
            known = standing.incoming or standing.content
            if bury and known:
                self._bury(standing.address, known[:64])
            # False if another version was published just now.
            if self._flip(document_id, standing.version, None, freed):
                return

    def remove(self, document_id: str) -> None:
        """Delete a hidden document whose versions are gone."""
        with self._engine.begin() as connection:
            connection.execute(delete(document).where(document.c.id == document_id))

    def versions(self, document_id: str) -> dict[str, int]:
        """Return the ids of a document's versions, and how many chunks each has."""
        query = select(version.c.id, version.c.chunks).where(version.c.document == document_id)
        with self._reading.connect() as connection:
            return {row.id: row.chunks for row in connection.execute(query)}

    def is_buried(self, address: Address, sha256: str) -> bool:
        """Tell whether these bytes were forgotten here; other bytes lift the tombstone."""
        query = select(tombstone.c.name, tombstone.c.sha256).where(
            tombstone.c.scope == address.scope, tombstone.c.source == address.source
        )
        with self._reading.connect() as connection:
            graves = connection.execute(query).all()
        if any(grave.name == address.name and grave.sha256 != sha256 for grave in graves):
            with self._engine.begin() as connection:
                connection.execute(delete(tombstone).where(_at(tombstone, address)))
        # Whatever the file's name is now: renaming it is no reason to remember.
        return any(grave.sha256 == sha256 for grave in graves)

    def recover(self) -> None:
        """Put right what a crash left: half-counted terms, documents said to be read just now."""
        self._terms.recount()
        with self._engine.begin() as connection:
            connection.execute(
                update(document).where(document.c.state == "reading").values(state="waiting")
            )

    def scrub(self) -> None:
        """Empty SQLite's write-ahead log, where deleted text would linger."""
        if self._engine.dialect.name == "sqlite":
            connection = self._engine.raw_connection()
            try:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                connection.close()

    def _flip(
        self, document_id: str, old: str | None, new: str | None, values: Mapping[str, Any]
    ) -> bool:
        changes = self._terms.changes(old, new)  # outside the transaction: it takes a while
        now = self._clock().isoformat()
        is_old = document.c.live_version == old if old else document.c.live_version.is_(None)
        with self._engine.begin() as connection:
            flipped = connection.execute(
                update(document)
                .where(document.c.id == document_id, document.c.source != FORGOTTEN, is_old)
                .values(live_version=new, updated_at=now, **values)
            )
            if flipped.rowcount == 0:
                return False
            connection.execute(update(version).where(version.c.id == new).values(indexed_at=now))
            counts = select(version.c.id, version.c.chunks).where(version.c.id.in_([old, new]))
            sizes = {row.id: row.chunks for row in connection.execute(counts)}
            add_to_counter(connection, "generation", 1)
            add_to_counter(connection, "passages", sizes.get(new, 0) - sizes.get(old, 0))
            rest = self._terms.begin(connection, changes)
        self._terms.finish(rest)
        return True

    def _bury(self, address: Address, sha256: str) -> None:
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

    def _ids(self, condition: ColumnElement[bool]) -> list[str]:
        with self._reading.connect() as connection:
            return list(connection.scalars(select(document.c.id).where(condition)))

    def _standings(self, condition: ColumnElement[bool]) -> list[Standing]:
        query = (
            select(
                document,
                func.coalesce(version.c.number, 0).label("number"),
                version.c.content,
                version.c.splitter,
                version.c.embedder,
                func.coalesce(version.c.chunks, 0).label("chunks"),
                content.c.pages,
            )
            .outerjoin(version, version.c.id == document.c.live_version)
            .outerjoin(content, content.c.key == version.c.content)
            .where(condition, document.c.source != FORGOTTEN)
            .order_by(document.c.name, document.c.id)
        )
        with self._reading.connect() as connection:
            return [
                Standing(
                    id=row.id,
                    address=Address(row.scope, row.source, row.name),
                    state=row.state,
                    incoming=row.incoming,
                    code=DocumentCode(row.code) if row.code else None,
                    message=row.message,
                    version=row.live_version,
                    number=row.number,
                    content=row.content,
                    splitter=row.splitter,
                    embedder=row.embedder,
                    chunks=row.chunks,
                    pages=row.pages,
                )
                for row in connection.execute(query)
            ]


def _at(table: Table, address: Address) -> ColumnElement[bool]:
    return and_(
        table.c.scope == address.scope,
        table.c.source == address.source,
        table.c.name == address.name,
    )
