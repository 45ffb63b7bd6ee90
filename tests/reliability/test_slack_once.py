"""Rows D1, D2, D3, D6 and D7 for Slack: each event has one reply, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from bot.inbox import DurableInbox
from bot.migrations import upgrade
from bot.writer import Writer
from rag.schema import open_engine, reading
from tests.bot.adapters.slack.bot import Bot as Adapter
from tests.bot.adapters.slack.bot import answer
from tests.doubles import slack_payloads as payloads
from tests.doubles.slack import Answer, Message, SlackDouble, rate_limited
from tests.reliability.process import METHODS, Bot, Nursery
from tests.reliability.rows import Case, cases

PLACES = [f"{method}:{side}" for method in METHODS for side in ("before", "after")]
UNLIMITED = {
    "requests_per_minute_each": 1_000_000,
    "requests_per_minute_channel": 1_000_000,
    "waiting_questions": 1000,
    "waiting_questions_each": 1000,
}


def environment(slack: SlackDouble) -> dict[str, str]:
    return {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "SLACK_API_URL": slack.api_url,
    }


async def start(bot: Bot, slack: SlackDouble, **more: str) -> None:
    """Start a bot; return when it listens."""
    before = slack.connections
    await bot.start(environment(slack), **more)
    await slack.until(lambda: slack.connections > before)


async def settled(bot: Bot) -> None:
    """Wait until all that was asked of a bot is done, so that its next life begins with nothing."""
    with closing(sqlite3.connect(bot.data / "teamglm.db")) as connection:
        async with asyncio.timeout(60):
            while True:
                if not connection.execute("select 1 from event where done_at is null").fetchone():
                    return
                await asyncio.sleep(0.02)


def twins(slack: SlackDouble, text: str, **where: Any) -> list[dict[str, Any]]:
    """Return what Slack tells of a new message that mentions the bot: it twice, two ways."""
    said = {"user": "U0ANN", "channel": "C0GENERAL", "thread_ts": None, "files": []} | where
    said["ts"] = slack.next_ts()
    events = [payloads.message(f"<@{slack.bot_user}> {text}", **said)]
    slack.said.append(events[0])
    return [*events, payloads.app_mention(f"<@{slack.bot_user}> {text}", **said)]


def answers(slack: SlackDouble, ts: str | None) -> list[Message]:
    """Return the whole answers in a question's thread, or outside of any."""
    said = slack.in_thread(ts)
    return [m for m in said if not m.streaming and "sings at noon" in m.markdown + m.text]


async def one_each(slack: SlackDouble, asked: list[str]) -> None:
    """Wait until each question has its answer; none has anything beside it."""
    await slack.until(lambda: all(answers(slack, ts) for ts in asked))
    for ts in asked:
        assert len(slack.in_thread(ts)) == 1, [m.texts for m in slack.in_thread(ts)]


async def test_d1_every_event_is_answered_once_however_often_it_comes(
    nursery: Nursery, tmp_path: Path
) -> None:
    async with SlackDouble(patience=60) as slack:
        bot = Bot(nursery, tmp_path / "bot", limits=UNLIMITED)
        await bot.learn()
        await start(bot, slack)
        before: list[dict[str, Any]] = []
        what = "Slack's events and their twins, eight questions at a time, repeated and shuffled"
        for case in cases("D1", what, full=125, sample=1):
            pairs = [twins(slack, f"Is it {case.number}-{n}?") for n in range(8)]
            asked = [message["ts"] for message, _ in pairs]
            told = [(event, f"Ev{event['ts']}{event['type']}") for pair in pairs for event in pair]
            told = [each for each in told for _ in range(case.chance.randint(1, 4))]
            # The same message may come under another event id too, and long after.
            told += [(event, f"{id}-again") for event, id in told if case.chance.random() < 0.2]
            told += [(event, f"late-{case.number}-{n}") for n, event in enumerate(before[:3])]
            case.chance.shuffle(told)
            await asyncio.gather(
                *(
                    slack.send_event(event, event_id=id, retry=case.chance.randint(0, 3))
                    for event, id in told
                )
            )
            await one_each(slack, [*asked, *(event["ts"] for event in before)])
            before = [message for message, _ in pairs]
            del slack.calls[:]
        await bot.kill()


