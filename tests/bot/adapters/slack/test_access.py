"""Who may see what in Slack: audiences by live membership."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.bot.adapters.slack.bot import GENERAL, Bot, Start, answer, finished
from tests.doubles.slack import Answer, SlackDouble


async def test_a_shared_channel_only_sees_its_own_documents(
    slack: SlackDouble, start: Start
) -> None:
    bot = await start()
    await slack.mention("Anything secret?", external=True)
    await slack.until(lambda: bot.requests)
    assert bot.requests[0].audience == {GENERAL}


@pytest.mark.parametrize(
    ("about", "audience"),
    [
        ({}, {"public", GENERAL}),
        ({"is_ext_shared": True}, {GENERAL}),
        (None, {GENERAL}),  # Slack doesn't say: in doubt it is shared
    ],
)
async def test_a_command_in_a_shared_channel_sees_no_more(
    slack: SlackDouble, start: Start, about: dict[str, Any] | None, audience: set[str]
) -> None:
    bot = await start()
    if about is None:
        del slack.channels["C0GENERAL"]
    else:
        slack.channels["C0GENERAL"] |= about
    await slack.command("/ask", "Anything secret?")
    await slack.until(lambda: bot.requests)
    assert bot.requests[0].audience == audience


async def test_a_direct_message_sees_the_channels_that_the_person_is_in_now(
    slack: SlackDouble, start: Start
) -> None:
    bot = await start()
    slack.members["U0ANN"] = [f"C0{n}" for n in range(5)]
    ts = await slack.say("What is new?", channel="D0ANN")
    reply = await finished(slack, ts)
    assert reply.channel == "D0ANN"
    own = "slack:-:T0TEAM:D0ANN"
    channels = {f"slack:-:T0TEAM:C0{n}" for n in range(5)}
    assert bot.requests[0].audience == {"public", own} | channels
    assert bot.requests[0].scope == own


async def test_who_leaves_a_channel_sees_it_no_more_at_once(
    slack: SlackDouble, start: Start
) -> None:
    bot = await start()
    slack.members["U0ANN"] = ["C0GENERAL", "C0SECOND"]
    await slack.say("What is new?", channel="D0ANN")
    await slack.until(lambda: len(bot.requests) == 1)
    await slack.leave("U0ANN", "C0SECOND")
    await slack.say("And now?", channel="D0ANN")
    await slack.until(lambda: len(bot.requests) == 2)
    before, after = (request.audience for request in bot.requests)
    assert before - after == {"slack:-:T0TEAM:C0SECOND"}
    assert GENERAL in after


async def test_what_is_remembered_of_membership_is_short_lived(
    slack: SlackDouble, start: Start
) -> None:
    now = 0.0
    bot = await start(clock=lambda: now)
    slack.members["U0ANN"] = ["C0GENERAL", "C0SECOND"]
    await slack.say("What is new?", channel="D0ANN")
    await slack.until(lambda: len(bot.requests) == 1)
    slack.members["U0ANN"] = ["C0GENERAL"]  # and the event of it is lost
    now = 16.0
    await slack.say("And now?", channel="D0ANN")
    await slack.until(lambda: len(bot.requests) == 2)
    assert "slack:-:T0TEAM:C0SECOND" not in bot.requests[1].audience


@pytest.mark.parametrize(
    ("about", "seen"),
    [
        ({"is_restricted": True}, {"slack:-:T0TEAM:D0ANN", GENERAL}),
        ({"is_ultra_restricted": True}, {"slack:-:T0TEAM:D0ANN", GENERAL}),
        ({"is_stranger": True}, {"slack:-:T0TEAM:D0ANN"}),
        ({"team_id": "T0OTHER"}, {"slack:-:T0TEAM:D0ANN"}),
        ({}, {"public", "slack:-:T0TEAM:D0ANN", GENERAL}),
    ],
)
async def test_guests_and_strangers_see_what_they_were_invited_to(
    slack: SlackDouble, start: Start, about: dict[str, Any], seen: set[str]
) -> None:
    bot = await start()
    slack.people["U0ANN"] = about
    await slack.say("What is new?", channel="D0ANN")
    await slack.until(lambda: bot.requests)
    assert bot.requests[0].audience == seen


async def test_a_direct_message_with_another_organisation_sees_itself_alone(
    slack: SlackDouble, start: Start
) -> None:
    bot = await start()
    await slack.say("What is new?", channel="D0ANN", external=True)
    await slack.until(lambda: bot.requests)
    assert bot.requests[0].audience == {"slack:-:T0TEAM:D0ANN"}


async def test_a_thread_has_its_channels_scope(slack: SlackDouble, start: Start) -> None:
    bot = await start()
    await slack.mention("What is new?", thread_ts=slack.next_ts())
    await slack.until(lambda: bot.requests)
    assert bot.requests[0].scope == GENERAL
    assert bot.requests[0].audience == {"public", GENERAL}


@pytest.mark.parametrize("kind", ["is_private", "is_mpim"])
async def test_a_private_channel_and_a_group_message_see_what_is_public_and_their_own(
    slack: SlackDouble, start: Start, kind: str
) -> None:
    bot = await start()
    slack.channels["C0CLOSED"] = {**slack.channels["C0GENERAL"], "id": "C0CLOSED", kind: True}
    await slack.mention("What is new?", channel="C0CLOSED")
    await slack.until(lambda: bot.requests)
    assert bot.requests[0].scope == "slack:-:T0TEAM:C0CLOSED"
    assert bot.requests[0].audience == {"public", bot.requests[0].scope}


async def test_a_direct_message_sees_less_where_slack_does_not_tell(
    slack: SlackDouble, start: Start
) -> None:
    bot = await start()
    slack.script("users.conversations", Answer(body={"ok": False, "error": "missing_scope"}))
    await slack.say("What is new?", channel="D0ANN")
    await slack.until(lambda: bot.requests)
    assert bot.requests[0].audience == {"public", "slack:-:T0TEAM:D0ANN"}


async def test_scopes_name_the_enterprise() -> None:
    async with SlackDouble(enterprise="E0ORG") as slack:
        bot = Bot(slack, answer)
        task = asyncio.create_task(bot.adapter.run())
        await slack.mention("Why?")
        await slack.until(lambda: bot.requests)
        assert bot.requests[0].scope == "slack:E0ORG:T0TEAM:C0GENERAL"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
