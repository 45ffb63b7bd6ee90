"""Which handler gets a request, within which limits; every error becomes a reply."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from bot.commands import wrong
from bot.messages import (
    ChannelSettings,
    Language,
    Reply,
    ReplyChunk,
    ReplyEvent,
    Request,
    Status,
)
from bot.phrases import say
from bot.rights import Who, may
from bot.turns import Buckets, Full, Ticket, Turns

log = logging.getLogger(__name__)

PUBLIC = "public"
STOP = "stop"
_LEARNING = frozenset({"upload", "remember", "learn"})
_QUICK = frozenset({STOP, "rate", "case", "recall", "help", "status", "open", "picture", "sources"})
"""Commands that cost nothing worth counting."""
_DUE = frozenset({"due", "scheduled", "digested", "revoked", "reminders"})
"""Nor is what falls due counted: how much each person may have is."""
_OWNERS = frozenset({"cli"})
"""Platforms of people who own the process: nobody counts what they ask."""


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


Route = Callable[[Request, Language], Awaitable[Request]]
"""Returns a plain message as the request of the skill that it asks for, or as it is."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What requests may cost in all."""

    question_characters: int = 4000
    answering: int = 1
    """Requests that use the chat model at once."""
    waiting: int = 16
    """Requests that may wait for the chat model before others are told "busy"."""
    waiting_each: int = 4
    """… of one person."""
    learning: int = 2
    """Requests that bring documents and are worked on at once."""
    waiting_to_learn: int = 100
    per_minute_each: float = 20
    """Requests of one person."""
    per_minute_channel: float = 120
    """Requests in one channel."""
    release_seconds: float = 2.0
    """How long a stopped request may hold what it uses."""


@dataclass(frozen=True, slots=True)
class Load:
    """How much there is to do."""

    answering: int
    waiting: int
    learning: int
    waiting_to_learn: int


@dataclass(eq=False, slots=True)
class _Running:
    """A request under way: what it has shown, and its turn or its place in the line."""

    request: Request
    task: asyncio.Task[None]
    events: asyncio.Queue[ReplyEvent | None]
    """What it has said and nobody has heard yet; None at its end."""
    stopped: bool = False
    chunks: list[ReplyChunk] = field(default_factory=list)
    turn: tuple[Turns, Ticket] | None = None

    def give_back(self) -> None:
        """Let others have the turn; at most once."""
        if self.turn is not None:
            (turns, ticket), self.turn = self.turn, None
            turns.leave(ticket)