async def test_d2_a_retry_alone_is_answered(nursery: Nursery, tmp_path: Path) -> None:
    async with SlackDouble(patience=60) as slack:
        bot = Bot(nursery, tmp_path / "bot", limits=UNLIMITED)
        await bot.learn()
        await start(bot, slack)
        for case in cases("D2", "Slack's retries without a first delivery", full=200, sample=2):
            message, mention = twins(slack, f"Is it {case.number}?")
            event = case.chance.choice([message, mention])
            await slack.send_event(event, retry=case.chance.randint(1, 3))
            await one_each(slack, [event["ts"]])
            del slack.calls[:]
        await bot.kill()


async def test_d3_a_killed_process_loses_nothing_and_repeats_nothing(
    nursery: Nursery, tmp_path: Path
) -> None:
    async with SlackDouble(patience=60) as slack:
        bot = Bot(nursery, tmp_path / "bot", limits=UNLIMITED)
        await bot.learn()
        await start(bot, slack)
        before: list[str] = []
        for case in cases("D3", "Slack's bot killed", full=200, sample=1):
            asked, telling = await killed(bot, slack, case)
            await start(bot, slack)
            await asyncio.gather(*telling)  # Slack tells again what was not acknowledged
            await one_each(slack, [*before, asked])
            before = [asked]
            await settled(bot)
            del slack.calls[:]
        await bot.kill()


async def killed(bot: Bot, slack: SlackDouble, case: Case) -> tuple[str, list[asyncio.Task[str]]]:
    """Ask something of a bot that is killed over it; return the question's ts, and its events."""
    where = case.chance.choice([*PLACES, "while it is written", "a while after"])
    bot.tell("crash", where)
    hung = bot.has_hung
    hangs = "(hang once)" if where == "while it is written" else ""
    events = twins(slack, f"Is it {case.number}? {hangs}")
    ts = str(events[0]["ts"])
    telling = [asyncio.create_task(slack.send_event(event)) for event in events]
    if where == "while it is written":
        await bot.hung(hung + 1)
    elif where == "a while after":
        with suppress(TimeoutError):
            await slack.until(lambda: False, case.chance.random())
    if where in PLACES:
        await bot.ended()
    else:
        await bot.kill()
    bot.tell("crash")
    return ts, telling


async def test_d3_a_command_is_answered_once_after_a_kill(nursery: Nursery, tmp_path: Path) -> None:
    """Nobody can look for what one person sees: it is noted before it is sent, and never sent
    twice; after a crash between both the person is told that it may be missing."""
    lost = "posted:after"
    # Before a command is kept, Slack itself tells the person that it has failed.
    places = [*(place for place in PLACES if place != "add:before"), "while it is written"]
    async with SlackDouble(patience=60) as slack:
        bot = Bot(nursery, tmp_path / "bot", limits=UNLIMITED)
        await bot.learn()
        await start(bot, slack)
        counts: list[tuple[str, list[int]]] = []
        for case in cases("D3", "Slack's commands, the bot killed", full=60, sample=1):
            where = case.chance.choice(places)
            bot.tell("crash", where)
            crashes, hung = where in PLACES, bot.has_hung
            question = f"Is it {case.number}?" + ("" if crashes else " (hang once)")
            wanted = [0, 1] if where == lost else [1, 0]
            asking = asyncio.create_task(slack.command("/ask", question))
            if crashes:
                await bot.ended()
            else:
                await asking
                await bot.hung(hung + 1)
                await bot.kill()
            bot.tell("crash")
            await start(bot, slack)
            counts = [*counts[-3:], (question, wanted)]
            await slack.until(lambda question=question: any(seen(slack, question)))  # type: ignore[misc]
            await settled(bot)
            assert [seen(slack, asked) for asked, _ in counts] == [n for _, n in counts]
            await asyncio.gather(asking, return_exceptions=True)
            assert slack.messages == []
        await bot.kill()


