"""A local Discord: gateway, REST and files over real sockets, around simcord's state machine.

`async with DiscordDouble() as discord` serves at `discord.api_url` and `discord.gateway_url`. What
the bot sends is judged by Discord's OpenAPI description where that is at hand; what it gets has the
published fields. `wrong` names what no real bot would get away with, and fails the test.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

import discord
from aiohttp import web
from simcord._clock import Clock
from simcord.backend import Backend
from simcord.backend.models import Channel, Guild, Message, Overwrite
from simcord.enums import ChannelType, OverwriteType

from tests.doubles.discord_gateway import Gateway
from tests.doubles.discord_payloads import CDN, completed
from tests.doubles.discord_people import Person
from tests.doubles.discord_rest import PREFIX, Call, Fault, Rest

TOKEN = "double-bot-token"
PATIENCE = 10.0
"""Seconds after which something that a test waits for is taken never to happen."""
_LINK_SECONDS = 24 * 3600
_T = TypeVar("_T")


class WallClock(Clock):
    """The real time; it can be advanced."""

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.elapsed)


class DiscordDouble:
    """A Discord with one server, a channel in it and somebody there; more can be added."""

    token = TOKEN

    def __init__(
        self,
        *,
        approved: discord.Intents | None = None,
        permissions: int | None = None,
        shards: int = 1,
        heartbeat_seconds: float = 41.25,
        patience: float = PATIENCE,
    ) -> None:
        """`approved` are the privileged intents of the portal, all by default; `permissions` is
        what the bot was invited with."""
        self.backend = Backend(clock=WallClock())
        approved = discord.Intents.all() if approved is None else approved
        self.gateway = Gateway(
            self.backend,
            TOKEN,
            approved=approved,
            heartbeat_seconds=heartbeat_seconds,
            shape=self.shaped,
            changed=self._wake,
        )
        self.rest = Rest(
            self.backend,
            TOKEN,
            shape=self.shaped,
            changed=self._wake,
            reads_content=approved.message_content,
        )
        self.rest.shards = shards
        self.links: dict[str, float] = {}
        self.fetched: list[tuple[str, str | None]] = []
        """Paths of files that were asked for, with their Authorization header."""
        self._permissions = permissions
        self._patience = patience
        self._change = asyncio.Event()
        self.backend.subscribers.append(lambda event, payload: self._wake())
        app = web.Application(client_max_size=64 << 20)
        app.router.add_route("*", PREFIX + "/{path:.*}", self.rest.serve)
        app.router.add_get("/gateway", self.gateway.serve)
        app.router.add_get("/gateway/", self.gateway.serve)
        app.router.add_get("/attachments/{path:.*}", self._file)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        self.guild = self.add_guild("Team")
        self.channel = self.add_channel("general")
        self.person = self.add_person("mei")

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.origin = f"http://{host}:{port}"
        self.api_url = self.origin + PREFIX
        self.gateway_url = f"ws://{host}:{port}/gateway"
        self.gateway.url = self.rest.gateway_url = self.gateway_url
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.gateway.close()
        await self._runner.cleanup()
        if error is None:
            assert not self.rest.wrong, self.rest.wrong

    # The world

    def add_guild(self, name: str) -> Guild:
        """Return a new server that the bot has been invited to."""
        guild = self.backend.create_guild(name)
        if self._permissions is not None:
            role = next(role for role in guild.roles.values() if role.managed)
            self.backend.edit_role(guild.id, role.id, {"permissions": self._permissions})
        return guild

    def add_channel(
        self,
        name: str,
        *,
        guild: Guild | None = None,
        kind: ChannelType = ChannelType.TEXT,
        denied: int = 0,
        **fields: Any,
    ) -> Channel:
        """Return a new channel; `denied` are permissions that nobody has there."""
        guild = guild or self.guild
        overwrites = [Overwrite(guild.id, OverwriteType.ROLE, 0, denied)] if denied else []
        channel = self.backend.create_channel(
            guild.id, name, type=kind, overwrites=overwrites, **fields
        )
        return channel

    def add_person(self, name: str, *guilds: Guild, bot: bool = False) -> Person:
        """Return a new person who is in these servers, or in the first."""
        user = self.backend.make_user(name, bot=bot)
        for guild in guilds or (self.guild,):
            self.backend.add_member(guild.id, user.id)
        return Person(self, user, (guilds or (self.guild,))[0])

    def forbid(self, channel: Channel, target: int, **permissions: bool) -> None:
        """Deny or allow permissions to a member or role in a channel."""
        allowed, denied = discord.PermissionOverwrite(**permissions).pair()
        roles = self._guild_of(channel).roles
        kind = OverwriteType.ROLE if target in roles else OverwriteType.MEMBER
        self.backend.set_overwrite(channel.id, Overwrite(target, kind, allowed.value, denied.value))

    def _guild_of(self, channel: Channel) -> Guild:
        assert channel.guild_id is not None
        return self.backend.guilds[channel.guild_id]

    # What the bot did

    @property
    def me(self) -> int:
        """The bot's user id."""
        return int(self.backend.bot_user.id)

    @property
    def mention(self) -> str:
        """The bot's mention."""
        return f"<@{self.me}>"

    def said(self, channel: Channel | int) -> list[Message]:
        """Return what the bot says in a channel or thread, oldest first, without system messages
        and without what only one person sees."""
        id = channel if isinstance(channel, int) else channel.id
        kept = self.backend.messages.get(id, {}).values()
        mine = [each for each in kept if each.author_id == self.me and each.type in (0, 19)]
        return [each for each in mine if not each.is_ephemeral]

    def threads(self, channel: Channel) -> list[Channel]:
        """Return the threads of a channel, oldest first."""
        return [each for each in self.backend.channels.values() if each.parent_id == channel.id]

    def calls(self, method: str, ending: str = "") -> list[Call]:
        """Return the bot's calls of a method whose path ends so."""
        return [c for c in self.rest.calls if c.method == method and c.path.endswith(ending)]

    def fail(self, method: str, path: str, **what: Any) -> None:
        """Let the next call of a method whose path matches fail: fields of `Fault`."""
        self.rest.faults.append(Fault(method, path, **what))

    async def until(self, found: Callable[[], _T]) -> _T:
        """Return what `found` returns as soon as that is true; it is asked after every change."""
        end = time.monotonic() + self._patience
        while not (result := found()):
            self._change.clear()
            left = end - time.monotonic()
            calls = [f"{call.method} {call.path} {call.status}" for call in self.rest.calls[-12:]]
            assert left > 0, f"it never happened, but: {calls} {self.rest.wrong}"
            with suppress(TimeoutError):  # `asyncio.wait_for` may swallow a cancellation
                async with asyncio.timeout(min(left, 0.5)):
                    await self._change.wait()
        return result

    async def connected(self) -> None:
        """Wait until the bot has identified and registered its commands."""
        await self.until(lambda: [s for s in self.gateway.sessions if s.connection])

    def _wake(self) -> None:
        self._change.set()

    # Files

    def expire_links(self) -> None:
        """Let the addresses of files that were given out so far expire."""
        self.links.clear()

    def shaped(self, payload: Any) -> Any:
        return completed(payload, self._signed)

    def _signed(self, url: str) -> str:
        """Return a file's address as given out now, with the end of its life and a signature."""
        end = int(time.time()) + _LINK_SECONDS
        signature = f"{len(self.links):064x}"
        self.links[signature] = end
        path = url.removeprefix(CDN)
        return f"{self.origin}{path}?ex={end:x}&is={int(time.time()):x}&hm={signature}&"

    async def _file(self, request: web.Request) -> web.Response:
        self.fetched.append((request.path, request.headers.get("Authorization")))
        content = self.backend.cdn.get(CDN + request.path)
        if content is None or self.links.get(request.query.get("hm", ""), 0) < time.time():
            return web.Response(status=404, text="This content is no longer available.")
        return web.Response(body=content)
