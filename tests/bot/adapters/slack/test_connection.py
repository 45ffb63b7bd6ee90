"""How the bot is connected to Slack: Socket Mode, signed HTTP, and what goes wrong at the start."""

from __future__ import annotations

import pytest

from bot.messages import PlatformError
from tests.bot.adapters.slack.bot import Bot, Start, answer, finished
from tests.doubles.slack import SlackDouble


@pytest.mark.parametrize("token", ["bot_token", "app_token"])
async def test_a_wrong_token_ends_in_a_sentence_that_says_which(
    slack: SlackDouble, token: str
) -> None:
    bot = Bot(slack, answer, **{token: "xoxb-wrong"})
    with pytest.raises(PlatformError, match=f"SLACK_{token.upper()}") as refused:
        await bot.adapter.run()
    assert "xoxb" not in str(refused.value)


async def test_an_unreachable_slack_ends_in_a_sentence(slack: SlackDouble) -> None:
    bot = Bot(slack, answer)
    await slack._runner.cleanup()
    with pytest.raises(PlatformError, match="can't be reached"):
        await bot.adapter.run()


# Connections that break


async def test_the_connection_survives_refreshes_and_drops(
    slack: SlackDouble, start: Start
) -> None:
    bot = await start()
    await slack.refresh()
    await slack.mention("After the refresh")
    before = slack.connections
    await slack.drop()
    await slack.until(lambda: slack.connections > before)
    await slack.mention("After the drop")
    await slack.until(lambda: len(bot.requests) == 2)


async def test_a_silent_connection_is_opened_anew(slack: SlackDouble, start: Start) -> None:
    bot = await start(ping_seconds=0.2)
    before = slack.connections
    await slack.fall_silent()
    await slack.until(lambda: slack.connections > before)
    await slack.mention("After the silence")
    await slack.until(lambda: bot.requests)


# Signed HTTP


async def test_over_http_everything_works_as_over_a_socket(
    slack: SlackDouble, start: Start
) -> None:
    bot = await start(signed=True)
    ts = await slack.mention("How many days?")
    reply = await finished(slack, ts)
    await slack.command("/ask", "How many weeks?")
    await slack.until(lambda: slack.responses)
    await slack.click(reply, "cite:1")
    await slack.until(lambda: slack.views)
    ack = await slack.command("/glm", "help")
    assert ack is not None
    assert "/ask" in ack["text"]
    assert [request.text for request in bot.asked()] == ["How many days?", "How many weeks?"]
    assert slack.connections == 0


async def test_the_address_is_verified_as_slack_does(slack: SlackDouble, start: Start) -> None:
    await start(signed=True)
    body = b'{"token": "t", "challenge": "3eZbrw1aB", "type": "url_verification"}'
    status, answered = await slack.post_signed(body, {"content-type": "application/json"})
    assert status == 200
    assert b"3eZbrw1aB" in answered


async def test_a_port_that_is_taken_ends_in_a_sentence(slack: SlackDouble) -> None:
    port = int(slack.origin.rpartition(":")[2])
    bot = Bot(slack, answer, signed=True, port=port)
    with pytest.raises(PlatformError, match=r"slack\.port"):
        await bot.adapter.run()
