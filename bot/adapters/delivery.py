"""What every platform's adapter does alike: keep events, work on each once, deliver the replies."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, Protocol

from bot.adapters.due import DUE_COMMANDS
from bot.adapters.sheet import (
    DOUBTFUL,
    SENT,
    Content,
    Messages,
    Pace,
    Place,
    Refused,
    Sheet,
    Unreachable,
)
from bot.messages import (
    Delivery,
    Event,
    Handle,
    Inbox,
    Language,
    Reply,
    ReplyChunk,
    ReplyEvent,
    Request,
    Sources,
    Status,
)
from bot.render import body, plain, progress, reading, shorten

log = logging.getLogger(__name__)

_MOST_UNSTORED = 1000
_HAN = re.compile("[\u4e00-\u9fff]")
_LOOKING: dict[Language, str] = {"en": "Looking…", "zh": "正在查找…"}
_BUSY: dict[Language, str] = {
    "en": "I'm busy right now: please ask again in a minute.",
    "zh": "现在请求太多了，请过一分钟再试。",
}
_FAILED: dict[Language, str] = {
    "en": "Something went wrong on my side; it is in the log. Please try again.",
    "zh": "我这边出了问题，已记录在日志中。请再试一次。",
}
_DOUBT: dict[Language, str] = {
    "en": "I was interrupted while I sent you the answer to “{question}”. If it isn't all here, "
    "please ask again.",
    "zh": "给您发送“{question}”的回答时被打断了。如果没有看到完整的回答，请再问一次。",
}
_QUESTION = 80


@dataclass(frozen=True, slots=True)
class View:
    """A reply as far as it is known: what there is to show of it now."""

    request: Request
    status: Status | None = None
    sources: Sources | None = None
    chunks: tuple[ReplyChunk, ...] = ()
    reply: Reply | None = None
    """The end, which counts instead of all the rest."""

    @property
    def language(self) -> Language:
        """The language to speak to the person in."""
        if self.reply is not None:
            return self.reply.language
        return self.request.language or ("zh" if _HAN.search(self.request.text) else "en")

    def after(self, event: ReplyEvent) -> View:
        """Return what is known once the event has come."""
        match event:
            case Status():
                return replace(self, status=event, sources=None)
            case Sources():
                return replace(self, sources=event)
            case ReplyChunk():
                return replace(self, chunks=(*self.chunks, event))
            case Reply():
                return replace(self, reply=event)

    def text(self) -> str:
        """Return all of it as plain text that is still to be escaped and split; never empty."""
        if self.reply is not None:
            return plain(self.reply)
        if self.chunks:
            return body(Reply("answer", "", self.language, self.chunks))
        if self.sources is not None and self.sources.citations:
            return reading(self.sources.citations, self.language)
        return progress(self.status) if self.status is not None else _LOOKING[self.language]


class Surface(Messages[Content], Protocol[Content]):
    """A platform, as far as replies stand on it; what a platform's adapter brings."""

    def places(self, request: Request) -> Sequence[Place[Content]]:
        """Return where the reply may go, best first; the same for the same request always."""
        ...

    def render(self, view: View) -> Sequence[Content]:
        """Return the messages that show what is known of a reply; before its end mostly one."""
        ...


@dataclass(slots=True)
class _Work:
    """An event under way."""

    event: Event
    busy: bool
    """There is too much to do: its requests are told so."""
    begun: asyncio.Event
    """The database knows of its first reply, or there is none to be known of."""


@dataclass(frozen=True, slots=True)
class _Reply:
    """A reply under way."""

    request: Request
    event: Event
    task: asyncio.Task[None]


