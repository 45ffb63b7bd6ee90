"""The buttons under an answer: sources, stop, regenerate, rate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bot.messages import Reply, ReplyChunk, ReplyEvent, Request, Status
from tests.bot.adapters.slack.bot import (
    ANSWER,
    CITED,
    GENERAL,
    Script,
    Start,
    finished,
    says,
)
from tests.doubles.slack import SlackDouble


def until_stopped(first: ReplyEvent, last: Reply) -> Script:
    """Return what yields `first`, waits for the request to be stopped, and yields `last`."""
    stopped = asyncio.Event()

    async def script(request: Request) -> AsyncIterator[ReplyEvent]:
        if request.command == "stop":
            stopped.set()
            yield Reply("answer", "stopped", "en")
        else:
            yield first
            await stopped.wait()
            yield last

    return script


async def test_a_citation_opens_its_passage(slack: SlackDouble, start: Start) -> None:
    async def script(request: Request) -> AsyncIterator[ReplyEvent]:
        if request.command == "open":
            found = {"document": "handbook.pdf", "page": 3, "section": "Leave <@U1>"}
            found |= {"text": "Ten days a year, <!channel>.", "start": 0, "end": 28}
            yield Reply("answer", "…", "en", data=found)
        else:
            yield ANSWER

    bot = await start(script)
    reply = await finished(slack, await slack.mention("How many days?"))
    await slack.click(reply, "cite:1", user="U0BEN")
    await slack.until(lambda: slack.views)
    [opened] = bot.asked("open")
    assert (opened.text, opened.options) == ("handbook.pdf", {"start": 0, "end": 16})
    assert opened.audience == {"public", GENERAL}
    texts = str(slack.views[0]["blocks"])
    assert "handbook.pdf" in texts
    assert "Page 3" in texts
    assert "Ten days a year" in texts
    assert "mrkdwn" not in texts  # plain and rich text, where nothing is parsed


async def test_a_refusal_offers_the_nearest_documents_to_open(
    slack: SlackDouble, start: Start
) -> None:
    async def script(request: Request) -> AsyncIterator[ReplyEvent]:
        if request.command == "open":
            yield Reply("answer", "> Ten days", "en")
        else:
            yield Reply("refusal", "I can't find that.", "en", nearest=(CITED,))

    bot = await start(script)
    reply = await finished(slack, await slack.mention("And ferries?"), "handbook.pdf, p. 3")
    await slack.click(reply, "cite:1")
    await slack.until(lambda: slack.views)
    [opened] = bot.asked("open")
    assert (opened.text, opened.options) == ("handbook.pdf", {"start": 0, "end": 16})


async def test_a_citation_that_is_gone_is_told(slack: SlackDouble, start: Start) -> None:
    async def script(request: Request) -> AsyncIterator[ReplyEvent]:
        if request.command == "open":
            yield Reply("error", "I know no document called “handbook.pdf” here.", "en")
        else:
            yield ANSWER

    await start(script)
    reply = await finished(slack, await slack.mention("How many days?"))
    await slack.click(reply, "cite:1")
    await slack.until(lambda: slack.views)
    assert "I know no document" in str(slack.views[0]["blocks"])


async def test_stop_ends_the_request(slack: SlackDouble, start: Start) -> None:
    slack.streams = False
    bot = await start(until_stopped(Status("Searching"), Reply("answer", "Stopped.", "en")))
    ts = await slack.mention("How many days?")
    reply = await slack.reply(says("Searching"), ts)
    await slack.click(reply, "stop")
    await slack.reply(says("Stopped."), ts)
    assert bot.asked("stop")[0].text == bot.asked()[0].id


async def test_slacks_own_stop_button_ends_the_request(slack: SlackDouble, start: Start) -> None:
    half = ReplyChunk("Half an ans")
    bot = await start(until_stopped(half, Reply("answer", half.text, "en", (half,))))
    ts = await slack.mention("How many days?")
    reply = await slack.reply(says("Half"), ts)
    await slack.press_stop(reply)
    await slack.until(lambda: bot.asked("stop"))
    await finished(slack, ts, "Half an ans")
    assert bot.asked("stop")[0].text == bot.asked()[0].id
    assert len(slack.in_thread(ts)) == 1
    await slack.until(lambda: slack.sessions == {("C0GENERAL", ts): "active"})


async def test_slacks_own_stop_button_is_the_askers(slack: SlackDouble, start: Start) -> None:
    go = asyncio.Event()

    async def script(request: Request) -> AsyncIterator[ReplyEvent]:
        if request.command == "stop":
            yield Reply("error", "Only the person who asked can stop this.", "en")
        else:
            yield ReplyChunk("Half. ")
            await go.wait()
            yield Reply(
                "answer", "Half. Whole.", "en", tuple(map(ReplyChunk, ("Half. ", "Whole.")))
            )

    await start(script)
    ts = await slack.mention("How many days?")
    reply = await slack.reply(says("Half"), ts)
    await slack.press_stop(reply, user="U0BEN")
    await slack.until(lambda: slack.whispers)
    assert slack.whispers == [("U0BEN", "Only the person who asked can stop this.")]
    go.set()
    await finished(slack, ts, "Whole.")
    assert slack.in_thread(ts) == [reply]


async def test_regenerate_answers_anew_in_the_same_message(
    slack: SlackDouble, start: Start
) -> None:
    answers = iter(["The first.", "The second."])

    async def script(request: Request) -> AsyncIterator[ReplyEvent]:
        yield Reply("answer", next(answers), "en")

    bot = await start(script)
    ts = await slack.mention("How many days?")
    reply = await finished(slack, ts, "The first.")
    await slack.click(reply, "again", user="U0BEN")
    await slack.reply(says("The second."), ts)
    assert slack.in_thread(ts) == [reply]
    assert [request.text for request in bot.asked()] == ["How many days?"] * 2
    assert bot.requests[1].conversation == bot.requests[0].conversation


@pytest.mark.parametrize("value", ["up", "down"])
async def test_answers_can_be_rated(slack: SlackDouble, start: Start, value: str) -> None:
    bot = await start()
    reply = await finished(slack, await slack.mention("How many days?"))
    asked = bot.asked()[0].id
    await slack.click(reply, "rate", value=f"{value} {asked}", user="U0BEN")
    await slack.until(lambda: slack.responses)
    [rated] = bot.asked("rate")
    assert (rated.user, rated.options) == ("U0BEN", {"thumb": value, "reply": asked})
    assert slack.responses[0]["response_type"] == "ephemeral"


async def test_an_admins_thumbs_down_becomes_a_case_on_one_click(
    slack: SlackDouble, start: Start
) -> None:
    async def script(request: Request) -> AsyncIterator[ReplyEvent]:
        if request.command == "rate":
            offer = {"reply": request.options["reply"], "documents": ["handbook.pdf"]}
            yield Reply("answer", "Noted.", "en", data=offer)
        elif request.command == "case":
            yield Reply("answer", "Added.", "en")
        else:
            yield ANSWER

    bot = await start(script)
    reply = await finished(slack, await slack.mention("How many days?"))
    asked = bot.asked()[0].id
    await slack.click(reply, "rate", value=f"down {asked}")
    await slack.until(lambda: slack.responses)
    await slack.click(slack.responses[0], "case:1")
    await slack.until(lambda: len(slack.responses) == 2)
    [added] = bot.asked("case")
    assert (added.text, added.options) == ("handbook.pdf", {"reply": asked})
    assert slack.responses[1]["replace_original"] is True
