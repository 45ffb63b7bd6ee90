"""The messages that one reply occupies while it is being written, whatever the platform."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

from bot.messages import Delivery

log = logging.getLogger(__name__)

_TRIES = 5
DOUBTFUL = "?"
"""Refers to a message that nobody can look for: it was about to be sent, or perhaps it has been."""
SENT = "!"
"""Refers to a message that has been sent, and that nobody can look for, edit or delete."""

Content = TypeVar("Content")
"""What one message of the platform shows: text, blocks, buttons; compared with `==`. One that is
`unseen` can't be looked for, wherever it stands: a file."""
_In = TypeVar("_In", contravariant=True)
_T = TypeVar("_T")


class Refused(Exception):
    """The platform said no, and will again; nothing has appeared there."""


class Unreachable(Exception):
    """The platform could not be heard; nobody knows whether it has done what was asked."""


class Place(Protocol[_In]):
    """Somewhere that a reply may stand; every call raises `Refused` or `Unreachable`."""

    editable: bool
    """What stands here can be changed, so that it is worth showing progress here."""

    @property
    def unseen_from(self) -> int | None:
        """Return from which message on nobody can look for what stands here; None for never.

        Such a message is noted before it is posted: after a crash it counts as posted, and the
        person is told that it may be missing.
        """
        ...

    async def post(self, content: _In, mark: str) -> str:
        """Post a message that carries the mark, invisibly; return how `edit` refers to it."""
        ...

    async def find(self, mark: str) -> str | None:
        """Look for a message with the mark that stands here already.

        Raise `Unreachable` where this can't be known: then nothing is posted a second time.
        """
        ...


