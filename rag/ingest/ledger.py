"""Which documents there are and which version of each answers: the records' writing side.

Transactions are short, so that nothing else that shares the database waits; the one that flips a
document's live version is what people's questions see.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Engine,
    Update,
    and_,
    bindparam,
    delete,
    func,
    select,
    update,
)

from rag.errors import DocumentCode
from rag.ingest.graves import Graves
from rag.ingest.standing import Address, Known, Standing
from rag.ingest.terms import Change, TermCounts
from rag.records import batches
from rag.schema import (
    FORGOTTEN,
    add_to_tally,
    content,
    document,
    insert_for,
    reading,
    version,
)

_PAGE = 500


@dataclass(frozen=True, slots=True)
class _Flip:
    """A document whose live version is `old` and shall be `new`."""

    document: str
    scope: str
    old: str | None
    new: str | None


class Ledger:
    """Writes which documents there are; safe from any thread."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reading = reading(engine)
        self._clock = clock
        self._terms = TermCounts(engine)
        self.graves = Graves(engine)
        """What was forgotten on purpose."""

    def standing(self, document_id: str) -> Standing | None:
        """Return how a document stands, None if there is none."""
        return next(iter(self._standings(document.c.id == document_id)), None)

    def standings(self, source: str | None = None) -> Iterator[Standing]:
        """Yield how the documents of a source, or all, stand, by id."""
        within = document.c.source == source if source else document.c.source != FORGOTTEN
        last = ""
        while page := self._standings(and_(within, document.c.id > last), _PAGE):
            yield from page
            last = page[-1].id

    def known(self, source: str) -> Iterator[Known]:
        """Yield the documents of a source, by id."""
        query = (
            select(document.c.id, document.c.scope, document.c.name, version.c.content)
            .outerjoin(version, version.c.id == document.c.live_version)
            .where(document.c.source == source)
            .order_by(document.c.id)
            .limit(_PAGE)
        )
        last = ""
        while True:
            with self._reading.connect() as connection:
                page = [
                    Known(*row) for row in connection.execute(query.where(document.c.id > last))
                ]
            if not page:
                return
            yield from page
            last = page[-1].id

    def answering(
        self, scope: str, source: str, names: Sequence[str], *, splitter: str, embedder: str
    ) -> dict[str, str]:
        """Return the contents that documents answer from, made with these, by name.

        One that failed since, or waits, is left out.
        """
        query = (
            select(document.c.name, version.c.content)
            .join(version, version.c.id == document.c.live_version)
            .where(document.c.scope == scope, document.c.source == source)
            .where(document.c.state == "ready")
            .where(version.c.splitter == splitter, version.c.embedder == embedder)
        )
        found: dict[str, str] = {}
        with self._reading.connect() as connection:
            for batch in batches(names):
                rows = connection.execute(query.where(document.c.name.in_(batch)))
                found.update((name, key) for name, key in rows)
        return found

    def passages(self, source: str, scope: str) -> int:
        """Return how many passages of a source's documents answer."""
        live = document.c.live_version == version.c.id
        here = document.c.source == source, document.c.scope == scope
        with self._reading.connect() as connection:
            return connection.scalar(select(func.sum(version.c.chunks)).where(live, *here)) or 0

    def taught_by(self, user: str) -> list[Standing]:
        """Return how the documents that a person taught stand, by name."""
        return self._standings(document.c.taught_by == user)

    def forgotten(self) -> list[str]:
        """Return the ids of the documents whose removal was interrupted."""
        return self._ids(document.c.source == FORGOTTEN)

    def admit(self, admissions: Sequence[tuple[Address, str | None]]) -> list[Standing]:
        """Return how the documents of addresses stand; a new one waits, with who taught it."""
        known = self.at(address for address, _ in admissions)
        now = self._clock().isoformat()
        rows = [
            {
                "id": uuid.uuid4().hex,
                "scope": address.scope,
                "source": address.source,
                "name": address.name,
                "state": "waiting",
                "taught_by": taught_by,
                "created_at": now,
                "updated_at": now,
            }
            for address, taught_by in admissions
            if address not in known
        ]
        if rows:
            with self._engine.begin() as connection:
                connection.execute(insert_for(connection, document).on_conflict_do_nothing(), rows)
            known |= self.at({address for address, _ in admissions} - known.keys())
        return [known[address] for address, _ in admissions]

    def note(
        self,
        document_id: str,
        state: str,
        incoming: str | None = None,
        code: DocumentCode | None = None,
        message: str | None = None,
    ) -> None:
        """Write down what becomes of a document; the version that answers stays."""
        self._note({document_id: incoming}, state, code, message)

    def read(self, incoming: Mapping[str, str]) -> None:
        """Write down that documents are being read, and the content of each."""
        self._note(incoming, "reading")

    def rename(self, document_id: str, name: str) -> None:
        """Give a document another name; its id and all that is known of it stay."""
        renamed = update(document).where(document.c.id == document_id).returning(document.c.scope)
        now = self._clock().isoformat()
        with self._engine.begin() as connection:
            scopes = connection.scalars(renamed.values(name=name, updated_at=now))
            for scope in scopes.all():  # it is found by its name, too
                add_to_tally(connection, {scope: 0})

    def publish(self, version_ids: Collection[str]) -> set[str]:
        """Let staged versions answer instead of those before; return which weren't forgotten."""
        query = (
            select(
                document.c.id,
                document.c.scope,
                document.c.live_version,
                version.c.id.label("version"),
            )
            .join(version, version.c.document == document.c.id)
            .where(version.c.id.in_(list(version_ids)), document.c.source != FORGOTTEN)
        )
        with self._reading.connect() as connection:
            rows = connection.execute(query).all()
        ready = {"state": "ready", "incoming": None, "code": None, "message": None}
        flips = [_Flip(row.id, row.scope, row.live_version, row.version) for row in rows]
        flipped = self._flip(flips, ready)
        return {flip.new for flip in flipped if flip.new}

    def hide(self, document_id: str, *, bury: bool, for_good: bool = False) -> None:
        """Let a document answer no more and free its address.

        `bury` leaves a tombstone, so that a watched file's bytes stay forgotten; `for_good` notes
        its id, so that no backup brings it back.
        """
        if for_good:
            self.graves.enter(document_id)
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
                self.graves.bury(standing.address, known[:64])
            # False if another version was published just now.
            flip = _Flip(document_id, standing.address.scope, standing.version, None)
            if self._flip([flip], freed):
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

    def recover(self) -> None:
        """Put right what a crash left: half-counted terms, documents said to be read just now."""
        self._terms.recount()
        with self._engine.begin() as connection:
            connection.execute(
                update(document).where(document.c.state == "reading").values(state="waiting")
            )

    def _note(
        self,
        incoming: Mapping[str, str | None],
        state: str,
        code: DocumentCode | None = None,
        message: str | None = None,
    ) -> None:
        if not incoming:
            return
        statement = (
            update(document)
            .where(document.c.id == bindparam("of"), document.c.source != FORGOTTEN)
            .values(
                state=state,
                incoming=bindparam("content"),
                code=code,
                message=message,
                updated_at=self._clock().isoformat(),
            )
        )
        with self._engine.begin() as connection:
            connection.execute(
                statement, [{"of": known, "content": key} for known, key in incoming.items()]
            )

    def _flip(self, flips: Sequence[_Flip], values: Mapping[str, Any]) -> list[_Flip]:
        """Let versions answer instead of others in one transaction; return which flips held."""
        # Outside the transaction: it takes a while.
        changes = dict(
            zip(flips, self._terms.changes_of([(f.old, f.new) for f in flips]), strict=True)
        )
        now = self._clock().isoformat()
        versions = [v for flip in flips for v in (flip.old, flip.new) if v]
        turning = _turning(values)
        rest: Sequence[Change] = ()
        with self._engine.begin() as connection:
            held = [
                flip
                for flip in flips
                if connection.execute(
                    turning, {"of": flip.document, "old": flip.old, "new": flip.new, "now": now}
                ).rowcount
            ]
            if not held:
                return []
            new = [flip.new for flip in held if flip.new]
            connection.execute(update(version).where(version.c.id.in_(new)).values(indexed_at=now))
            query = select(version.c.id, version.c.chunks).where(version.c.id.in_(versions))
            sizes = {row.id: row.chunks for row in connection.execute(query)}
            added: Counter[str] = Counter()
            totals: Counter[tuple[str, int]] = Counter()
            for flip in held:
                added[flip.scope] += sizes.get(flip.new or "", 0) - sizes.get(flip.old or "", 0)
                totals.update({(flip.scope, term): n for term, n in changes[flip].items()})
            add_to_tally(connection, added)
            rest = self._terms.begin(
                connection, [(*which, totals[which]) for which in sorted(totals) if totals[which]]
            )
        self._terms.finish(rest)
        return held

    def at(self, addresses: Iterable[Address]) -> dict[Address, Standing]:
        """Return how the documents of addresses stand, where there are any."""
        names: dict[tuple[str, str], list[str]] = {}
        for address in addresses:
            names.setdefault((address.scope, address.source), []).append(address.name)
        found: dict[Address, Standing] = {}
        for (scope, source), here in names.items():
            for batch in batches(here):
                for standing in self._standings(
                    and_(
                        document.c.scope == scope,
                        document.c.source == source,
                        document.c.name.in_(batch),
                    )
                ):
                    found[standing.address] = standing
        return found

    def _ids(self, condition: ColumnElement[bool]) -> list[str]:
        with self._reading.connect() as connection:
            return list(connection.scalars(select(document.c.id).where(condition)))

    def _standings(
        self, condition: ColumnElement[bool], limit: int | None = None
    ) -> list[Standing]:
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
            .order_by(document.c.id if limit else document.c.name)
            .limit(limit)
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
                    taught_by=row.taught_by,
                )
                for row in connection.execute(query)
            ]


def _turning(values: Mapping[str, Any]) -> Update:
    """Return the statement that lets a version answer, or none, where `old` answers now."""
    taught = select(version.c.taught_by).where(version.c.id == bindparam("new")).scalar_subquery()
    return (
        update(document)
        .where(document.c.id == bindparam("of"), document.c.source != FORGOTTEN)
        .where(document.c.live_version.is_not_distinct_from(bindparam("old")))
        .values(
            live_version=bindparam("new"),
            updated_at=bindparam("now"),
            # Who taught what answers now; nobody, where it is forgotten.
            **{"taught_by": func.coalesce(taught, document.c.taught_by), **values},
        )
    )
