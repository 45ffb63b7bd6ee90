"""What falls due for the page: it stands there until somebody puts it away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from bot.adapters.due import decided, due_request
from bot.adapters.web.files import KeptFiles
from bot.adapters.web.session import Exchange
from bot.adapters.web.talk import SEES, Talk
from bot.adapters.web.text import say
from bot.messages import Event, Inbox, Reply, Request

log = logging.getLogger(__name__)

_PLATFORM = "web"
_MOST_STARTS = 5
"""So often the bot may end over an event that it never answered before it is the reason."""


@dataclass(frozen=True, slots=True)
class Card:
    """Something that fell due, with its answer, as the page shows it."""

    event: Event
    request: Request
    at: datetime
    exchange: Exchange
    documents: frozenset[str]
    """The names of those that it rests on."""

    @property
    def id(self) -> str:
        """The event's."""
        return self.event.id


class Cards:
    """Has what falls due answered at once, and keeps it until it is put away.

    An event stays in the inbox until then: after a restart it is answered anew, for the documents
    as they are, and nothing of an answer is on disk meanwhile. A newer one of the same reminder
    takes the older one's place; a digest stays, since each tells of other documents.
    """

    def __init__(self, inbox: Inbox, talk: Talk, files: KeptFiles) -> None:
        self._inbox = inbox
        self._talk = talk
        self._files = files
        self._cards: dict[str, Card] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._known: frozenset[str] = frozenset()
        self._open = False

    async def open(self) -> None:
        """Take up what an earlier process has left, and what falls due from now on."""
        for event in await self._inbox.pending(_PLATFORM):
            self._begin(event)
        self._open = True

    async def close(self) -> None:
        """Stop all work; the next start takes it up again."""
        self._open = False
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values())

    async def post(self, event: Event) -> bool:
        """Take over something that is due; False while the page isn't served."""
        if self._open and await self._inbox.add(event):
            self._begin(event)
        return self._open

    @property
    def standing(self) -> list[Card]:
        """Return what stands on the page, oldest first."""
        return sorted(self._cards.values(), key=lambda card: (card.at, card.id))

    async def put_away(self, id: str) -> None:
        """Take a card off the page for good."""
        if card := self._cards.pop(id, None):
            await self._done(card.event, card.request)

    def refresh(self, documents: Collection[str]) -> None:
        """Have anew what rests on documents that aren't known any more."""
        gone = self._known.difference(documents)
        self._known = frozenset(documents)
        for card in self.standing:
            if card.documents & gone:
                del self._cards[card.id]
                self._begin(card.event)

    def _begin(self, event: Event) -> None:
        task = self._tasks[event.id] = asyncio.create_task(self._shown(event))
        task.add_done_callback(lambda _: self._tasks.pop(event.id, None))

    async def _shown(self, event: Event) -> None:
        try:
            await self._answered(event)
        except Exception:  # the disk may be full: the next start takes it up again
            log.exception("what is due could not be shown: %s", event.id)

    async def _answered(self, event: Event) -> None:
        request = due_request(event, SEES, {}, event.id)
        language = request.language or "en"
        reply = Reply("error", f"{request.text}\n{say(language, 'broken')}", language)
        delivery = await self._inbox.begin(request, event)
        if delivery.parts or event.starts <= _MOST_STARTS:
            reply = await self._talk.reply(request)
        digest = request.command == "digested"
        if digest and reply.outcome == "answer" and not reply.data:  # no news, no card
            await self._done(event, request)
            return
        exchange = Exchange(command=request.command, question="", target=request.text)
        exchange.apply(reply)
        exchange.keep(reply.files, self._files)
        exchange.decisions = decided(request, reply) or []
        cited = {passage.document for passage in exchange.passages}
        at = datetime.fromtimestamp(
            float(request.options["at"]), ZoneInfo(str(request.options["zone"]))
        )
        others = [] if digest else [c for c in self.standing if _same(c.event, event)]
        if any(card.at > at for card in others):
            await self._done(event, request)
            return
        rests_on = frozenset(reply.data or () if digest else cited)
        self._cards[event.id] = Card(event, request, at, exchange, rests_on)
        await self._inbox.posted(request, 0, [event.id])
        for card in others:
            await self.put_away(card.id)

    async def _done(self, event: Event, request: Request) -> None:
        await self._inbox.delivered(request)
        await self._inbox.done(event)


def _same(one: Event, other: Event) -> bool:
    """Tell whether two events are of one reminder."""
    return bool(one.payload["options"]["reminder"] == other.payload["options"]["reminder"])
