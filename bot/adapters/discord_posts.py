"""Messages of ours in Discord, and what Discord's refusals mean for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import aiohttp
import discord

from bot.adapters.sheet import Message, Post, Refused, Unreachable


def place(send: Callable[[str], Awaitable[discord.Message]]) -> Post:
    """Return where `send` puts messages as a place of a `Sheet`."""

    async def post(text: str) -> Message:
        with _translated():
            return _Posted(await send(text))

    return post


class _Posted:
    def __init__(self, message: discord.Message) -> None:
        self._message = message

    async def edit(self, text: str) -> None:
        with _translated():
            self._message = await self._message.edit(content=text)

    async def delete(self) -> None:
        with _translated():
            await self._message.delete()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
        refused = isinstance(error, discord.HTTPException) and error.status < 500
        raise (Refused if refused else Unreachable)(f"Discord: {error}") from error
