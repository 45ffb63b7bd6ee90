"""Teach the bot: what each thing that comes with a request becomes, with a receipt."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from bot.handlers.explain import document_reason, explain
from bot.handlers.opening import opening
from bot.loading import Loading
from bot.messages import Attachment, Language, Reply, ReplyEvent, Request, Status
from bot.phrases import counted, say
from rag.audience import check_scope
from rag.ingest.lessons import Learned

Progress = Callable[[int, int], None]


class Teach(ABC):
    """Learns one thing after the other; what fails has its reason, and the others go on."""

    command: str
    nothing = "no_attachment"
    """The phrase for a request that there is nothing to learn from."""

    def __init__(self, needs: Sequence[Loading]) -> None:
        self._needs = needs

    def uses_chat_model(self, request: Request) -> bool:
        """Return False."""
        return False

    @abstractmethod
    def lessons(self, request: Request) -> Sequence[Attachment]:
        """Return what there is to learn, under the names that the documents get."""

    @abstractmethod
    async def take(self, request: Request, lesson: Attachment, progress: Progress) -> Learned:
        """Fetch and learn one thing; raise what `explain` can put in words."""

    def report(self, request: Request, rows: list[dict[str, Any]], seconds: float) -> Any:
        """Return the reply's data: the receipts, one a thing."""
        return rows

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield progress, and a receipt for each: ready, already known, or why not."""
        lessons = self.lessons(request)
        if not lessons:
            yield Reply("error", say(language, self.nothing), language)
            return
        check_scope(request.scope)
        async for loading in opening(self._needs, language):
            yield loading
        lines: list[str] = []
        data: list[dict[str, Any]] = []
        started = time.monotonic()
        for lesson in lessons:
            yield Status(say(language, "reading", name=lesson.name))
            updates: asyncio.Queue[Status | None] = asyncio.Queue()
            learning = asyncio.create_task(self._learn(request, lesson, language, updates))
            try:
                while (status := await updates.get()) is not None:
                    yield status
                line, row = await learning
            finally:
                # A stopped upload is finished anyway: half a document is nobody's wish.
                await asyncio.wait([learning])
            lines.append(line)
            data.append(row)
        learned = any(row["state"] != "failed" for row in data)
        report = self.report(request, data, time.monotonic() - started)
        yield Reply("answer" if learned else "error", "\n".join(lines), language, data=report)

    async def _learn(
        self,
        request: Request,
        lesson: Attachment,
        language: Language,
        updates: asyncio.Queue[Status | None],
    ) -> tuple[str, dict[str, Any]]:
        """Learn one thing; return its receipt as a line and as data."""
        loop = asyncio.get_running_loop()
        name = lesson.name

        def progress(done: int, total: int) -> None:
            text = say(language, "embedding", name=name, done=done, total=total)
            loop.call_soon_threadsafe(updates.put_nowait, Status(text, done, total))

        try:
            return self._receipt(await self.take(request, lesson, progress), language)
        except Exception as error:
            # One's trouble is in its receipt; the others go on.
            reason = explain(error, language)
            if reason is None:
                raise
            return self._failed(name, getattr(error, "code", None), reason, language)
        finally:
            updates.put_nowait(None)

    def _receipt(self, learned: Learned, language: Language) -> tuple[str, dict[str, Any]]:
        if learned.state == "failed":
            reason = (
                document_reason(language, learned.code)
                if learned.code
                else learned.message or say(language, "unreadable")
            )
            return self._failed(learned.name, learned.code, reason, language)
        size = counted(language, "passages", learned.passages)
        if learned.pages:
            pages = counted(language, "pages", learned.pages)
            size = say(language, "size", pages=pages, passages=size)
        key = "learned" if learned.state == "ready" else "known"
        line = say(language, key, name=learned.name, size=size)
        return line, {
            "document": learned.document_id,
            "name": learned.name,
            "state": learned.state,
            "pages": learned.pages,
            "passages": learned.passages,
            "version": learned.version,
            "code": None,
            "message": line,
        }

    def _failed(
        self, name: str, code: str | None, reason: str, language: Language
    ) -> tuple[str, dict[str, Any]]:
        line = say(language, "not_learned", name=name, reason=reason)
        return line, {
            "document": None,
            "name": name,
            "state": "failed",
            "pages": None,
            "passages": 0,
            "version": None,
            "code": code and str(code),
            "message": reason,
        }


OPERATOR = "cli"
"""The platform of whoever can read the data folder anyway."""


def taught_by(request: Request) -> str:
    """Return whom a document is from."""
    return f"{request.platform}:{request.user}"
