"""What was said: for questions that follow up, and for who rates or shares an answer later."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, and_, delete, insert, select

from bot.messages import Citation, Outcome, Reply, Request
from bot.tables import turn
from bot.wire import event_from_json, event_to_json
from bot.writer import Writer

KEEP_SECONDS = 30 * 86400.0
_LOOKED_AT = 50


@dataclass(frozen=True, slots=True)
class Said:
    """A question and its reply."""

    question: str
    answer: str
    outcome: Outcome
    model: str | None
    passages: tuple[Citation, ...]
    """What was read for it."""
    documents: frozenset[str] = frozenset()
    """The names of all documents whose words may be in the answer: also what earlier turns read."""
    command: str = "ask"
    """Of a summary it is `summarise`, and the question is what was summarised."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A reply as somebody got it."""

    user: str
    audience: frozenset[str]
    said: Said
    reply: Reply


class Conversations:
    """Keeps the turns of every conversation for `keep_seconds`; `clock` is seconds since 1970."""

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

    async def earlier(self, request: Request, count: int) -> list[Said]:
        """Return the newest answered questions before a request, oldest first.

        A turn whose audience saw what this request's may not is left out.
        """
        newest = (
            select(turn)
            .where(
                turn.c.platform == request.platform,
                turn.c.conversation == request.conversation,
                turn.c.request != request.id,
                turn.c.command == "ask",
                turn.c.outcome == "answer",
                turn.c.said_at >= self._clock() - self._keep_seconds,
            )
            .order_by(turn.c.number.desc())
            .limit(_LOOKED_AT)
        )
        rows = await self._writer.read(
            lambda connection: connection.execute(newest).mappings().all()
        )
        seen = [said_of(row) for row in rows if request.audience.issuperset(row["audience"])]
        return seen[:count][::-1]

    async def remember(
        self,
        request: Request,
        said: Said,
        follows: Sequence[Said] = (),
        reply: Reply | None = None,
    ) -> None:
        """Keep a turn, instead of an earlier one of the same request.

        `follows` are the earlier turns that were part of the question; `reply` is kept for `kept`.
        """
        read = {citation.document for citation in said.passages}
        said = replace(said, documents=said.documents.union(read, *(s.documents for s in follows)))
        row = {
            "platform": request.platform,
            "request": request.id,
            "conversation": request.conversation,
            "user": request.user,
            "audience": sorted(request.audience),
            "reply": event_to_json(reply) if reply else None,
            "said_at": self._clock(),
            **columns(said),
        }

        def work(connection: Connection) -> None:
            connection.execute(delete(turn).where(_this(request.platform, request.id)))
            connection.execute(insert(turn).values(row))

        await self._writer.write(work)

    async def said(self, platform: str, request: str) -> Said | None:
        """Return the turn of a request, if it is still kept."""
        query = select(turn).where(_this(platform, request))
        row = await self._writer.read(
            lambda connection: connection.execute(query).mappings().first()
        )
        return said_of(row) if row is not None else None

    async def kept(self, platform: str, request: str) -> Kept | None:
        """Return the whole reply to a request, if it is still kept."""
        query = select(turn).where(_this(platform, request))
        row = await self._writer.read(
            lambda connection: connection.execute(query).mappings().first()
        )
        if row is None or row["reply"] is None:
            return None
        reply = event_from_json(row["reply"])
        if not isinstance(reply, Reply):
            return None
        return Kept(row["user"], frozenset(row["audience"]), said_of(row), reply)

    async def asker(self, platform: str, request: str) -> str | None:
        """Return who asked, named as `slack:U012`, if the turn is still kept."""
        query = select(turn.c.user).where(_this(platform, request))
        user = await self._writer.read(lambda connection: connection.scalar(query))
        return f"{platform}:{user}" if user is not None else None

    async def forget_person(self, person: str) -> None:
        """Delete what a person, named as `slack:U012`, has asked."""
        platform, _, user = person.partition(":")
        theirs = and_(turn.c.platform == platform, turn.c.user == user)
        await self._delete(theirs)

    async def forget_document(self, name: str) -> None:
        """Delete every turn whose answer may have words of a document."""
        await self._writer.write(lambda connection: forget_rows(connection, turn, name))

    async def prune(self) -> None:
        """Delete what is too old."""
        await self._delete(turn.c.said_at < self._clock() - self._keep_seconds)

    async def _delete(self, condition: Any) -> None:
        def work(connection: Connection) -> None:
            connection.execute(delete(turn).where(condition))

        await self._writer.write(work)


def columns(said: Said) -> dict[str, Any]:
    """Return a turn as values of the columns that turns and ratings share."""
    passages = [
        {name: getattr(passage, name) for name in Citation.__dataclass_fields__}
        for passage in said.passages
    ]
    return {
        "command": said.command,
        "question": said.question,
        "answer": said.answer,
        "outcome": said.outcome,
        "model": said.model,
        "passages": passages,
        "documents": sorted(said.documents),
    }


def forget_rows(connection: Connection, table: Any, document: str) -> None:
    """Delete the rows of a table whose `documents` have this one."""
    keys = list(table.primary_key.columns)
    for row in connection.execute(select(*keys, table.c.documents)).all():
        if document in row.documents:
            this = and_(*(key == row._mapping[key.name] for key in keys))
            connection.execute(delete(table).where(this))


def said_of(row: Any) -> Said:
    """Return the turn of `columns`' values."""
    return Said(
        row["question"],
        row["answer"],
        row["outcome"],
        row["model"],
        tuple(Citation(**passage) for passage in row["passages"]),
        frozenset(row["documents"]),
        row["command"],
    )


def _this(platform: str, request: str) -> Any:
    return and_(turn.c.platform == platform, turn.c.request == request)
