"""Discord in process: simcord's servers and people, around an adapter and a scripted handle."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import discord
import simcord

from bot.adapters.discord import DiscordAdapter
from bot.messages import Reply, ReplyEvent, Request


class ScriptedHandle:
    """Answers every request with the events of its command, and remembers the requests."""

    def __init__(self, **scripts: Sequence[ReplyEvent]) -> None:
        self.scripts = scripts
        self.requests: list[Request] = []

    async def __call__(self, request: Request) -> AsyncIterator[ReplyEvent]:
        self.requests.append(request)
        for event in self.scripts.get(request.command, [Reply("answer", "Done.", "en")]):
            yield event


class World:
    """A server with a channel, one person in it, and the bot that is under test."""

    def __init__(self, env: simcord.Env, adapter: DiscordAdapter) -> None:
        self.env = env
        self.adapter = adapter
        self.guild = env.create_guild("Team")
        self.channel = self.guild.create_text_channel("general")
        self.person = self.guild.add_member(env.create_user("mei"))

    @property
    def me(self) -> str:
        """The bot's mention."""
        assert self.adapter.client.user is not None
        return self.adapter.client.user.mention

    def said_by_bot(self, channel: simcord.ChannelHandle) -> list[discord.Message]:
        """What the bot has written in a channel, oldest first, without system messages."""
        assert self.adapter.client.user is not None
        return [
            message
            for message in channel.history()
            if message.author.id == self.adapter.client.user.id and not message.is_system()
        ]

    def calls(self, method: str, ending: str) -> list[Any]:
        """The bodies of the bot's calls of a method whose path ends so."""
        return [
            entry.json
            for entry in self.env.http_requests
            if entry.method == method and entry.path.endswith(ending)
        ]

    def deny(self, **permissions: bool) -> simcord.ChannelHandle:
        """Return a new channel in which the bot lacks these permissions."""
        assert self.guild.me is not None
        overwrite = discord.PermissionOverwrite(**dict.fromkeys(permissions, False))
        return self.guild.create_text_channel("strict", overwrites={self.guild.me: overwrite})


@asynccontextmanager
async def discord_world(adapter: DiscordAdapter, **options: Any) -> AsyncIterator[World]:
    """Connect an adapter to a small Discord; errors of the bot fail the test."""
    # Not `simcord.run`, whose context variables don't survive the way from a fixture to its test.
    env = simcord.Env(adapter.client, shard_count=1, **options)
    await env.start()
    try:
        yield World(env, adapter)
    finally:
        await env.shutdown()
    env.raise_errors()
