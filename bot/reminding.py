"""Hands over what falls due to its platform, exactly once, whatever happens to the process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime

from bot.messages import Event, Posting
from bot.reminders import OWNERS, Reminder, Reminders

log = logging.getLogger(__name__)

DUE = "due"
"""The kind of such an event."""
_LONGEST_WAIT = 30.0
"""Seconds: the machine may have slept, or its clock been set, meanwhile."""
_AGAIN = 5.0
_COMMANDS = {"say": "due", "ask": "scheduled", "digest": "digested"}


class Reminding:
    """Looks what is due, and gives each as an event to the platform that it belongs to.

    The event has the reminder's id and the time, so that handing it over again, after a crash
    before that was noted, changes nothing. What fell due more than once while the bot was away is
    posted once, and says that it is late; while its platform isn't connected it waits.
    """

    def __init__(self, reminders: Reminders, postings: Mapping[str, Posting]) -> None:
        self._reminders = reminders
        self._postings = postings

    async def run(self) -> None:
        """Go on until cancelled."""
        changed = self._reminders.changed
        while True:
            changed.clear()
            try:
                await self.tick()
                soonest = await self._reminders.next_due()
            except Exception as error:  # the disk may be full: later, then
                log.error("reminders can't be read: %s", type(error).__name__)
                soonest = None
            wait = _LONGEST_WAIT if soonest is None else soonest - self._reminders.clock()
            if wait <= 0:  # its platform isn't there
                wait = _AGAIN
            with suppress(TimeoutError):
                async with asyncio.timeout(min(wait, _LONGEST_WAIT)):
                    await changed.wait()

    async def tick(self) -> None:
        """Hand over what is due now."""
        now = self._reminders.clock()
        for due in await self._reminders.due(now):
            try:
                await self._handed_over(due, now)
            except Exception as error:  # the others' turn comes all the same
                log.error("reminder %s waits: %s", due.id, type(error).__name__)

    async def _handed_over(self, due: Reminder, now: float) -> None:
        posting = self._postings.get(due.platform)
        if posting is None or not await posting.post(_event(due)):
            return
        following = due.times.after(datetime.fromtimestamp(now, UTC))
        await self._reminders.posted(due, following.timestamp() if following else None)


def _event(due: Reminder) -> Event:
    at = due.due_at or 0.0
    platform, _, user = due.author.partition(":")
    options = {
        **due.options,
        "reminder": due.id,
        "at": at,
        "zone": due.times.zone,
        "again": bool(due.times.rule),
        "since": due.since,
    }
    payload = {
        "command": _COMMANDS[due.kind],
        "text": due.text,
        "user": user,
        "owner": platform in OWNERS,
        "scope": due.scope,
        # A question is answered in its own language.
        "language": None if due.kind == "ask" else due.language,
        "direct": due.direct,
        "options": options,
    }
    id = f"reminder:{due.id}:{int(at)}"
    return Event(id, due.platform, due.team, due.channel, DUE, payload)
