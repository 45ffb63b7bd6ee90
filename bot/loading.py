"""Parts that take seconds to open: each opened once, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal


class Loading:
    """A part that opens in a thread; everyone who needs it waits for the same opening."""

    def __init__(self, what: str, open_: Callable[[], None]) -> None:
        self.what = what
        """Names the part in `bot.phrases`."""
        self._open = open_
        self._task: asyncio.Task[None] | None = None
        self._opened = asyncio.Event()

    @property
    def begun(self) -> bool:
        """Tell whether the part is open or being opened."""
        return bool(self._task and not (self._task.done() and _failed(self._task)))

    @property
    def done(self) -> bool:
        """Tell whether the part is open."""
        return bool(self._task and self._task.done() and not _failed(self._task))

    @property
    def state(self) -> Literal["open", "loading", "closed", "broken"]:
        """Return how far the part is; "broken" when the last try to open it failed."""
        if self._task is None:
            return "closed"
        if not self._task.done():
            return "loading"
        return "broken" if _failed(self._task) else "open"

    async def ready(self) -> None:
        """Return when the part is open; raise why it can't be, and try again when asked again."""
        if self._task is None or (self._task.done() and _failed(self._task)):
            self._task = asyncio.create_task(asyncio.to_thread(self._open))
            # Whoever asked is told; when the bot ends meanwhile nobody asks any more.
            self._task.add_done_callback(_failed)
        await asyncio.shield(self._task)
        self._opened.set()

    async def ended(self) -> None:
        """Return when it isn't being opened any more; what came of that is nobody's now."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def opened(self) -> None:
        """Return when the part is open, whoever has it opened; failures are for who asked."""
        await self._opened.wait()


def _failed(task: asyncio.Task[None]) -> bool:
    return task.cancelled() or task.exception() is not None
