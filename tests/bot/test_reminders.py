"""What is to be posted later, kept, and handed over exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.messages import Event
from bot.migrations import upgrade
from bot.reminders import CONFIRM_SECONDS, Kind, Reminder, Reminders
from bot.reminding import Reminding
from bot.timetable import Timetable
from bot.writer import Writer
from rag.schema import open_engine, reading
from tests.bot.inboxes import MemoryInbox

MONDAY = datetime(2026, 11, 30, 9, tzinfo=UTC).timestamp()
WEEK = 7 * 86400.0
ONCE = Timetable(datetime.fromtimestamp(MONDAY, UTC), "Europe/Amsterdam")
WEEKLY = replace(ONCE, rule="FREQ=WEEKLY;BYDAY=MO")


@dataclass
class Clock:
    now: float = MONDAY - 3600

    def __call__(self) -> float:
        return self.now


@dataclass
class Platform:
    """A platform that keeps what is due in its inbox."""

    connected: bool = True
    inbox: MemoryInbox = field(default_factory=MemoryInbox)
    handed_over: asyncio.Event = field(default_factory=asyncio.Event)

    async def zone_of(self, user: str) -> str | None:
        return None

    async def may_post(self, user: str, team: str, channel: str) -> bool | None:
        return True

    async def post(self, event: Event) -> bool:
        if self.connected:
            await self.inbox.add(event)
            self.handed_over.set()
        return self.connected

    @property
    def due(self) -> list[tuple[str, str]]:
        return [(event.id, str(event.payload["text"])) for event in self.inbox.events]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def platform() -> Platform:
    return Platform()


@pytest.fixture
async def kept(tmp_path: Path, clock: Clock) -> AsyncIterator[Reminders]:
    engine = open_engine(f"sqlite:///{tmp_path / 'teamglm.db'}")
    upgrade(engine)
    writer = Writer(engine, reading(engine))
    yield Reminders(writer, most_each=3, clock=clock)
    writer.close()
    engine.dispose()


def wanted(text: str = "tea", times: Timetable = ONCE, kind: Kind = "say") -> Reminder:
    scope = "slack:-:T0TEAM:C0GENERAL"
    return Reminder("slack", "-:T0TEAM", "C0GENERAL", scope, "slack:U0ANN", "en", kind, text, times)


async def stood(kept: Reminders, asked: Reminder, request: str = "r1") -> int:
    known = await kept.ask(asked, request)
    assert known is not None
    due = known.times.after(datetime.fromtimestamp(kept.clock(), UTC))
    assert due is not None
    await kept.stand(known.id, due.timestamp())
    return known.id


async def test_nothing_falls_due_before_it_is_confirmed(
    kept: Reminders, platform: Platform, clock: Clock
) -> None:
    asked = await kept.ask(wanted(), "r1")
    assert asked is not None
    clock.now = MONDAY
    await Reminding(kept, {"slack": platform}).tick()
    assert platform.due == []
    assert await kept.standing() == []


async def test_what_nobody_confirms_in_time_is_gone(kept: Reminders, clock: Clock) -> None:
    asked = await kept.ask(wanted(), "r1")
    assert asked is not None
    clock.now += CONFIRM_SECONDS - 1
    assert await kept.get(asked.id) == asked
    clock.now += 2
    assert await kept.get(asked.id) is None


async def test_the_same_request_again_asks_for_nothing_more(kept: Reminders) -> None:
    first, again = await kept.ask(wanted(), "r1"), await kept.ask(wanted(), "r1")
    assert first is not None
    assert again is not None
    assert first.id == again.id


async def test_one_person_may_have_so_many(kept: Reminders, clock: Clock) -> None:
    for number in range(3):
        assert await kept.ask(wanted(), f"r{number}")
    assert await kept.ask(wanted(), "r3") is None
    other = replace(wanted(), author="slack:U0BEN")
    assert await kept.ask(other, "r4")
    clock.now += CONFIRM_SECONDS + 1  # what was never confirmed counts no longer
    assert await kept.ask(wanted(), "r5")


async def test_what_stands_once_is_handed_over_once_at_its_time(
    kept: Reminders, platform: Platform, clock: Clock
) -> None:
    id = await stood(kept, wanted())
    reminding = Reminding(kept, {"slack": platform})
    for now in (MONDAY - 1, MONDAY, MONDAY + 1, MONDAY + WEEK):
        clock.now = now
        await reminding.tick()
        assert len(platform.due) == (now >= MONDAY)
    assert platform.due == [(f"reminder:{id}:{int(MONDAY)}", "tea")]
    assert await kept.standing() == []


async def test_what_stands_again_and_again_is_handed_over_each_time(
    kept: Reminders, platform: Platform, clock: Clock
) -> None:
    id = await stood(kept, wanted(times=WEEKLY))
    reminding = Reminding(kept, {"slack": platform})
    for week in range(3):
        assert await kept.next_due() == MONDAY + week * WEEK
        clock.now = MONDAY + week * WEEK + 2
        await reminding.tick()
    times = [int(MONDAY + week * WEEK) for week in range(3)]
    assert [due for due, _ in platform.due] == [f"reminder:{id}:{each}" for each in times]


async def test_what_was_missed_several_times_is_handed_over_once(
    kept: Reminders, platform: Platform, clock: Clock
) -> None:
    await stood(kept, wanted(times=WEEKLY))
    clock.now = MONDAY + 3 * WEEK + 3600
    await Reminding(kept, {"slack": platform}).tick()
    assert len(platform.due) == 1
    assert await kept.next_due() == MONDAY + 4 * WEEK


async def test_a_kill_between_handing_over_and_noting_that_hands_over_nothing_twice(
    kept: Reminders, platform: Platform, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stood(kept, wanted(times=WEEKLY))
    clock.now = MONDAY

    async def killed(self: Reminders, done: Reminder, next_due: float | None) -> None:
        raise ConnectionError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(Reminders, "posted", killed)
        await Reminding(kept, {"slack": platform}).tick()
    assert len(platform.due) == 1
    clock.now = MONDAY + 60
    await Reminding(kept, {"slack": platform}).tick()  # the next process
    assert len(platform.due) == 1
    assert await kept.next_due() == MONDAY + WEEK


async def test_what_cannot_be_handed_over_holds_up_nothing_else(
    kept: Reminders, platform: Platform, clock: Clock
) -> None:
    broken = Timetable(ONCE.start, "Europe/Amsterdam", "FREQ=SOMETIMES")
    known = await kept.ask(wanted(times=broken), "r1")
    assert known is not None
    await kept.stand(known.id, MONDAY - 1)
    await stood(kept, wanted("tea"), "r2")
    clock.now = MONDAY
    await Reminding(kept, {"slack": platform}).tick()
    assert [text for _, text in platform.due][-1] == "tea"


async def test_what_is_confirmed_shortly_before_its_time_is_in_time(
    kept: Reminders, platform: Platform, clock: Clock
) -> None:
    running = asyncio.create_task(Reminding(kept, {"slack": platform}).run())
    first = await stood(kept, wanted("far"), "r1")  # it looks, and waits for that
    async with asyncio.timeout(10):
        while kept.changed.is_set():
            await asyncio.wait([running], timeout=0.01)
        clock.now = MONDAY
        second = await kept.ask(wanted("near"), "r2")
        assert second is not None
        await kept.stand(second.id, MONDAY - 1)
        await platform.handed_over.wait()
    assert first != second.id
    running.cancel()


async def test_it_waits_for_its_platform(kept: Reminders, platform: Platform, clock: Clock) -> None:
    await stood(kept, wanted())
    platform.connected = False
    clock.now = MONDAY + 10
    for postings in ({}, {"slack": platform}):
        await Reminding(kept, postings).tick()
        assert platform.due == []
    platform.connected = True
    await Reminding(kept, {"slack": platform}).tick()
    assert len(platform.due) == 1


async def test_what_is_cancelled_or_of_somebody_who_is_forgotten_is_not_handed_over(
    kept: Reminders, platform: Platform, clock: Clock
) -> None:
    await kept.cancel(await stood(kept, wanted("one"), "r1"))
    await stood(kept, replace(wanted("two"), author="slack:U0BEN"), "r2")
    await stood(kept, wanted("three"), "r3")
    await kept.forget_person("slack:U0BEN")
    clock.now = MONDAY
    await Reminding(kept, {"slack": platform}).tick()
    assert [text for _, text in platform.due] == ["three"]


async def test_a_digest_tells_what_came_between_two_times(
    kept: Reminders, platform: Platform, clock: Clock
) -> None:
    begun = clock.now
    await stood(kept, wanted("", WEEKLY, "digest"))
    for week in range(2):
        clock.now = MONDAY + week * WEEK + 20
        await Reminding(kept, {"slack": platform}).tick()
    spans = [
        (e.payload["options"]["since"], e.payload["options"]["at"]) for e in platform.inbox.events
    ]
    assert spans == [(begun, MONDAY), (MONDAY, MONDAY + WEEK)]


async def test_what_is_long_over_is_deleted(
    kept: Reminders, platform: Platform, clock: Clock
) -> None:
    id = await stood(kept, wanted())
    clock.now = MONDAY
    await Reminding(kept, {"slack": platform}).tick()
    await kept.prune()
    assert await kept.get(id) is not None  # for who wants it again
    clock.now += 31 * 86400
    await kept.prune()
    assert await kept.get(id) is None
