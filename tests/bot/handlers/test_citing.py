"""Events of the pipeline as replies."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from bot.handlers.citing import replies
from rag.pipeline import Event, Finished, Found


async def test_who_stops_listening_stops_the_flow_at_once() -> None:
    stopped = False

    async def flow() -> AsyncGenerator[Event, None]:
        nonlocal stopped
        try:
            yield Found(())
            yield Finished("refusal", "en")
        finally:
            stopped = True

    events = replies(flow(), "en", "model")
    await anext(events)
    await events.aclose()
    assert stopped
