"""What is known, and who may see it: the reading side of the database.

The vector index only proposes row ids; which of them are live, and visible to whoever asks, is
decided here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from sqlalchemy import Column, Engine, Row, and_, bindparam, func, or_, select

from rag import queries
from rag.audience import Audience
from rag.errors import DocumentCode, TeamglmError
from rag.language import Language
from rag.schema import chunk, content, document, passage, reading, tally, term, vector, version

State = Literal["waiting", "reading", "ready", "failed"]

_T = TypeVar("_T")
_BATCH = 500
# Characters: a title, and the line that says who decided it and when.
_OPENING = 240


class DocumentUnknown(TeamglmError):
    """No document of that name or id that this audience may see."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"There is no document {reference!r}.")
        self.reference = reference


class DocumentAmbiguous(TeamglmError):
    """A name that several documents bear; `ids` are theirs."""

    def __init__(self, reference: str, ids: Sequence[str]) -> None:
        super().__init__(
            f"{reference!r} is the name of {len(ids)} documents: use an id ({', '.join(ids)})."
        )
        self.reference = reference
        self.ids = tuple(ids)


@dataclass(frozen=True, slots=True)
class Passage:
    """A live chunk of a document: `text` is `start:end` of the document's text, in code points."""

    row_id: str
    document_id: str
    document: str
    scope: str
    ordinal: int
    text: str
    start: int
    end: int
    page: int | None
    section: str | None
    language: Language


Candidate = tuple[Passage, npt.NDArray[np.float32] | None]
"""A passage and its vector, if this embedder has made one."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How a document begins, which tells its title, its date and its version."""

    document_id: str
    document: str
    section: str | None
    text: str


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """What is known of a document; the numbers are those of the version that answers."""

    id: str
    document: str
    scope: str
    source: str
    version: int | None
    chunks: int
    bytes: int
    pages: int | None
    indexed_at: str | None
    """ISO 8601 in UTC, as is `taught_at`."""
    taught_by: str | None
    taught_at: str
    state: State
    code: DocumentCode | None
    message: str | None
    done: int | None = None
    """While the document is being read: how many of its `total` passages are embedded."""
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Original:
    """The bytes that a document's text was read from, and where they came from."""

    document_id: str
    source: str
    name: str
    blob: str
    """Their SHA-256, with the file's extension."""


_ORIGINAL = (document.c.id, document.c.source, document.c.name, content.c.blob)


