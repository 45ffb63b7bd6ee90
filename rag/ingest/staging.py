"""Where versions wait until they answer: contents, their chunks and vectors, written and removed.

Transactions are short, so that nothing else that shares the database waits.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Table,
    and_,
    delete,
    exists,
    func,
    insert,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from rag.ingest.parsed import GAP, Parsed, Segment
from rag.records import batches, embedded_text
from rag.schema import chunk, content, document, passage, reading, vector, version


@dataclass(frozen=True, slots=True)
class Extract:
    """What was extracted from some bytes; `key` names the bytes, their kind and the parser."""

    key: str
    blob: str
    size: int
    parsed: Parsed


@dataclass(frozen=True, slots=True)
class StagedChunk:
    """A chunk, and the id of its row in the index for the document that it is staged for."""

    row_id: str
    ordinal: int
    start: int
    end: int
    page: int | None
    section: str | None
    language: str
    text: str
    text_hash: str


@dataclass(frozen=True, slots=True)
class IndexedChunk:
    """What the index is made from: a chunk of a document, with its vector."""

    row_id: str
    document_id: str
    scope: str
    language: str
    ordinal: int
    embedded: str
    vector: bytes


class Staging:
    """Versions on their way in and out; callers serialise `stage` and `discard`."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reading = reading(engine)
        self._clock = clock

    def extract(self, key: str) -> Extract | None:
        """Return what was extracted from a content, if it ever was."""
        with self._reading.connect() as connection:
            row = connection.execute(select(content).where(content.c.key == key)).first()
        if row is None:
            return None
        segments, at = [], 0
        for length, page, section in row.segments:
            segments.append(Segment(row.text[at : at + length], page, section))
            at += length + len(GAP)
        return Extract(key, row.blob, row.size, Parsed(tuple(segments), row.pages))

    def stage(
        self,
        document_id: str,
        extract: Extract,
        chunks: Sequence[StagedChunk],
        *,
        splitter: str,
        embedder: str,
    ) -> str:
        """Write down a version that doesn't answer yet and return its id."""
        version_id, key = uuid.uuid4().hex, extract.key
        with self._reading.connect() as connection:
            settled = _answers(connection, key, splitter)
        if not settled:
            # What an interrupted reading left may have been cut otherwise.
            self._drain(chunk, chunk.c.content == key, chunk.c.splitter == splitter)
        first, *rest = batches(chunks)
        with self._engine.begin() as connection:
            connection.execute(
                insert_for(connection, content).on_conflict_do_nothing(), _content_row(extract)
            )
            number = connection.scalar(
                select(func.max(version.c.number))
                .join(document, document.c.live_version == version.c.id)
                .where(document.c.id == document_id)
            )
            row = {
                "id": version_id,
                "document": document_id,
                "content": key,
                "splitter": splitter,
                "embedder": embedder,
                "number": (number or 0) + 1,
                "chunks": len(chunks),
                "indexed_at": self._clock().isoformat(),
            }
            connection.execute(insert(version), row)
            _add_passages(connection, version_id, key, None if settled else splitter, first)
        for batch in rest:
            with self._engine.begin() as connection:
                _add_passages(connection, version_id, key, None if settled else splitter, batch)
        return version_id

    def spans(self, key: str, splitter: str) -> list[tuple[int, int, int | None, str | None]]:
        """Return how a content that answers somewhere was cut, in order; else nothing."""
        query = (
            select(chunk.c.start, chunk.c.end, chunk.c.page, chunk.c.section)
            .where(chunk.c.content == key, chunk.c.splitter == splitter)
            .order_by(chunk.c.ordinal)
        )
        with self._reading.connect() as connection:
            if not _answers(connection, key, splitter):
                return []
            return [
                (row.start, row.end, row.page, row.section) for row in connection.execute(query)
            ]

    def discard(self, version_ids: Iterable[str]) -> None:
        """Delete versions that don't answer, and what nothing else needs of theirs."""
        for version_id in version_ids:
            with self._reading.connect() as connection:
                row = connection.execute(select(version).where(version.c.id == version_id)).first()
            if row is None:
                continue
            self._drain(passage, passage.c.version == version_id)
            same = version.c.content == row.content, version.c.splitter == row.splitter
            with self._engine.begin() as connection:
                connection.execute(delete(version).where(version.c.id == version_id))
                needed = connection.scalar(select(exists().where(*same)))
            if not needed:
                self._discard_chunks(row.content, row.splitter)
            with self._engine.begin() as connection:
                used = exists().where(version.c.content == content.c.key)
                connection.execute(delete(content).where(content.c.key == row.content, ~used))

    def unneeded(self) -> list[str]:
        """Return the versions that neither answer nor may still be finished."""
        query = (
            select(version.c.id)
            .join(document, document.c.id == version.c.document)
            .where(func.coalesce(document.c.live_version, "") != version.c.id)
            .where(func.coalesce(document.c.incoming, "") != version.c.content)
        )
        return self._values(query)

    def others(self, version_id: str) -> list[str]:
        """Return the other versions of a version's document."""
        mine = select(version.c.document).where(version.c.id == version_id).scalar_subquery()
        latest = version.alias()
        query = select(latest.c.id).where(latest.c.document == mine, latest.c.id != version_id)
        return self._values(query)

    def row_ids(self, version_ids: Collection[str]) -> set[str]:
        """Return the index rows of some versions."""
        return set(
            self._values(select(passage.c.row_id).where(passage.c.version.in_(list(version_ids))))
        )

    def live_row_ids(self, embedder: str) -> set[str]:
        """Return the index rows that answer, of those that one embedder made."""
        query = (
            select(passage.c.row_id)
            .join(document, document.c.live_version == passage.c.version)
            .join(version, version.c.id == passage.c.version)
            .where(version.c.embedder == embedder)
        )
        return set(self._values(query))

    def indexed(self, row_ids: Collection[str], embedder: str) -> Iterator[list[IndexedChunk]]:
        """Yield in batches what the index needs of these rows, where they have a vector."""
        query = (
            select(
                passage.c.row_id, version.c.document, document.c.scope, chunk.c.language,
                passage.c.ordinal, chunk.c.section, chunk.c.text, vector.c.value,
            )
            .join(version, version.c.id == passage.c.version)
            .join(document, document.c.id == version.c.document)
            .join(chunk, and_(chunk.c.content == version.c.content,
                              chunk.c.splitter == version.c.splitter,
                              chunk.c.ordinal == passage.c.ordinal))
            .join(vector, and_(vector.c.text_hash == chunk.c.text_hash,
                               vector.c.embedder == version.c.embedder))
            .where(version.c.embedder == embedder)
        )  # fmt: skip
        for batch in batches(sorted(row_ids)):
            with self._reading.connect() as connection:
                rows = connection.execute(query.where(passage.c.row_id.in_(batch))).all()
            # Two versions of a document share the rows that didn't change.
            found = {
                row.row_id: IndexedChunk(
                    row.row_id, row.document, row.scope, row.language, row.ordinal,
                    embedded_text(row.section, row.text), row.value,
                )
                for row in rows
            }  # fmt: skip
            yield list(found.values())

    def with_vectors(self, text_hashes: Collection[str], embedder: str) -> set[str]:
        """Return those of the texts that have a vector."""
        found: set[str] = set()
        for batch in batches(sorted(text_hashes)):
            query = select(vector.c.text_hash).where(vector.c.embedder == embedder)
            found.update(self._values(query.where(vector.c.text_hash.in_(batch))))
        return found

    def keep_vectors(self, vectors: Mapping[str, bytes], embedder: str) -> None:
        """Keep float32 vectors by the hash of their text."""
        with self._engine.begin() as connection:
            connection.execute(
                insert_for(connection, vector).on_conflict_do_nothing(),
                [{"text_hash": text_hash, "embedder": embedder, "value": value}
                 for text_hash, value in vectors.items()],
            )  # fmt: skip

    def blobs(self) -> set[str]:
        """Return the blobs that are needed: uploads' contents, and files that wait to be read."""
        return set(
            self._values(
                select(content.c.blob)
                .join(version, version.c.content == content.c.key)
                .join(document, document.c.id == version.c.document)
                .where(document.c.source == "upload")
            )
        ) | {
            key.partition("#")[0]
            for key in self._values(
                select(document.c.incoming).where(
                    document.c.source == "upload", document.c.incoming.is_not(None)
                )
            )
        }

    def prune_vectors(self) -> None:
        """Delete the vectors of texts that no chunk has any more."""
        used = exists().where(chunk.c.text_hash == vector.c.text_hash)
        while unused := self._values(select(vector.c.text_hash).where(~used).limit(500)):
            with self._engine.begin() as connection:
                connection.execute(delete(vector).where(vector.c.text_hash.in_(unused), ~used))

    def _discard_chunks(self, key: str, splitter: str) -> None:
        here = chunk.c.content == key, chunk.c.splitter == splitter
        hashes = sorted(set(self._values(select(chunk.c.text_hash).where(*here))))
        self._drain(chunk, *here)
        for batch in batches(hashes):
            used = exists().where(chunk.c.text_hash == vector.c.text_hash)
            with self._engine.begin() as connection:
                connection.execute(
                    delete(vector).where(vector.c.text_hash.in_(batch), ~used)
                )  # fmt: skip

    def _drain(self, table: Table, *here: ColumnElement[bool]) -> None:
        """Delete rows in order of their ordinal, some at a time."""
        some = select(table.c.ordinal).where(*here).order_by(table.c.ordinal).limit(500)
        while ordinals := self._values(some):
            with self._engine.begin() as connection:
                connection.execute(delete(table).where(*here, table.c.ordinal.in_(ordinals)))

    def _values(self, query: Any) -> list[Any]:
        with self._reading.connect() as connection:
            return list(connection.scalars(query))


