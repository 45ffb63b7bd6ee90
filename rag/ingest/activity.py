"""What ingestion is doing now and how long it will still take; people can pause it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from rag.errors import TeamglmError

What = Literal["reading", "rebuilding", "embedding"]

# Of the work, before anything is said about how long the rest will take.
_ENOUGH = 0.02


class Stopping(TeamglmError):
    """The bot is being stopped; what was begun goes on at its next start."""

    def __init__(self) -> None:
        super().__init__("The bot is being stopped: this goes on at its next start.")


@dataclass(frozen=True, slots=True)
class Working:
    """How far the work at hand is: `share` goes from 0 to 1."""

    what: What
    share: float
    seconds_left: float | None
    """None where it is too early to tell, or the work is paused."""
    paused: bool


class Activity:
    """The progress of long work, and its switch; safe from any thread.

    Uploads are never paused: somebody waits for them.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._paused = False
        self._stopping = False
        self._what: What | None = None
        self._share = 0.0
        self._spent = 0.0
        self._since = 0.0

    @contextmanager
    def working(self, what: What) -> Iterator[None]:
        """Say what is being done while the block runs."""
        with self._changed:
            before = self._what, self._share, self._spent, self._since
            self._what, self._share, self._spent = what, 0.0, 0.0
            self._since = self._clock()
        try:
            yield
        finally:
            with self._changed:
                self._what, self._share, self._spent, self._since = before

    def advance(self, share: float) -> None:
        """Say how much of the work is done."""
        with self._changed:
            self._share = min(max(share, 0.0), 1.0)

    def now(self) -> Working | None:
        """Return what is being done, None if nothing is."""
        with self._changed:
            if self._what is None:
                return None
            spent = self._spent + (0.0 if self._paused else self._clock() - self._since)
            left = None
            if self._share >= _ENOUGH and not self._paused:
                left = spent * (1 - self._share) / self._share
            return Working(self._what, self._share, left, self._paused)

    @property
    def paused(self) -> bool:
        """Tell whether long work waits for `resume`."""
        return self._paused

    def pause(self) -> None:
        """Let long work wait as soon as what it has in hand is whole."""
        with self._changed:
            if not self._paused:
                self._spent += self._clock() - self._since
                self._paused = True

    def resume(self) -> None:
        """Let long work go on."""
        with self._changed:
            if self._paused:
                self._since = self._clock()
                self._paused = False
                self._changed.notify_all()

    def stop(self) -> None:
        """End long work as soon as what it has in hand is whole: it raises `Stopping`."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def wait(self) -> None:
        """Return when long work may go on; raise `Stopping` when it must end."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or not self._paused)
            if self._stopping:
                raise Stopping