class Records:
    """The database's reading side: safe from any thread, each call one short transaction."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._reading = reading(engine)
        # What every question asks is built once: that takes longer than running it.
        scopes: Any = bindparam("scopes", expanding=True)
        ids: Any = bindparam("ids", expanding=True)
        state = select(func.sum(tally.c.passages), func.sum(tally.c.generation))
        self._state = state.where(tally.c.scope.in_(scopes))
        often = select(term.c.id, func.sum(term.c.frequency)).group_by(term.c.id)
        self._often = often.where(term.c.scope.in_(scopes), term.c.id.in_(ids))

    def passages(self, row_ids: Sequence[str], audience: Audience) -> dict[str, Passage]:
        """Return those of the rows that are live and visible, by row id."""
        found: dict[str, Passage] = {}
        with self._reading.connect() as connection:
            for batch in batches(row_ids):
                query = queries.passages(audience).where(passage.c.row_id.in_(batch))
                found.update((row.row_id, Passage(*row)) for row in connection.execute(query))
        return found

    def passages_of(self, document_id: str, audience: Audience) -> list[Passage]:
        """Return a document's live passages in order; raise `DocumentUnknown`."""
        query = queries.passages(audience).where(document.c.id == document_id)
        with self._reading.connect() as connection:
            rows = connection.execute(query.order_by(passage.c.ordinal)).all()
        if not rows:
            raise DocumentUnknown(document_id)
        return [Passage(*row) for row in rows]

    def neighbours(
        self, document_id: str, ordinals: Collection[int], audience: Audience
    ) -> dict[int, Passage]:
        """Return those of a document's live passages that are visible, by their ordinal."""
        query = queries.passages(audience).where(
            document.c.id == document_id, passage.c.ordinal.in_(sorted(ordinals))
        )
        with self._reading.connect() as connection:
            return {row.ordinal: Passage(*row) for row in connection.execute(query)}

    def openings(self, audience: Audience) -> list[Opening]:
        """Return how each visible document begins that answers now."""
        beginning = func.substr(chunk.c.text, 1, _OPENING)
        columns = select(document.c.id, document.c.name, chunk.c.section, beginning)
        query = queries.live(columns, queries.visible(audience)).where(passage.c.ordinal == 0)
        with self._reading.connect() as connection:
            return [Opening(*row) for row in connection.execute(query)]

    def text_of(self, document_id: str, audience: Audience) -> str:
        """Return the text that a document's offsets count in; raise `DocumentUnknown`."""
        return str(self._content(document_id, audience, content.c.text).text)

    def original(self, document_id: str, audience: Audience) -> Original:
        """Return which bytes a document's text was read from; raise `DocumentUnknown`."""
        row = self._content(document_id, audience, *_ORIGINAL)
        return Original(row.id, row.source, row.name, row.blob)

    def _content(self, document_id: str, audience: Audience, *columns: Column[Any]) -> Row[Any]:
        """Return columns of what answers of a document; raise `DocumentUnknown`."""
        query = (
            select(*columns)
            .join_from(document, version, document.c.live_version == version.c.id)
            .join(content, version.c.content == content.c.key)
            .where(document.c.id == document_id, queries.visible(audience))
        )
        with self._reading.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise DocumentUnknown(document_id)
        return row

    def frequencies(self, term_ids: Collection[int], audience: Audience) -> dict[int, int]:
        """Return in how many visible live passages each term occurs; others are left out."""
        found: dict[int, int] = {}
        with self._reading.connect() as connection:
            for batch in batches(sorted(term_ids)):
                rows = connection.execute(self._often, {"ids": batch, "scopes": audience.scopes})
                found.update((term_id, int(frequency)) for term_id, frequency in rows)
        return found

    def passage_count(self, audience: Audience) -> int:
        """Return how many visible passages are live."""
        return self.state(audience)[0]

    def generation(self, audience: Audience) -> int:
        """Return a number that grows whenever a visible document begins or ceases to answer."""
        return self.state(audience)[1]

    def state(self, audience: Audience) -> tuple[int, int]:
        """Return how many visible passages are live, and the generation that they are of."""
        with self._reading.connect() as connection:
            row = connection.execute(self._state, {"scopes": audience.scopes}).one()
            return int(row[0] or 0), int(row[1] or 0)

    def sample_vectors(
        self, audience: Audience, language: Language, embedder: str, limit: int, seed: int = 0
    ) -> npt.NDArray[np.float32]:
        """Return up to `limit` vectors of visible live passages in a language, one a row.

        Row ids are hashes, so a run of them from a point that the seed chooses is a fair sample;
        the same records and seed give the same one.
        """
        start = hashlib.sha256(str(seed).encode()).hexdigest()
        same_text = and_(vector.c.text_hash == chunk.c.text_hash, vector.c.embedder == embedder)
        query = (
            queries.live(select(vector.c.value), queries.visible(audience))
            .join(vector, same_text)
            .where(chunk.c.language == language)
            .order_by(passage.c.row_id)
        )
        with self._reading.connect() as connection:
            values = list(connection.scalars(query.where(passage.c.row_id >= start).limit(limit)))
            if len(values) < limit:
                rest = query.where(passage.c.row_id < start).limit(limit - len(values))
                values.extend(connection.scalars(rest))
        if not values:
            return np.empty((0, 0), np.float32)
        return np.stack([np.frombuffer(value, np.float32) for value in values])

    def candidates(
        self, row_ids: Sequence[str], audience: Audience, embedder: str
    ) -> dict[str, Candidate]:
        """Return those of the rows that are live and visible, with their vectors, by row id."""
        found: dict[str, Candidate] = {}
        with self._reading.connect() as connection:
            for batch in batches(row_ids):
                asked = {"rows": batch, "embedder": embedder}
                for *row, value in connection.execute(queries.candidates(audience), asked):
                    stored = None if value is None else np.frombuffer(value, np.float32)
                    found[row[0]] = Passage(*row), stored
        return found

    def find_document(self, reference: str, audience: Audience) -> DocumentRecord:
        """Return the document of that id, name or, last, file name without its folder.

        What the audience may not see is `DocumentUnknown` like what isn't there; a name of several
        visible documents is `DocumentAmbiguous`.
        """
        known = self.sources(audience)
        for matches in (
            [record for record in known if record.id == reference],
            [record for record in known if record.document == reference],
            [record for record in known if record.document.rpartition("/")[2] == reference],
        ):
            if len(matches) > 1:
                raise DocumentAmbiguous(reference, [record.id for record in matches])
            if matches:
                return matches[0]
        raise DocumentUnknown(reference)

    def sources(self, audience: Audience) -> list[DocumentRecord]:
        """Return every visible document by name, also those that wait, are read or failed."""
        query = (
            select(
                document, version.c.number, version.c.chunks, version.c.indexed_at, content.c.size,
                content.c.pages,
            )
            .outerjoin(version, version.c.id == document.c.live_version)
            .outerjoin(content, content.c.key == version.c.content)
            .where(queries.visible(audience))
            .order_by(document.c.name, document.c.scope, document.c.id)
        )  # fmt: skip
        with self._reading.connect() as connection:
            rows = connection.execute(query).all()
            progress = {
                row.document: (row.done, row.total)
                for row in connection.execute(queries.progress())
            }
        return [_record(row, *progress.get(row.id, (None, None))) for row in rows]

    def originals(self, suffixes: Collection[str], audience: Audience) -> list[Original]:
        """Return those of the visible documents whose file ends so (".csv"), by name."""
        ends = [content.c.blob.endswith(suffix, autoescape=True) for suffix in suffixes]
        query = (
            select(*_ORIGINAL)
            .join(version, version.c.id == document.c.live_version)
            .join(content, content.c.key == version.c.content)
            .where(queries.visible(audience), or_(*ends))
            .order_by(document.c.name, document.c.scope, document.c.id)
        )
        with self._reading.connect() as connection:
            return [Original(*row) for row in connection.execute(query)]

    def known(self, names: Collection[str], audience: Audience) -> set[str]:
        """Return those of the names that a visible document bears."""
        found: set[str] = set()
        with self._reading.connect() as connection:
            for batch in batches(sorted(names)):
                query = select(document.c.name).where(queries.visible(audience))
                found.update(connection.scalars(query.where(document.c.name.in_(batch))))
        return found

    def embedder(self) -> str | None:
        """Return the key of the embedding model that most of what answers was embedded with."""
        query = (
            select(version.c.embedder)
            .join(document, document.c.live_version == version.c.id)
            .group_by(version.c.embedder)
            .order_by(func.count().desc())
        )
        with self._reading.connect() as connection:
            return connection.scalar(query.limit(1))

    def document_count(self, audience: Audience) -> int:
        """Return how many visible documents answer questions now."""
        query = select(func.count()).select_from(document)
        query = query.where(queries.visible(audience), document.c.live_version.is_not(None))
        with self._reading.connect() as connection:
            return int(connection.scalar(query) or 0)

    def left_out(self, audience: Audience) -> list[str]:
        """Return the ids of the documents that only the choice of folders keeps from answering."""
        if audience.folders is None:
            return []
        query = select(document.c.id).where(
            document.c.scope.in_(audience.scopes), queries.left_out(audience.folders)
        )
        with self._reading.connect() as connection:
            return list(connection.scalars(query))

    def knows_any(self, audience: Audience) -> bool:
        """Tell whether `sources` would list a document."""
        query = select(document.c.id).where(queries.visible(audience)).limit(1)
        with self._reading.connect() as connection:
            return connection.scalar(query) is not None


def embedded_text(section: str | None, text: str) -> str:
    """Return what is embedded and matched for a passage: its text behind its heading path."""
    return f"{section}\n{text}" if section else text


def batches(items: Sequence[_T], size: int = _BATCH) -> Iterator[Sequence[_T]]:
    """Cut a sequence into runs that fit a statement and a short transaction."""
    return (items[start : start + size] for start in range(0, len(items), size))


def _record(row: Row[Any], done: int | None, total: int | None) -> DocumentRecord:
    return DocumentRecord(
        id=row.id,
        document=row.name,
        scope=row.scope,
        source=row.source,
        version=row.number,
        chunks=row.chunks or 0,
        bytes=row.size or 0,
        pages=row.pages,
        indexed_at=row.indexed_at,
        taught_by=row.taught_by,
        taught_at=row.created_at,
        state=row.state,
        code=DocumentCode(row.code) if row.code else None,
        message=row.message,
        done=done,
        total=total,
    )
