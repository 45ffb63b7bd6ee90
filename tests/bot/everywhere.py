"""One bot on all its surfaces, with a played model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bot.adapters.console import ConsoleAdapter, copy_local
from bot.adapters.local import ADDRESS_FILE, LocalApi
from bot.adapters.slack.adapter import SlackAdapter
from bot.app import App
from bot.messages import Attachment, Download, Language, Request
from bot.routing import asks_a_page
from rag.ingest.loaders.grids import grids
from rag.ingest.parsed import Grid
from tests.bot.fakes import FakeChat, FakeEmbeddings, collect, request, settings, use
from tests.bot.handlers.test_skills import NAME
from tests.doubles.discord_running import running
from tests.doubles.discord_wire import DiscordDouble
from tests.doubles.slack import SlackDouble
from tests.fakes import LineParser


@dataclass
class Everywhere:
    """One bot, its model, and the surfaces that it is on."""

    app: App
    chat: FakeChat
    slack: SlackDouble
    discord: DiscordDouble
    terminal: ConsoleAdapter


class Reader(LineParser):
    """Reads cells too, without a child process."""

    def grids(self, file: Path) -> list[Grid]:
        """Return the sheets of a file."""
        return list(grids(file.read_bytes(), file.name))


@asynccontextmanager
async def begun(folder: Path, documents: Sequence[Path], **more: Any) -> AsyncIterator[Everywhere]:
    """Run a bot that knows some documents, with its data below a folder, until the end."""
    chat, downloads = FakeChat(), dict[str, Download](cli=copy_local)
    chosen = settings(folder, permissions={"settings": "anyone"}, **more)
    with pytest.MonkeyPatch.context() as patch:
        use(patch, chat=chat, embeddings=FakeEmbeddings())
        patch.setattr("bot.app.Sandbox", lambda **limits: Reader())
        app = App(chosen, downloads)
    app.claim()
    await _taught(app, documents)
    app.dispatcher._route = in_plain_words
    handle = app.dispatcher.handle
    async with (
        SlackDouble() as slack,
        DiscordDouble() as discord,
        running(discord, handle, inbox=app.inbox) as on_discord,
    ):
        on_slack = SlackAdapter(
            handle,
            app.inbox,
            bot_token=slack.bot_token,
            app_token=slack.app_token,
            api_url=slack.api_url,
            fetch=app.fetcher.fetch,
            edit_seconds=0.0,
        )
        downloads |= {"slack": on_slack.download, "discord": on_discord.download}
        app.later.postings |= {"slack": on_slack, "discord": on_discord}
        task = asyncio.create_task(on_slack.run())
        await slack.until(lambda: slack.connections)
        commands = asyncio.create_task(LocalApi(handle, chosen.data / ADDRESS_FILE).run())
        await slack.until((chosen.data / ADDRESS_FILE).exists)
        terminal = ConsoleAdapter(handle, scope="public", history_turns=1)
        yield Everywhere(app, chat, slack, discord, terminal)
        for each in (task, commands):
            each.cancel()
            with suppress(asyncio.CancelledError):
                await each
    await asyncio.to_thread(app.close)


async def in_plain_words(asked: Request, _language: Language) -> Request:
    """Take what says "sum up" for a summary, "water" for a reminder, and what names a page for a
    question to it."""
    if asks_a_page(asked.text):
        return replace(asked, command="lookup")
    if "water" in asked.text:
        return replace(asked, command="remind")
    if "sum up" not in asked.text:
        return asked
    return replace(asked, command="summarise", text=NAME)


async def _taught(app: App, documents: Sequence[Path]) -> None:
    for each in documents:
        asked = request("", "upload", attachments=(Attachment(each.name, None, str(each)),))
        _, reply = await collect(app.dispatcher.handle(asked))
        assert reply.outcome == "answer", reply.text
