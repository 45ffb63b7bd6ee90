"""The durable inbox and outbox: what platforms told the bot, and how far each reply has come."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update

from bot.messages import Delivery, Event, Reply, Request
from bot.tables import delivery, event, turn
from bot.wire import event_from_json, event_to_json
from bot.writer import Writer

KEEP_SECONDS = 30 * 86400.0


class DurableInbox:
    """The `Inbox` that is kept in the database; `clock` is seconds since 1970."""

    def __init__(
        self,
        writer: Writer,
        *,
        keep_seconds: float = KEEP_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._writer = writer
        self._keep_seconds = keep_seconds
        self._clock = clock

    async def add(self, new: Event) -> bool:
        """Store an event; return False for one that is already known."""

        def work(connection: Connection) -> bool:
            same = event.c.id == new.id
            if new.message is not None:
                about = and_(
                    event.c.team == new.team,
                    event.c.channel == new.channel,
                    event.c.message == new.message,
                    event.c.edition == new.edition,
                )
                same = or_(same, about)
            known = select(event.c.number).where(event.c.platform == new.platform, same)
            if connection.execute(known).first():
                return False
            row = {
                "platform": new.platform,
                "id": new.id,
                "team": new.team,
                "channel": new.channel,
                "message": new.message,
                "edition": new.edition,
                "kind": new.kind,
                "payload": dict(new.payload),
                "starts": 0,
            }
            connection.execute(insert(event).values(row))
            return True

        return await self._writer.write(work)

    async def pending(self, platform: str) -> list[Event]:
        """Return the events that aren't done, oldest first; counts as one of their `starts`."""

        def work(connection: Connection) -> list[Event]:
            unfinished = and_(event.c.platform == platform, event.c.payload.is_not(None))
            connection.execute(update(event).where(unfinished).values(starts=event.c.starts + 1))
            rows = connection.execute(select(event).where(unfinished).order_by(event.c.number))
            return [
                Event(
                    row.id,
                    row.platform,
                    row.team,
                    row.channel,
                    row.kind,
                    row.payload,
                    row.message,
                    row.edition,
                    row.starts,
                )
                for row in rows
            ]

        return await self._writer.write(work)

    async def done(self, finished: Event) -> None:
        """Say that an event needs no more work: its payload is deleted, its ids are kept."""
        this = and_(event.c.platform == finished.platform, event.c.id == finished.id)
        change = update(event).where(this).values(payload=None, done_at=self._clock())
        await self._writer.write(lambda connection: _run(connection, change))

    async def begin(self, request: Request, of: Event, over: str | None = None) -> Delivery:
        """Return how far the reply to a request has come; `over` names one that it replaces."""
        now = self._clock()
        fresh: dict[str, Any] = {
            "platform": request.platform,
            "request": request.id,
            "team": of.team,
            "channel": of.channel,
            "message": of.message,
            "conversation": request.conversation,
            "place": 0,
            "parts": [],
            "reply": None,
            "begun_at": now,
            "done_at": None,
            "withdrawn": 0,
        }

        def work(connection: Connection) -> Delivery:
            row = connection.execute(_this(request.platform, request.id)).mappings().first()
            if row is not None:
                return _delivery(row)
            old = None
            if over is not None and over != request.id:
                old = connection.execute(_this(request.platform, over)).mappings().first()
            taken = {}
            if old is not None:
                taken = {key: old[key] for key in ("message", "channel", "place", "parts")}
                _withdraw(connection, request.platform, old["request"], now)
            connection.execute(insert(delivery).values(fresh | taken))
            return _delivery(fresh | taken, fresh=True)

        return await self._writer.write(work)

    async def posted(self, request: Request, place: int, parts: Sequence[str]) -> None:
        """Note the messages that a reply occupies."""
        await self._change(request, place=place, parts=list(parts))

    async def answered(self, request: Request, reply: Reply) -> None:
        """Keep the whole reply until it is delivered."""
        await self._change(request, reply=event_to_json(reply))

    async def delivered(self, request: Request) -> None:
        """Say that the reply stands there complete: its text is deleted."""
        await self._change(request, reply=None, done_at=self._clock())

    async def replies_to(
        self, platform: str, team: str, channel: str, message: str
    ) -> list[Delivery]:
        """Return the replies to a question's message that weren't withdrawn or taken over."""
        theirs = select(delivery).where(
            delivery.c.platform == platform,
            delivery.c.team == team,
            delivery.c.channel == channel,
            delivery.c.message == message,
            delivery.c.withdrawn == 0,
        )
        in_order = theirs.order_by(delivery.c.begun_at)
        return await self._writer.read(
            lambda connection: [_delivery(row) for row in connection.execute(in_order).mappings()]
        )

    async def withdraw(self, platform: str, request: str) -> None:
        """Say that a reply was deleted: it is done, and what was said is forgotten."""
        now = self._clock()
        await self._writer.write(lambda connection: _withdraw(connection, platform, request, now))

    async def knows(self, platform: str, conversation: str) -> bool:
        """Tell whether the bot has replied in a conversation: it is in that thread."""
        any_of_it = select(delivery.c.request).where(
            delivery.c.platform == platform,
            delivery.c.conversation == conversation,
            delivery.c.withdrawn == 0,
        )
        return await self._writer.read(
            lambda connection: connection.execute(any_of_it.limit(1)).first() is not None
        )

    async def heard(self, platform: str) -> list[tuple[str, str, str]]:
        """Return the team, the channel and the newest message known of it, of every channel."""
        said = and_(event.c.platform == platform, event.c.message.is_not(None))
        newest = (
            select(func.max(event.c.number)).where(said).group_by(event.c.team, event.c.channel)
        )
        query = select(event.c.team, event.c.channel, event.c.message).where(
            event.c.number.in_(newest)
        )
        return await self._writer.read(
            lambda connection: [(row[0], row[1], row[2]) for row in connection.execute(query)]
        )

    async def prune(self) -> None:
        """Forget the ids of what was done so long ago that nobody will come back to it."""
        before = self._clock() - self._keep_seconds

        def work(connection: Connection) -> None:
            for table in (event, delivery):
                connection.execute(delete(table).where(table.c.done_at < before))

        await self._writer.write(work)

    async def _change(self, request: Request, **values: Any) -> None:
        this = and_(
            delivery.c.platform == request.platform,
            delivery.c.request == request.id,
            # A late task must not bring back what was withdrawn meanwhile.
            delivery.c.withdrawn == 0,
        )
        change = update(delivery).where(this).values(**values)
        await self._writer.write(lambda connection: _run(connection, change))


def _run(connection: Connection, statement: Any) -> None:
    connection.execute(statement)


def _this(platform: str, request: str) -> Any:
    return select(delivery).where(delivery.c.platform == platform, delivery.c.request == request)


def _withdraw(connection: Connection, platform: str, request: str, now: float) -> None:
    this = and_(delivery.c.platform == platform, delivery.c.request == request)
    gone: dict[str, Any] = {"parts": [], "reply": None, "done_at": now, "withdrawn": 1}
    connection.execute(update(delivery).where(this).values(gone))
    said = and_(turn.c.platform == platform, turn.c.request == request)
    connection.execute(delete(turn).where(said))


def _delivery(row: Any, *, fresh: bool = False) -> Delivery:
    reply = event_from_json(row["reply"]) if row["reply"] else None
    return Delivery(
        row["request"],
        fresh,
        row["place"],
        tuple(row["parts"]),
        reply if isinstance(reply, Reply) else None,
        row["done_at"] is not None,
    )
