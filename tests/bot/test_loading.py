from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from bot.loading import Loading
from rag.errors import ModelMissing


class Part:
    def __init__(self, *errors: Exception | None) -> None:
        self.errors = list(errors)
        self.opened = 0
        self.gate = threading.Event()
        self.gate.set()
        self.threads: list[int] = []

    def open(self) -> None:
        self.opened += 1
        self.threads.append(threading.get_ident())
        assert self.gate.wait(60)
        if error := self.errors.pop(0) if self.errors else None:
            raise error


async def test_it_is_done_once_it_is_open() -> None:
    loading = Loading("chat model", Part().open)
    assert not loading.done
    await loading.ready()
    assert loading.done


async def test_everyone_waits_for_the_same_opening_off_the_loop() -> None:
    part = Part()
    part.gate.clear()
    loading = Loading("chat model", part.open)
    waiting = [asyncio.create_task(loading.ready()) for _ in range(5)]
    await asyncio.sleep(0)
    assert not loading.done
    part.gate.set()
    await asyncio.gather(*waiting)
    await loading.ready()
    assert part.opened == 1
    assert part.threads != [threading.get_ident()]


async def test_a_failure_is_told_to_all_and_tried_again_when_asked_again() -> None:
    part = Part(ModelMissing("not there"))
    loading = Loading("chat model", part.open)
    outcomes = await asyncio.gather(*(loading.ready() for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ModelMissing] * 3
    assert (part.opened, loading.done) == (1, False)
    await loading.ready()
    assert (part.opened, loading.done) == (2, True)


async def test_who_wants_it_open_hears_of_no_failure() -> None:
    part = Part(ModelMissing("not there"))
    loading = Loading("chat model", part.open)
    background = asyncio.create_task(loading.opened())
    with pytest.raises(ModelMissing):
        await loading.ready()
    assert not background.done()
    await loading.ready()
    await background


async def test_who_stops_waiting_does_not_stop_the_opening() -> None:
    part = Part()
    part.gate.clear()
    loading = Loading("chat model", part.open)
    impatient, patient = (asyncio.create_task(loading.ready()) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    part.gate.set()
    await patient
    assert (part.opened, loading.done) == (1, True)


async def test_what_fails_when_nobody_asks_any_more_is_told_to_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    part = Part(ModelMissing("closed meanwhile"))
    part.gate.clear()
    loading = Loading("chat model", part.open)
    await loading.ended()
    asked = asyncio.create_task(loading.ready())
    await asyncio.sleep(0)
    asked.cancel()
    part.gate.set()
    await loading.ended()
    assert loading.state == "broken"
    del loading
    gc.collect()
    assert "closed meanwhile" not in caplog.text
