"""In how many live passages of each scope a term occurs: kept up to date as versions change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, Engine, and_, delete, func, select, update

from rag.keywords import passage_weights
from rag.records import batches, embedded_text
from rag.schema import (
    add_to_counter,
    chunk,
    counter,
    document,
    insert_for,
    passage,
    reading,
    tally,
    term,
    version,
)

_BATCH = 2000

Change = tuple[str, int, int]
"""A scope, a term's id, and by how much its count changes."""


class TermCounts:
    """Document frequencies over the live passages.

    A change of up to 2,000 terms is part of the transaction that flips a version; what is more
    follows in short ones, and `recount` makes good a crash between them.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = reading(engine)

    def changes(self, old: str | None, new: str | None) -> dict[int, int]:
        """Return by how much each term's count changes when `new` answers instead of `old`."""
        (changes,) = self.changes_of([(old, new)])
        return changes

    def changes_of(
        self, flips: Sequence[tuple[str | None, str | None]]
    ) -> Iterator[dict[int, int]]:
        """Yield the changes of each flip of an old version to a new one."""
        texts = self._texts([version for flip in flips for version in flip if version])
        for old, new in flips:
            before, after = texts.get(old or "", {}), texts.get(new or "", {})
            changes: Counter[int] = Counter()
            for row_id in after.keys() - before.keys():
                changes.update(passage_weights(after[row_id]).keys())
            for row_id in before.keys() - after.keys():
                changes.subtract(passage_weights(before[row_id]).keys())
            yield {term_id: changes[term_id] for term_id in sorted(changes) if changes[term_id]}

    def begin(self, connection: Connection, changes: Sequence[Change]) -> Sequence[Change]:
        """Count what fits a flip's transaction and return the rest for `finish`."""
        self._apply(connection, changes[:_BATCH])
        if changes[_BATCH:]:
            add_to_counter(connection, "uncounted", 1)
        return changes[_BATCH:]

    def finish(self, rest: Sequence[Change]) -> None:
        """Count what `begin` left over."""
        for batch in batches(rest, _BATCH):
            with self._engine.begin() as connection:
                self._apply(connection, batch)
        if rest:
            with self._engine.begin() as connection:
                add_to_counter(connection, "uncounted", -1)

    def recount(self) -> None:
        """Count everything again if a crash left the counts half changed."""
        uncounted = select(counter.c.value).where(counter.c.name == "uncounted")
        with self._reading.connect() as connection:
            pending = connection.scalar(uncounted)
            if not pending:
                return
            live = connection.execute(
                select(document.c.scope, document.c.live_version).where(
                    document.c.live_version.is_not(None)
                )
            ).all()
        while self._drop_some():
            pass
        totals: Counter[tuple[str, int]] = Counter()
        for scope, version_id in live:
            changes = self.changes(None, version_id)
            totals.update({(scope, term_id): n for term_id, n in changes.items()})
        for batch in batches([(*which, n) for which, n in sorted(totals.items())], _BATCH):
            with self._engine.begin() as connection:
                self._apply(connection, batch)
        passages = (
            select(func.coalesce(func.sum(version.c.chunks), 0))
            .join(document, document.c.live_version == version.c.id)
            .where(document.c.scope == tally.c.scope)
        )
        with self._engine.begin() as connection:
            connection.execute(update(tally).values(passages=passages.scalar_subquery()))
            add_to_counter(connection, "uncounted", -pending)

    def _texts(self, version_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        """Return the texts of versions' passages by row id."""
        query = (
            select(version.c.id, passage.c.row_id, chunk.c.section, chunk.c.text)
            .join(version, version.c.id == passage.c.version)
            .join(
                chunk,
                and_(
                    chunk.c.content == version.c.content,
                    chunk.c.splitter == version.c.splitter,
                    chunk.c.ordinal == passage.c.ordinal,
                ),
            )
            .where(version.c.id.in_(version_ids))
        )
        found: dict[str, dict[str, str]] = {}
        with self._reading.connect() as connection:
            for row in connection.execute(query):
                found.setdefault(row.id, {})[row.row_id] = embedded_text(row.section, row.text)
        return found

    def _apply(self, connection: Connection, changes: Sequence[Change]) -> None:
        if not changes:
            return
        new = insert_for(connection, term)
        connection.execute(
            new.on_conflict_do_update(
                index_elements=["id", "scope"],
                set_={"frequency": term.c.frequency + new.excluded.frequency},
            ),
            [
                {"id": term_id, "scope": scope, "frequency": change}
                for scope, term_id, change in changes
            ],
        )
        fewer = [term_id for _, term_id, change in changes if change < 0]
        if fewer:
            connection.execute(delete(term).where(term.c.id.in_(fewer), term.c.frequency < 1))

    def _drop_some(self) -> bool:
        with self._engine.begin() as connection:
            some = connection.scalars(select(term.c.id).limit(_BATCH)).all()
            connection.execute(delete(term).where(term.c.id.in_(some)))
        return bool(some)
