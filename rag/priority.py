"""Questions go before ingestion: people wait for answers, not for an index."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# A safety net: ingestion goes on slowly under never-ending questions, instead of not at all.
_LONGEST_PAUSE_SECONDS = 30.0


class Priority:
    """Lets background work wait while a question is being answered."""

    def __init__(self) -> None:
        self._questions = 0
        self._changed = threading.Condition()

    @contextmanager
    def question(self) -> Iterator[None]:
        """Hold background work back while the block runs."""
        with self._changed:
            self._questions += 1
        try:
            yield
        finally:
            with self._changed:
                self._questions -= 1
                self._changed.notify_all()

    def give_way(self) -> None:
        """Return when no question is being answered; called between batches of background work."""
        with self._changed:
            self._changed.wait_for(lambda: not self._questions, _LONGEST_PAUSE_SECONDS)

    def when_quiet(self, act: Callable[[], object], timeout: float = 60) -> bool:
        """Do something short while no question is being answered; False if there always was one."""
        with self._changed:
            quiet = self._changed.wait_for(lambda: not self._questions, timeout)
            if quiet:
                act()
            return quiet