class Dispatcher:
    """The one door to the handlers: `handle` answers every request, and never raises.

    `grants` are the scopes that a channel may see besides its own; `rights` says who may use a
    command, which is anyone where it says nothing; `channels` what a request's channel has chosen,
    which goes with the request from here on; `route` finds the skills of plain messages. `clock` is
    seconds.
    """

    def __init__(
        self,
        handlers: Sequence[Handler],
        *,
        language_of: Callable[[str], Language],
        explain: Explain,
        limits: Limits,
        grants: Mapping[str, frozenset[str]] | None = None,
        rights: Mapping[str, Who] | None = None,
        channels: Callable[[Request], ChannelSettings] = lambda request: ChannelSettings(),
        route: Route | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._handlers = {handler.command: handler for handler in handlers}
        self._language_of = language_of
        self._explain = explain
        self._limits = limits
        self._grants = grants or {}
        self._rights = rights or {}
        self._chosen = channels
        self._route = route
        self._answering = Turns(
            limits.answering, waiting=limits.waiting, waiting_each=limits.waiting_each
        )
        self._learning = Turns(
            limits.learning, waiting=limits.waiting_to_learn, waiting_each=limits.waiting_to_learn
        )
        self._people = Buckets(limits.per_minute_each, clock)
        self._channels = Buckets(limits.per_minute_channel, clock)
        self._running: dict[tuple[str, str], _Running] = {}
        self._lingering: set[asyncio.Task[None]] = set()

    @property
    def load(self) -> Load:
        """Return how much there is to do now."""
        return Load(
            self._answering.running,
            self._answering.waiting,
            self._learning.running,
            self._learning.waiting,
        )

    async def handle(self, request: Request) -> AsyncGenerator[ReplyEvent, None]:
        """Answer a request: any number of events, of which exactly the last is a `Reply`."""
        request = self._here(request)
        language = self._language(request)
        if request.command == STOP:
            yield self._stop(request, language)
            return
        handler = self._handlers.get(request.command)
        if reply := self._refused(request, language):
            yield reply
        elif handler is None:
            text = say(language, "unknown_command", command=request.command)
            yield Reply("error", text, language)
        else:
            request = replace(request, audience=with_grants(request.audience, self._grants))
            taken = await self._taken(request, language)
            handler = self._handlers[taken.command]
            async with aclosing(self._stoppable(handler, taken, language)) as events:
                async for event in events:
                    if isinstance(event, Reply) and taken.command != request.command:
                        event = replace(event, taken_for=taken.command)
                    yield event

    async def _taken(self, request: Request, language: Language) -> Request:
        """Return a plain message as its skill's request; a question where that can't be told."""
        if self._route is None or not request.plain:
            return request
        try:
            taken = await self._route(request, language)
        except Exception:
            log.exception("what request %s wants could not be told", request.id)
            return request
        allowed = taken.command in self._handlers and not self.forbids(taken)
        return taken if allowed else request

    def forbids(self, request: Request) -> Reply | None:
        """Return why this person may not give this command, if they may not."""
        request = self._here(request)
        teaching: Who = request.channel.teach if request.command in _LEARNING else "anyone"
        if all(
            may(who, request) for who in (self._rights.get(request.command, "anyone"), teaching)
        ):
            return None
        language = self._language(request)
        return Reply("error", say(language, "not_allowed"), language)

    def _here(self, request: Request) -> Request:
        """Return a request with what its channel has chosen."""
        channel = self._chosen(request)
        return replace(request, channel=channel, language=channel.language or request.language)

    def _language(self, request: Request) -> Language:
        """Return the language of the reply: that asked for, the channel's, a question's own or the
        interface's."""
        wanted: Language | None = request.options.get("language")
        if wanted in ("en", "zh"):
            return wanted
        if request.channel.language:
            return request.channel.language
        of_text = self._language_of(request.text) if request.text.strip() else None
        asks = request.command == "ask" and of_text
        return (of_text if asks else request.language or of_text) or "en"

    def _refused(self, request: Request, language: Language) -> Reply | None:
        """Return why a request isn't handled at all, if it isn't."""
        if len(request.text) > self._limits.question_characters:
            values = {"characters": len(request.text), "limit": self._limits.question_characters}
            return Reply("error", say(language, "long_question", **values), language)
        if reply := self.forbids(request):
            return reply
        if found := wrong(request.command, request.options):
            argument, value = found
            zh = language == "zh"
            about = ", ".join(each.label[zh] for each in argument.choices) or argument.about[zh]
            name = argument.label[zh]
            text = say(language, "wrong_option", name=name, value=value, about=about)
            return Reply("error", text, language)
        if request.command in _QUICK | _DUE or request.platform in _OWNERS:
            return None
        for buckets, key, phrase in (
            (self._people, f"{request.platform}:{request.user}", "slow_down"),
            (self._channels, request.scope, "slow_down_channel"),
        ):
            if seconds := buckets.wait(key):
                text = say(language, phrase, seconds=math.ceil(seconds))
                return Reply("busy", text, language)
        return None

    def _stop(self, request: Request, language: Language) -> Reply:
        """End a request for whoever asked it, or for an admin."""
        running = self._running.get((request.platform, request.text))
        if running is None or running.stopped:
            return Reply("error", say(language, "not_running"), language)
        if request.user != running.request.user and not request.is_admin:
            return Reply("error", say(language, "not_yours"), language)
        running.stopped = True
        running.task.cancel()
        running.events.put_nowait(None)  # it may take its time to end: nobody waits for that
        return Reply("answer", say(language, "stopping"), language)

    async def _stoppable(
        self, handler: Handler, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Pass events on, one at a time, until the reply or until somebody stops the request."""
        events: asyncio.Queue[ReplyEvent | None] = asyncio.Queue()

        async def pump() -> None:
            try:
                async with aclosing(self._in_turn(handler, request, language, running)) as source:
                    async for event in source:
                        events.put_nowait(event)
                        await events.join()  # nothing is generated that nobody listens to
            finally:
                events.put_nowait(None)

        task = asyncio.create_task(pump())
        running = self._running[request.platform, request.id] = _Running(request, task, events)
        try:
            while (event := await events.get()) is not None and not running.stopped:
                yield event
                if isinstance(event, Reply):
                    return
                if isinstance(event, ReplyChunk):
                    running.chunks.append(event)
                events.task_done()
            if running.stopped:
                yield _ended("answer", running.chunks, say(language, "stopped"), language)
            elif not task.cancelled():
                task.result()
        finally:
            if self._running.get((request.platform, request.id)) is running:
                del self._running[request.platform, request.id]
            await self._release(running)

    async def _release(self, running: _Running) -> None:
        """End a request; one that doesn't end in time goes on without its turn."""
        task = running.task
        task.cancel()
        try:
            await asyncio.wait([task], timeout=self._limits.release_seconds)
        finally:
            running.give_back()
            if not task.done():
                log.error("a request that was stopped has not let go of what it uses")
                self._lingering.add(task)
                task.add_done_callback(self._lingering.discard)

    async def _in_turn(
        self, handler: Handler, request: Request, language: Language, running: _Running
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Wait for what the request needs, and tell its place in the line; then handle it."""
        turns = None
        if handler.uses_chat_model(request):
            turns = self._answering
        elif request.command in _LEARNING:
            turns = self._learning
        async with aclosing(self._guarded(handler, request, language, running)) as events:
            if turns is None:
                async for event in events:
                    yield event
                return
            try:
                ticket = turns.join(f"{request.platform}:{request.user}")
            except Full:
                yield Reply("busy", say(language, "busy"), language)
                return
            running.turn = (turns, ticket)
            try:
                while ticket.ahead:
                    ticket.changed.clear()
                    yield Status(say(language, "waiting", ahead=ticket.ahead))
                    await ticket.changed.wait()
                async for event in events:
                    yield event
            finally:
                running.give_back()

    async def _guarded(
        self, handler: Handler, request: Request, language: Language, running: _Running
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
            yield _ended("error", running.chunks, text, language)


def _ended(
    outcome: Literal["answer", "error"], chunks: Sequence[ReplyChunk], why: str, language: Language
) -> Reply:
    """Return the reply of a request that ended early: what was shown stays, and why it ends."""
    if not chunks:
        return Reply("error", why, language)
    kept = (*chunks, ReplyChunk(f"\n\n{why}"))
    cited = {citation.number: citation for chunk in chunks for citation in chunk.citations}
    return Reply(
        outcome,
        "".join(chunk.text for chunk in kept).strip(),
        language,
        kept,
        tuple(cited[number] for number in sorted(cited)),
    )


def with_grants(audience: frozenset[str], grants: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Add what is granted to channels; a place that may not see `public` gets nothing more."""
    if PUBLIC not in audience:
        return audience
    return audience.union(*(grants.get(scope, ()) for scope in audience))