def seen(slack: SlackDouble, question: str) -> list[int]:
    """Return how many answers to a question one person saw, and how often they were told that one
    may be missing."""
    said = [each["text"] for each in slack.responses if question in str(each.get("blocks"))]
    return [sum(words in text for text in said) for words in ("sings at noon", "interrupted")]


async def test_a_private_answer_is_shared_after_a_kill(nursery: Nursery, tmp_path: Path) -> None:
    async with SlackDouble(patience=60) as slack:
        bot = Bot(nursery, tmp_path / "bot")
        await bot.learn()
        await start(bot, slack)
        await slack.command("/ask", "Is it?")
        await slack.until(lambda: slack.responses)
        await bot.kill()
        await start(bot, slack)
        await slack.click(slack.responses[-1], "share")
        await slack.until(lambda: answers(slack, None))
        [shared] = answers(slack, None)
        assert "Is it?" in shared.markdown
        await bot.kill()


@contextmanager
def database(folder: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{folder / 'teamglm.db'}")
    upgrade(engine)
    yield engine
    engine.dispose()


FAULTS: Mapping[str, Answer] = {
    "429": rate_limited(0),
    "5xx": Answer(503, {"ok": False, "error": "service_unavailable"}),
    "internal error": Answer(200, {"ok": False, "error": "internal_error"}),
    "no answer after it was done": Answer(500, {"ok": False}, accept=True),
}
CALLS = (
    "chat.postMessage",
    "chat.startStream",
    "chat.appendStream",
    "chat.stopStream",
    "chat.update",
    "conversations.replies",
)


async def test_d6_limits_are_obeyed_and_lost_answers_repeat_nothing(tmp_path: Path) -> None:
    with database(tmp_path) as engine:
        async with SlackDouble() as slack:
            writer = Writer(engine, reading(engine))
            bot = Adapter(slack, answer, inbox=DurableInbox(writer))
            running = asyncio.create_task(bot.adapter.run())
            await slack.until(lambda: slack.connections)
            what = "Slack's 429, 5xx and lost answers"
            for case in cases("D6", what, full=500, sample=10):
                slack.streams = case.chance.random() < 0.5
                for _ in range(case.chance.randint(1, 3)):
                    kind = case.chance.choice(list(FAULTS))
                    faults = [FAULTS[kind]] * case.chance.randint(1, 3)
                    slack.script(case.chance.choice(CALLS), *faults)
                waits = not case.number % 50
                if waits:
                    slack.script("chat.postMessage", rate_limited(1))
                    slack.script("chat.startStream", rate_limited(1))
                began = time.monotonic()
                ts = await slack.mention(f"Is it {case.number}?")
                await slack.until(lambda ts=ts: complete(slack, ts))  # type: ignore[misc]
                assert not waits or time.monotonic() - began >= 1
                assert len(slack.in_thread(ts)) == 1
                slack._scripts.clear()
                slack.calls.clear()
            running.cancel()
            await asyncio.wait([running])
            writer.close()


def complete(slack: SlackDouble, ts: str) -> bool:
    said = slack.in_thread(ts)
    return any(not m.streaming and "ten days" in m.markdown + m.text for m in said)


async def test_d7_a_bot_that_is_told_to_stop_does_and_its_work_resumes(
    nursery: Nursery, tmp_path: Path
) -> None:
    async with SlackDouble(patience=60) as slack:
        bot = Bot(nursery, tmp_path / "bot", limits=UNLIMITED)
        await bot.learn()
        await start(bot, slack)
        for case in cases("D7", "Slack's bot told to stop under load", full=50, sample=1):
            bot.tell("hangs", "yes")
            asked = []
            for n in range(8):
                told = case.chance.choice(["", "(slow 0.1)", "(hang now)"])
                events = twins(slack, f"Is it {case.number}-{n}? {told}", user=f"U0{n}")
                asked.append(events[0]["ts"])
                for event in events:
                    await slack.send_event(event)
            with suppress(TimeoutError):
                await slack.until(lambda: False, case.chance.random())
            bot.send(signal.SIGTERM)
            assert await bot.ended(20) == 0
            bot.tell("hangs")
            await start(bot, slack)
            await one_each(slack, asked)
            del slack.calls[:]
        bot.send(signal.SIGTERM)
        assert await bot.ended(20) == 0
