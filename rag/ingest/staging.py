"""Where versions wait until they answer: contents, their chunks and vectors, written and removed.

A transaction takes many small documents, or a run of a large one's chunks: the disk is waited for
seldom, and nothing else that shares the database waits long.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    Table,
    and_,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
)
from sqlalchemy.exc import IntegrityError

from rag.ingest.blobs import THREAD, UPLOAD, WEB
from rag.ingest.parsed import GAP, Parsed, Segment
from rag.records import batches, embedded_text
from rag.schema import chunk, content, document, insert_for, passage, reading, vector, version

# What a transaction takes: a few milliseconds' worth, measured in tests/rag/ingest.
_MOST_ROWS = 500
_MOST_CHARACTERS = 500_000
_KEPT = or_(document.c.source.in_([UPLOAD, WEB]), document.c.source.startswith(THREAD))


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
class Draft:
    """A version that is to be staged for a document."""

    document_id: str
    extract: Extract
    chunks: Sequence[StagedChunk]
    taught_by: str | None = None


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

    def extracts(self, keys: Collection[str]) -> dict[str, Extract]:
        """Return what was extracted from contents, of those that ever were read, by key."""
        found: dict[str, Extract] = {}
        with self._reading.connect() as connection:
            for batch in batches(sorted(keys)):
                for row in connection.execute(select(content).where(content.c.key.in_(batch))):
                    found[row.key] = Extract(
                        row.key, row.blob, row.size, Parsed(_segments(row), row.pages)
                    )
        return found

    def stage(self, drafts: Sequence[Draft], *, splitter: str, embedder: str) -> list[str | None]:
        """Write down versions that don't answer yet.

        Returns their ids in order, None where the document was forgotten meanwhile.
        """
        keys = {draft.extract.key for draft in drafts}
        with self._reading.connect() as connection:
            settled = _answering(connection, keys, splitter)
            left = select(chunk.c.content).where(chunk.c.splitter == splitter).distinct()
            known = set(connection.scalars(left.where(chunk.c.content.in_(keys))))
        for key in known - settled:
            # What an interrupted reading left may have been cut otherwise.
            self._drain(chunk, chunk.c.content == key, chunk.c.splitter == splitter)
        staged: list[str | None] = []
        for pack in _packs(drafts):
            try:
                staged += self._write(pack, splitter, embedder, settled)
            except IntegrityError:
                for draft in pack:  # one of them was forgotten
                    try:
                        staged += self._write([draft], splitter, embedder, settled)
                    except IntegrityError:
                        staged.append(None)
        return staged

    def spans(
        self, keys: Collection[str], splitter: str
    ) -> dict[str, list[tuple[int, int, int | None, str | None]]]:
        """Return how the contents that answer somewhere were cut, in order, by key."""
        found: dict[str, list[tuple[int, int, int | None, str | None]]] = {}
        with self._reading.connect() as connection:
            for key in _answering(connection, keys, splitter):
                query = (
                    select(chunk.c.start, chunk.c.end, chunk.c.page, chunk.c.section)
                    .where(chunk.c.content == key, chunk.c.splitter == splitter)
                    .order_by(chunk.c.ordinal)
                )
                found[key] = [tuple(row) for row in connection.execute(query)]
        return found

    def discard(self, version_ids: Collection[str]) -> None:
        """Delete versions that don't answer, and what nothing else needs of theirs."""
        with self._reading.connect() as connection:
            rows = connection.execute(
                select(version).where(version.c.id.in_(list(version_ids)))
            ).all()
        for row in rows:
            # All but the last few rows in transactions of their own, the rest in one.
            self._drain(passage, passage.c.version == row.id, keep=_MOST_ROWS)
            same = version.c.content == row.content, version.c.splitter == row.splitter
            with self._engine.begin() as connection:
                connection.execute(delete(passage).where(passage.c.version == row.id))
                connection.execute(delete(version).where(version.c.id == row.id))
                needed = connection.scalar(select(exists().where(*same)))
            if not needed:
                self._discard_chunks(row.content, row.splitter)

    def sweep(self) -> None:
        """Delete what a crash in the middle of `discard` left: what no version needs."""
        same = version.c.content == chunk.c.content, version.c.splitter == chunk.c.splitter
        left = select(chunk.c.content, chunk.c.splitter).where(~exists().where(*same)).distinct()
        with self._reading.connect() as connection:
            chunked = connection.execute(left).all()
        for key, splitter in chunked:
            self._discard_chunks(key, splitter)
        uncited = ~exists().where(version.c.content == content.c.key)
        for key in self._values(select(content.c.key).where(uncited)):
            with self._engine.begin() as connection:
                connection.execute(delete(content).where(content.c.key == key, uncited))

    def unneeded(self) -> list[str]:
        """Return the versions that neither answer nor may still be finished."""
        query = (
            select(version.c.id)
            .join(document, document.c.id == version.c.document)
            .where(func.coalesce(document.c.live_version, "") != version.c.id)
            .where(func.coalesce(document.c.incoming, "") != version.c.content)
        )
        return self._values(query)

    def others(self, version_ids: Collection[str]) -> dict[str, list[str]]:
        """Return the other versions of the documents of some versions, by those."""
        other = version.alias()
        query = (
            select(version.c.id, other.c.id)
            .join(other, and_(other.c.document == version.c.document, other.c.id != version.c.id))
            .where(version.c.id.in_(list(version_ids)))
        )
        found: dict[str, list[str]] = {version_id: [] for version_id in version_ids}
        with self._reading.connect() as connection:
            for mine, another in connection.execute(query):
                found[mine].append(another)
        return found

    def row_ids(self, version_ids: Collection[str]) -> set[str]:
        """Return the index rows of some versions."""
        return set(
            self._values(select(passage.c.row_id).where(passage.c.version.in_(list(version_ids))))
        )

    def live_row_ids(self, embedder: str | None = None) -> set[str]:
        """Return the index rows that answer, of those that one embedder made, or of all."""
        query = select(passage.c.row_id).join(
            document, document.c.live_version == passage.c.version
        )
        if embedder is not None:
            query = query.join(version, version.c.id == passage.c.version)
            query = query.where(version.c.embedder == embedder)
        return set(self._values(query))

    def indexed(
        self, row_ids: Collection[str], embedder: str, *, answering: bool = True
    ) -> Iterator[list[IndexedChunk]]:
        """Yield in batches what the index needs of these rows, where they have a vector.

        `answering` leaves out versions that another embedder answers for.
        """
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
                               vector.c.embedder == embedder))
        )  # fmt: skip
        if answering:
            query = query.where(version.c.embedder == embedder)
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

    def blobs(self) -> set[str]:
        """Return the blobs that are needed: of what was sent, answering or still to be read."""
        return set(
            self._values(
                select(content.c.blob)
                .join(version, version.c.content == content.c.key)
                .join(document, document.c.id == version.c.document)
                .where(_KEPT)
            )
        ) | {
            key.partition("#")[0]
            for key in self._values(
                select(document.c.incoming).where(_KEPT, document.c.incoming.is_not(None))
            )
        }

    def needs_blob(self, blob: str) -> bool:
        """Tell whether what was sent, answering or still to be read, needs a blob."""
        kept = (
            exists()
            .where(content.c.blob == blob, version.c.content == content.c.key)
            .where(document.c.id == version.c.document, _KEPT)
        )
        waits = exists().where(_KEPT, document.c.incoming.startswith(f"{blob}#", autoescape=True))
        with self._reading.connect() as connection:
            return bool(connection.scalar(select(or_(kept, waits))))

    def _write(
        self, pack: Sequence[Draft], splitter: str, embedder: str, settled: set[str]
    ) -> list[str | None]:
        """Stage a pack's drafts in one transaction; the rest of a large one's follows in more."""
        now = self._clock().isoformat()
        ids = [uuid.uuid4().hex for _ in pack]
        new: dict[str, Draft] = {}
        for draft in pack:  # the same bytes twice have the same chunks
            if draft.extract.key not in settled:
                new.setdefault(draft.extract.key, draft)
        with self._engine.begin() as connection:
            connection.execute(
                insert_for(connection, content).on_conflict_do_nothing(),
                [_content_row(draft.extract) for draft in pack],
            )
            live = (
                select(document.c.id, version.c.number)
                .join(version, document.c.live_version == version.c.id)
                .where(document.c.id.in_([draft.document_id for draft in pack]))
            )
            numbers = {row.id: row.number for row in connection.execute(live)}
            connection.execute(
                insert(version),
                [
                    {
                        "id": version_id,
                        "document": draft.document_id,
                        "content": draft.extract.key,
                        "splitter": splitter,
                        "embedder": embedder,
                        "number": numbers.get(draft.document_id, 0) + 1,
                        "chunks": len(draft.chunks),
                        "taught_by": draft.taught_by,
                        "indexed_at": now,
                    }
                    for version_id, draft in zip(ids, pack, strict=True)
                ],
            )
            _add_chunks(connection, splitter, new, 0)
            _add_passages(connection, ids, pack, 0)
        longest = max(len(draft.chunks) for draft in pack)
        for start in range(_MOST_ROWS, longest, _MOST_ROWS):
            with self._engine.begin() as connection:
                _add_chunks(connection, splitter, new, start)
                _add_passages(connection, ids, pack, start)
        settled |= new.keys()
        return list(ids)

    def _discard_chunks(self, key: str, splitter: str) -> None:
        here = chunk.c.content == key, chunk.c.splitter == splitter
        hashes = sorted(set(self._values(select(chunk.c.text_hash).where(*here))))
        self._drain(chunk, *here, keep=_MOST_ROWS)
        used = exists().where(chunk.c.text_hash == vector.c.text_hash)
        first, *rest = [list(batch) for batch in batches(hashes)] or [[]]
        with self._engine.begin() as connection:
            connection.execute(delete(chunk).where(*here))
            connection.execute(delete(vector).where(vector.c.text_hash.in_(first), ~used))
            cited = exists().where(version.c.content == content.c.key)
            connection.execute(delete(content).where(content.c.key == key, ~cited))
        for batch in rest:
            with self._engine.begin() as connection:
                connection.execute(delete(vector).where(vector.c.text_hash.in_(batch), ~used))

    def _drain(self, table: Table, *here: ColumnElement[bool], keep: int = 0) -> None:
        """Delete rows in order of their ordinal, some at a time; all, or all but the last few."""
        some = select(table.c.ordinal).where(*here).order_by(table.c.ordinal)
        while len(ordinals := self._values(some.limit(_MOST_ROWS + keep))) > keep:
            with self._engine.begin() as connection:
                connection.execute(
                    delete(table).where(*here, table.c.ordinal.in_(ordinals[:_MOST_ROWS]))
                )

    def _values(self, query: Any) -> list[Any]:
        with self._reading.connect() as connection:
            return list(connection.scalars(query))


