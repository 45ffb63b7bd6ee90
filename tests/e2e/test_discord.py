"""The real bot's parts in a Discord in process: only the gateway is played."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import discord
import pytest
import simcord

from bot.adapters.discord import DiscordAdapter
from bot.app import App
from bot.messages import Attachment, Download
from bot.settings import load_settings
from rag.ingest.folders import scan
from tests.doubles.discord import World, discord_world
from tests.e2e.bot import PATIENCE, ROOT

LAPTOP = "How soon must I report a lost laptop?"
NOTES = b"# Anchors\n\nThe spare anchor is carried by the ship Amber Gull.\n"


def said_anywhere(world: World, channel: simcord.ChannelHandle) -> list[discord.Message]:
    """Return what the bot said in a channel and its threads, oldest first."""
    places = [channel, *channel.threads]
    said = [message for place in places for message in world.said_by_bot(place)]
    return sorted(said, key=lambda message: message.id)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    settings = load_settings(ROOT / "config.yaml", environment={}, data=tmp_path)
    downloads: dict[str, Download] = {}
    app = App(settings, downloads)
    app.claim()
    try:
        adapter = DiscordAdapter(app.dispatcher.handle, app.inbox, token="token")

        async def download(attachment: Attachment, path: Path, limit: int) -> None:
            # The double has no address for files; the adapter's own way to them has its own tests.
            channel, message = attachment.reference.partition("#")[2].split("/")
            place = adapter.client.get_partial_messageable(int(channel))
            [sent] = (await place.fetch_message(int(message))).attachments
            path.write_bytes(await sent.read())

        downloads["discord"] = download
        await app.knowledge.ready()
        await app.talking.ready()
        await asyncio.to_thread(scan, app.folders[0], app.indexer, app.records)
        async with discord_world(adapter, settle_timeout=PATIENCE) as world:
            yield world
    finally:
        await asyncio.to_thread(app.close)


async def test_a_mention_is_answered_and_a_file_learned_for_its_channel(world: World) -> None:
    await world.person.send(world.channel, f"{world.me} {LAPTOP}")
    [thread] = world.channel.threads
    [reply] = world.said_by_bot(thread)
    assert "two hours" in reply.content
    assert "team-handbook.pdf, p. 4" in reply.content

    other = world.guild.create_text_channel("fleet")
    await world.person.send(other, world.me, attachments=[("anchors.md", NOTES)])
    said = "".join(message.content for message in said_anywhere(world, other))
    assert "anchors.md" in said
    assert "ready" in said

    question = f"{world.me} Which ship carries the spare anchor?"
    await world.person.send(other, question)
    assert "Amber Gull" in said_anywhere(world, other)[-1].content
    await world.person.send(world.channel, question)
    assert "Amber Gull" not in said_anywhere(world, world.channel)[-1].content
