"""Row D4 for Slack: the connection breaks in every way, and nothing that was said is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from tests.bot.adapters.slack.bot import Bot, answer, finished
from tests.doubles.slack import SlackDouble
from tests.reliability.rows import cases

WITHIN = 60.0


@asynccontextmanager
async def running(slack: SlackDouble) -> AsyncIterator[Bot]:
    """Run the adapter over a local Slack; it notices a silent connection soon."""
    bot = Bot(slack, answer, ping_seconds=0.25)
    task = asyncio.create_task(bot.adapter.run())
    await slack.until(lambda: slack.connections)
    try:
        yield bot
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def interrupted(slack: SlackDouble, how: str) -> None:
    match how:
        case "dropped":
            await slack.drop()
        case "refreshed":
            await slack.refresh()
        case "silent":
            await slack.fall_silent()


@pytest.mark.parametrize("how", ["dropped", "refreshed", "silent"])
async def test_d4_a_connection_comes_back_and_nothing_is_lost(how: str) -> None:
    async with SlackDouble(patience=WITHIN) as slack, running(slack) as bot:
        for case in cases("D4", f"Slack's socket {how}", full=100, sample=1):
            await interrupted(slack, how)
            begun = time.monotonic()
            # Slack delivers again what nobody acknowledged.
            asked = [await slack.mention(f"{case.number}?") for _ in range(2)]
            for ts in asked:
                await finished(slack, ts)
                assert len(slack.in_thread(ts)) == 1
            assert time.monotonic() - begun < WITHIN
        texts = [request.text for request in bot.asked()]
        assert all(texts.count(text) == 2 for text in texts)
