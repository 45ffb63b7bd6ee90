"""Processes of a bot whose reminders fall due when a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.adapters.console import copy_local
from bot.app import App
from bot.messages import Download
from tests.bot.fakes import FakeChat, FakeEmbeddings, settings, use
from tests.bot.later import Bot, Clock
from tests.fakes import LineParser


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bots(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
    request: pytest.FixtureRequest,
) -> Any:
    """Return what starts a process of the bot, on the same data folder each time.

    The parameter, if there is one, has further settings.
    """
    chosen = settings(tmp_path, timezone="UTC", **getattr(request, "param", {}))
    chat = FakeChat()
    use(monkeypatch, chat=chat, embeddings=FakeEmbeddings())
    monkeypatch.setattr("bot.app.Sandbox", lambda **limits: LineParser())

    @asynccontextmanager
    async def begin() -> AsyncIterator[Bot]:
        app = App(chosen, dict[str, Download](cli=copy_local))
        app.later.reminders.clock = clock
        app.claim()
        yield Bot(app, chat, clock)
        await asyncio.to_thread(app.close)

    return begin