def insert_for(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an insert that can say what to do about a row that is there already."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def _answers(connection: Connection, key: str, splitter: str) -> bool:
    query = (
        select(version.c.id)
        .join(document, document.c.live_version == version.c.id)
        .where(version.c.content == key, version.c.splitter == splitter)
    )
    return connection.scalar(query.limit(1)) is not None


def _add_passages(
    connection: Connection,
    version_id: str,
    key: str,
    splitter: str | None,
    chunks: Sequence[StagedChunk],
) -> None:
    """Add a version's passages, and unless `splitter` is None the chunks that they are of."""
    if splitter is not None:
        connection.execute(insert(chunk), [_chunk_row(c, key, splitter) for c in chunks])
    connection.execute(
        insert(passage),
        [{"version": version_id, "ordinal": c.ordinal, "row_id": c.row_id} for c in chunks],
    )


def _content_row(extract: Extract) -> dict[str, Any]:
    segments = extract.parsed.segments
    return {
        "key": extract.key,
        "blob": extract.blob,
        "size": extract.size,
        "text": extract.parsed.text,
        "pages": extract.parsed.pages,
        "segments": [[len(part.text), part.page, part.section] for part in segments],
    }


def _chunk_row(staged: StagedChunk, key: str, splitter: str) -> dict[str, Any]:
    return {
        "content": key,
        "splitter": splitter,
        "ordinal": staged.ordinal,
        "start": staged.start,
        "end": staged.end,
        "page": staged.page,
        "section": staged.section,
        "language": staged.language,
        "text": staged.text,
        "text_hash": staged.text_hash,
    }
