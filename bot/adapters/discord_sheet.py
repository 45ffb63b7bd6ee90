"""The Discord messages that one answer occupies while it is being written."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import aiohttp
import discord

log = logging.getLogger(__name__)

Post = Callable[[str], Awaitable[discord.Message]]
"""Sends one message to one place."""


class Sheet:
    """Shows the newest text it was given, at most one edit in so many seconds, until the last.

    `places` are tried in order: where Discord refuses a message (a thread that may not be started,
    a channel that may not be written to, an interaction that has expired), the whole text goes to
    the next. `clock` and `sleep` are seconds.
    """

    def __init__(
        self,
        places: Sequence[Post],
        *,
        edit_seconds: float,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._places = list(places)
        self._edit_seconds = edit_seconds
        self._clock = clock
        self._sleep = sleep
        self._next_edit = clock()
        self._shown: list[tuple[discord.Message, str]] = []
        self._wanted: list[str] = []
        self._complete = False
        self._changed = asyncio.Event()

    def show(self, texts: list[str]) -> None:
        """Ask for these messages instead of what is shown; never waits."""
        self._wanted = texts
        self._changed.set()

    def finish(self) -> None:
        """Say that what was last asked for is the end."""
        self._complete = True
        self._changed.set()

    async def keep_up(self) -> None:
        """Bring Discord up to date until the last text stands there; log if it can't be said."""
        complete = False
        while not complete:
            await self._changed.wait()
            await self._sleep(max(0.0, self._next_edit - self._clock()))
            self._changed.clear()
            complete = self._complete
            await self._write_somewhere(self._wanted, complete)

    async def _write_somewhere(self, texts: list[str], complete: bool) -> None:
        while self._places:
            try:
                return await self._write(texts)
            except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
                refused = isinstance(error, discord.HTTPException) and error.status < 500
                log.warning("Discord did not take a message: %s", error)
                if not (refused or complete):
                    return  # an outage: the next text tries the same place again
                self._places.pop(0)
                self._shown.clear()
        if complete:
            log.error("an answer could not be delivered anywhere in Discord")

    async def _write(self, texts: list[str]) -> None:
        post = self._places[0]
        for index, text in enumerate(texts):
            if index == len(self._shown):
                self._shown.append((await post(text), text))
            elif self._shown[index][1] != text:
                self._next_edit = self._clock() + self._edit_seconds
                try:
                    message = await self._shown[index][0].edit(content=text)
                except discord.NotFound:  # somebody deleted it
                    message = await post(text)
                self._shown[index] = (message, text)
        for message, _ in self._shown[len(texts) :]:
            await message.delete()
        del self._shown[len(texts) :]
