from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.date import DateTrigger

from bot.schedule import FolderSchedule


class Never(BaseTrigger):  # type: ignore[misc]
    """Doesn't fire while a test runs."""

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        return now + timedelta(days=365)


class Scans:
    """Records what is read; each scan waits until the test lets it go on."""

    def __init__(self) -> None:
        self.began: asyncio.Queue[str] = asyncio.Queue()
        self.may_end: asyncio.Queue[Callable[[], None]] = asyncio.Queue()
        self.running = 0
        self.most = 0

    async def scan(self, name: str) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        self.began.put_nowait(name)
        try:
            (await self.may_end.get())()
        finally:
            self.running -= 1

    def go_on(self) -> None:
        self.may_end.put_nowait(lambda: None)

    def fail(self) -> None:
        def broken() -> None:
            raise OSError("gone")

        self.may_end.put_nowait(broken)


@asynccontextmanager
async def running(schedule: FolderSchedule) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(schedule.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_every_folder_is_read_at_start_one_at_a_time() -> None:
    scans = Scans()
    async with running(FolderSchedule({"a": Never(), "b": Never(), "c": Never()}, scans.scan)):
        for name in ("a", "b", "c"):
            assert await scans.began.get() == name
            scans.go_on()
    assert scans.most == 1


async def test_a_trigger_has_its_folder_read_again() -> None:
    scans = Scans()
    fires = {"a": DateTrigger(), "b": Never()}
    async with running(FolderSchedule(fires, scans.scan)):
        names = []
        for _ in range(3):
            names.append(await scans.began.get())
            scans.go_on()
    assert sorted(names) == ["a", "a", "b"]


async def test_a_folder_that_is_due_often_while_it_waits_is_read_once_more() -> None:
    scans = Scans()
    schedule = FolderSchedule({"a": Never()}, scans.scan)
    async with running(schedule):
        await scans.began.get()
        for _ in range(5):
            schedule.enqueue("a")
        schedule.enqueue("end")
        scans.go_on()
        assert await scans.began.get() == "a"
        scans.go_on()
        assert await scans.began.get() == "end"


async def test_a_scan_that_fails_ends_neither_the_others_nor_its_own_next_one() -> None:
    scans = Scans()
    schedule = FolderSchedule({"a": Never(), "b": Never()}, scans.scan)
    async with running(schedule) as task:
        assert await scans.began.get() == "a"
        scans.fail()
        assert await scans.began.get() == "b"
        scans.go_on()
        schedule.enqueue("a")
        assert await scans.began.get() == "a"
        assert not task.done()


async def test_cancelling_ends_it_in_the_middle_of_a_scan() -> None:
    scans = Scans()
    async with running(FolderSchedule({"a": Never()}, scans.scan)) as task:
        await scans.began.get()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
    assert scans.running == 0
