"""Post what is due: a reminder's words, or the answer to a scheduled question."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from bot.handlers.moments import spelt
from bot.messages import Language, Reply, ReplyChunk, ReplyEvent, Request
from bot.phrases import say
from bot.reminders import Reminders

log = logging.getLogger(__name__)

_LATE_SECONDS = 300.0
_OURS = ("reminder", "at", "zone", "again", "since", "skill")


class Answers(Protocol):
    """A skill that answers questions."""

    def uses_chat_model(self, request: Request) -> bool:
        """Tell whether a request must wait for its turn at the chat model."""
        ...

    def handle(self, request: Request, language: Language) -> AsyncGenerator[ReplyEvent, None]:
        """Yield events, the last of them a `Reply`."""
        ...


class Due:
    """Handles `due`: `request.text` is what somebody wants to be reminded of."""

    command = "due"

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock

    def uses_chat_model(self, request: Request) -> bool:
        """Return False."""
        return False

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield the words, and whether they come late."""
        text = say(language, "due_says", text=request.text)
        about = {"id": request.options["reminder"], "again": request.options["again"]}
        yield Reply("answer", text + late(request, language, self._clock()), language, data=about)


class Scheduled:
    """Handles `scheduled`: `request.text` is a question, answered for the place as it is now.

    `skills` answer it: the one that `options["skill"]` names.
    """

    command = "scheduled"

    def __init__(
        self, skills: Mapping[str, Answers], clock: Callable[[], float] = time.time
    ) -> None:
        self._skills = skills
        self._clock = clock

    def uses_chat_model(self, request: Request) -> bool:
        """Tell what the skill tells."""
        skill, asked = self._asked(request)
        return skill.uses_chat_model(asked)

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield what the skill says, with the question above it."""
        skill, asked = self._asked(request)
        head = say(language, "due_asks", text=request.text)
        lead = ReplyChunk(head + late(request, language, self._clock()) + "\n\n")
        told = False
        async with aclosing(skill.handle(asked, language)) as events:
            async for event in events:
                if isinstance(event, Reply):
                    chunks = (lead, *event.chunks) if event.chunks else ()
                    yield replace(event, text=lead.text + event.text, chunks=chunks)
                    return
                if isinstance(event, ReplyChunk) and not told:
                    told = True
                    yield lead
                yield event

    def _asked(self, request: Request) -> tuple[Answers, Request]:
        name = str(request.options.get("skill", "ask"))
        options = {key: value for key, value in request.options.items() if key not in _OURS}
        return self._skills[name], replace(request, command=name, options=options)


class Revoked:
    """Handles `revoked`: what was due isn't posted, since its author may not post there now.

    The reminder is cancelled, and its author is told.
    """

    command = "revoked"

    def __init__(self, reminders: Reminders) -> None:
        self._reminders = reminders

    def uses_chat_model(self, request: Request) -> bool:
        """Return False."""
        return False

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Cancel it, and yield what its author is told."""
        id = int(request.options["reminder"])
        await self._reminders.cancel(id)
        log.warning(
            "reminder %s of %s:%s is cancelled: its author may not post in %s any more",
            id,
            request.platform,
            request.user,
            request.scope,
        )
        yield Reply("answer", say(language, "due_revoked", id=id, text=request.text), language)


def late(request: Request, language: Language, now: float) -> str:
    """Return that something comes late; empty where it doesn't."""
    at = float(request.options["at"])
    if now - at <= _LATE_SECONDS:
        return ""
    was = datetime.fromtimestamp(at, ZoneInfo(str(request.options["zone"])))
    return " " + say(language, "due_late", time=spelt(was, language))
