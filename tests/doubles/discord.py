"""Discord in process: simcord's servers and people, around an adapter and a scripted handle.

`gateway` is the only thing here that listens: it knows logging in and identifying, and no more.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import discord
import simcord
from aiohttp import WSMsgType, web

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


class Gateway:
    """A server that takes any token, and closes with 4014 where an intent isn't allowed."""

    def __init__(self, url: str, refused: discord.Intents) -> None:
        self.api_url = f"http://{url}/api/v10"
        self.gateway_url = f"ws://{url}/gateway"
        self.refused = refused
        self.identified: list[discord.Intents] = []
        self.ready = asyncio.Event()

    async def api(self, request: web.Request) -> web.Response:
        """Answer the calls of a login; Discord's own gateway is named, which must not be used."""
        user = {"id": "1", "username": "teamglm", "discriminator": "0", "avatar": None, "bot": True}
        answers: dict[str, Any] = {
            "/users/@me": user,
            "/oauth2/applications/@me": {
                "id": "1",
                "name": "TeamGLM",
                "icon": None,
                "description": "",
                "bot_public": False,
                "bot_require_code_grant": False,
                "verify_key": "",
                "flags": 0,
                "owner": user,
            },
            "/gateway/bot": {
                "url": "wss://gateway.invalid",
                "shards": 1,
                "session_start_limit": {
                    "total": 1,
                    "remaining": 1,
                    "reset_after": 1,
                    "max_concurrency": 1,
                },
            },
            "/applications/1/commands": [],
        }
        body = json.dumps(answers[request.path.removeprefix("/api/v10")]).encode()
        # With a charset beside it, discord.py takes the answer for text.
        return web.Response(body=body, headers={"Content-Type": "application/json"})

    async def connect(self, request: web.Request) -> web.WebSocketResponse:
        """Say hello and take one identification."""
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.send_json({"op": 10, "d": {"heartbeat_interval": 41250}, "s": None, "t": None})
        async for frame in ws:
            data = frame.json() if frame.type is WSMsgType.TEXT else {}
            if data.get("op") != 2:
                continue
            intents = discord.Intents._from_value(data["d"]["intents"])
            self.identified.append(intents)
            if intents.value & self.refused.value:
                await ws.close(code=4014, message=b"Disallowed intent(s).")
            else:
                self.ready.set()
        return ws


@asynccontextmanager
async def gateway(*, refused_intents: discord.Intents) -> AsyncIterator[Gateway]:
    """Serve logins on a loopback port."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Gateway(f"127.0.0.1:{listener.getsockname()[1]}", refused_intents)
    app = web.Application()
    app.router.add_route("*", "/api/v10/{path:.*}", server.api)
    app.router.add_get("/gateway/", server.connect)
    app.router.add_get("/gateway", server.connect)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    try:
        yield server
    finally:
        await runner.cleanup()
