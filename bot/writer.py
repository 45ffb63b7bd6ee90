"""Transactions of the bot's own tables: in one thread, and those that wait together in one commit.

A commit waits for the disk, whoever is in it. So the event loop never waits, and a burst of events
costs few commits.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

_T = TypeVar("_T")
_Work = Callable[[Connection], Any]


class Writer:
    """Runs functions of a connection; `reader` is the engine for those that change nothing."""

    def __init__(self, engine: Engine, reader: Engine) -> None:
        self._engine = engine
        self._reader = reader
        self._lock = threading.Lock()
        self._waiting: list[tuple[_Work, Future[Any]]] = []
        # Not the loop's own threads, which parsing and embedding may all have taken.
        self._thread = ThreadPoolExecutor(1, "writer")

    async def write(self, work: Callable[[Connection], _T]) -> _T:
        """Return what `work` returns, once that is on disk; whoever stops waiting undoes nothing.

        `work` runs again, alone, if another one of the same commit fails.
        """
        written: Future[_T] = Future()
        with self._lock:
            self._waiting.append((work, written))
        self._thread.submit(self._commit)
        return await asyncio.shield(asyncio.wrap_future(written))

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """Return what `work` returns; it sees all that was written before."""

        def look() -> _T:
            with self._reader.connect() as connection:
                return work(connection)

        return await asyncio.wrap_future(self._thread.submit(look))

    def close(self) -> None:
        """Finish what was asked for; blocks."""
        self._thread.shutdown()

    def _commit(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting, []
        if batch and not self._committed(batch):
            for one in batch:
                self._committed([one])

    def _committed(self, batch: list[tuple[_Work, Future[Any]]]) -> bool:
        try:
            with self._engine.begin() as connection:
                results = [work(connection) for work, _ in batch]
        except Exception as error:
            if len(batch) == 1:
                batch[0][1].set_exception(error)
            return False
        for (_, written), result in zip(batch, results, strict=True):
            written.set_result(result)
        return True
