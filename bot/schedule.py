"""Watched folders, read at start and on schedule: a job only enqueues, one worker reads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

log = logging.getLogger(__name__)


class FolderSchedule:
    """Runs `scan(name)` for each folder at start and when its trigger fires, one at a time.

    A folder that is still waiting or being read when its trigger fires is read once more, not
    once for every time that it fired.
    """

    def __init__(
        self, triggers: Mapping[str, BaseTrigger], scan: Callable[[str], Awaitable[object]]
    ) -> None:
        self._triggers = triggers
        self._scan = scan
        self._due: asyncio.Queue[str] = asyncio.Queue()
        self._waiting: set[str] = set()

    async def run(self) -> None:
        """Read folders as they fall due, until cancelled."""
        scheduler = AsyncIOScheduler(
            timezone="UTC",
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        for name, trigger in self._triggers.items():
            self.enqueue(name)
            scheduler.add_job(
                self._fall_due, trigger, args=[name], id=f"folder:{name}", replace_existing=True
            )
        scheduler.start()
        try:
            while True:
                name = await self._due.get()
                self._waiting.discard(name)
                started = datetime.now(UTC)
                try:
                    await self._scan(name)
                except Exception:
                    log.exception(
                        "reading the folder %s failed; it is tried again on schedule", name
                    )
                log.debug("read %s in %s", name, datetime.now(UTC) - started)
        finally:
            scheduler.shutdown(wait=False)

    async def _fall_due(self, name: str) -> None:
        # A coroutine, because the scheduler calls a plain function in another thread.
        self.enqueue(name)

    def enqueue(self, name: str) -> None:
        """Have a folder read soon; for the thread of the event loop alone."""
        if name not in self._waiting:
            self._waiting.add(name)
            self._due.put_nowait(name)