def _answering(connection: Connection, keys: Collection[str], splitter: str) -> set[str]:
    """Return the contents that a live version has with this splitter."""
    query = (
        select(version.c.content)
        .join(document, document.c.live_version == version.c.id)
        .where(version.c.content.in_(list(keys)), version.c.splitter == splitter)
    )
    return set(connection.scalars(query))


def _packs(drafts: Sequence[Draft]) -> Iterator[list[Draft]]:
    """Cut drafts into runs that fit one transaction; a large one is alone."""
    pack: list[Draft] = []
    rows = characters = 0
    for draft in drafts:
        length = len(draft.extract.parsed.text)
        if pack and (
            rows + len(draft.chunks) > _MOST_ROWS or characters + length > _MOST_CHARACTERS
        ):
            yield pack
            pack, rows, characters = [], 0, 0
        pack.append(draft)
        rows += len(draft.chunks)
        characters += length
    if pack:
        yield pack


def _add_chunks(
    connection: Connection, splitter: str, drafts: Mapping[str, Draft], start: int
) -> None:
    rows = [
        _chunk_row(staged, key, splitter)
        for key, draft in drafts.items()
        for staged in draft.chunks[start : start + _MOST_ROWS]
    ]
    if rows:
        connection.execute(insert(chunk), rows)


def _add_passages(
    connection: Connection, ids: Sequence[str], drafts: Sequence[Draft], start: int
) -> None:
    rows = [
        {"version": version_id, "ordinal": staged.ordinal, "row_id": staged.row_id}
        for version_id, draft in zip(ids, drafts, strict=True)
        for staged in draft.chunks[start : start + _MOST_ROWS]
    ]
    if rows:
        connection.execute(insert(passage), rows)


def _segments(row: Row[Any]) -> tuple[Segment, ...]:
    segments, at = [], 0
    for length, page, section in row.segments:
        segments.append(Segment(row.text[at : at + length], page, section))
        at += length + len(GAP)
    return tuple(segments)


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
