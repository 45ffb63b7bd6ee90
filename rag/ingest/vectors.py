"""The vectors of texts, each kept once by the text's hash and the embedder that made it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Engine, and_, delete, exists, func, select, update

from rag.records import batches
from rag.schema import (
    chunk,
    document,
    insert_for,
    reading,
    tally,
    vector,
    version,
)

_MOST_ROWS = 500


class Vectors:
    """Which texts have a vector; safe from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = reading(engine)

    def known(self, text_hashes: Collection[str], embedder: str) -> set[str]:
        """Return those of the texts that have a vector."""
        found: set[str] = set()
        for batch in batches(sorted(text_hashes)):
            query = select(vector.c.text_hash).where(vector.c.embedder == embedder)
            found.update(self._values(query.where(vector.c.text_hash.in_(batch))))
        return found

    def keep(self, vectors: Mapping[str, bytes], embedder: str) -> None:
        """Keep float32 vectors by the hash of their text."""
        with self._engine.begin() as connection:
            connection.execute(
                insert_for(connection, vector).on_conflict_do_nothing(),
                [{"text_hash": text_hash, "embedder": embedder, "value": value}
                 for text_hash, value in vectors.items()],
            )  # fmt: skip

    def prune(self) -> None:
        """Delete the vectors of texts that no chunk has any more."""
        used = exists().where(chunk.c.text_hash == vector.c.text_hash)
        while unused := self._values(select(vector.c.text_hash).where(~used).limit(500)):
            with self._engine.begin() as connection:
                connection.execute(delete(vector).where(vector.c.text_hash.in_(unused), ~used))

    def unembedded(self, embedder: str) -> tuple[list[str], int]:
        """Return the hashes of live texts without this embedder's vector, and how many live."""
        live = (
            select(chunk.c.text_hash)
            .join(
                version,
                and_(version.c.content == chunk.c.content, version.c.splitter == chunk.c.splitter),
            )
            .join(document, document.c.live_version == version.c.id)
            .distinct()
        )
        has = exists().where(vector.c.text_hash == chunk.c.text_hash, vector.c.embedder == embedder)
        # Texts of about one length share a batch of the embedder best.
        left = live.where(~has).add_columns(func.length(chunk.c.text).label("size"))
        ordered = select(left.subquery().c.text_hash).order_by("size")
        with self._reading.connect() as connection:
            total = connection.scalar(select(func.count()).select_from(live.subquery())) or 0
            return list(connection.scalars(ordered)), total

    def texts(self, text_hashes: Collection[str]) -> dict[str, tuple[str | None, str]]:
        """Return the section and text that each hash is of."""
        query = select(chunk.c.text_hash, chunk.c.section, chunk.c.text)
        with self._reading.connect() as connection:
            rows = connection.execute(query.where(chunk.c.text_hash.in_(list(text_hashes))))
            return {row.text_hash: (row.section, row.text) for row in rows}

    def adopt(self, embedder: str) -> None:
        """Let every version answer with another embedder's vectors, and count that as a change."""
        with self._engine.begin() as connection:
            connection.execute(
                update(version).where(version.c.embedder != embedder).values(embedder=embedder)
            )
            connection.execute(update(tally).values(generation=tally.c.generation + 1))

    def drop_others(self, embedder: str) -> None:
        """Delete the vectors of every other embedder."""
        others = select(vector.c.text_hash).where(vector.c.embedder != embedder).limit(_MOST_ROWS)
        while hashes := self._values(others):
            with self._engine.begin() as connection:
                connection.execute(
                    delete(vector).where(
                        vector.c.text_hash.in_(hashes), vector.c.embedder != embedder
                    )
                )

    def _values(self, query: Any) -> list[Any]:
        with self._reading.connect() as connection:
            return list(connection.scalars(query))
