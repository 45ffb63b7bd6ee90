"""An inbox in memory, for tests of what stands on one; it passes `tests/contracts/inbox.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.messages import Delivery, Event, Reply, Request


@dataclass
class Kept:
    """A reply, with the question that it belongs to."""

    delivery: Delivery
    team: str
    channel: str
    message: str | None
    conversation: str
    withdrawn: bool = False


class MemoryInbox:
    """The `Inbox` of one process."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.finished: set[str] = set()
        self.changed = asyncio.Event()
        """Set when an event is done."""
        self.replies: dict[tuple[str, str], Kept] = {}

    async def add(self, event: Event) -> bool:
        """Keep an event; return False for one that is already known."""

        def about(one: Event) -> object:
            return (one.platform, one.team, one.channel, one.message, one.edition)

        for known in self.events:
            same = event.message is not None and about(known) == about(event)
            if same or (known.platform, known.id) == (event.platform, event.id):
                return False
        self.events.append(event)
        return True

    async def pending(self, platform: str) -> list[Event]:
        """Return the events that aren't done."""

        def unfinished(event: Event) -> bool:
            return event.platform == platform and event.id not in self.finished

        self.events = [
            replace(event, starts=event.starts + unfinished(event)) for event in self.events
        ]
        return [event for event in self.events if unfinished(event)]

    async def done(self, event: Event) -> None:
        """Finish an event."""
        self.finished.add(event.id)
        self.changed.set()

    async def begin(self, request: Request, event: Event, over: str | None = None) -> Delivery:
        """Return how far a reply has come."""
        key = (request.platform, request.id)
        if key in self.replies:
            return replace(self.replies[key].delivery, fresh=False)
        kept = Kept(
            Delivery(request.id, True),
            event.team,
            event.channel,
            event.message,
            request.conversation,
        )
        old = self.replies.get((request.platform, over)) if over else None
        if old is not None:
            kept.message, kept.channel = old.message, old.channel
            kept.delivery = Delivery(request.id, True, old.delivery.place, old.delivery.parts)
            await self.withdraw(request.platform, old.delivery.request)
        self.replies[key] = kept
        return kept.delivery

    async def posted(self, request: Request, place: int, parts: Sequence[str]) -> None:
        """Note messages."""
        self._change(request, place=place, parts=tuple(parts))

    async def answered(self, request: Request, reply: Reply) -> None:
        """Keep a reply."""
        self._change(request, reply=reply)

    async def delivered(self, request: Request) -> None:
        """Finish a reply."""
        self._change(request, reply=None, done=True)

    async def replies_to(
        self, platform: str, team: str, channel: str, message: str
    ) -> list[Delivery]:
        """Return the replies to a message."""
        return [
            replace(kept.delivery, fresh=False)
            for (of, _), kept in self.replies.items()
            if (of, kept.team, kept.channel, kept.message) == (platform, team, channel, message)
            and not kept.withdrawn
        ]

    async def withdraw(self, platform: str, request: str) -> None:
        """Say that a reply was deleted."""
        if kept := self.replies.get((platform, request)):
            kept.delivery = Delivery(request, False, done=True)
            kept.withdrawn = True

    async def knows(self, platform: str, conversation: str) -> bool:
        """Tell whether the bot is in a conversation."""
        return any(
            (of, kept.conversation) == (platform, conversation) and not kept.withdrawn
            for (of, _), kept in self.replies.items()
        )

    async def heard(self, platform: str) -> list[tuple[str, str, str]]:
        """Return the newest message of every channel."""
        newest = {
            (event.team, event.channel): event.message
            for event in self.events
            if event.platform == platform and event.message is not None
        }
        return [(team, channel, message) for (team, channel), message in newest.items()]

    def _change(self, request: Request, **values: object) -> None:
        kept = self.replies.get((request.platform, request.id))
        if kept and not kept.withdrawn:
            kept.delivery = replace(kept.delivery, **values)  # type: ignore[arg-type]
