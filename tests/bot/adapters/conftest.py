from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest

from tests.bot.adapters.slack.bot import Bot, Script, Start, answer
from tests.doubles.slack import SlackDouble


@pytest.fixture
async def slack() -> AsyncIterator[SlackDouble]:
    """Return a local workspace."""
    async with SlackDouble() as double:
        yield double


@pytest.fixture
async def start(slack: SlackDouble) -> AsyncIterator[Start]:
    """Return what starts the adapter over it, with a script and settings."""
    async with AsyncExitStack() as stack:

        async def begin(script: Script = answer, **settings: Any) -> Bot:
            bot = Bot(slack, script, **settings)
            task = asyncio.create_task(bot.adapter.run())

            async def stop() -> None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

            stack.push_async_callback(stop)
            if settings.get("signed"):
                slack.events_url = f"http://127.0.0.1:{await bot.port}/slack/events"
            else:
                await slack.until(lambda: slack.connections)
            return bot

        yield begin
