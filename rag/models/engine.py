"""One model for many people: requests join and leave a running batch between its steps."""

from __future__ import annotations

import itertools
import queue as queues
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch

from rag.errors import ModelBusy, ModelFailed, ModelTrouble

_SMALLEST_READ, _LARGEST_READ = 8, 1024


class Runner(Protocol):
    """A model with slots; a slot keeps what the model has computed for one sequence of tokens."""

    slots: int
    length: int
    """Tokens that a slot has room for."""
    chunk: int
    """Tokens of a prompt to read in the first step."""
    rewinds: bool
    """Whether a slot can be read on from any place, and copied; else prompts start from nothing."""
    whole: bool
    """Whether a prompt must be read in one part."""

    def read(self, slot: int, tokens: Sequence[int], start: int) -> torch.Tensor:
        """Put `tokens` into the slot from place `start` on, forgetting what was there; return the
        logits [vocabulary] that follow the last."""

    def step(
        self, slots: Sequence[int], tokens: Sequence[int], places: Sequence[int]
    ) -> torch.Tensor:
        """Put one token into each slot, at its place; return the logits [slots, vocabulary]."""

    def copy(self, source: int, target: int, count: int) -> None:
        """Give slot `target` the first `count` tokens of slot `source`."""

    def close(self) -> None:
        """Let go of what runs in the background."""


@dataclass(eq=False)
class Request:
    """A prompt and who listens: `put` gets its tokens one by one, on the engine's thread, then None
    or what went wrong."""

    prompt: Sequence[int]
    limit: int
    put: Callable[[int | BaseException | None], None]
    ends: frozenset[int] = frozenset()
    temperature: float = 0.0
    seed: int | None = None
    user: str = ""
    cancelled: bool = field(default=False, init=False)


@dataclass(eq=False)
class _Slot:
    number: int
    tokens: list[int] = field(default_factory=list)
    """What the model has computed and keeps, also after its request has left."""
    rest: list[int] = field(default_factory=list)
    """What the model must be given next."""
    request: Request | None = None
    chance: torch.Generator | None = None
    made: int = 0
    joined: int = 0


