"""The engine's contract, driven on the CPU with a runner that computes nothing."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from rag.errors import ModelBusy, ModelFailed
from rag.models.engine import Engine, Request
from tests.rag.models.engine_doubles import CountingRunner, Listener

pytestmark = pytest.mark.usefixtures("one_thread")


# Who runs, who waits


def test_requests_join_and_leave_between_the_steps_of_others(engine: Any) -> None:
    runner = CountingRunner(slots=2)
    batch = engine(runner)
    runner.open.clear()
    long = Listener(batch, [1, 2], limit=100)
    assert runner.reached.wait(30)
    short = Listener(batch, [50, 51], limit=3)
    runner.open.set()
    assert long.next() == 3
    assert short.answer() == [52, 53, 54]
    assert Listener(batch, [70, 71], limit=3).answer() == [72, 73, 74]
    assert long.answer() == list(range(4, 103))
    assert {(0,), (0, 1)} <= set(runner.steps())


def test_cancelled_request_frees_its_slot_after_the_step_that_runs(engine: Any) -> None:
    runner = CountingRunner(slots=1)
    batch = engine(runner)
    first = Listener(batch, [1, 2], limit=500)
    assert first.next() == 3
    runner.open.clear()
    second = Listener(batch, [8, 9], limit=2)
    seen = len(runner.log)
    first.cancel()
    runner.open.set()
    assert second.answer() == [10, 11]
    assert len(runner.log) <= seen + 4
    while first.next() is not None:
        pass


def test_prompt_that_is_cancelled_is_not_read_to_its_end(engine: Any) -> None:
    runner = CountingRunner(slots=1)
    batch = engine(runner, clock=lambda: 0.0, pace=0.0)
    runner.open.clear()
    listener = Listener(batch, range(900))
    assert runner.reached.wait(30)
    listener.cancel()
    runner.open.set()
    assert listener.answer() == []
    assert len(runner.log) == 1


def test_request_cancelled_while_it_waits_never_runs(engine: Any) -> None:
    runner = CountingRunner(slots=1)
    batch = engine(runner)
    runner.open.clear()
    first = Listener(batch, [1, 2])
    assert runner.reached.wait(30)
    second = Listener(batch, [5, 6])
    second.cancel()
    runner.open.set()
    assert first.answer() == [3, 4, 5, 6, 7]
    assert second.answer() == []
    assert sum(entry[0] == "read" for entry in runner.log) == 1


def test_more_than_may_wait_are_told_that_it_is_busy(engine: Any) -> None:
    runner = CountingRunner(slots=1)
    batch = engine(runner, queue=4)
    runner.open.clear()
    first = Listener(batch, [1, 2], user="z")
    assert runner.reached.wait(30)
    waiting = [Listener(batch, [1, 2], user=user) for user in "abcd"]
    with pytest.raises(ModelBusy):
        Listener(batch, [1, 2], user="e")
    waiting[0].cancel()
    waiting[0] = Listener(batch, [1, 2], user="e")
    runner.open.set()
    assert all(listener.answer() == [3, 4, 5, 6, 7] for listener in [first, *waiting])


def test_nobody_fills_the_queue_alone(engine: Any) -> None:
    runner = CountingRunner(slots=1)
    batch = engine(runner, queue=4)
    runner.open.clear()
    first = Listener(batch, [1, 2], user="ann")
    assert runner.reached.wait(30)
    waiting = [Listener(batch, [1, 2], user="ann") for _ in range(2)]
    with pytest.raises(ModelBusy):
        Listener(batch, [1, 2], user="ann")
    waiting.append(Listener(batch, [1, 2], user="bob"))
    runner.open.set()
    assert all(listener.answer() for listener in [first, *waiting])


def test_users_take_turns_however_many_requests_one_has(engine: Any) -> None:
    runner = CountingRunner(slots=1)
    batch = engine(runner)
    runner.open.clear()
    order: list[str] = []

    def listener(user: str) -> Request:
        def put(item: int | BaseException | None) -> None:
            if item is None:
                order.append(user)

        request = Request([1, 2], 2, put, user=user)
        batch.submit(request)
        return request

    listener("ann")
    assert runner.reached.wait(30)
    for user in ("ann", "ann", "ann", "bob", "bob", "cid"):
        listener(user)
    last = Listener(batch, [1, 2], user="ann")
    runner.open.set()
    last.answer()
    assert order == ["ann", "bob", "cid", "ann", "bob", "ann", "ann"]


def test_free_slot_goes_to_the_user_with_the_fewest_running_answers(engine: Any) -> None:
    runner = CountingRunner(slots=2)
    batch = engine(runner)
    runner.open.clear()
    running = Listener(batch, [1, 2], limit=400, user="ann")
    assert runner.reached.wait(30)
    second = Listener(batch, [10, 11], limit=400, user="ann")
    third = Listener(batch, [20, 21], limit=1, user="bob")
    runner.open.set()
    assert third.answer() == [22]
    assert len(running.answer()) == len(second.answer()) == 400


# What goes wrong


def test_failure_reaches_only_its_request(engine: Any) -> None:
    runner = CountingRunner(slots=3)
    runner.poison = {55}
    batch = engine(runner)
    runner.open.clear()
    good = Listener(batch, [1, 2], limit=20)
    breaks_later = Listener(batch, [51, 52], limit=20)
    breaks_at_once = Listener(batch, [55, 56], limit=20)
    runner.open.set()
    assert good.answer() == list(range(3, 23))
    with pytest.raises(RuntimeError, match="poisoned"):
        breaks_at_once.answer()
    assert [breaks_later.next() for _ in range(3)] == [53, 54, 55]
    assert isinstance(breaks_later.next(), RuntimeError)
    assert Listener(batch, [60, 61], limit=1).answer() == [62]


def test_listener_that_breaks_stops_nobody(engine: Any) -> None:
    runner = CountingRunner(slots=2)
    batch = engine(runner)

    def broken(_: Any) -> None:
        raise RuntimeError("the event loop is closed")

    batch.submit(Request([1, 2], 800, broken))
    assert Listener(batch, [5, 6], limit=50).answer() == list(range(7, 57))
    assert max(len(slots) for slots in runner.steps()) == 1


def test_closing_tells_everyone(engine: Any) -> None:
    runner = CountingRunner(slots=1)
    batch = Engine(runner)
    runner.open.clear()
    listeners = [Listener(batch, [1, 2], limit=900) for _ in range(2)]
    assert runner.reached.wait(30)
    closing = threading.Thread(target=batch.close)
    closing.start()
    assert batch._closed.wait(30)
    runner.open.set()
    closing.join(30)
    for listener in listeners:
        with pytest.raises(ModelFailed, match="closed"):
            listener.answer()
    with pytest.raises(ModelFailed, match="closed"):
        Listener(batch, [1, 2])
    assert runner.log[-1] == ("closed",)


def test_prompt_that_no_slot_has_room_for_is_refused(engine: Any) -> None:
    batch = engine(CountingRunner(length=10))
    refused: list[Sequence[int]] = [[], range(10)]
    for prompt in refused:
        with pytest.raises(ModelFailed, match="tokens"):
            Listener(batch, prompt)
    assert len(Listener(batch, range(9), limit=100).answer()) == 2


# What is read


def test_long_prompt_is_read_in_parts_between_the_steps_of_others(engine: Any) -> None:
    runner = CountingRunner(slots=2)
    batch = engine(runner, clock=lambda: 0.0, pace=0.0)
    running = Listener(batch, [1, 2], limit=300)
    assert running.next() == 3
    assert Listener(batch, range(500, 600), limit=1).answer() == [600]
    assert len(running.answer()) == 299
    kinds = [entry[0] for entry in runner.log]
    parts = [at for at, kind in enumerate(kinds) if kind == "read"][1:]
    assert len(parts) == 13
    assert all("step" in kinds[a:b] for a, b in pairwise(parts))


def test_parts_grow_where_reading_is_fast_and_shrink_where_it_is_slow(engine: Any) -> None:
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += took
        return now

    took, fast, slow = 0.001, CountingRunner(), CountingRunner()
    Listener(engine(fast, clock=clock), range(900), limit=1).answer()
    assert [entry[2] for entry in fast.log][:4] == [8, 16, 32, 64]
    took, slow.chunk = 10.0, 64
    Listener(engine(slow, clock=clock), range(900), limit=1).answer()
    assert [entry[2] for entry in slow.log][:5] == [64, 32, 16, 8, 8]


def test_what_prompts_share_is_read_once_and_copied(engine: Any) -> None:
    runner = CountingRunner(slots=2)
    batch = engine(runner, clock=lambda: 0.0, pace=0.0)
    system = list(range(100, 140))
    first = Listener(batch, [*system, 1, 2], limit=300)
    assert first.next() == 3
    assert Listener(batch, [*system, 7, 8], limit=1).answer() == [9]
    assert ("copy", 0, 1, 40) in runner.log
    assert runner.log[runner.log.index(("copy", 0, 1, 40)) + 1] == ("read", 1, 2, 40)
    assert Listener(batch, [*system, 7, 8], limit=1).answer() == [9]
    assert sum(entry[0] == "read" for entry in runner.log) == 7  # the last needed one step alone
    assert len(first.answer()) == 299


def test_tokens_are_given_one_by_one_and_leaving_them_ends_the_request(engine: Any) -> None:
    runner = CountingRunner(slots=1)
    batch = engine(runner)
    stream = batch.tokens([1, 2], limit=900)
    assert next(stream) == 3
    stream.close()
    assert list(batch.tokens([5, 6], limit=2)) == [7, 8]
