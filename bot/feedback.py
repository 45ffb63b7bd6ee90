"""What people think of answers: thumbs and corrections, with all that is needed to learn from."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, and_, delete, insert, select

from bot.conversations import Said, columns, forget_rows, said_of
from bot.messages import Request
from bot.tables import rating
from bot.writer import Writer


@dataclass(frozen=True, slots=True)
class Rating:
    """What one person thinks of one answer."""

    platform: str
    request: str
    user: str
    thumb: int | None
    """1 or -1; None where only a correction came."""
    correction: str | None
    said: Said
    rated_at: float


class Feedback:
    """Keeps ratings until their person or their document is forgotten; `clock` as `time.time`."""

    def __init__(self, writer: Writer, *, clock: Callable[[], float] = time.time) -> None:
        self._writer = writer
        self._clock = clock

    async def add(
        self, request: Request, reply: str, said: Said, thumb: int | None, correction: str | None
    ) -> None:
        """Keep what `request.user` thinks of a reply; what is None stays as it was."""
        this = and_(
            rating.c.platform == request.platform,
            rating.c.request == reply,
            rating.c.user == request.user,
        )

        def work(connection: Connection) -> None:
            before = connection.execute(select(rating).where(this)).mappings().first()
            connection.execute(delete(rating).where(this))
            row = {
                "platform": request.platform,
                "request": reply,
                "user": request.user,
                "thumb": thumb if thumb is not None or not before else before["thumb"],
                "correction": correction or (before["correction"] if before else None),
                "rated_at": self._clock(),
                **columns(said),
            }
            connection.execute(insert(rating).values(row))

        await self._writer.write(work)

    async def ratings(self) -> list[Rating]:
        """Return every rating, oldest first."""
        return await self._read(select(rating))

    async def of(self, platform: str, reply: str) -> list[Rating]:
        """Return what people think of one reply, oldest first."""
        return await self._read(
            select(rating).where(rating.c.platform == platform, rating.c.request == reply)
        )

    async def _read(self, query: Select[Any]) -> list[Rating]:
        ordered = query.order_by(rating.c.rated_at)
        return await self._writer.read(
            lambda connection: [_rating(row) for row in connection.execute(ordered).mappings()]
        )

    async def forget_person(self, person: str) -> None:
        """Delete the ratings of a person, named as `slack:U012`."""
        platform, _, user = person.partition(":")
        theirs = and_(rating.c.platform == platform, rating.c.user == user)

        def work(connection: Connection) -> None:
            connection.execute(delete(rating).where(theirs))

        await self._writer.write(work)

    async def forget_document(self, name: str) -> None:
        """Delete the ratings of answers that may have words of a document."""
        await self._writer.write(lambda connection: forget_rows(connection, rating, name))


def _rating(row: Any) -> Rating:
    return Rating(
        row["platform"],
        row["request"],
        row["user"],
        row["thumb"],
        row["correction"],
        said_of(row),
        row["rated_at"],
    )
