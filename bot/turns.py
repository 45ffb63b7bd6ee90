"""Turns at what few may use at once, shared fairly between people."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

_MOST_REMEMBERED = 10_000


class Full(Exception):
    """Too many wait already."""


@dataclass(eq=False, slots=True)
class Ticket:
    """A place in the line, then a turn, until it is given back with `leave`."""

    user: str
    ahead: int = 0
    """How many turns come before this one; 0 when it is this one's."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when `ahead` has changed."""


class Turns:
    """At most `slots` turns at once; `waiting` may wait in all, `waiting_each` of one person.

    The next turn is that of whoever had one longest ago, so that many requests of one person delay
    another's by one turn at most.
    """

    def __init__(self, slots: int, *, waiting: int, waiting_each: int) -> None:
        self._slots = slots
        self._most = waiting
        self._most_each = waiting_each
        self._running: list[Ticket] = []
        self._waiting: list[Ticket] = []
        self._served: OrderedDict[str, int] = OrderedDict()
        self._count = count(1)

    @property
    def running(self) -> int:
        """Return how many turns are taken."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def join(self, user: str) -> Ticket:
        """Return a ticket, whose turn it may be at once; raise `Full`."""
        free = len(self._running) < self._slots
        of_user = sum(ticket.user == user for ticket in self._waiting)
        if not free and (len(self._waiting) >= self._most or of_user >= self._most_each):
            raise Full
        ticket = Ticket(user)
        self._waiting.append(ticket)
        self._move_up()
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Give a turn or a place in the line back."""
        (self._running if ticket in self._running else self._waiting).remove(ticket)
        self._move_up()

    def _move_up(self) -> None:
        line = self._in_order()
        while line and len(self._running) < self._slots:
            ticket = line[0]
            self._waiting.remove(ticket)
            self._running.append(ticket)
            self._serve(ticket.user)
            self._tell(ticket, 0)
            line = self._in_order()
        for place, ticket in enumerate(line):
            self._tell(ticket, place + len(self._running))

    def _in_order(self) -> list[Ticket]:
        """Return who waits in the order of their turns: everybody's first, everybody's second …"""
        mine: dict[str, int] = {}
        keys = {}
        for arrived, ticket in enumerate(self._waiting):
            nth = mine[ticket.user] = mine.get(ticket.user, 0) + 1
            keys[ticket] = (nth, self._served.get(ticket.user, 0), arrived)
        return sorted(self._waiting, key=keys.__getitem__)

    def _serve(self, user: str) -> None:
        self._served[user] = next(self._count)
        self._served.move_to_end(user)
        if len(self._served) > _MOST_REMEMBERED:
            self._served.popitem(last=False)

    def _tell(self, ticket: Ticket, ahead: int) -> None:
        if ticket.ahead != ahead or not ahead:
            ticket.ahead = ahead
            ticket.changed.set()


class Buckets:
    """Lets each key through so many times a minute on average, and as many at once.

    `clock` is seconds.
    """

    def __init__(self, per_minute: float, clock: Callable[[], float]) -> None:
        self._size = per_minute
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, key: str) -> float:
        """Take one, and return 0.0; or return after how many seconds there is one again."""
        now = self._clock()
        level, since = self._levels.get(key, (self._size, now))
        level = min(self._size, level + (now - since) * self._size / 60)
        taken = level >= 1
        self._levels[key] = (level - taken, now)
        self._levels.move_to_end(key)
        if len(self._levels) > _MOST_REMEMBERED:
            self._levels.popitem(last=False)
        return 0.0 if taken else (1 - level) * 60 / self._size
