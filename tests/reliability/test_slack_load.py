"""Rows L1 and L3: too much at once, and models that don't do what they should."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Collection
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from tests.doubles.slack import Message, SlackDouble
from tests.reliability.process import Bot, Nursery
from tests.reliability.rows import FULL, cases
from tests.reliability.test_slack_once import UNLIMITED, environment, one_each, start

BUSY = re.compile(r"as I can right now|busy right now|a lot at once|asks a lot")
DONE = re.compile(r"sings at noon|facts-\S+: .*(ready|already known)")
WAITING = 16 if FULL else 4
LEARNING = 2 + 100
"""Files that are read at once, and that may wait."""
LETTERS = str.maketrans("0123456789", "bcdfghjklm")
SPARE = 2.0 if FULL else 20.0
"""Seconds that a turn may stay taken; everyday tests run beside others."""


class Watch(SlackDouble):
    """A workspace that knows when each thread had its first and its whole reply."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.whole: dict[str, float] = {}
        self.busy: set[str] = set()

    async def _call(self, method: str, args: dict[str, Any]) -> Any:
        answer = await super()._call(method, args)
        if method.startswith("chat.") and "ts" in answer:
            self._note(self._find(answer))
        return answer

    def all_told(self, asked: Collection[str]) -> bool:
        """Tell whether each of these threads has a whole reply."""
        return self.whole.keys() >= set(asked)

    def _note(self, message: Message | None) -> None:
        if message is None or message.streaming or message.thread_ts is None:
            return
        said = message.markdown + message.text
        if BUSY.search(said):
            self.busy.add(message.thread_ts)
        if BUSY.search(said) or DONE.search(said):
            self.whole[message.thread_ts] = time.monotonic()


async def test_l1_a_crowd_is_answered_or_told_busy(nursery: Nursery, tmp_path: Path) -> None:
    questions, uploads, seconds = (500, 200, 60.0) if FULL else (16, 4, 0.5)
    for case in cases("L1", f"{questions} questions, {uploads} uploads", full=10, sample=1):
        async with Watch(patience=600) as slack:
            slack.channels |= {f"C0{n}": {} for n in range(10)}
            bot = Bot(nursery, tmp_path / str(case.number), limits={"waiting_questions": WAITING})
            await bot.learn()
            await start(bot, slack)
            kinds = ["question"] * questions + ["upload"] * uploads
            case.chance.shuffle(kinds)
            asked: dict[str, float] = {}
            slack_time = seconds / len(kinds)
            pending = []
            watching = asyncio.create_task(bounded(slack, seconds / 10))
            began = time.monotonic()
            for number, kind in enumerate(kinds):
                early = began + number * slack_time - time.monotonic()
                if early > 0:
                    await asyncio.sleep(early)
                pending.append(asyncio.create_task(crowd(slack, kind, number, case.chance, asked)))
            await asyncio.gather(*pending)
            try:
                await slack.until(partial(slack.all_told, asked), patience=180)
            except TimeoutError:
                left = [slack.in_thread(ts) for ts in asked if ts not in slack.whole]
                raise AssertionError(f"{len(left)} not told, such as {left[:3]}") from None
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            late = [slack.whole[ts] - asked[ts] for ts in slack.busy & asked.keys()]
            assert late, "nobody was told busy: the crowd was too small"
            assert max(late) < 3, sorted(late)[-20:]
            for ts in asked:
                assert len(slack.in_thread(ts)) == 1
            await bot.kill()


async def crowd(
    slack: Watch, kind: str, number: int, chance: random.Random, asked: dict[str, float]
) -> None:
    """Have somebody ask something, or bring a file; note when."""
    place: Any = {"channel": f"C0{chance.randrange(10)}", "user": f"U0{number % 50}"}
    now = time.monotonic()
    if kind == "upload":
        cat = str(number).translate(LETTERS)  # no question asks about it
        file = slack.add_file(
            f"facts-{number}.md", f"A cat is called {cat}.".encode(), "text/markdown"
        )
        asked[await slack.say("", files=[file], **place)] = now
    else:
        asked[
            await slack.mention(f"When does the canary sing on day {number}? (slow 0.2)", **place)
        ] = now


async def bounded(slack: SlackDouble, seconds: float) -> None:
    """Ask now and again how much there is to do, until cancelled; it is never too much."""
    while True:
        waiting, learning = await load(slack)
        assert waiting <= WAITING
        assert learning <= LEARNING
        await asyncio.sleep(seconds)


async def load(slack: SlackDouble) -> tuple[int, int]:
    """Ask the bot how much there is to do, until it isn't too busy to say so."""
    while True:
        before = len(slack.responses)
        await slack.command("/glm", "status")
        await slack.until(lambda before=before: len(slack.responses) > before)  # type: ignore[misc]
        said = str(slack.responses[-1])
        if found := re.search(r"waiting: (\d+); files to learn: (\d+)", said):
            return int(found[1]), int(found[2])
        assert BUSY.search(said), said
        await asyncio.sleep(1)


def told(slack: SlackDouble, ts: str, said: str) -> bool:
    """Tell whether there is one message in a thread, which is whole and says this."""
    ours = slack.in_thread(ts)
    return any(not m.streaming and re.search(said, m.markdown + m.text) for m in ours)


async def test_l3_a_model_that_does_not_end_is_ended(nursery: Nursery, tmp_path: Path) -> None:
    first, last = 0.3, 1.0
    async with SlackDouble(patience=60) as slack:
        limits = {"first_token_seconds": first, "timeout_seconds": last}
        answers = {"refuse_below": 0, **limits}
        bot = Bot(nursery, tmp_path / "bot", limits=UNLIMITED, answers=answers)
        await bot.learn()
        await start(bot, slack)
        what = "models that hang, drip, never end or break"
        for case in cases("L3", what, full=150, sample=4):
            usual = await answered(slack)
            does = ("hang", "drip", "endless", "break")[case.number % 4]
            began = time.monotonic()
            ts = await slack.mention(f"Is it {case.number}? ({does})")
            why = "model" if does == "break" else "took too long"
            await slack.until(lambda ts=ts, why=why: told(slack, ts, why))  # type: ignore[misc]
            limit = first if does == "hang" else last
            assert time.monotonic() - began < limit + usual + SPARE
            assert await answered(slack) < usual + SPARE
            del slack.calls[:]
        await bot.kill()


async def answered(slack: SlackDouble) -> float:
    """Ask something plain; return after how many seconds the answer stood there.

    How long that takes is the machine's affair: what a limit is to bound comes on top of it.
    """
    began = time.monotonic()
    await one_each(slack, [await slack.mention("And now?")])
    return time.monotonic() - began


async def test_l3_who_stops_an_answer_frees_the_model(nursery: Nursery, tmp_path: Path) -> None:
    async with SlackDouble(patience=60) as slack:
        bot = Bot(nursery, tmp_path / "bot", limits=UNLIMITED)
        await bot.learn()
        await bot.start(environment(slack))
        for case in cases("L3", "answers that are stopped", full=50, sample=2):
            usual = await answered(slack)
            does = case.chance.choice(["hang", "drip", "endless"])
            ts = await slack.mention(f"Is it {case.number}? ({does})")
            await slack.until(lambda ts=ts: slack.in_thread(ts))  # type: ignore[misc]
            [message] = slack.in_thread(ts)
            await slack.press_stop(message)
            began = time.monotonic()
            await slack.until(lambda ts=ts: told(slack, ts, "Stopped"))  # type: ignore[misc]
            await answered(slack)
            assert time.monotonic() - began < usual + SPARE
            del slack.calls[:]
        await bot.kill()
