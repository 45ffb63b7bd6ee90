"""A platform that is played, and the delivery loop on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.adapters.delivery import Deliveries, View
from bot.adapters.sheet import Place, Refused, Unreachable
from bot.messages import Event, Reply, ReplyChunk, ReplyEvent, Request, Status
from tests.bot.inboxes import MemoryInbox

EVENT = Event("E1", "played", "T", "C", "message", {"text": "Why?"}, "1")
ANSWER = Reply("answer", "Because.", "en", (ReplyChunk("Because."),))


@dataclass
class Shown:
    """A message of the bot's."""

    place: str
    mark: str
    texts: list[str]


@dataclass
class Wall(Place[str]):
    """Takes messages, unless told otherwise."""

    name: str
    platform: Platform
    editable: bool = True
    refuses: bool = False
    unseen_from: int | None = None

    async def post(self, content: str, mark: str) -> str:
        await self.platform.called("post")
        if self.refuses:
            raise Refused("no")
        return self.platform.put(self.name, content, mark)

    async def find(self, mark: str) -> str | None:
        await self.platform.called("find")
        for reference, shown in self.platform.messages.items():
            if (shown.place, shown.mark) == (self.name, mark):
                return reference
        return None


@dataclass
class Platform:
    """Keeps the messages; `script` says what happens to the next calls of a kind."""

    messages: dict[str, Shown] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    script: dict[str, list[Callable[[], Awaitable[None]]]] = field(default_factory=dict)
    walls: list[Wall] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    count: int = 0

    def __post_init__(self) -> None:
        self.walls = self.walls or [Wall("here", self)]

    async def called(self, kind: str) -> None:
        self.calls.append(kind)
        if steps := self.script.get(kind):
            await steps.pop(0)()

    def put(self, place: str, content: str, mark: str) -> str:
        self.count += 1
        self.messages[f"m{self.count}"] = Shown(place, mark, [content])
        self.news.set()
        return f"m{self.count}"

    def places(self, request: Request) -> Sequence[Place[str]]:
        return self.walls

    def render(self, view: View) -> list[str]:
        """A line is a message."""
        return view.text().split("\n")

    async def edit(self, reference: str, content: str) -> None:
        await self.called("edit")
        if reference not in self.messages:
            raise Refused("gone")
        self.messages[reference].texts.append(content)
        self.news.set()

    async def delete(self, reference: str) -> None:
        await self.called("delete")
        if self.messages.pop(reference, None) is None:
            raise Refused("gone")
        self.news.set()

    @property
    def says(self) -> list[str]:
        return [shown.texts[-1] for shown in self.messages.values()]

    async def until(self, happened: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not happened():
                self.news.clear()
                await self.news.wait()


async def unreachable() -> None:
    raise Unreachable("no answer")


Handle = Callable[[Request], AsyncIterator[ReplyEvent]]


class Bot:
    """Deliveries whose events are questions; each event's id is its request's."""

    def __init__(
        self, platform: Platform, inbox: MemoryInbox, handle: Handle | None = None, **options: Any
    ) -> None:
        self.asked: list[Request] = []
        self.finished = asyncio.Event()
        self._handle = handle or self._answer
        self.platform = platform
        self.inbox = inbox
        self.deliveries = Deliveries(
            "played",
            self._asked,
            inbox,
            platform,
            self._work,
            edit_seconds=0,
            retry_seconds=0,
            **options,
        )

    async def _asked(self, request: Request) -> AsyncIterator[ReplyEvent]:
        self.asked.append(request)
        async for event in self._handle(request):
            yield event

    async def _answer(self, request: Request) -> AsyncIterator[ReplyEvent]:
        yield Status("Searching")
        yield ANSWER

    async def _work(self, event: Event) -> None:
        if event.edition == "deleted":
            assert event.message is not None
            await self.deliveries.withdraw(event.team, event.channel, event.message)
            return
        over = None
        if event.edition:
            assert event.message is not None
            known = await self.inbox.replies_to("played", "T", "C", event.message)
            over = known[-1].request if known else None
        await self.deliveries.deliver(request(event), event, over=over)

    async def done(self, *events: Event) -> None:
        """Wait until events are done."""
        async with asyncio.timeout(10):
            while not {event.id for event in events} <= self.inbox.finished:
                self.inbox.changed.clear()
                await self.inbox.changed.wait()

    async def say(self, event: Event = EVENT) -> None:
        """Accept an event and wait until it is done."""
        assert await self.deliveries.accept(event)
        await self.done(event)


def request(event: Event) -> Request:
    return Request(
        event.id, "played", "ask", event.payload["text"], "U", "T:C", "s", frozenset({"public"})
    )
