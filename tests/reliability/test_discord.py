"""Rows D1–D4 and D6 for Discord: each event has one reply, whatever happens to line and process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import discord
import pytest
from simcord.backend.models import Message

from tests.doubles.discord_running import Script, running
from tests.doubles.discord_wire import DiscordDouble
from tests.reliability.process import METHODS, Bot, Nursery
from tests.reliability.rows import Case, cases
from tests.reliability.test_slack_once import UNLIMITED, settled

PLACES = [f"{method}:{side}" for method in METHODS for side in ("before", "after")]


def environment(double: DiscordDouble) -> dict[str, str]:
    return {
        "DISCORD_BOT_TOKEN": double.token,
        "DISCORD_API_URL": double.api_url,
        "DISCORD_GATEWAY_URL": double.gateway_url,
    }


def answers(double: DiscordDouble, question: Message) -> list[Message]:
    """Return what stands in the question's thread, or under it, and is no longer written."""
    channel = double.backend.channels[question.channel_id]
    said = double.said(channel if channel.is_thread else question.id)
    return [m for m in said if m.id > question.id and "teamglm/stop" not in str(m.components)]


async def one_each(double: DiscordDouble, questions: list[Message]) -> None:
    """Wait until each question has an answer; none has two, nor anything beside it."""
    await double.until(lambda: all(answers(double, question) for question in questions))
    for question in questions:
        assert len(answers(double, question)) == 1
        assert len(double.said(question.id)) <= 1


def created(double: DiscordDouble, message: Message) -> Mapping[str, Any]:
    """Return the event that told of a message."""
    return next(
        payload
        for _, event, payload in reversed(double.backend.transcript)
        if event == "MESSAGE_CREATE" and payload["id"] == str(message.id)
    )


async def test_d1_every_event_is_answered_once_however_often_it_comes(
    nursery: Nursery, tmp_path: Path
) -> None:
    async with DiscordDouble(patience=60) as double:
        bot = Bot(nursery, tmp_path / "bot")
        await bot.start(environment(double))
        await double.connected()
        asked: list[Message] = []
        for case in cases(
            "D1", "Discord's events, eight at a time, repeated and shuffled", full=125, sample=1
        ):
            questions = [double.person.ask(double.channel, f"Is it {n}?") for n in range(8)]
            again = [each for each in questions for _ in range(case.chance.randint(0, 3))]
            again += asked[-3:]
            case.chance.shuffle(again)
            for message in again:
                double.gateway.repeat("MESSAGE_CREATE", created(double, message))
            await one_each(double, questions)
            asked = questions
            del double.backend.transcript[:-200]
        await one_each(double, asked)
        await bot.kill()


async def test_d2_what_the_line_lost_is_answered(tmp_path: Path) -> None:
    handle = Script()
    async with DiscordDouble() as double, running(double, handle):
        await one_each(double, [double.person.ask(double.channel, "First?")])
        for case in cases("D2", "Discord's lost first deliveries", full=200, sample=1):
            double.gateway.mute()
            lost = double.person.ask(double.channel, "Did you hear?")
            if case.number % 4 == 1:
                double.gateway.sessions.clear()  # it can't be resumed: history tells
            await double.gateway.drop()
            await one_each(double, [lost])
            double.rest.calls.clear()


async def test_d3_a_killed_process_loses_nothing_and_repeats_nothing(
    nursery: Nursery, tmp_path: Path
) -> None:
    async with DiscordDouble(patience=60) as double:
        bot = Bot(nursery, tmp_path / "bot", limits=UNLIMITED)
        await bot.learn()
        await bot.start(environment(double))
        await double.connected()
        for case in cases("D3", "Discord's bot killed", full=200, sample=1):
            bot.tell("crash", case.chance.choice(PLACES))
            question = ask_somewhere(double, case)
            await bot.ended()
            bot.tell("crash")
            await bot.start(environment(double))
            await one_each(double, [question])
            again = double.person.ask(double.channel, "And now?")
            await one_each(double, [question, again])
            await settled(bot)
            del double.backend.transcript[:-200]
        await bot.kill()


