"""Earlier turns, with the real models: as many as the config says, none included."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.adapters.local import last_reply
from bot.app import App
from bot.handlers.ask import Ask
from bot.messages import Reply, Request, Turn
from bot.settings import load_settings
from rag.ingest.folders import scan
from tests.e2e.bot import ROOT

DESK = "# The lost and found desk\n\nThe desk is open on Mondays from 08:15 to 09:45.\n"
SHED = "The bicycle shed is painted every spring.\n"
FOLLOW_UP = "And when is it open?"
EARLIER = (
    Turn("user", "How often is the bicycle shed painted?"),
    Turn("assistant", SHED),
    Turn("user", "Thanks. Who paints it?"),
    Turn("assistant", "I can't find that in the documents."),
    Turn("user", "Where do I ask for something that I lost?"),
    Turn("assistant", "At the lost and found desk."),
)


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "desk.md").write_text(DESK, encoding="utf-8")
    (folder / "shed.md").write_text(SHED, encoding="utf-8")
    folders = json.dumps([{"path": str(folder), "scope": "public", "schedule": "every 1 hour"}])
    settings = load_settings(
        ROOT / "config.yaml",
        environment={},
        data=tmp_path / "data",
        # A machine that does other things besides needs longer to begin.
        changes=[f"folders={folders}", "answers.first_token_seconds=120"],
    )
    app = App(settings, {})
    app.claim()
    try:
        await app.knowledge.ready()
        await app.talking.ready()
        await asyncio.to_thread(scan, app.folders[0], app.indexer, app.records)
        yield app
    finally:
        await asyncio.to_thread(app.close)


async def test_a_follow_up_is_about_the_turns_that_the_config_keeps(app: App) -> None:
    async def answered(turns: int, history: tuple[Turn, ...]) -> Reply:
        ask = Ask(app.pipeline, app.records, app.conversations, voices=app.voices, history=turns)
        request = Request(
            id="1",
            platform="cli",
            command="ask",
            text=FOLLOW_UP,
            user="u",
            conversation="c",
            scope="public",
            audience=frozenset({"public"}),
            history=history,
        )
        return await last_reply(ask.handle(request, "en"))

    alone = await answered(3, ())
    forgetful = await answered(0, EARLIER)
    assert (forgetful.outcome, forgetful.citations) == (alone.outcome, alone.citations)
    for turns in (1, 3):
        reply = await answered(turns, EARLIER)
        assert {citation.document for citation in reply.citations} == {"desk.md"}
