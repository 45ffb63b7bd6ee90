"""What people ask in Slack, and which of what they say is asked of the bot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.adapters.slack.work import Habits
from bot.messages import Reply, ReplyEvent, Request, Status
from tests.bot.adapters.slack.bot import GENERAL, Start, finished, says
from tests.doubles import slack_payloads as payloads
from tests.doubles.slack import SlackDouble


async def test_a_mention_gets_one_cited_answer_in_its_thread(
    slack: SlackDouble, start: Start
) -> None:
    bot = await start()
    ts = await slack.mention("How many days &lt;off&gt; for <@U0BEN|ben>?")
    reply = await slack.reply(says("Sources:"), ts)
    assert "You get ten days. [1]" in reply.text
    assert "[1] handbook.pdf, p. 3 · Leave: “Ten days a year.”" in reply.text
    assert slack.in_thread(ts) == [reply]
    [request] = bot.requests
    assert (request.command, request.text) == ("ask", "How many days <off> for @ben?")
    assert request.scope == GENERAL
    assert request.audience == {"public", GENERAL}
    assert request.conversation == f"-:T0TEAM:C0GENERAL:{ts}"


async def test_a_mention_inside_a_thread_is_answered_there(
    slack: SlackDouble, start: Start
) -> None:
    bot = await start()
    root = slack.next_ts()
    await slack.mention("And then?", thread_ts=root)
    await slack.reply(says("Sources:"), root)
    assert bot.requests[0].conversation == f"-:T0TEAM:C0GENERAL:{root}"


async def test_what_arrives_several_times_is_answered_once(
    slack: SlackDouble, start: Start
) -> None:
    bot = await start()
    said: dict[str, Any] = {"user": "U0ANN", "channel": "C0GENERAL", "thread_ts": None, "files": []}
    event = payloads.app_mention(f"<@{slack.bot_user}> Why?", ts=slack.next_ts(), **said)
    twin = payloads.message(event["text"], ts=event["ts"], **said)
    first = await slack.send_event(twin)
    for id in (first, None, "Ev1"):
        await slack.send_event(event, event_id=id, retry=1)
    await slack.send_event(twin, event_id=first, retry=2)
    await slack.mention("The next question")
    await slack.until(lambda: len(bot.requests) == 2)
    assert [request.text for request in bot.requests] == ["Why?", "The next question"]


async def test_a_retry_alone_is_answered(slack: SlackDouble, start: Start) -> None:
    await start()
    event = payloads.app_mention(
        f"<@{slack.bot_user}> Why?",
        user="U0ANN",
        channel="C0GENERAL",
        ts=slack.next_ts(),
        thread_ts=None,
        files=[],
    )
    await slack.send_event(event, retry=3)
    await slack.reply(says("Sources:"), event["ts"])


async def test_only_people_who_ask_something_are_answered(slack: SlackDouble, start: Start) -> None:
    bot = await start()
    mention = f"<@{slack.bot_user}> Hi"
    await slack.say("Talking among ourselves")
    about = {"type": "message", "channel": "C0GENERAL", "channel_type": "channel", "text": mention}
    for change in (
        {"user": "U0OTHER", "bot_id": "B0OTHER"},
        {"user": slack.bot_user},
        {"user": "U0ANN", "subtype": "channel_topic", "topic": mention},
    ):
        ts = slack.next_ts()
        await slack.send_event(about | {"ts": ts, "event_ts": ts} | change)
    await slack.mention("A real question")
    await slack.until(lambda: bot.requests)
    assert [request.text for request in bot.requests] == ["A real question"]


# Going on in a thread


async def asked_in_thread(slack: SlackDouble, start: Start, **habits: Any) -> tuple[Any, str]:
    """Have Ann ask something in a channel; return the bot, and the thread that her answer began."""
    bot = await start(**habits)
    ts = await slack.mention("How many days?")
    await finished(slack, ts)
    return bot, ts


async def test_who_asked_goes_on_without_a_mention(slack: SlackDouble, start: Start) -> None:
    bot, ts = await asked_in_thread(slack, start)
    await slack.say("and for part-timers", thread_ts=ts)
    await slack.until(lambda: len(bot.requests) == 2)
    first, second = bot.requests
    assert second.text == "and for part-timers"
    assert second.conversation == first.conversation


async def test_anybody_may_ask_on_in_the_bots_thread(slack: SlackDouble, start: Start) -> None:
    bot, ts = await asked_in_thread(slack, start)
    await slack.say("And in winter?", thread_ts=ts, user="U0BEN", parent="U0ANN")
    await slack.until(lambda: len(bot.requests) == 2)


async def test_the_bot_is_silent_when_people_talk_to_each_other(
    slack: SlackDouble, start: Start
) -> None:
    bot, ts = await asked_in_thread(slack, start)
    await slack.say("Thanks, that helps me too.", thread_ts=ts, user="U0BEN", parent="U0ANN")
    await slack.say("<@U0BEN> shall we take Friday?", thread_ts=ts)
    await slack.say("Is Friday good?", thread_ts=ts)
    await slack.say("Friday? Yes.", thread_ts=ts, user="U0BEN", parent="U0ANN")
    await slack.mention("So how many are left?", thread_ts=ts)
    await slack.say("And next year", thread_ts=ts)
    await slack.until(lambda: len(bot.requests) == 3)
    assert [each.text for each in bot.requests[1:]] == ["So how many are left?", "And next year"]


async def test_other_peoples_threads_are_theirs(slack: SlackDouble, start: Start) -> None:
    bot, _ = await asked_in_thread(slack, start)
    root = await slack.say("Lunch, anybody?")
    await slack.say("Where do we meet?", thread_ts=root)
    await slack.mention("The next question")
    await slack.until(lambda: len(bot.requests) == 2)
    assert bot.requests[1].text == "The next question"


@pytest.mark.parametrize(("follow_ups", "heard"), [("mention", 0), ("all", 2)])
async def test_following_threads_can_be_configured(
    slack: SlackDouble, start: Start, follow_ups: Any, heard: int
) -> None:
    bot, ts = await asked_in_thread(slack, start, habits=Habits(follow_ups=follow_ups))
    await slack.say("Fine with me.", thread_ts=ts, user="U0BEN", parent="U0ANN")
    await slack.say("And in winter?", thread_ts=ts)
    await slack.mention("The last one")
    await slack.until(lambda: len(bot.requests) == 2 + heard)
    assert bot.requests[-1].text == "The last one"


# Edits and deletions


async def test_an_edited_question_gets_its_answer_edited(slack: SlackDouble, start: Start) -> None:
    async def echo(request: Request) -> AsyncIterator[ReplyEvent]:
        yield Reply("answer", f"You asked: {request.text}", "en")

    bot = await start(echo)
    ts = await slack.mention("How many days?")
    reply = await finished(slack, ts, "How many days?")
    await slack.edit(ts, f"<@{slack.bot_user}> How many weeks?")
    await slack.until(lambda: "How many weeks?" in reply.text)
    assert slack.in_thread(ts) == [reply]
    assert [request.text for request in bot.requests] == ["How many days?", "How many weeks?"]


async def test_an_edit_while_the_answer_is_written_replaces_it(
    slack: SlackDouble, start: Start
) -> None:
    async def first_hangs(request: Request) -> AsyncIterator[ReplyEvent]:
        if "days" in request.text:
            yield Status("Searching")
            await asyncio.Event().wait()
        yield Reply("answer", f"You asked: {request.text}", "en")

    await start(first_hangs)
    ts = await slack.mention("How many days?")
    await slack.until(lambda: slack.in_thread(ts))
    await slack.edit(ts, f"<@{slack.bot_user}> How many weeks?")
    await finished(slack, ts, "How many weeks?")
    assert len(slack.in_thread(ts)) == 1


async def test_a_preview_below_a_question_asks_nothing_anew(
    slack: SlackDouble, start: Start
) -> None:
    bot = await start()
    ts = await slack.mention("What does https://wiki.example say?")
    await finished(slack, ts)
    before = next(each for each in slack.said if each["ts"] == ts)
    event = payloads.message_changed(before, before["text"], ts=slack.next_ts())
    del event["message"]["edited"]
    await slack.send_event(event)
    await slack.mention("The next question")
    await slack.until(lambda: len(bot.requests) == 2)
    assert bot.requests[1].text == "The next question"


async def test_a_deleted_question_takes_its_answer_along(slack: SlackDouble, start: Start) -> None:
    await start()
    ts = await slack.mention("How many days?")
    reply = await finished(slack, ts)
    await slack.delete(ts)
    await slack.until(lambda: reply.deleted)
    assert slack.in_thread(ts) == []


async def test_a_question_deleted_while_it_is_answered_leaves_nothing(
    slack: SlackDouble, start: Start
) -> None:
    async def hangs(request: Request) -> AsyncIterator[ReplyEvent]:
        yield Status("Searching")
        await asyncio.Event().wait()

    await start(hangs)
    ts = await slack.mention("How many days?")
    await slack.until(lambda: slack.in_thread(ts))
    await slack.delete(ts)
    await slack.until(lambda: not slack.in_thread(ts))


async def test_a_question_in_a_direct_message_is_answered_in_its_thread(
    slack: SlackDouble, start: Start
) -> None:
    bot = await start()
    ts = await slack.say("How many days?", channel="D0ANN")
    await finished(slack, ts)
    await slack.say("And in winter", channel="D0ANN", thread_ts=ts)
    await slack.until(lambda: len(bot.requests) == 2)
    assert bot.requests[0].conversation == bot.requests[1].conversation
