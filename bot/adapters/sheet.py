"""The messages that one answer occupies while it is being written, whatever the platform."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

log = logging.getLogger(__name__)

_EDIT_TRIES = 3


class Refused(Exception):
    """The platform said no, and will again; nothing has appeared there."""


class Unreachable(Exception):
    """The platform could not be heard; nobody knows whether the message has arrived."""


class Message(Protocol):
    """A message of ours; both calls raise `Refused` or `Unreachable`."""

    async def edit(self, text: str) -> None:
        """Replace what it says."""
        ...

    async def delete(self) -> None:
        """Take it away."""
        ...


Post = Callable[[str], Awaitable[Message]]
"""Sends one message to one place; raises `Refused` or `Unreachable`."""


class Sheet:
    """Shows the newest text it was given, at most one edit in so many seconds, until the last.

    The first of `places` shows the progress; where it refuses the last text, that goes to the next
    place. A post of which nobody knows whether it has arrived is never sent again. `clock` and
    `sleep` are seconds.
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
        self._shown: list[tuple[Message, str]] = []
        self._wanted: list[str] = []
        self._progress = True
        self._complete = False
        self._changed = asyncio.Event()

    def show(self, texts: list[str]) -> None:
        """Ask for these messages instead of what is shown, if any; never waits."""
        if texts:
            self._wanted = texts
            self._changed.set()

    def finish(self) -> None:
        """Say that what was last asked for is the end."""
        self._complete = True
        self._changed.set()

    async def keep_up(self) -> None:
        """Bring the platform up to date until the last text stands there; log if it can't."""
        while True:
            await self._changed.wait()
            await self._sleep(max(0.0, self._next_edit - self._clock()))
            self._changed.clear()
            if self._complete:
                return await self._end()
            if self._progress:
                await self._go_on()

    async def _go_on(self) -> None:
        try:
            await self._write(self._places[0], self._wanted)
        except (Refused, Unreachable) as error:
            log.warning("no progress is shown for an answer: %s", error)
            self._progress = bool(self._shown)
            if isinstance(error, Refused) and not self._shown:
                self._places.pop(0)

    async def _end(self) -> None:
        for place in self._places:
            try:
                return await self._write(place, self._wanted)
            except Refused as error:
                log.warning("an answer was not taken: %s", error)
                self._shown.clear()
            except Unreachable as error:
                log.error("an answer may not have arrived: %s", error)
                return
        log.error("an answer could not be delivered anywhere")

    async def _write(self, place: Post, texts: list[str]) -> None:
        for index, text in enumerate(texts):
            if index == len(self._shown):
                self._shown.append((await place(text), text))
            elif self._shown[index][1] != text:
                message = await self._edit(self._shown[index][0], place, text)
                self._shown[index] = (message, text)
        for message, _ in self._shown[len(texts) :]:
            await message.delete()
        del self._shown[len(texts) :]

    async def _edit(self, message: Message, place: Post, text: str) -> Message:
        for tries_left in reversed(range(_EDIT_TRIES)):
            self._next_edit = self._clock() + self._edit_seconds
            try:
                await message.edit(text)
                return message
            except Refused:  # somebody deleted it
                return await place(text)
            except Unreachable:  # an edit can be repeated
                if not tries_left:
                    raise
                await self._sleep(self._edit_seconds)
        raise AssertionError("unreachable")
