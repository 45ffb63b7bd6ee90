"""Discord: mentions, direct messages, files, commands and buttons in; answers in threads out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import discord
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.adapters.discord.bot import DiscordBot, Manners
from bot.adapters.discord.files import download
from bot.messages import Attachment, Event, Fetch, Forbids, Handle, Inbox, PlatformError

log = logging.getLogger(__name__)

_UNREACHABLE = (
    discord.HTTPException,
    discord.GatewayNotFound,
    discord.ConnectionClosed,
    aiohttp.ClientError,
    OSError,
)


class DiscordAdapter:
    """Keeps what people ask in `inbox`, has it handled, and brings the replies back.

    `message_content` asks for the privileged intent, which brings messages that don't address the
    bot: files in channels and follow-ups in the bot's threads; without it the rest works the same.
    `api_url` and `gateway_url` replace Discord's own addresses for the whole process.
    A heartbeat that isn't answered in `ack_seconds` means that the line is dead. No longer than
    `settle_seconds` after a session began, servers are waited for.
    `clock` and `sleep` are seconds, so that tests drive the pace of edits.
    """

    def __init__(
        self,
        handle: Handle,
        inbox: Inbox,
        *,
        token: str,
        fetch: Fetch,
        forbids: Forbids = lambda request: None,
        api_url: str | None = None,
        gateway_url: str | None = None,
        message_content: bool = False,
        manners: Manners = Manners(),  # noqa: B008 - it is frozen
        ack_seconds: float = 12.0,
        settle_seconds: float = 10.0,
        edit_seconds: float = 1.5,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._token = token
        self._fetch = fetch
        self._api_url = api_url
        self._gateway_url = gateway_url

        def connection(*, message_content: bool) -> DiscordBot:
            return DiscordBot(
                handle,
                forbids,
                inbox,
                manners,
                gateway_url=gateway_url,
                message_content=message_content,
                ack_seconds=ack_seconds,
                settle_seconds=settle_seconds,
                edit_seconds=edit_seconds,
                clock=clock,
                sleep=sleep,
            )

        # Its warnings that it can't speak in voice channels are nobody's concern here.
        discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False
        self._connection = connection
        self.client = connection(message_content=message_content)

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
            self.client = self._connection(message_content=False)
            await self._connect()

    async def _connect(self) -> None:
        try:
            async with self.client:
                await self.client.start(self._token)
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

    async def zone_of(self, user: str) -> str | None:
        """Return None: Discord doesn't tell where people are."""
        return None

    async def may_post(self, user: str, team: str, channel: str) -> bool | None:
        """Tell whether a person may post in a channel now; None where nobody can know just now."""
        return await self.client.may_post(user, channel)

    async def post(self, event: Event) -> bool:
        """Take over something that is due; False while Discord isn't connected."""
        if not self.client.is_ready() or self.client.is_closed():
            return False
        await self.client.accept(event)
        return True

    async def download(self, attachment: Attachment, path: Path, limit: int) -> None:
        """Write an attachment's bytes to `path`; raise what a reply can explain."""
        await download(self.client, self._fetch, attachment, path, limit, self._api_url)
