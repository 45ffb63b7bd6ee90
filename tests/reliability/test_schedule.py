"""I6: jobs that crash, are late or take long, and two processes that want the same data."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy import event

from bot.schedule import FolderSchedule
from bot.source_settings import trigger
from rag.ingest.folders import Folder, scan
from tests.rag.ingest.conftest import Bench, bench, opened
from tests.reliability.process import Bot, Nursery
from tests.reliability.rows import cases

__all__ = ["bench", "opened"]

SECOND = timedelta(seconds=1)
REFUSAL = "Another TeamGLM process is using"


class Ticks(BaseTrigger):  # type: ignore[misc]
    """A trigger whose last look was so long `ago`; `over` is called when all ticks have fired."""

    def __init__(self, inner: BaseTrigger, ago: timedelta, over: Callable[[], None]) -> None:
        self._inner, self._ago, self._over = inner, ago, over

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        tick = self._inner.get_next_fire_time(previous or now - self._ago, now)
        if tick is not None and tick < now + SECOND:
            return tick  # type: ignore[no-any-return]
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, self._over)  # after the job that is begun just now
        return now + timedelta(days=365)


class Job:
    """Scans a folder in a thread, as the bot does; its first run lasts until the ticks are over."""

    def __init__(self, bench: Bench) -> None:
        self.runs: list[str] = []
        self.most = 0
        self.crashed = False
        self.last = asyncio.Event()
        self.ticked = asyncio.Event()
        self.may_end = threading.Event()
        self.meddle: Callable[[], object] = lambda: None
        """Done once, in the middle of the first run."""
        self._bench = bench
        self._running = 0

    def over(self) -> None:
        """Be what the ticks call when there are no more."""
        self.ticked.set()
        self.may_end.set()

    async def read(self, name: str) -> None:
        """Be what the schedule calls."""
        self.runs.append(name)
        if name == "end":
            self.last.set()
            return
        self._running += 1
        self.most = max(self.most, self._running)
        try:
            await asyncio.to_thread(self._scan, first=len(self.runs) == 1)
        except RuntimeError:
            self.crashed = True
            raise
        finally:
            self._running -= 1

    def _scan(self, first: bool) -> None:
        bench = self._bench
        bench.parser.before = (lambda _: self._linger()) if first else (lambda _: None)
        scan(Folder("team", bench.folder), bench.indexer, bench.records)

    def _linger(self) -> None:
        self._bench.parser.before = lambda _: None
        assert self.may_end.wait(30)
        self.meddle()


@asynccontextmanager
async def running(job: Job, ticks: BaseTrigger) -> AsyncIterator[None]:
    """Run a folder's schedule until it has nothing more to do."""
    schedule = FolderSchedule({"team": ticks}, job.read)
    task = asyncio.create_task(schedule.run())
    try:
        await asyncio.wait_for(job.ticked.wait(), 30)
        schedule.enqueue("end")
        await asyncio.wait_for(job.last.wait(), 30)
        # What fell due meanwhile would be waiting now, behind the end.
        schedule.enqueue("end")
        job.last.clear()
        await asyncio.wait_for(job.last.wait(), 30)
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def written(bench: Bench, chance: random.Random) -> dict[str, list[str]]:
    """Write some files anew; return what they say."""
    for n in range(chance.randint(1, 3)):
        bench.write(f"{n}.txt", f"{chance.random()}\n")
    return {path.name: path.read_text().splitlines() for path in bench.folder.iterdir()}


async def test_i6_missed_ticks_are_one_run(bench: Bench) -> None:
    for case in cases("I6", "missed ticks", full=50, sample=2):
        said = written(bench, case.chance)
        job = Job(bench)
        missed = case.chance.randint(2, 2000)
        if case.number % 2:
            every, ago = "every 10 minutes", timedelta(minutes=10 * missed + 5)
        else:
            every, ago = f"0 {case.chance.randint(0, 23)} * * *", timedelta(days=missed)
        async with running(job, Ticks(trigger(every), ago, job.over)):
            # At start, and for all that were missed.
            assert job.runs == ["team", "team", "end", "end"]
            assert job.most == 1
            assert dict(bench.everything()) == said
        bench.check()


async def test_i6_a_run_longer_than_its_interval_is_not_overlapped(bench: Bench) -> None:
    for case in cases("I6", "runs longer than their interval", full=50, sample=2):
        written(bench, case.chance)
        job = Job(bench)
        # What changes during the run is the next one's, and that one is enough.
        job.meddle = partial(bench.write, f"new-{case.number}.txt", "said meanwhile\n")
        every, count = case.chance.uniform(0.001, 0.004), case.chance.randint(2, 12)
        began = datetime.now().astimezone()
        often = IntervalTrigger(
            seconds=every, start_date=began, end_date=began + timedelta(seconds=every * count)
        )
        async with running(job, Ticks(often, timedelta(0), job.over)):
            assert job.runs == ["team", "team", "end", "end"]
            assert job.most == 1
            said = {p.name: p.read_text().splitlines() for p in bench.folder.iterdir()}
            assert dict(bench.everything()) == said
        bench.check()


async def test_i6_after_a_job_that_crashed_one_run_catches_up(bench: Bench) -> None:
    for case in cases("I6", "jobs that crash", full=50, sample=2):
        said = written(bench, case.chance)
        job = Job(bench)
        left = case.chance.randint(1, 4)  # commits, from the middle of the run on

        def crash(_: object, job: Job = job) -> None:
            nonlocal left
            if job.may_end.is_set() and not job.crashed:
                left -= 1
                if not left:
                    raise RuntimeError("the job crashes")

        event.listen(bench.records.engine, "commit", crash)
        try:
            missed = timedelta(minutes=10 * case.chance.randint(1, 50) + 5)
            async with running(job, Ticks(trigger("every 10 minutes"), missed, job.over)):
                assert job.crashed
                assert job.runs == ["team", "team", "end", "end"]
                assert job.most == 1
                assert dict(bench.everything()) == said
        finally:
            event.remove(bench.records.engine, "commit", crash)
        bench.indexer.recover()
        bench.check()


async def test_i6_of_two_processes_the_second_is_refused(nursery: Nursery, tmp_path: Path) -> None:
    bot = Bot(nursery, tmp_path)
    for case in cases("I6", "two processes", full=50, sample=2):
        before = len(bot.log) if case.number else 0
        pids = [await bot.begin({}, "run") for _ in range(case.chance.randint(2, 3))]
        ends = {asyncio.create_task(asyncio.to_thread(nursery.ended, p, 60.0)): p for p in pids}
        refused: set[asyncio.Task[int]] = set()
        while len(refused) < len(pids) - 1:
            waiting = ends.keys() - refused
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            refused |= done
        assert [task.result() for task in refused] == [1] * len(refused)
        said = bot.log[before:]
        assert said.count(REFUSAL) == len(refused)
        assert str(bot.data) in said
        assert "Traceback" not in said
        (first,) = ends.keys() - refused
        assert not first.done()
        # The lock of one that was killed is no hindrance.
        os.kill(ends[first], signal.SIGKILL)
        assert await first == -signal.SIGKILL
