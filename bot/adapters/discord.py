"""Discord: mentions, direct messages, files and slash commands in; answers in threads out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import discord
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.adapters.delivery import Deliveries, View
from bot.adapters.discord_commands import command_tree, sync_commands
from bot.adapters.discord_files import fetch
from bot.adapters.discord_posts import FollowUp, Room, translated
from bot.adapters.discord_requests import scope_of, to_command, to_requests
from bot.adapters.sheet import Place
from bot.messages import Attachment, AttachmentError, Event, Handle, Inbox, PlatformError, Request
from bot.render import escape_discord, render, split
from bot.wire import request_from_json, request_to_json

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
        inbox: Inbox,
        *,
        token: str,
        api_url: str | None = None,
        gateway_url: str | None = None,
        message_content: bool = False,
        edit_seconds: float = 1.5,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._token = token
        self._api_url = api_url
        self._gateway_url = gateway_url
        self._resumed = False
        self._messages: dict[str, discord.Message] = {}
        """Messages whose events are being worked on, as they came."""
        self._deliveries: Deliveries[str] = Deliveries(
            "discord",
            handle,
            inbox,
            _Surface(self),
            self._work,
            edit_seconds=edit_seconds,
            clock=clock,
            sleep=sleep,
        )
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
                    await self._deliveries.close()
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

    async def on_ready(self) -> None:
        """Go on with what an earlier process has left unfinished; a new session changes nothing."""
        if not self._resumed:
            self._resumed = True
            await self._deliveries.resume()

    async def on_message(self, message: discord.Message) -> None:
        """Answer a message that asks something of the bot, once."""
        me = self.client.user
        if me is None or message.author.bot:
            return
        channel = await self._known(message.channel)
        if not to_requests(message, channel, me.id):
            return
        id = str(message.id)
        self._messages.setdefault(id, message)
        await self._deliveries.accept(
            Event(
                id=id,
                platform="discord",
                team=str(message.guild.id if message.guild else "@me"),
                channel=str(channel.id),
                kind="message",
                payload={},
                message=id,
            )
        )

    async def on_command(
        self,
        interaction: discord.Interaction,
        command: str,
        text: str,
        file: discord.Attachment | None,
    ) -> None:
        """Answer a slash command, once."""
        channel = await self._known(interaction.channel)
        request = to_command(interaction, channel, command, text, file)
        event = Event(
            id=str(interaction.id),
            platform="discord",
            team=str(interaction.guild_id or "@me"),
            channel=str(channel.id),
            kind="command",
            payload=request_to_json(request),
        )
        deferred = asyncio.create_task(self._defer(interaction, ephemeral=command == "sources"))
        try:
            await self._deliveries.accept(event)
        finally:
            await deferred

    async def _defer(self, interaction: discord.Interaction, *, ephemeral: bool) -> None:
        try:
            await interaction.response.defer(thinking=True, ephemeral=ephemeral)
        except discord.HTTPException as error:  # too late: the reply goes to the channel
            log.warning("a slash command could not be acknowledged: %s", error)

    async def _work(self, event: Event) -> None:
        channel = await self._known(self.client.get_partial_messageable(int(event.channel)))
        if event.kind == "command":
            request = request_from_json(dict(event.payload))
            person = discord.Object(int(request.user))
            visible = await self._visible(person, channel)
            request = replace(request, audience=request.audience | visible)
            await self._deliveries.deliver(request, event)
            return
        me = self.client.user
        if me is None:
            raise RuntimeError("events are worked on after signing in")
        message = self._messages.pop(event.id, None) or await channel.fetch_message(int(event.id))
        visible = await self._visible(message.author, channel)
        for request in to_requests(message, channel, me.id, visible):
            with suppress(discord.HTTPException):
                await channel.typing()
            await self._deliveries.deliver(request, event)

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

    async def _known(self, channel: Any) -> Any:
        """Return the whole channel: a thread that the client hasn't met has no parent yet."""
        if isinstance(channel, discord.PartialMessageable):
            return await self.client.fetch_channel(channel.id)
        return channel

    async def _visible(self, person: discord.abc.Snowflake, channel: Any) -> frozenset[str]:
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

    async def on_ready(self) -> None:
        """Have the adapter go on with what it left unfinished."""
        await self._adapter.on_ready()

    async def on_message(self, message: discord.Message) -> None:
        """Hand a message to the adapter."""
        await self._adapter.on_message(message)


