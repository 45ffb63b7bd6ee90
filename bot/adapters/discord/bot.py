"""The connection to Discord: what happens there becomes events, and events become requests."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import discord

from bot.adapters.delivery import Deliveries
from bot.adapters.discord.access import Access, reads_history, team_of
from bot.adapters.discord.buttons import Buttons
from bot.adapters.discord.commands import command_tree, sync_commands
from bot.adapters.discord.requests import (
    Place,
    addresses,
    is_said,
    speaks_to_others,
    to_command,
    to_requests,
)
from bot.adapters.discord.surface import DiscordSurface
from bot.adapters.discord.watch import missed, watch_heartbeats
from bot.adapters.discord.words import word
from bot.adapters.due import due_request, needs_leave, revoked
from bot.messages import Attachment, Event, Forbids, Handle, Inbox, Reply, ReplyEvent, Request
from bot.wire import request_from_json, request_to_json

log = logging.getLogger(__name__)

_REMEMBERED = 4096
_RETRY_SECONDS = 5.0
_SETTLE_STEP = 0.05
_GONE = (discord.NotFound, discord.Forbidden)
_UNREACHABLE = (discord.HTTPException, aiohttp.ClientError, OSError)


@dataclass(frozen=True, slots=True)
class Manners:
    """How the bot behaves among people."""

    follow_ups: bool = True
    """It goes on in its threads without being mentioned again."""
    forum_posts: bool = False
    """It answers every new post of the forums that it sees."""
    keep_files: bool = True
    """Files that are posted where it is are learned without asking; else on a button."""


class DiscordBot(discord.AutoShardedClient):
    """One connection, with all that works on what comes through it."""

    def __init__(
        self,
        handle: Handle,
        forbids: Forbids,
        inbox: Inbox,
        manners: Manners,
        *,
        gateway_url: str | None,
        message_content: bool,
        ack_seconds: float,
        settle_seconds: float,
        edit_seconds: float,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        super().__init__(
            intents=discord.Intents(
                guilds=True, guild_messages=True, dm_messages=True, message_content=message_content
            ),
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
        )
        self._handle = handle
        self.forbids = forbids
        self._inbox = inbox
        self._manners = manners
        self._gateway_url = gateway_url
        self._ack_seconds = ack_seconds
        self._settle_seconds = settle_seconds
        self._sleep = sleep
        self._resumed = False
        self._closing = False
        self._messages: dict[str, discord.Message] = {}
        """Messages whose events are being worked on, as they came."""
        self._live: dict[str, tuple[discord.Interaction[Any], bool]] = {}
        """Commands that are still to be acknowledged, and whether for one person to see."""
        self._speakers: OrderedDict[int, int] = OrderedDict()
        """Who spoke last in a thread."""
        self._asides: set[asyncio.Task[None]] = set()
        self.access = Access(self)
        self.deliveries = Deliveries(
            "discord",
            self.answer,
            inbox,
            DiscordSurface(self),
            self._work,
            edit_seconds=edit_seconds,
            clock=clock,
            sleep=sleep,
        )
        self.buttons = Buttons(self)
        self.tree = command_tree(self, self.command, self.buttons)

    async def setup_hook(self) -> None:
        """Prepare the connection after the login: the commands, and the configured gateway."""
        if self._gateway_url:
            # With a number of shards, the client takes the default gateway and not the API's.
            self.shard_count, _, _ = await self.http.get_bot_gateway()
        try:
            if await sync_commands(self, self.tree):
                log.info("Discord's slash commands were brought up to date")
        except discord.DiscordException as error:
            log.warning("Discord's slash commands could not be brought up to date: %s", error)

    async def close(self) -> None:
        """Stop all work, and disconnect."""
        self._closing = True
        for task in self._asides:
            task.cancel()
        await self.deliveries.close()
        await super().close()

    async def on_socket_event_type(self, event: str) -> None:
        """Catch up at the beginning of every session; a resumed one has missed nothing."""
        if event == "READY" and not self._closing:
            self.aside(self._catch_up())

    async def _catch_up(self) -> None:
        """Go on with what an earlier process has left unfinished, and with what was missed."""
        end = time.monotonic() + self._settle_seconds
        # The servers are told one by one after the beginning.
        while any(guild.unavailable for guild in self.guilds):
            if time.monotonic() > end:
                break
            await asyncio.sleep(_SETTLE_STEP)
        if not self._resumed:
            self._resumed = True
            self.aside(watch_heartbeats(self, ack_seconds=self._ack_seconds, sleep=asyncio.sleep))
            await self.deliveries.resume()
        async for message in missed(self, self._inbox):
            # What speaks to nobody by itself may have been left alone on purpose.
            if is_said(message) and addresses(message, self.me):
                await self.on_message(message)

    # What happens there

    async def on_message(self, message: discord.Message) -> None:
        """Keep a message that asks something of the bot, and begin to answer it."""
        if self.user is None:
            return
        channel = await self.known(message.channel)
        goes_on = await self._follows_up(message, channel)
        if isinstance(channel, discord.Thread):
            self._speakers[channel.id] = message.author.id
            while len(self._speakers) > _REMEMBERED:
                self._speakers.popitem(last=False)
        place = Place(
            channel,
            is_admin=self.access.is_admin(message.author),
            follows_up=goes_on,
            keeps_files=self._manners.keep_files,
        )
        asked = to_requests(message, place, self.me)
        if not asked:
            return
        unasked = not (goes_on or addresses(message, self.me))
        if unasked and all(self.forbids(replace(each, command="upload")) for each in asked):
            return  # nobody has asked for a file to be learned that was only posted
        event = _event(message, channel, "message", {"follows_up": goes_on})
        self._messages.setdefault(event.id, message)
        if await self.accept(event):
            self.aside(self._type(channel))
        else:
            self._messages.pop(event.id, None)

    async def on_raw_message_edit(self, payload: discord.RawMessageUpdateEvent) -> None:
        """Have a question that was changed answered anew."""
        message = payload.message
        # Discord also tells of previews that it has added: those are no edits.
        if self.user is None or message.edited_at is None or not is_said(message):
            return
        channel = await self.known(message.channel)
        known = await self._inbox.replies_to(
            "discord", team_of(channel), str(channel.id), str(message.id)
        )
        if not known and not addresses(message, self.me):
            return
        edition = str(int(message.edited_at.timestamp() * 1000))
        event = _event(message, channel, "edited", {"follows_up": bool(known)}, edition)
        self._messages.setdefault(event.id, message)
        if not await self.accept(event):
            self._messages.pop(event.id, None)

    async def on_raw_message_delete(self, payload: discord.RawMessageDeleteEvent) -> None:
        """Take back what was answered to a message that is deleted."""
        await self._deleted(payload.guild_id, payload.channel_id, payload.message_id)

    async def on_raw_bulk_message_delete(self, payload: discord.RawBulkMessageDeleteEvent) -> None:
        """Take back what was answered to messages that are deleted."""
        for message in payload.message_ids:
            await self._deleted(payload.guild_id, payload.channel_id, message)

    async def _deleted(self, guild: int | None, channel: int, message: int) -> None:
        team, id = str(guild or "@me"), str(message)
        if await self._inbox.replies_to("discord", team, str(channel), id):
            event = Event(
                f"{id}:deleted", "discord", team, str(channel), "deleted", {}, id, "deleted"
            )
            await self.accept(event)
        else:
            await self.deliveries.withdraw(team, str(channel), id)

    async def on_interaction(self, interaction: discord.Interaction[Any]) -> None:
        """Act on a button, a menu or a form of ours; commands go through their tree."""
        if interaction.type in (
            discord.InteractionType.component,
            discord.InteractionType.modal_submit,
        ):
            await self.buttons.on_press(interaction)

    async def command(
        self,
        interaction: discord.Interaction[Any],
        command: str,
        text: str,
        *,
        private: bool,
        files: tuple[Attachment, ...] = (),
        options: dict[str, Any] | None = None,
    ) -> None:
        """Keep what a command asks, and begin to answer it."""
        place = Place(
            await self.known(interaction.channel),
            is_admin=self.access.is_admin(interaction.user),
        )
        request = to_command(
            interaction, place, command, text, files=files, private=private, options=options
        )
        self._live[request.id] = (interaction, private)
        event = Event(
            id=request.id,
            platform="discord",
            team=team_of(place.channel),
            channel=str(place.channel.id),
            kind="command",
            payload=request_to_json(request),
        )
        if not await self.accept(event):
            self._live.pop(request.id, None)

    async def accept(self, event: Event) -> bool:
        """Keep an event and begin to work on it; not once the connection is being closed."""
        return not self._closing and await self.deliveries.accept(event)

    # What is done about it

    async def _work(self, event: Event) -> None:
        match event.kind:
            case "deleted":
                await self.deliveries.withdraw(event.team, event.channel, event.message or "")
            case "message":
                await self._answer_message(event)
            case "edited":
                await self._answer_again(event)
            case "command" | "again":
                await self._answer_command(event)
            case "due":
                await self._post_due(event)

    async def _answer_message(self, event: Event) -> None:
        for request in await self._requests(event):
            await self.deliveries.deliver(request, event)

    async def _answer_again(self, event: Event) -> None:
        requests = await self._requests(event, edition=event.edition)
        known = await self._inbox.replies_to(
            "discord", event.team, event.channel, str(event.message)
        )
        over = [reply.request for reply in known if ":upload" not in reply.request]
        for request in requests:
            await self.deliveries.deliver(request, event, over=over[-1] if over else None)

    async def _answer_command(self, event: Event) -> None:
        interaction, private = self._live.pop(event.id, (None, False))
        if interaction is not None and not interaction.response.is_done():
            try:
                await interaction.response.defer(thinking=True, ephemeral=private)
            except _UNREACHABLE as error:  # too late: the reply goes elsewhere
                log.warning("a command could not be acknowledged: %s", error)
        values = dict(event.payload)
        over = values.pop("over", None)
        request = request_from_json(values)
        channel = await self._channel(event.channel)
        if channel is not None:
            audience = await self.access.audience(channel, int(request.user))
            await self.deliveries.deliver(replace(request, audience=audience), event, over=over)

    async def _post_due(self, event: Event) -> None:
        """Post what is due, if its author may post there now; else tell them so alone."""
        channel = await self._channel(event.channel)
        user = int(event.payload["user"]) if not event.payload["owner"] else 0
        audience = frozenset[str]()
        if channel is not None:
            audience = await self.access.audience(channel, user)
        address = {"guild": event.team, "channel": event.channel, "asker": str(user)}
        due = due_request(event, audience, address, event.id)
        due = replace(due, user=str(user))
        if needs_leave(event):
            while (may := await self.access.may_post(channel, user)) is None:
                log.warning("whether a reminder may be posted isn't known: Discord is asked again")
                await self._sleep(_RETRY_SECONDS)
            if not may:
                await self.deliveries.deliver(revoked(due), event)
                return
        if due.command == "digested":  # no news, no message
            news = [said async for said in self._handle(due) if isinstance(said, Reply)]
            if not news[-1].data:
                return
        await self.deliveries.deliver(due, event)

    async def may_post(self, user: str, channel: str) -> bool | None:
        """Tell whether a person may post in a channel now; None where nobody can know just now."""
        return await self.access.may_post(await self._channel(channel), int(user))

    async def _requests(self, event: Event, *, edition: str = "") -> tuple[Request, ...]:
        """Return what the message of an event asks now; nothing where it is no longer there."""
        channel = await self._channel(event.channel)
        message = self._messages.pop(event.id, None)
        if channel is not None and message is None:
            message = await self._patiently(channel.fetch_message, int(str(event.message)))
        if channel is None or message is None:
            return ()
        place = await self.place(channel, message.author)
        place = replace(
            place,
            follows_up=bool(event.payload["follows_up"]),
            keeps_files=self._manners.keep_files,
        )
        return to_requests(message, place, self.me, edition=edition)

    async def place(self, channel: Any, person: discord.abc.User) -> Place:
        """Return what a place is to somebody who speaks there now."""
        if channel.guild is not None and not isinstance(person, discord.Member):
            person = await self._patiently(channel.guild.fetch_member, person.id) or person
        return Place(
            channel,
            await self.access.audience(channel, person.id),
            is_admin=self.access.is_admin(person),
            reads_history=reads_history(channel, person),
        )

    @property
    def me(self) -> int:
        """The bot's user id; 0 before it has signed in."""
        return self.user.id if self.user else 0

    def answer(self, request: Request) -> AsyncIterator[ReplyEvent]:
        """Answer a request; an offer is the adapter's own, all others are handled."""
        if request.command == "offer":
            return _offer(request)
        return self._handle(request)

    # What is known

    async def _follows_up(self, message: discord.Message, channel: Any) -> bool:
        """Tell whether a message goes on with what the bot said in a thread.

        It doesn't where it speaks to somebody else, or where the last to speak was neither the bot
        nor the same person: then people talk to each other.
        """
        if self.user is None or not isinstance(channel, discord.Thread) or not is_said(message):
            return False
        if speaks_to_others(message, self.me) or addresses(message, self.me):
            return False
        is_post = isinstance(channel.parent, discord.ForumChannel) and channel.id == message.id
        if is_post:
            return self._manners.forum_posts
        last = self._speakers.get(channel.id, self.me)
        if not self._manners.follow_ups or last not in (self.me, message.author.id):
            return False
        return await self._inbox.knows("discord", str(channel.id))

    async def known(self, channel: Any) -> Any:
        """Return the whole channel: a thread that the client hasn't met has no parent yet."""
        if isinstance(channel, discord.PartialMessageable):
            return self.get_channel(channel.id) or await self.fetch_channel(channel.id)
        return channel

    async def _channel(self, id: str) -> Any:
        return self.get_channel(int(id)) or await self._patiently(self.fetch_channel, int(id))

    async def _patiently(self, fetch: Callable[[int], Awaitable[Any]], id: int) -> Any:
        """Return what is fetched, however long that takes; None where it is gone or hidden."""
        while True:
            try:
                return await fetch(id)
            except _GONE:
                return None
            except _UNREACHABLE as error:
                log.warning("Discord is asked again: %s", error)
                await self._sleep(_RETRY_SECONDS)

    async def _type(self, channel: Any) -> None:
        with suppress(*_UNREACHABLE):
            await channel.typing()

    def aside(self, work: Any) -> None:
        """Let something be done beside, whose failure matters to nobody."""
        task = asyncio.create_task(work)
        self._asides.add(task)
        task.add_done_callback(self._asides.discard)


def _event(
    message: discord.Message, channel: Any, kind: str, payload: dict[str, Any], edition: str = ""
) -> Event:
    id = str(message.id)
    return Event(
        id=f"{id}:{edition}" if edition else id,
        platform="discord",
        team=team_of(channel),
        channel=str(channel.id),
        kind=kind,
        payload=payload,
        message=id,
        edition=edition,
    )


async def _offer(request: Request) -> AsyncGenerator[ReplyEvent, None]:
    language = request.language or "en"
    yield Reply("answer", word(language, "offer", names=request.text), language)
