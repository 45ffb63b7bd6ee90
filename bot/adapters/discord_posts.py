"""Messages of ours in Discord, and what Discord's refusals mean for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b

import aiohttp
import discord

from bot.adapters.sheet import Refused, Unreachable

_NEWEST = 50


def nonce_of(mark: str) -> str:
    """Return a mark in the 25 characters that a nonce may have."""
    return blake2b(mark.encode(), digest_size=12).hexdigest()


@dataclass(frozen=True, slots=True)
class Room:
    """A channel or a thread as a place of replies; `send` takes the text and the nonce."""

    send: Callable[[str, str], Awaitable[discord.Message]]
    look: Callable[[], Awaitable[discord.abc.Messageable]]
    """Returns where `send` puts messages."""
    editable = True

    async def post(self, text: str, mark: str) -> str:
        """Post a message that carries the mark."""
        with translated():
            message = await self.send(text, nonce_of(mark))
        return f"{message.channel.id}/{message.id}"

    async def find(self, mark: str) -> str | None:
        """Look for a message that carries the mark, among the newest."""
        nonce = nonce_of(mark)
        try:
            with translated():
                place = await self.look()
                async for message in place.history(limit=_NEWEST):
                    if str(message.nonce) == nonce:
                        return f"{message.channel.id}/{message.id}"
        except Refused as error:
            raise Unreachable(str(error)) from error
        return None


@dataclass(frozen=True, slots=True)
class FollowUp:
    """The reply to a slash command."""

    webhook: discord.Webhook
    editable = True

    async def post(self, text: str, mark: str) -> str:
        """Send a follow-up; the first one fills the place of "thinking"."""
        with translated():
            message = await self.webhook.send(text, wait=True, suppress_embeds=True)
        return f"{self.webhook.id}/{self.webhook.token}/{message.id}"

    async def find(self, mark: str) -> str | None:
        """Raise `Unreachable`: follow-ups carry no mark."""
        raise Unreachable("a reply to a slash command can't be looked for")


@contextmanager
def translated() -> Iterator[None]:
    """Tell a refusal from silence."""
    try:
        yield
    except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
        refused = isinstance(error, discord.HTTPException) and error.status < 500
        raise (Refused if refused else Unreachable)(f"Discord: {error}") from error