class _Surface:
    """Discord, as far as replies stand on it: messages of text."""

    def __init__(self, adapter: DiscordAdapter) -> None:
        self._adapter = adapter

    def places(self, request: Request) -> list[Place[str]]:
        """Return where a reply may go, best first; the last is the person's direct messages."""
        where, client = request.address, self._adapter.client
        guild = int(where["guild"]) if "guild" in where else None
        channel = client.get_partial_messageable(int(where["channel"]), guild_id=guild)
        places: list[Place[str]] = []
        if "message" in where:
            message = channel.get_partial_message(int(where["message"]))
            if "thread" in where:
                places.append(_thread_on(message, where["thread"], client))
            reference = message.to_reference(fail_if_not_exists=False)
            places.append(_room(channel, reference=reference))
        else:
            webhook = discord.Webhook.partial(
                int(where["application"]), where["token"], client=client
            )
            places += [FollowUp(webhook), _room(channel)]

        async def person() -> discord.DMChannel:
            user = await client.fetch_user(int(request.user))
            return user.dm_channel or await user.create_dm()

        async def send(text: str, nonce: str) -> discord.Message:
            return await (await person()).send(text, nonce=nonce, suppress_embeds=True)

        return [*places, Room(send, person)]

    def render(self, view: View) -> list[str]:
        """Return a reply in messages; nothing before there is something to show."""
        if view.reply is not None:
            return render(view.reply, escape_discord, CONTENT_LIMIT)
        pieces = split(view.text(), escape_discord, CONTENT_LIMIT)
        if view.status is None and view.sources is None and not view.chunks:
            return []
        return [escape_discord(piece) for piece in (pieces if view.chunks else pieces[:1])]

    async def edit(self, reference: str, text: str) -> None:
        """Replace what a message of ours says."""
        channel, webhook, id = self._found(reference)
        with translated():
            if webhook is not None:
                await webhook.edit_message(id, content=text)
            else:
                await channel.get_partial_message(id).edit(content=text)

    async def delete(self, reference: str) -> None:
        """Take a message of ours away."""
        channel, webhook, id = self._found(reference)
        with translated():
            if webhook is not None:
                await webhook.delete_message(id)
            else:
                await channel.get_partial_message(id).delete()

    def _found(
        self, reference: str
    ) -> tuple[discord.PartialMessageable, discord.Webhook | None, int]:
        """Return the channel or the webhook that a message belongs to, and its id."""
        client = self._adapter.client
        where, _, id = reference.rpartition("/")
        place, _, token = where.partition("/")
        webhook = discord.Webhook.partial(int(place), token, client=client) if token else None
        return client.get_partial_messageable(int(place)), webhook, int(id)


def _room(channel: discord.PartialMessageable, **options: Any) -> Room:
    async def send(text: str, nonce: str) -> discord.Message:
        return await channel.send(text, nonce=nonce, suppress_embeds=True, **options)

    async def look() -> discord.PartialMessageable:
        return channel

    return Room(send, look)


def _thread_on(message: discord.PartialMessage, name: str, client: discord.Client) -> Room:
    """Return a place that is a thread on a message, started by the first post."""
    # Discord gives a thread the id of the message that it starts from.
    thread = client.get_partial_messageable(message.id)

    async def send(text: str, nonce: str) -> discord.Message:
        try:
            await message.create_thread(name=name)
        except discord.HTTPException as error:
            if error.code != _THREAD_EXISTS:
                raise
        return await thread.send(text, nonce=nonce, suppress_embeds=True)

    async def look() -> discord.PartialMessageable:
        return thread

    return Room(send, look)
