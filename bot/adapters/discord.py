"""Discord: mentions, direct messages, files and slash commands in; answers in threads out."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import discord
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.adapters.discord_commands import command_tree, sync_commands
from bot.adapters.discord_files import fetch
from bot.adapters.discord_posts import place
from bot.adapters.discord_requests import scope_of, to_command, to_requests
from bot.adapters.sheet import Post, Sheet
from bot.messages import (
    Attachment,
    AttachmentError,
    Handle,
    PlatformError,
    Reply,
    ReplyChunk,
    ReplyEvent,
    Request,
    Sources,
    Status,
)
from bot.render import body, escape_discord, progress, reading, render, split

log = logging.getLogger(__name__)

CONTENT_LIMIT = 2000
_THREAD_EXISTS = 160004  # and has the id of the message that it stands on
_UNREACHABLE = (
    discord.HTTPException,
    discord.GatewayNotFound,
    discord.ConnectionClosed,
    aiohttp.ClientError,
    OSError,
)
_FAILED = {
    "en": "Something went wrong on my side; it is in the log. Please try again.",
    "zh": "我这边出了问题，已记录在日志中。请再试一次。",
}
_HAN = re.compile("[\u4e00-\u9fff]")


class DiscordAdapter:
    """Brings people's messages to `handle` and its replies back; `client` is the connection.

    `message_content` asks for the privileged intent, which brings messages that don't address the
    bot: files in channels and follow-ups in the bot's threads; without it the rest works the same.
    `api_url` and `gateway_url` replace Discord's own addresses for the whole process.
    `clock` and `sleep` are seconds, so that tests drive the pace of edits.
    """

    def __init__(
        self,
        handle: Handle,
        *,
        token: str,
        api_url: str | None = None,
        gateway_url: str | None = None,
        message_content: bool = False,
        edit_seconds: float = 1.5,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._handle = handle
        self._token = token
        self._api_url = api_url
        self._gateway_url = gateway_url
        self._pace: dict[str, Any] = {"edit_seconds": edit_seconds, "clock": clock, "sleep": sleep}
        self._seen: dict[int, None] = {}
        self._answers: set[asyncio.Task[Any]] = set()
        self.client = _Client(self, message_content=message_content)

    async def run(self) -> None:
        """Answer until cancelled; raise `PlatformError` where Discord refuses the connection."""
        if self._api_url:
            Route.BASE = self._api_url.rstrip("/")
        if self._gateway_url:
            DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(self._gateway_url)
        try:
            await self._connect()
        except discord.PrivilegedIntentsRequired:
            log.warning(
                "Discord does not allow this bot to read messages that don't mention it: switch on "
                "“Message Content Intent” in the developer portal (Bot) for files and follow-ups "
                "without a mention. Mentions, direct messages and commands work without it."
            )
            self.client = _Client(self, message_content=False)
            await self._connect()

    async def _connect(self) -> None:
        try:
            async with self.client:
                try:
                    await self.client.start(self._token)
                finally:
                    for answer in self._answers:
                        answer.cancel()
                    await asyncio.gather(*self._answers, return_exceptions=True)
        except discord.LoginFailure as error:
            raise PlatformError(
                "Discord refused the token: copy it again from the developer portal "
                "(Bot, Reset Token) into DISCORD_BOT_TOKEN."
            ) from error
        except _UNREACHABLE as error:
            raise PlatformError(
                f"Discord can't be reached at {Route.BASE} ({error}): check the network and "
                "DISCORD_API_URL."
            ) from error

    async def set_up(self) -> None:
        """Prepare the connection after the login: the commands, and the configured gateway."""
        if self._gateway_url:
            # With a number of shards, the client takes the default gateway and not the API's.
            self.client.shard_count, _, _ = await self.client.http.get_bot_gateway()
        try:
            if await sync_commands(self.client, self.client.tree):
                log.info("Discord's slash commands were brought up to date")
        except discord.DiscordException as error:
            log.warning("Discord's slash commands could not be brought up to date: %s", error)

    async def on_message(self, message: discord.Message) -> None:
        """Answer a message that asks something of the bot, once."""
        me = self.client.user
        if me is None or message.author.bot or not self._is_new(message.id):
            return
        channel = await self._known(message.channel)
        visible = await self._visible(message.author, channel)
        for request in to_requests(message, channel, me.id, visible):
            with suppress(discord.HTTPException):
                await channel.typing()
            await self.deliver(request, self._handle(request))

    async def on_command(
        self,
        interaction: discord.Interaction,
        command: str,
        text: str,
        file: discord.Attachment | None,
    ) -> None:
        """Answer a slash command, once."""
        if not self._is_new(interaction.id):
            return
        try:
            await interaction.response.defer(thinking=True, ephemeral=command == "sources")
        except discord.HTTPException as error:  # too late: the reply goes to the channel
            log.warning("a slash command could not be acknowledged: %s", error)
        channel = await self._known(interaction.channel)
        visible = await self._visible(interaction.user, channel)
        request = to_command(interaction, channel, command, text, file, visible)
        await self.deliver(request, self._handle(request))

    async def deliver(self, request: Request, events: AsyncIterator[ReplyEvent]) -> None:
        """Show events as they come and the reply in the end, where the request's address says."""
        with self._under_way():
            await self._show(Sheet(self._places(request), **self._pace), request, events)

    async def _show(
        self, sheet: Sheet, request: Request, events: AsyncIterator[ReplyEvent]
    ) -> None:
        language = request.language or ("zh" if _HAN.search(request.text) else "en")
        chunks: list[ReplyChunk] = []
        last = Reply("error", _FAILED[language], language)
        async with asyncio.TaskGroup() as group:
            group.create_task(sheet.keep_up())
            try:
                async for event in events:
                    match event:
                        case Status() if not chunks:
                            sheet.show(_fit(progress(event))[:1])
                        case Sources() if event.citations and not chunks:
                            sheet.show(_fit(reading(event.citations, language))[:1])
                        case ReplyChunk():
                            chunks.append(event)
                            sheet.show(_fit(body(Reply("answer", "", language, tuple(chunks)))))
                        case Reply():
                            last = event
            except Exception:
                log.exception("request %s failed", request.id)
            sheet.show(render(last, escape_discord, CONTENT_LIMIT))
            sheet.finish()

    def _places(self, request: Request) -> list[Post]:
        where = request.address
        guild = int(where["guild"]) if "guild" in where else None
        channel = self.client.get_partial_messageable(int(where["channel"]), guild_id=guild)
        send = partial(channel.send, suppress_embeds=True)
        places: list[Post] = []
        if "message" in where:
            message = channel.get_partial_message(int(where["message"]))
            if "thread" in where:
                places.append(self._in_thread(message, where["thread"]))
            reference = message.to_reference(fail_if_not_exists=False)
            places.append(place(partial(send, reference=reference)))
        else:
            webhook = discord.Webhook.partial(
                int(where["application"]), where["token"], client=self.client
            )
            places.append(place(partial(webhook.send, wait=True, suppress_embeds=True)))
            places.append(place(send))

        async def to_person(text: str) -> discord.Message:
            person = await self.client.fetch_user(int(request.user))
            return await person.send(text, suppress_embeds=True)

        return [*places, place(to_person)]

    def _in_thread(self, message: discord.PartialMessage, name: str) -> Post:
        """Return a place that is a thread on a message, started by the first post."""
        thread: discord.abc.Messageable | None = None

        async def post(text: str) -> discord.Message:
            nonlocal thread
            if thread is None:
                try:
                    thread = await message.create_thread(name=name)
                except discord.HTTPException as error:
                    if error.code != _THREAD_EXISTS:
                        raise
                    thread = self.client.get_partial_messageable(message.id)
            return await thread.send(text, suppress_embeds=True)

        return place(post)

    async def download(self, attachment: Attachment, path: Path, limit: int) -> None:
        """Write an attachment's bytes to `path`; an address that has expired is asked for anew."""
        url, _, message = attachment.reference.partition("#")
        try:
            if not await fetch(url, path, limit, self._api_url):
                fresh = await self._fresh_url(url, message) if message else None
                if fresh is None or not await fetch(fresh, path, limit, self._api_url):
                    raise AttachmentError("unreadable", "Discord no longer has the file")
        except (discord.HTTPException, aiohttp.ClientError, TimeoutError) as error:
            raise AttachmentError(
                "unreadable", f"Discord did not send the file: {error}"
            ) from error

    async def _fresh_url(self, url: str, message: str) -> str | None:
        """Return the newly signed address of a message's attachment, by the path of the old one."""
        channel_id, message_id = map(int, message.split("/"))
        found = await self.client.get_partial_messageable(channel_id).fetch_message(message_id)
        path = urlsplit(url).path
        return next(
            (file.url for file in found.attachments if urlsplit(file.url).path == path), None
        )

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        """Count the running task among the answers that end with the connection."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("answers are given in tasks")
        self._answers.add(task)
        try:
            yield
        finally:
            self._answers.discard(task)

    def _is_new(self, event: int) -> bool:
        """Tell whether an event comes for the first time; the last few thousand are remembered."""
        if event in self._seen:
            return False
        self._seen[event] = None
        if len(self._seen) > 4096:
            del self._seen[next(iter(self._seen))]
        return True

    async def _known(self, channel: Any) -> Any:
        """Return the whole channel: a thread that the client hasn't met has no parent yet."""
        if isinstance(channel, discord.PartialMessageable):
            return await self.client.fetch_channel(channel.id)
        return channel

    async def _visible(self, person: discord.abc.User, channel: Any) -> frozenset[str]:
        """Return the scopes of the channels that a person can read now, in every shared server;
        none outside a direct message, because others read the answer there."""
        if not isinstance(channel, discord.DMChannel):
            return frozenset()
        scopes: set[str] = set()
        rooms: list[discord.TextChannel | discord.ForumChannel]
        for guild in self.client.guilds:
            try:
                # Asked for and not from the cache, whose roles are as old as the last message.
                member = await guild.fetch_member(person.id)
            except discord.NotFound:
                continue
            except discord.HTTPException as error:
                log.warning("a server's channels are left out of an answer: %s", error)
                continue
            rooms = [*guild.text_channels, *guild.forums]
            for room in rooms:
                may = room.permissions_for(member)
                if may.view_channel and may.read_message_history:
                    scopes.add(scope_of(room))
        return frozenset(scopes)


class _Client(discord.AutoShardedClient):
    """The connection: hands messages and commands to the adapter."""

    def __init__(self, adapter: DiscordAdapter, *, message_content: bool) -> None:
        super().__init__(
            intents=discord.Intents(
                guilds=True, guild_messages=True, dm_messages=True, message_content=message_content
            ),
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
        )
        self.tree = command_tree(self, adapter.on_command)
        self._adapter = adapter

    async def setup_hook(self) -> None:
        await self._adapter.set_up()

    async def on_message(self, message: discord.Message) -> None:
        """Hand a message to the adapter."""
        await self._adapter.on_message(message)


def _fit(text: str) -> list[str]:
    return [escape_discord(piece) for piece in split(text, escape_discord, CONTENT_LIMIT)]
