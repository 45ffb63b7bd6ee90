"""Slack's adapter over a local workspace, with a handle that says what the test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from bot.adapters.slack.adapter import SlackAdapter
from bot.messages import Citation, Reply, ReplyChunk, ReplyEvent, Request, Sources, Status
from rag.fetch import Fetcher
from tests.bot.inboxes import MemoryInbox
from tests.bot.recalled import Recalled
from tests.doubles.slack import Message, SlackDouble

GENERAL = "slack:-:T0TEAM:C0GENERAL"
CITED = Citation(1, "handbook.pdf", 3, "Leave", "Ten days a year.", 0, 16)
ANSWER = Reply(
    "answer",
    "You get ten days.",
    "en",
    (ReplyChunk("You get ten days.", (CITED,)),),
    (CITED,),
)

Script = Callable[[Request], AsyncIterator[ReplyEvent]]
Start = Callable[..., Any]


class Bot:
    """The adapter over a double, and the requests that it brought."""

    def __init__(self, slack: SlackDouble, script: Script, **settings: Any) -> None:
        self.slack = slack
        self.requests: list[Request] = []
        self.recalled = Recalled()
        self.port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._script = script
        self.inbox = settings.pop("inbox", None) or MemoryInbox()
        signed = settings.pop("signed", False)
        known: dict[str, Any] = {"bot_token": slack.bot_token, "app_token": slack.app_token}
        known["fetch"] = Fetcher().fetch
        if signed:
            secret = slack.signing_secret
            known |= {"app_token": None, "signing_secret": secret, "port": 0}
            known["listening"] = self.port.set_result
        self.adapter = SlackAdapter(
            self._handle,
            self.inbox,
            api_url=slack.api_url,
            **known | {"edit_seconds": 0.0} | settings,
        )

    async def _handle(self, request: Request) -> AsyncIterator[ReplyEvent]:
        self.requests.append(request)
        if request.command == "recall":
            yield self.recalled.reply(request)
            return
        async for event in self._script(request):
            self.recalled.note(request, event)
            yield event

    def asked(self, command: str = "ask") -> list[Request]:
        """Return the requests of one command."""
        return [request for request in self.requests if request.command == command]


async def answer(request: Request) -> AsyncIterator[ReplyEvent]:
    """Answer as the real handlers do, with progress, sources and a cited sentence."""
    yield Status("Searching the documents …")
    yield Sources((CITED,))
    yield ANSWER.chunks[0]
    yield ANSWER


class Held:
    """Answers when `go` is set."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def __call__(self, request: Request) -> AsyncIterator[ReplyEvent]:
        """Say nothing, and then all."""
        await self.go.wait()
        yield ANSWER


def says(text: str) -> Callable[[str], bool]:
    """Return whether a message's text has this in it."""
    return lambda shown: text in shown


async def finished(slack: SlackDouble, thread: str | None, said: str = "Sources:") -> Message:
    """Wait for a message of the bot's that stands there complete."""

    def found() -> Message | None:
        for message in slack.in_thread(thread):
            if said in message.markdown + message.text and not message.streaming:
                return message
        return None

    await slack.until(found)
    message = found()
    assert message is not None
    return message