class Deliveries(Generic[Content]):
    """Works on the events of one platform, each of them once, whatever happens to the process.

    `work` turns an event into requests and calls `deliver` for each; when it returns or raises, the
    event is done. At most `most_events` are worked on at once: the requests of further ones are
    told "busy". An event that was unfinished at more than `most_starts` starts of the bot is told
    that it failed. What the platform doesn't take is tried again every `retry_seconds`. `clock` and
    `sleep` are seconds.
    """

    def __init__(
        self,
        platform: str,
        handle: Handle,
        inbox: Inbox,
        surface: Surface[Content],
        work: Callable[[Event], Awaitable[None]],
        *,
        edit_seconds: float = 1.0,
        most_events: int = 200,
        most_starts: int = 5,
        retry_seconds: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._platform = platform
        self._handle = handle
        self._inbox = inbox
        self._surface = surface
        self._work = work
        self._pace = Pace(edit_seconds, clock, sleep)
        self._most_events = most_events
        self._most_starts = most_starts
        self._retry_seconds = retry_seconds
        self._works: dict[str, _Work] = {}
        self._replies: dict[str, _Reply] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._unstored: dict[object, None] = {}

    async def accept(self, event: Event) -> bool:
        """Store an event and begin to work on it; False for one that is already known.

        When this returns, the platform may be told that the event has arrived. Where nothing can
        be stored, it is worked on all the same, as long as this process lives.
        """
        try:
            new = await self._inbox.add(event)
        except Exception as error:
            log.error("event %s can't be stored: %s", event.id, error)
            said = event.id if event.message is None else _about(event)
            new = said not in self._unstored
            self._unstored[said] = None
            if len(self._unstored) > _MOST_UNSTORED:
                del self._unstored[next(iter(self._unstored))]
        if new:
            self._begin(event)
        return new

    async def resume(self) -> None:
        """Begin to work on the events that an earlier process has left unfinished."""
        for event in await self._inbox.pending(self._platform):
            if event.id not in self._works:
                self._begin(event)

    async def close(self) -> None:
        """Stop all work; the next start resumes it."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def deliver(self, request: Request, event: Event, *, over: str | None = None) -> None:
        """Have a request handled, and show its reply until that stands there complete.

        With `over`, the id of an earlier request, its work ends and the new reply takes over its
        messages: for an edited question, and to regenerate an answer.
        """
        if over is not None:
            await self._end(over)
        task = asyncio.create_task(self._deliver(request, event, over))
        reply = self._replies[request.id] = _Reply(request, event, task)
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            await _cancelled(task)
            raise
        finally:
            if self._replies.get(request.id) is reply:
                del self._replies[request.id]
        if not task.cancelled():  # else it was withdrawn or taken over
            task.result()

    async def withdraw(self, team: str, channel: str, message: str) -> None:
        """Delete the replies to a message, finished or not: its author deleted the question."""
        for reply in await self._inbox.replies_to(self._platform, team, channel, message):
            await self._end(reply.request)
        for reply in await self._inbox.replies_to(self._platform, team, channel, message):
            for part in reply.parts:
                if part in (DOUBTFUL, SENT):
                    continue
                with suppress(Refused, Unreachable):
                    await self._surface.delete(part)
            await self._inbox.withdraw(self._platform, reply.request)

    def _begin(self, event: Event) -> None:
        # What an earlier process has accepted is not refused now.
        busy = len(self._works) >= self._most_events and not event.starts
        work = _Work(event, busy, asyncio.Event())
        earlier = [each for each in self._works.values() if _same_message(each.event, event)]
        self._works[event.id] = work
        task = asyncio.create_task(self._worked(work, earlier))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _worked(self, work: _Work, earlier: Sequence[_Work]) -> None:
        event = work.event
        try:
            for other in earlier:  # so that an edit finds the reply that it changes
                await other.begun.wait()
            await self._work(event)
        except Exception as error:
            log.exception("event %s of %s: %s", event.id, event.platform, type(error).__name__)
        finally:
            work.begun.set()
            del self._works[event.id]
        await _noted(self._inbox.done(event))

    async def _end(self, request: str) -> None:
        """End the work on a reply, and note all the messages that it has."""
        reply = self._replies.get(request)
        if reply is None:
            return
        await _cancelled(reply.task)
        delivery = await self._inbox.begin(reply.request, reply.event)
        if not delivery.done:  # a message may have been posted and not noted
            with suppress(Refused, Unreachable):
                await self._sheet(reply.request, replace(delivery, fresh=False)).look()

    async def _deliver(self, request: Request, event: Event, over: str | None) -> None:
        async with aclosing(self._events(request, event)) as events:
            while True:
                delivery = await self._begun(request, event, over)
                if work := self._works.get(event.id):
                    work.begun.set()
                if delivery.done or await self._shown(request, delivery, events):
                    break
                await self._pace.sleep(self._retry_seconds)
        if not delivery.done:
            await _noted(self._inbox.delivered(request))

    async def _begun(self, request: Request, event: Event, over: str | None) -> Delivery:
        try:
            return await self._inbox.begin(request, event, over)
        except Exception as error:
            log.error("request %s can't be stored: %s", request.id, error)
            return Delivery(request.id, fresh=not event.starts)

    async def _events(self, request: Request, event: Event) -> AsyncGenerator[ReplyEvent, None]:
        """Yield what the handler says, or why it isn't asked; the last is a `Reply` always."""
        language = View(request).language
        work = self._works.get(event.id)
        if work and work.busy:
            yield Reply("busy", _BUSY[language], language)
            return
        if event.starts <= self._most_starts:
            events = self._handle(request)
            try:
                async for said in events:
                    yield said
                    if isinstance(said, Reply):
                        return
            except Exception:
                log.exception("request %s failed", request.id)
            finally:
                # Who stops listening stops the model at once.
                if isinstance(events, AsyncGenerator):
                    await events.aclose()
        yield Reply("error", _FAILED[language], language)

    async def _shown(
        self, request: Request, delivery: Delivery, events: AsyncIterator[ReplyEvent]
    ) -> bool:
        """Show a reply to its end; False where the platform can't be reached."""
        sheet = self._sheet(request, delivery)
        view = View(request, reply=delivery.reply)
        quiet = request.command in DUE_COMMANDS  # nobody waits for it, and who is notified reads it
        if view.reply is not None or not quiet:
            sheet.show(partial(self._surface.render, view))
        async with asyncio.TaskGroup() as group:
            keeping_up = group.create_task(sheet.keep_up())
            if view.reply is None:
                async for event in events:
                    view = view.after(event)
                    if view.reply is not None:
                        await _noted(self._inbox.answered(request, view.reply))
                    if view.reply is not None or not quiet:
                        sheet.show(partial(self._surface.render, view))
            sheet.finish()
        return keeping_up.result()

    def _sheet(self, request: Request, delivery: Delivery) -> Sheet[Content]:
        async def posted(place: int, parts: Sequence[str]) -> None:
            await _noted(self._inbox.posted(request, place, parts))

        def doubt() -> Sequence[Content]:
            log.error("a reply may not have arrived whole: %s", request.id)
            language = View(request).language
            text = _DOUBT[language].format(question=shorten(request.text, _QUESTION))
            reply = Reply("error", text, language)
            return self._surface.render(View(request, reply=reply))

        places = self._surface.places(request)
        return Sheet(places, self._surface, delivery, posted, doubt, self._pace)


def _same_message(one: Event, other: Event) -> bool:
    return other.message is not None and _about(one)[:3] == _about(other)[:3]


def _about(event: Event) -> tuple[str | None, ...]:
    return (event.team, event.channel, event.message, event.edition)


async def _noted(noting: Awaitable[None]) -> None:
    """Go on without a note where none can be written: an answer is worth more."""
    try:
        await noting
    except Exception as error:
        log.error("how far a reply has come can't be stored: %s", error)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
