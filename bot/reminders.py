"""What people asked to be posted later, as rows that survive the process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update

from bot.messages import Language
from bot.tables import reminder
from bot.timetable import Timetable
from bot.writer import Writer

Kind = Literal["say", "ask", "digest"]
State = Literal["asked", "standing", "done"]
CONFIRM_SECONDS = 15 * 60.0
OWNERS = ("cli", "web")
"""Platforms of people who run the bot: they may post wherever it may."""
PAGE = ("web", "", "page")
"""The platform, the team and the channel of what is posted on the page."""


@dataclass(frozen=True, slots=True)
class Reminder:
    """Something that is to be posted in a place, with the exact times."""

    platform: str
    team: str
    channel: str
    scope: str
    author: str
    """As `slack:U012`."""
    language: Language
    kind: Kind
    text: str
    """What is said or asked; empty for a digest."""
    times: Timetable
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of a question: `skill`, the command that answers it, and that command's options."""
    direct: bool = False
    """It is for its author's eyes alone."""
    state: State = "asked"
    due_at: float | None = None
    """Seconds since 1970, as are all times of a row."""
    since: float = 0.0
    asked_at: float = 0.0
    id: int = 0

    def next(self, count: int, now: float) -> list[datetime]:
        """Return up to so many times at which it falls due from now on, in its zone."""
        if self.due_at is not None and not self.times.rule:
            return [datetime.fromtimestamp(self.due_at, ZoneInfo(self.times.zone))]
        return self.times.first(count, datetime.fromtimestamp(now, UTC))


class Reminders:
    """Keeps what is to be posted later; `clock` is seconds since 1970.

    What nobody confirms within `confirm_seconds` is dropped; one person may have `most_each`.
    """

    def __init__(
        self,
        writer: Writer,
        *,
        most_each: int = 20,
        confirm_seconds: float = CONFIRM_SECONDS,
        keep_seconds: float = 30 * 86400.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._writer = writer
        self._most_each = most_each
        self._confirm_seconds = confirm_seconds
        self._keep_seconds = keep_seconds
        self.clock = clock
        self.changed = asyncio.Event()
        """Set when something else may fall due next."""

    async def ask(self, wanted: Reminder, request: str) -> Reminder | None:
        """Keep what still has to be confirmed; None where its author has too many.

        The same request again gets the same row.
        """
        now = self.clock()
        row = {
            "request": request,
            "platform": wanted.platform,
            "team": wanted.team,
            "channel": wanted.channel,
            "scope": wanted.scope,
            "author": wanted.author,
            "language": wanted.language,
            "kind": wanted.kind,
            "text": wanted.text,
            "options": dict(wanted.options),
            "direct": int(wanted.direct),
            "start": wanted.times.start.isoformat(),
            "zone": wanted.times.zone,
            "rule": wanted.times.rule,
            "state": "asked",
            "due_at": None,
            "since": 0.0,
            "asked_at": now,
        }
        same = and_(reminder.c.platform == wanted.platform, reminder.c.request == request)
        theirs = and_(reminder.c.author == wanted.author, reminder.c.state != "done")

        def work(connection: Connection) -> Reminder | None:
            known = connection.execute(select(reminder).where(same)).mappings().first()
            if known is not None:
                return _reminder(known)
            connection.execute(delete(reminder).where(self._expired()))
            count = connection.scalar(select(func.count()).select_from(reminder).where(theirs))
            if (count or 0) >= self._most_each:
                return None
            added = connection.execute(insert(reminder).values(row)).inserted_primary_key
            return replace(wanted, id=added[0] if added else 0, asked_at=now)

        return await self._writer.write(work)

    async def get(self, id: int) -> Reminder | None:
        """Return one, unless it was cancelled or has waited too long to be confirmed."""
        found = await self._where(reminder.c.id == id)
        return found[0] if found else None

    async def standing(
        self, *, author: str | None = None, scope: str | None = None
    ) -> list[Reminder]:
        """Return what stands, of an author or in a scope, or everything; the next first."""
        wanted = [reminder.c.author == author] * (author is not None)
        wanted += [reminder.c.scope == scope] * (scope is not None)
        shown = or_(*wanted) if wanted else reminder.c.id > 0
        return await self._where(and_(reminder.c.state == "standing", shown))

    async def stand(self, id: int, due_at: float) -> None:
        """Let something fall due; a digest tells what is new from now on."""
        values = {"state": "standing", "due_at": due_at, "since": self.clock()}
        await self._change(update(reminder).where(reminder.c.id == id).values(values))
        self.changed.set()

    async def cancel(self, id: int) -> None:
        """Delete one."""
        await self._change(delete(reminder).where(reminder.c.id == id))

    async def due(self, now: float) -> list[Reminder]:
        """Return what has fallen due, oldest first."""
        return await self._where(and_(reminder.c.state == "standing", reminder.c.due_at <= now))

    async def next_due(self) -> float | None:
        """Return when something falls due next."""
        soonest = select(func.min(reminder.c.due_at)).where(reminder.c.state == "standing")
        return await self._writer.read(lambda connection: connection.scalar(soonest))

    async def posted(self, done: Reminder, next_due: float | None) -> None:
        """Note that what was due has been handed over, if it hasn't been noted yet."""
        state = "standing" if next_due is not None else "done"
        this = and_(reminder.c.id == done.id, reminder.c.due_at == done.due_at)
        values = {"due_at": next_due, "since": done.due_at, "state": state}
        await self._change(update(reminder).where(this).values(values))

    async def forget_person(self, person: str) -> None:
        """Delete what a person, named as `slack:U012`, asked for."""
        await self._change(delete(reminder).where(reminder.c.author == person))

    async def forget_document(self, name: str) -> None:
        """Do nothing: what people ask for has no words of a document."""

    async def prune(self) -> None:
        """Delete what nobody confirmed, and what is done and too old."""
        old = self.clock() - self._keep_seconds
        over = and_(reminder.c.state == "done", reminder.c.since < old)
        await self._change(delete(reminder).where(or_(self._expired(), over)))

    def _expired(self) -> Any:
        too_old = self.clock() - self._confirm_seconds
        return and_(reminder.c.state == "asked", reminder.c.asked_at < too_old)

    async def _where(self, wanted: Any) -> list[Reminder]:
        query = (
            select(reminder)
            .where(wanted, ~self._expired())
            .order_by(reminder.c.due_at, reminder.c.id)
        )
        return await self._writer.read(
            lambda connection: [_reminder(row) for row in connection.execute(query).mappings()]
        )

    async def _change(self, change: Any) -> None:
        def work(connection: Connection) -> None:
            connection.execute(change)

        await self._writer.write(work)


def _reminder(row: Any) -> Reminder:
    return Reminder(
        row["platform"],
        row["team"],
        row["channel"],
        row["scope"],
        row["author"],
        row["language"],
        row["kind"],
        row["text"],
        Timetable(datetime.fromisoformat(row["start"]), row["zone"], row["rule"]),
        row["options"],
        bool(row["direct"]),
        row["state"],
        row["due_at"],
        row["since"],
        row["asked_at"],
        row["id"],
    )