async def test_d3_a_command_is_answered_once_after_a_kill(nursery: Nursery, tmp_path: Path) -> None:
    # Before it is kept, Discord itself tells the person that the command has failed.
    places = [place for place in PLACES if place != "add:before"]
    for case in cases("D3", "Discord's commands, the bot killed", full=60, sample=1):
        async with DiscordDouble(patience=60) as double:
            bot = Bot(nursery, tmp_path / f"command-{case.number}")
            bot.tell("crash", case.chance.choice(places))
            await bot.start(environment(double))
            await double.connected()
            public = case.chance.random() < 0.5
            double.person.slash(double.channel, "ask", question="Is it?", public=public)
            await bot.ended()
            bot.tell("crash")
            await bot.start(environment(double))
            await double.until(lambda: whole(double))
            (answer,) = everything(double)
            assert "…" not in answer.content
            assert answer.is_ephemeral or public or answer.channel_id == double.person.direct.id
            await bot.kill()


def everything(double: DiscordDouble) -> list[Message]:
    """Return all that the bot says, wherever, and to whomever it is shown."""
    said = [m for kept in double.backend.messages.values() for m in kept.values()]
    return [m for m in said if m.author_id == double.me and m.type in (0, 19, 20)]


def whole(double: DiscordDouble) -> bool:
    """Tell whether there is something, and nothing that is still being written."""
    said = everything(double)
    loading = discord.MessageFlags(loading=True).value
    writing = [m for m in said if m.flags & loading or "teamglm/stop" in str(m.components)]
    return bool(said) and not writing


def ask_somewhere(double: DiscordDouble, case: Case) -> Message:
    if case.chance.random() < 0.3:
        return double.person.ask(double.person.start_thread(double.channel, "here"), "Is it?")
    return double.person.ask(double.channel, "Is it?")


@pytest.mark.parametrize("fault", ["socket dropped", "refresh requested", "half-open and silent"])
async def test_d4_a_broken_line_is_mended_and_nothing_is_lost(fault: str) -> None:
    handle = Script()
    async with (
        DiscordDouble(heartbeat_seconds=0.1) as double,
        running(double, handle, ack_seconds=0.2),
    ):
        for _ in cases("D4", f"Discord's {fault}", full=100, sample=1):
            before = double.gateway.resumed
            if fault == "refresh requested":
                double.gateway.ask_to_reconnect()
            else:
                double.gateway.mute()
            question = double.person.ask(double.channel, "Did you hear?")
            if fault == "socket dropped":
                await double.gateway.drop()
            await one_each(double, [question])
            assert double.gateway.resumed > before
            double.rest.calls.clear()


async def test_d6_limits_are_obeyed_and_lost_receipts_repeat_nothing() -> None:
    handle = Script()
    async with DiscordDouble(patience=30) as double, running(double, handle):
        for case in cases("D6", "Discord's 429, 5xx and lost receipts", full=500, sample=3):
            path = case.chance.choice(
                ["/channels/*/threads", "/channels/*/messages", "/channels/*/messages/*"]
            )
            method = "PATCH" if path.endswith("/messages/*") else "POST"
            kind = case.chance.choice(["429", "5xx", "lost", "accepted"])
            faults: dict[str, dict[str, Any]] = {
                "429": {"status": 429, "retry_after": 0.05, "times": case.chance.randint(1, 3)},
                "5xx": {"status": 502},
                "lost": {"status": 0},
                "accepted": {"status": 0, "accepted": True},
            }
            double.fail(method, path, **faults[kind])
            await one_each(double, [double.person.ask(double.channel, "Is it?")])
            double.rest.faults.clear()
            double.rest.calls.clear()
