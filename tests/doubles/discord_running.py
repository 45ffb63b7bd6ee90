"""An adapter that runs against a local Discord over real sockets, with a scripted handle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.adapters.discord.adapter import DiscordAdapter
from bot.messages import Citation, Handle, Inbox, Reply, ReplyChunk, ReplyEvent, Request, Status
from bot.messages import Sources as Found
from rag.fetch import Fetcher
from tests.bot.inboxes import MemoryInbox
from tests.bot.recalled import Recalled
from tests.doubles.discord_wire import DiscordDouble

LEAVE = Citation(1, "handbook.pdf", 12, "Leave", "Everyone has 25 days of leave.", 0, 30)
CHUNKS = (ReplyChunk("You have 25 days. ", (LEAVE,)), ReplyChunk("Ask your lead first."))
ANSWER: list[ReplyEvent] = [
    Status("Searching the documents …"),
    Found((LEAVE,)),
    *CHUNKS,
    Reply("answer", "You have 25 days. Ask your lead first.", "en", CHUNKS, (LEAVE,)),
]
RECEIPT: list[ReplyEvent] = [
    Status("handbook.pdf: reading", 1, 12),
    Reply(
        "answer",
        "handbook.pdf: 12 pages, 34 passages, ready",
        "en",
        data=[{"document": "d1", "name": "handbook.pdf", "state": "ready"}],
    ),
]
LISTED: list[ReplyEvent] = [
    Reply(
        "answer",
        "handbook.pdf\nrelease-notes.md",
        "en",
        data=[{"document": "handbook.pdf"}, {"document": "release-notes.md"}],
    )
]


class Script:
    """Answers every request with the events of its command, and remembers the requests."""

    def __init__(self, **scripts: Sequence[ReplyEvent]) -> None:
        self.scripts: dict[str, Sequence[ReplyEvent]] = {
            "ask": ANSWER,
            "upload": RECEIPT,
            "sources": LISTED,
            **scripts,
        }
        self.requests: list[Request] = []
        self.recalled = Recalled()
        self.holding: asyncio.Event | None = None
        """What the last event of a reply waits for, where it is there."""

    async def __call__(self, request: Request) -> AsyncIterator[ReplyEvent]:
        self.requests.append(request)
        if request.command == "recall":
            yield self.recalled.reply(request)
            return
        *first, last = self.scripts.get(request.command, [Reply("answer", "Done.", "en")])
        for event in first:
            yield event
        if self.holding is not None and request.command not in ("stop", "rate"):
            await self.holding.wait()
        self.recalled.note(request, last)
        yield last

    def asked(self, command: str = "ask") -> list[str]:
        """The texts of the requests of a command."""
        return [request.text for request in self.requests if request.command == command]


@asynccontextmanager
async def running(
    double: DiscordDouble, handle: Handle, *, inbox: Inbox | None = None, **options: Any
) -> AsyncIterator[DiscordAdapter]:
    """Run an adapter that is connected; what it raises fails the test."""
    options = {"message_content": True, "edit_seconds": 0.01, **options}
    base, gateway = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    adapter = DiscordAdapter(
        handle,
        inbox or MemoryInbox(),
        token=double.token,
        fetch=Fetcher().fetch,
        api_url=double.api_url,
        gateway_url=double.gateway_url,
        **options,
    )
    task = asyncio.create_task(adapter.run())
    connected = asyncio.create_task(double.connected())
    try:
        await asyncio.wait([task, connected], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        await connected
        yield adapter
    finally:
        connected.cancel()
        task.cancel()
        ended = await asyncio.gather(task, return_exceptions=True)
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = base, gateway
    if isinstance(ended[0], Exception):
        raise ended[0]
