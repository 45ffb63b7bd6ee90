"""A runner that computes nothing, and who waits for the engine's answers."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from typing import Any

import torch

from rag.models.engine import Engine, Request


class CountingRunner:
    """Answers each token with the next number; waits before each step if it is told to."""

    rewinds, whole, chunk = True, False, 8

    def __init__(self, slots: int = 2, length: int = 1000) -> None:
        self.slots, self.length = slots, length
        self.log: list[Any] = []
        self.open = threading.Event()
        self.open.set()
        self.reached = threading.Event()
        self.poison: set[int] = set()

    def _pass(self, *entry: Any) -> None:
        self.log.append(entry)
        self.reached.set()
        assert self.open.wait(30)

    def _row(self, token: int) -> torch.Tensor:
        row = torch.zeros(10_000)
        row[token + 1] = 1
        return row

    def read(self, slot: int, tokens: Sequence[int], start: int) -> torch.Tensor:
        self._pass("read", slot, len(tokens), start)
        if self.poison & set(tokens):
            raise RuntimeError("poisoned")
        return self._row(tokens[-1])

    def step(
        self, slots: Sequence[int], tokens: Sequence[int], places: Sequence[int]
    ) -> torch.Tensor:
        self._pass("step", tuple(slots), tuple(tokens), tuple(places))
        if self.poison & set(tokens):
            raise RuntimeError("poisoned")
        return torch.stack([self._row(token) for token in tokens])

    def copy(self, source: int, target: int, count: int) -> None:
        self.log.append(("copy", source, target, count))

    def close(self) -> None:
        self.log.append(("closed",))

    def steps(self) -> list[tuple[int, ...]]:
        """Return which slots each step had."""
        return [entry[1] for entry in self.log if entry[0] == "step"]


class Listener:
    """Someone who waits for an answer."""

    def __init__(self, engine: Engine, prompt: Sequence[int], **options: Any) -> None:
        self.engine = engine
        self.arrived: queue.SimpleQueue[int | BaseException | None] = queue.SimpleQueue()
        self.request = Request(prompt, options.pop("limit", 5), self.arrived.put, **options)
        engine.submit(self.request)

    def next(self) -> int | BaseException | None:
        return self.arrived.get(timeout=30)

    def answer(self) -> list[int]:
        tokens: list[int] = []
        while (item := self.next()) is not None:
            if isinstance(item, BaseException):
                raise item
            tokens.append(item)
        return tokens

    def cancel(self) -> None:
        self.engine.cancel(self.request)
