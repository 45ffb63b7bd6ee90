"""Which handler gets a request, within which limits; every error becomes a reply."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Protocol

from bot.messages import Language, Reply, ReplyEvent, Request, Status
from bot.phrases import say

log = logging.getLogger(__name__)

PUBLIC = "public"


class Handler(Protocol):
    """One capability of the bot; a file in `bot/handlers`."""

    command: str

    def uses_chat_model(self, request: Request) -> bool:
        """Tell whether this request must wait for its turn at the chat model."""
        ...

    def handle(self, request: Request, language: Language) -> AsyncGenerator[ReplyEvent, None]:
        """Yield events, the last of them a `Reply`; raise what `Explain` can put in words."""
        ...


Explain = Callable[[Exception, Language], str | None]
"""Puts an error in words for the person who asked; None if it is nothing to tell them."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What requests may cost in all."""

    question_characters: int = 4000
    waiting: int = 16
    """Requests that may wait for the chat model before others are told "busy"."""


class Dispatcher:
    """The one door to the handlers: `handle` answers every request, and never raises.

    `grants` are the scopes that a channel may see besides its own.
    """

    def __init__(
        self,
        handlers: Sequence[Handler],
        *,
        language_of: Callable[[str], Language],
        explain: Explain,
        limits: Limits,
        grants: Mapping[str, frozenset[str]] | None = None,
    ) -> None:
        self._handlers = {handler.command: handler for handler in handlers}
        self._language_of = language_of
        self._explain = explain
        self._limits = limits
        self._grants = grants or {}
        self._model_turn = asyncio.Lock()
        self._waiting = 0

    async def handle(self, request: Request) -> AsyncGenerator[ReplyEvent, None]:
        """Answer a request: any number of events, of which exactly the last is a `Reply`."""
        # A question sets the language of its answer; for the rest the interface does.
        of_text = self._language_of(request.text) if request.text.strip() else None
        asks = request.command == "ask" and of_text
        language: Language = (of_text if asks else request.language or of_text) or "en"
        handler = self._handlers.get(request.command)
        request = replace(request, audience=self._with_grants(request.audience))
        if len(request.text) > self._limits.question_characters:
            values = {"characters": len(request.text), "limit": self._limits.question_characters}
            yield Reply("error", say(language, "long_question", **values), language)
        elif handler is None:
            text = say(language, "unknown_command", command=request.command)
            yield Reply("error", text, language)
        elif handler.uses_chat_model(request):
            async with aclosing(self._in_turn(handler, request, language)) as events:
                async for event in events:
                    yield event
        else:
            async with aclosing(self._guarded(handler, request, language)) as events:
                async for event in events:
                    yield event

    def _with_grants(self, audience: frozenset[str]) -> frozenset[str]:
        """Add what is granted to channels; a place that may not see `public` gets nothing more."""
        if PUBLIC not in audience:
            return audience
        return audience.union(*(self._grants.get(scope, ()) for scope in audience))

    async def _in_turn(
        self, handler: Handler, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Let one request at a time use the chat model; tell the others their place."""
        if self._waiting >= self._limits.waiting:
            yield Reply("busy", say(language, "busy"), language)
            return
        self._waiting += 1
        try:
            if ahead := self._waiting - 1 + self._model_turn.locked():
                yield Status(say(language, "waiting", ahead=ahead))
            await self._model_turn.acquire()
        finally:
            self._waiting -= 1
        try:
            async with aclosing(self._guarded(handler, request, language)) as events:
                async for event in events:
                    yield event
        finally:
            self._model_turn.release()

    async def _guarded(
        self, handler: Handler, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Turn every error of a handler into a reply that a person understands."""
        try:
            async with aclosing(handler.handle(request, language)) as events:
                async for event in events:
                    yield event
                    if isinstance(event, Reply):
                        return
            raise RuntimeError("the handler ended without a reply")
        except Exception as error:
            text = self._explain(error, language)
            if text is None:
                # The reference joins the person's screen and the log; the log has no message text.
                log.exception("request %s of %s failed", request.id, request.platform)
                text = say(language, "failed", reference=request.id)
            else:
                log.warning("request %s of %s: %s", request.id, request.platform, error)
            yield Reply("error", text, language)
