"""Measure the bot under load, with a local Slack, a played chat model and a tiny embedder.

    python bench/load.py acknowledge [--events 5000]   # row D5; some five minutes
    python bench/load.py flood [--rounds 20]           # row L2; some three minutes
    python bench/load.py cpu [--questions 500]

The bot is the real process, but for `cpu`, where only what lies between a platform and a handler
runs. Each tells how far it is, prints its figures, and ends with 1 where they are beyond the bound.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bot.adapters.delivery import Deliveries, View  # noqa: E402
from bot.adapters.sheet import Place  # noqa: E402
from bot.adapters.slack.access import Team  # noqa: E402
from bot.adapters.slack.blocks import Page, pages  # noqa: E402
from bot.adapters.slack.requests import Context, to_requests  # noqa: E402
from bot.dispatch import Dispatcher, Limits  # noqa: E402
from bot.inbox import DurableInbox  # noqa: E402
from bot.messages import (  # noqa: E402
    Citation,
    Event,
    Language,
    Reply,
    ReplyChunk,
    ReplyEvent,
    Request,
    Sources,
    Status,
)
from bot.migrations import upgrade  # noqa: E402
from bot.writer import Writer  # noqa: E402
from rag.language import language_of  # noqa: E402
from rag.schema import open_engine, reading  # noqa: E402
from tests.doubles import slack_payloads as payloads  # noqa: E402
from tests.doubles.slack import SlackDouble  # noqa: E402
from tests.reliability.process import Bot, Nursery  # noqa: E402
from tests.reliability.test_slack_load import Watch, load  # noqa: E402
from tests.reliability.test_slack_once import start  # noqa: E402

PER_SECOND = 20
"""Slack itself sends an app at most 30,000 events an hour for a workspace: 8 a second."""
GENERATIONS, INGESTIONS = 20, 50
STEPS = 10
"""How often it is told how far a measurement is."""


def share(values: Sequence[float], percent: int) -> float:
    """Return the value that so many percent of the values don't exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def verdict(holds: bool) -> int:
    """Say whether the bounds held, and on what; return the exit code."""
    cores = os.cpu_count()
    print(f"{'holds' if holds else 'DOES NOT HOLD'}, on {cores} cores of {platform.machine()}")
    print(f"load average after: {os.getloadavg()}")
    return 0 if holds else 1