class Messages(Protocol[_In]):
    """The messages of ours on a platform; both calls raise `Refused` or `Unreachable`."""

    async def edit(self, reference: str, content: _In) -> None:
        """Replace what a message says."""
        ...

    async def delete(self, reference: str) -> None:
        """Take a message away."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """At most one edit in so many seconds; `clock` and `sleep` are seconds too."""

    edit_seconds: float
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]


class Sheet(Generic[Content]):
    """Shows the newest contents it was given, one a message, until the last stand there.

    The first of `places` shows the progress; where it refuses the last contents, those go to the
    next place. After a post of which nobody knows whether it has arrived, it looks before it posts
    again. `posted` notes the place and the messages after each post. `doubt` are the contents that
    say that something may be missing; they follow where a message may have been lost.
    """

    def __init__(
        self,
        places: Sequence[Place[Content]],
        messages: Messages[Content],
        delivery: Delivery,
        posted: Callable[[int, Sequence[str]], Awaitable[None]],
        doubt: Callable[[], Sequence[Content]],
        pace: Pace,
    ) -> None:
        self._places = places
        self._messages = messages
        self._mark = delivery.request
        self._posted = posted
        self._doubt = doubt
        self._pace = pace
        self._next_edit = pace.clock()
        self._place = min(delivery.place, len(places) - 1)
        self._shown: list[tuple[str, Content | None]] = [(part, None) for part in delivery.parts]
        self._unsure = not delivery.fresh
        self._wanted: Callable[[], Sequence[Content]] = list
        self._progress = True
        self._complete = False
        self._changed = asyncio.Event()

    def show(self, contents: Callable[[], Sequence[Content]]) -> None:
        """Ask for these messages instead of what is shown; never waits.

        They are made when it is their turn: of what comes faster than edits may, most never is.
        """
        self._wanted = contents
        self._changed.set()

    def finish(self) -> None:
        """Say that what was last asked for is the end."""
        self._complete = True
        self._changed.set()

    async def keep_up(self) -> bool:
        """Bring the platform up to date until the end; tell whether nothing is left to be done.

        False where the platform can't be reached: somebody should try again later.
        """
        while True:
            await self._changed.wait()
            await self._pace.sleep(max(0.0, self._next_edit - self._pace.clock()))
            self._changed.clear()
            if self._complete:
                return await self._end()
            if self._progress and self._places[self._place].editable:
                await self._go_on()

    async def _go_on(self) -> None:
        try:
            await self._write(self._wanted())
        except Refused as error:
            log.warning("no progress is shown here for a reply: %s", error)
            if self._shown or self._place + 1 == len(self._places):
                self._progress = False
            else:
                self._place += 1
        except Unreachable as error:
            log.warning("no progress is shown for a reply: %s", error)
            self._progress = False

    async def _end(self) -> bool:
        while True:
            try:
                await self._write(self._wanted())
                if any(reference == DOUBTFUL for reference, _ in self._shown):
                    await self._write([*self._wanted(), *self._doubt()])
                return True
            except Refused as error:
                log.warning("a reply was not taken: %s", error)
            except Unreachable as error:
                log.error("a reply may not have arrived: %s", error)
                return False
            self._shown.clear()
            if self._place + 1 == len(self._places):
                log.error("a reply could not be delivered anywhere")
                return True
            self._place += 1

    async def _write(self, contents: Sequence[Content]) -> None:
        if self._unsure:
            await self.look()
        for index, content in enumerate(contents):
            if index == len(self._shown):
                await self._post(content)
            elif self._shown[index][1] != content:
                await self._edit(index, content)
        for reference, _ in self._shown[len(contents) :]:
            await self._delete(reference)
        if self._shown[len(contents) :]:
            del self._shown[len(contents) :]
            await self._note()

    async def look(self) -> None:
        """Adopt the message that was posted but not noted, if there is one."""
        for number in range(self._place, len(self._places)):
            place = self._places[number]
            if self._is_unseen(place):
                continue
            found = await self._retried(partial(place.find, self._next_mark()))
            if found is not None:
                self._place = number
                self._shown.append((found, None))
                await self._note()
                break
        self._unsure = False

    def _is_unseen(self, place: Place[Content]) -> bool:
        first = place.unseen_from
        return first is not None and len(self._shown) >= first

    async def _post(self, content: Content) -> None:
        if getattr(content, "unseen", False) or self._is_unseen(self._places[self._place]):
            return await self._post_unseen(content)
        count = len(self._shown)
        for tries_left in reversed(range(_TRIES)):
            try:
                reference = await self._places[self._place].post(content, self._next_mark())
            except Unreachable as error:
                log.warning("a message is looked for before it is sent again: %s", error)
                self._unsure = True
                await self.look()
                if len(self._shown) > count:
                    return await self._edit(count, content)
                if not tries_left:
                    raise
                await self._wait(tries_left)
            else:
                self._shown.append((reference, content))
                return await self._note()

    async def _post_unseen(self, content: Content) -> None:
        mark = self._next_mark()
        self._shown.append((DOUBTFUL, content))
        await self._note()
        try:
            reference = await self._places[self._place].post(content, mark)
        except Refused:
            self._shown.pop()
            await self._note()
            raise
        except Unreachable as error:
            log.error("a message that nobody can look for may not have arrived: %s", error)
        else:
            self._shown[-1] = (reference, content)
            await self._note()

    async def _edit(self, index: int, content: Content) -> None:
        reference = self._shown[index][0]
        if reference in (DOUBTFUL, SENT):
            return
        self._next_edit = self._pace.clock() + self._pace.edit_seconds
        try:
            await self._retried(partial(self._messages.edit, reference, content))
        except Refused:  # somebody deleted it, or it can't be changed
            for shown, _ in self._shown[index:]:
                await self._delete(shown)
            del self._shown[index:]
            await self._post(content)
        else:
            self._shown[index] = (reference, content)

    async def _delete(self, reference: str) -> None:
        if reference in (DOUBTFUL, SENT):
            return
        try:
            await self._retried(partial(self._messages.delete, reference))
        except Refused as error:
            log.debug("a message was already gone: %s", error)

    async def _retried(self, call: Callable[[], Awaitable[_T]]) -> _T:
        """Repeat what does no harm when it is done twice."""
        for tries_left in reversed(range(_TRIES)):
            try:
                return await call()
            except Unreachable:
                if not tries_left:
                    raise
                await self._wait(tries_left)
        raise AssertionError("unreachable")

    async def _wait(self, tries_left: int) -> None:
        await self._pace.sleep(self._pace.edit_seconds * 2 ** (_TRIES - 1 - tries_left))

    def _next_mark(self) -> str:
        return f"{self._mark}/{len(self._shown)}"

    async def _note(self) -> None:
        await self._posted(self._place, [reference for reference, _ in self._shown])