class Engine:
    """Answers requests with one model on a thread of its own: as many at once as the runner has
    slots, at most `queue` waiting, in turn by user.

    A prompt is read in parts that take about `pace` seconds at most, a step of everybody's answers
    between two parts. What a prompt shares with a slot's tokens isn't read again.
    """

    def __init__(
        self,
        runner: Runner,
        *,
        queue: int = 64,
        pace: float = 0.25,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runner = runner
        self._bound = queue
        self._pace = pace
        self._clock = clock
        self._chunk = runner.chunk
        self._slots = [_Slot(number) for number in range(runner.slots)]
        self._waiting: list[Request] = []
        self._served: dict[str, int] = {}
        self._turns = itertools.count(1)
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chat-model", daemon=True)
        self._thread.start()

    @property
    def length(self) -> int:
        """How many tokens a prompt and its answer may have together."""
        return self._runner.length

    def submit(self, request: Request) -> None:
        """Queue a request; raise `ModelBusy` if too many wait, or too many of this user's."""
        if not 0 < len(request.prompt) < self._runner.length:
            raise ModelFailed(
                f"The prompt has {len(request.prompt)} tokens, but the model reads "
                f"{self._runner.length} with its answer: ask a shorter question.",
                ModelTrouble.TOO_LONG,
            )
        with self._changed:
            if self._closed.is_set():
                raise ModelFailed("The chat model was closed.", ModelTrouble.CLOSED)
            waiting = [r for r in self._waiting if not r.cancelled]
            own = sum(r.user == request.user for r in waiting)
            # Nobody alone fills the queue for all.
            if len(waiting) >= self._bound or own >= max(1, self._bound // 2):
                raise ModelBusy("Too many questions are waiting for the model: ask again later.")
            self._waiting = [*waiting, request]
            self._changed.notify()

    def cancel(self, request: Request) -> None:
        """End a request: its slot is free after the step that runs; it gets None."""
        with self._changed:
            request.cancelled = True
            self._changed.notify()

    def tokens(
        self,
        prompt: Sequence[int],
        *,
        limit: int,
        ends: frozenset[int] = frozenset(),
        temperature: float = 0.0,
        seed: int | None = None,
    ) -> Iterator[int]:
        """Yield the tokens that follow `prompt`, an end token the last; blocks for each."""
        arrived: queues.SimpleQueue[int | BaseException | None] = queues.SimpleQueue()
        request = Request(prompt, limit, arrived.put, ends, temperature, seed)
        self.submit(request)
        try:
            while (token := arrived.get()) is not None:
                if isinstance(token, BaseException):
                    raise token
                yield token
        finally:
            self.cancel(request)

    def close(self) -> None:
        """End all requests with `ModelFailed` and wait for the thread."""
        with self._changed:
            self._closed.set()
            self._changed.notify()
        self._thread.join()
        self._runner.close()

    # From here on, everything runs on the engine's thread.

    def _run(self) -> None:
        while self._work_comes():
            self._leave()
            self._join()
            self._read()
            self._step()
        closed = ModelFailed(
            "The chat model was closed before it had answered.", ModelTrouble.CLOSED
        )
        with self._changed:
            waiting, self._waiting = self._waiting, []
        for request in waiting:
            _hand(request, closed)
        for slot in self._busy():
            self._end(slot, closed)

    def _busy(self) -> list[_Slot]:
        """Return the slots that have a request, by when it joined."""
        return sorted((s for s in self._slots if s.request), key=lambda slot: slot.joined)

    def _work_comes(self) -> bool:
        """Wait until there is something to do; return whether there will be more."""
        with self._changed:
            while not (self._closed.is_set() or self._waiting or self._busy()):
                self._served.clear()
                self._changed.wait()
            return not self._closed.is_set()

    def _leave(self) -> None:
        for slot in self._busy():
            if slot.request and slot.request.cancelled:
                self._end(slot, None)

    def _join(self) -> None:
        """Give free slots to requests that wait."""
        while free := [slot for slot in self._slots if slot.request is None]:
            with self._changed:
                gone = [request for request in self._waiting if request.cancelled]
                self._waiting = [r for r in self._waiting if not r.cancelled]
                request = self._next()
            for cancelled in gone:
                _hand(cancelled, None)
            if request is None:
                return
            try:
                self._seat(request, free)
            except Exception as error:
                _hand(request, error)

    def _next(self) -> Request | None:
        """Take the request whose user has the fewest answers running, then the user who was served
        longest ago, then the oldest."""
        if not self._waiting:
            return None
        running = Counter(slot.request.user for slot in self._slots if slot.request)
        request = min(self._waiting, key=lambda r: (running[r.user], self._served.get(r.user, 0)))
        self._waiting.remove(request)
        self._served[request.user] = next(self._turns)
        return request

    def _seat(self, request: Request, free: Sequence[_Slot]) -> None:
        """Put a request into the slot that has most of its prompt, or into the one unused for
        longest, with a copy of what another has."""
        prompt = list(request.prompt)
        known = {
            slot: _shared(slot.tokens, prompt) if self._runner.rewinds else 0
            for slot in self._slots
        }
        donor = max(known, key=lambda slot: known[slot])
        slot = max(free, key=lambda slot: (known[slot], -slot.joined))
        if known[donor] > known[slot]:
            slot = min(free, key=lambda slot: slot.joined)
            self._runner.copy(donor.number, slot.number, known[donor])
        start = known[donor]
        if request.temperature > 0:
            slot.chance = torch.Generator(self._device())
            if request.seed is None:
                slot.chance.seed()
            else:
                slot.chance.manual_seed(request.seed)
        slot.tokens, slot.rest = prompt[:start], prompt[start:]
        slot.request, slot.made, slot.joined = request, 0, next(self._turns)

    def _device(self) -> torch.device:
        return getattr(self._runner, "device", torch.device("cpu"))

    def _read(self) -> None:
        """Read a part of the prompt that came first."""
        slot = next((s for s in self._busy() if len(s.rest) > 1 or not s.tokens), None)
        if slot is None:
            return
        part = slot.rest if self._runner.whole else slot.rest[: self._chunk]
        began = self._clock()
        try:
            logits = self._runner.read(slot.number, part, len(slot.tokens))
            slot.tokens += part
            del slot.rest[: len(part)]
            if not slot.rest:
                self._choose([slot], logits[None])
        except Exception as error:
            self._end(slot, error)
            return
        took = self._clock() - began
        if took > self._pace:
            self._chunk = max(_SMALLEST_READ, self._chunk // 2)
        elif len(part) == self._chunk and took < self._pace / 3:
            self._chunk = min(_LARGEST_READ, self._chunk * 2)

    def _step(self) -> None:
        """Give every answer its next token; a failure is only the failing request's."""
        slots = [slot for slot in self._busy() if len(slot.rest) == 1 and slot.tokens]
        # What cannot rewind cannot repeat a step that failed for one of many.
        for group in [slots] if self._runner.rewinds else [[slot] for slot in slots]:
            self._attempt(group)

    def _attempt(self, slots: Sequence[_Slot]) -> None:
        try:
            if slots:
                self._advance(slots)
        except Exception as error:
            if len(slots) == 1:
                self._end(slots[0], error)
                return
            for slot in slots:
                self._attempt([slot])

    def _advance(self, slots: Sequence[_Slot]) -> None:
        logits = self._runner.step(
            [slot.number for slot in slots],
            [slot.rest[0] for slot in slots],
            [len(slot.tokens) for slot in slots],
        )
        for slot in slots:
            slot.tokens += slot.rest
            slot.rest = []
        self._choose(slots, logits)

    def _choose(self, slots: Sequence[_Slot], logits: torch.Tensor) -> None:
        """Hand each slot's request its next token, by its own temperature and seed."""
        best: list[int] = logits.argmax(-1).tolist()
        for slot, row, token in zip(slots, logits, best, strict=True):
            request = slot.request
            if request is None:
                continue
            if slot.chance is not None:
                token = _sample(row, request.temperature, slot.chance)
            slot.made += 1
            slot.rest = [token]
            if not _hand(request, token):
                request.cancelled = True
            full = len(slot.tokens) >= self._runner.length
            if token in request.ends or slot.made >= request.limit or full:
                self._end(slot, None)

    def _end(self, slot: _Slot, result: BaseException | None) -> None:
        """Free a slot. What it has computed stays, unless something went wrong."""
        request, slot.request, slot.chance, slot.rest = slot.request, None, None, []
        if result is not None:
            slot.tokens = []
        if request is not None:
            _hand(request, result)


def _hand(request: Request, item: int | BaseException | None) -> bool:
    """Return whether the listener took it; one that breaks must not stop the others."""
    try:
        request.put(item)
    except Exception:
        return False
    return True


def _shared(tokens: Sequence[int], prompt: Sequence[int]) -> int:
    """Return how many tokens both begin with, the prompt's last left out: its logits are needed."""
    longest = min(len(tokens), len(prompt) - 1)
    differ = range(1, longest + 1)
    return bisect_left(differ, True, key=lambda n: tokens[:n] != prompt[:n])


def _sample(logits: torch.Tensor, temperature: float, chance: torch.Generator) -> int:
    """Draw a token: the least of exponential times over its chances, which is exact and, unlike
    `multinomial`, safe for a GPU whatever the logits are."""
    chances = torch.softmax(logits.float() / temperature, dim=-1)
    times = torch.empty_like(chances).exponential_(generator=chance)
    return int((chances / times).argmax())
