"""The whole bot with its reminders, and a calendar that tests turn."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot.app import App
from bot.messages import Attachment
from tests.bot.fakes import FakeChat, collect, request

START = datetime(2026, 11, 27, 12, tzinfo=UTC)  # a Friday
MONDAY = datetime(2026, 11, 30, 9, tzinfo=UTC)
LAPTOPS = "# Laptops\n\nA lost laptop is reported to security within one hour.\n"
SAYS = "A lost laptop is reported within one hour."


class Clock:
    """The bot's calendar."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> float:
        return self.at.timestamp()


@dataclass
class Bot:
    """One process of the bot."""

    app: App
    chat: FakeChat
    clock: Clock

    async def due(self, at: datetime) -> None:
        """Let time pass."""
        self.clock.at = at
        await self.app.later.reminding.tick()

    async def ask(self, text: str, command: str, **more: Any) -> Any:
        """Return the reply to somebody at the command line."""
        _, reply = await collect(self.app.dispatcher.handle(request(text, command, **more)))
        return reply

    async def teach(self, name: str, text: str, scope: str = "public") -> None:
        """Have a file learned."""
        file = self.app.settings.data / name
        await asyncio.to_thread(file.write_text, text, encoding="utf-8")
        attached = (Attachment(name, None, str(file)),)
        reply = await self.ask("", "upload", scope=scope, attachments=attached)
        assert reply.outcome == "answer", reply.text