async def acknowledge(events: int) -> int:
    """Time every acknowledgement while 20 answers are written and 50 files are read."""
    took: list[float] = []
    with Nursery() as nursery, tempfile.TemporaryDirectory() as folder:
        # What is slow is measured and not told again.
        async with Watch(patience=300, redelivery=60) as slack:
            limits = {"questions_at_once": GENERATIONS}
            rates = {"requests_per_minute_each": 10**6, "requests_per_minute_channel": 10**6}
            bot = Bot(nursery, Path(folder) / "bot", limits={**limits, **rates})
            await bot.learn()
            await start(bot, slack, EDIT_SECONDS="1")
            writing = [asyncio.create_task(written(slack, n)) for n in range(GENERATIONS)]
            await slack.until(lambda: slack.count("chat.startStream") >= GENERATIONS)
            text = "\n\n".join(f"Paragraph {n} of a long report." * 20 for n in range(200))
            for number in range(INGESTIONS):
                content = f"# Report {number}\n\n{text}".encode()
                file = slack.add_file(f"report-{number}.md", content, "text/markdown")
                await slack.say("", files=[file], user=f"U2{number}")
            await slack.until(lambda: slack.fetched)
            print("busy with (waiting, to learn):", await load(slack), flush=True)
            began = time.monotonic()
            telling = []
            for number in range(events // 2):
                early = began + 2 * number / PER_SECOND - time.monotonic()
                await asyncio.sleep(max(0.0, early))
                for event in twins(slack, number):
                    telling.append(asyncio.create_task(timed(slack.send_event(event), took)))
                if not (number + 1) % max(1, events // 2 // STEPS):
                    told = f"longest {1000 * max(took, default=0):.0f} ms"
                    print(f"{2 * number + 2} of {events} events sent, {told}", flush=True)
            await asyncio.gather(*telling)
            rate = len(took) / (time.monotonic() - began)
            waiting = await load(slack)
            await bot.kill()
            for task in writing:
                task.cancel()
            await asyncio.gather(*writing, return_exceptions=True)
    print(f"{len(took)} events, {rate:.0f} a second; at the end (waiting, to learn): {waiting}")
    print(f"p50 {1000 * share(took, 50):.0f} ms, p99 {1000 * share(took, 99):.0f} ms, "
          f"longest {1000 * max(took):.0f} ms")  # fmt: skip
    return verdict(share(took, 99) < 0.5 and max(took) < 2.5)


def twins(slack: SlackDouble, number: int) -> list[dict[str, Any]]:
    """Return a question to the bot as Slack tells it, twice."""
    about: dict[str, Any] = {
        "user": f"U3{number % 200}",
        "channel": "C0GENERAL",
        "ts": slack.next_ts(),
    }
    about |= {"thread_ts": None, "files": []}
    text = f"<@{slack.bot_user}> Is it {number}?"
    return [payloads.message(text, **about), payloads.app_mention(text, **about)]


async def written(slack: Watch, number: int) -> None:
    """Have long answers written, one after the other: 400 words in 20 seconds each."""
    while True:
        ts = await slack.mention(f"Is it {number}? (sentences 100)", user=f"U1{number}")
        await slack.until(partial(slack.all_told, [ts]))
        if ts in slack.busy:
            await asyncio.sleep(1)


async def timed(work: Coroutine[Any, Any, Any], took: list[float]) -> None:
    """Note how long something takes."""
    began = time.perf_counter()
    await work
    took.append(time.perf_counter() - began)


async def flood(rounds: int) -> int:
    """Compare what four people wait who ask at once, alone and while somebody else floods."""
    ratios, alone, flooded = [], [], []
    with Nursery() as nursery, tempfile.TemporaryDirectory() as folder:
        async with Watch(patience=300) as slack:
            bot = Bot(nursery, Path(folder) / "bot")
            await bot.learn()
            await start(bot, slack)
            for number in range(rounds):
                slack.channels |= {f"C{number}{part}": {} for part in "AB"}
                before = await four(slack, f"C{number}A", f"U{number}")
                flooder = f"U9{number}"
                flooding = [
                    asyncio.create_task(
                        slack.mention(f"Is it {n}? (slow 0.3)", channel=f"C{number}B", user=flooder)
                    )
                    for n in range(60)
                ]
                await asyncio.gather(*flooding)  # it is all there before the others ask
                during = await four(slack, f"C{number}B", f"U{number}")
                asked = [each.result() for each in flooding]
                await slack.until(partial(slack.all_told, asked))
                alone += before
                flooded += during
                ratios.append(share(during, 95) / share(before, 95))
                print(f"round {number + 1} of {rounds}: {ratios[-1]:.2f} times", flush=True)
            await bot.kill()
    print(f"{rounds} rounds; the p95 of the others, alone and during the flood, all rounds: "
          f"{share(alone, 95):.2f} s, {share(flooded, 95):.2f} s")  # fmt: skip
    print(f"flooded / alone: median {statistics.median(ratios):.2f}, worst {max(ratios):.2f}")
    return verdict(max(ratios) <= 2)


async def four(slack: Watch, channel: str, name: str) -> list[float]:
    """Have four people ask at once; return how long each waits for the whole answer."""
    began = time.monotonic()
    asking = (
        slack.mention(f"Is it {n}? (slow 0.3)", channel=channel, user=f"{name}{n}")
        for n in range(4)
    )
    asked = await asyncio.gather(*asking)
    await slack.until(partial(slack.all_told, asked))
    if slack.busy & set(asked):
        raise RuntimeError("somebody else than the flooder was told busy")
    return [slack.whole[ts] - began for ts in asked]


CITED = Citation(1, "handbook.pdf", 12, "Leave", "Everyone has 25 days of leave a year.", 0, 37)
SENTENCES = tuple(ReplyChunk(f"You have {n} days, and ask your lead. ", (CITED,)) for n in range(4))


class Quick:
    """A handler that costs nothing."""

    command = "ask"

    def uses_chat_model(self, request: Request) -> bool:
        """Return True."""
        return True

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield what a real answer has."""
        yield Status("Searching the documents …")
        yield Sources((CITED,))
        for sentence in SENTENCES:
            yield sentence
            await asyncio.sleep(0)
        text = "".join(each.text for each in SENTENCES)
        yield Reply("answer", text, language, SENTENCES, (CITED,))


class Nowhere:
    """A platform that takes every message and costs nothing."""

    editable = True
    unseen_from = None

    def places(self, request: Request) -> list[Place[Page]]:
        """Return the one place."""
        return [self]

    def render(self, view: View) -> list[Page]:
        """Return what Slack would show."""
        return pages(view)

    async def post(self, page: Page, mark: str) -> str:
        """Take a message."""
        page.blocks()
        return mark

    async def edit(self, reference: str, page: Page) -> None:
        """Take an edit."""
        page.blocks()

    async def delete(self, reference: str) -> None:
        """Take a deletion."""

    async def find(self, mark: str) -> str | None:
        """Find nothing."""
        return None


async def cpu(questions: int) -> int:
    """Measure the CPU of keeping, dispatching and rendering a question, of all threads."""
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{Path(folder) / 'teamglm.db'}")
        upgrade(engine)
        writer = Writer(engine, reading(engine))
        inbox = DurableInbox(writer)
        limits = Limits(per_minute_each=10**6, per_minute_channel=10**6)
        door = Dispatcher(
            [Quick()], language_of=language_of, explain=lambda error, language: None, limits=limits
        )
        ended = asyncio.Semaphore(0)

        async def work(event: Event) -> None:
            context = Context(event.id, Team("T"), "UBOT", frozenset({"public"}))
            for request in to_requests(event.payload["event"], context):
                await deliveries.deliver(request, event)
            ended.release()

        deliveries = Deliveries("slack", door.handle, inbox, Nowhere(), work, edit_seconds=0)

        async def ask(number: int) -> None:
            ts = f"17000{number:05d}.000100"
            said = payloads.app_mention(
                "<@UBOT> How many days of leave do I have?", user="U1", channel="C1", ts=ts,
                thread_ts=None, files=[],
            )  # fmt: skip
            event = Event(f"Ev{number}", "slack", "-:T", "C1", "message", {"event": said}, ts)
            await deliveries.accept(event)
            await ended.acquire()

        for number in range(50):  # what is imported and compiled once is no question's
            await ask(number)
        began = time.process_time()
        for number in range(50, 50 + questions):
            await ask(number)
        spent = 1000 * (time.process_time() - began) / questions
        await deliveries.close()
        writer.close()
        engine.dispose()
    print(f"{questions} questions, one after the other: {spent:.1f} ms of CPU each")
    return verdict(spent < 10)


def main() -> int:
    """Run one of the measurements."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("acknowledge").add_argument("--events", type=int, default=5000)
    verbs.add_parser("flood").add_argument("--rounds", type=int, default=20)
    verbs.add_parser("cpu").add_argument("--questions", type=int, default=500)
    options = parser.parse_args()
    print(f"load average before: {os.getloadavg()}")
    match options.verb:
        case "acknowledge":
            return asyncio.run(acknowledge(options.events))
        case "flood":
            return asyncio.run(flood(options.rounds))
        case _:
            return asyncio.run(cpu(options.questions))


if __name__ == "__main__":
    sys.exit(main())
