"""Reminders, scheduled questions and digests from asking to posting, over both doubles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from simcord.backend.models import Message

from bot.adapters.slack.adapter import SlackAdapter
from bot.messages import Event
from tests.bot.later import LAPTOPS, MONDAY, SAYS, Bot
from tests.doubles.discord_people import Person
from tests.doubles.discord_running import running
from tests.doubles.discord_wire import DiscordDouble
from tests.doubles.slack import SlackDouble


@asynccontextmanager
async def on_slack(bot: Bot, slack: SlackDouble) -> AsyncIterator[SlackAdapter]:
    """Connect a process to Slack."""
    before = slack.connections
    adapter = SlackAdapter(
        bot.app.dispatcher.handle,
        bot.app.inbox,
        bot_token=slack.bot_token,
        app_token=slack.app_token,
        api_url=slack.api_url,
        fetch=bot.app.fetcher.fetch,
        edit_seconds=0.0,
    )
    bot.app.later.postings["slack"] = adapter
    task = asyncio.create_task(adapter.run())
    await slack.until(lambda: slack.connections > before)
    yield adapter
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@asynccontextmanager
async def on_discord(bot: Bot, discord: DiscordDouble) -> AsyncIterator[None]:
    """Connect a process to Discord."""
    async with running(discord, bot.app.dispatcher.handle, inbox=bot.app.inbox) as adapter:
        bot.app.later.postings["discord"] = adapter
        await adapter.client.wait_until_ready()
        yield


async def confirmed(slack: SlackDouble, line: str, command: str = "remind", **where: Any) -> str:
    """Ask for something in Slack and press Confirm; return what was asked and what stands."""
    before = len(slack.responses)
    await slack.command("/glm", f"{command} {line}", **where)
    await slack.until(lambda: len(slack.responses) > before)
    asked = slack.responses[before]
    await slack.click(asked, "reminders:confirm", **where)
    await slack.until(lambda: len(slack.responses) > before + 1)
    return f"{asked} {slack.responses[before + 1]['text']}"


def posted(slack: SlackDouble, channel: str = "C0GENERAL") -> list[str]:
    """Return what the bot has posted in a channel."""
    return [m.markdown for m in slack.messages if m.channel == channel and not m.deleted]


async def test_slack_is_asked_confirmed_and_posted_once_in_the_persons_own_time(
    bots: Any,
) -> None:
    async with SlackDouble() as slack, bots() as bot, on_slack(bot, slack):
        slack.people["U0ANN"] = {"tz": "Asia/Shanghai", "tz_offset": 28800}
        said = await confirmed(slack, "every Monday at 9 stand-up")
        assert "Asia/Shanghai" in said
        assert "Mon 30 Nov 2026 09:00" in said
        assert "It stands" in said
        await bot.due(MONDAY - timedelta(hours=9))
        assert posted(slack) == []
        await bot.due(MONDAY - timedelta(hours=8))  # nine in Shanghai
        await slack.until(lambda: posted(slack))
        await bot.due(MONDAY - timedelta(hours=7))
        (text,) = posted(slack)
        assert "stand-up" in text
        assert "Late" not in text
        # Whoever sees it may ask to stop it; only its author can.
        (message,) = slack.messages
        assert not any("Looking" in each for each in message.texts)  # who is notified reads it
        before = len(slack.responses)
        await slack.click(message, "reminders:cancel", user="U0BEN")
        await slack.until(lambda: len(slack.responses) > before)
        assert len(await bot.app.later.reminders.standing()) == 1
        await slack.click(message, "reminders:cancel")
        await slack.until(lambda: len(slack.responses) > before + 1)
        assert await bot.app.later.reminders.standing() == []


async def test_slack_reminds_one_alone_in_their_direct_messages(bots: Any) -> None:
    async with SlackDouble() as slack, bots() as bot, on_slack(bot, slack):
        await confirmed(slack, "me on Monday at 9:00 am to call Ann")
        await bot.due(MONDAY)
        await slack.until(lambda: posted(slack, "D0ANN"))
        assert "call Ann" in posted(slack, "D0ANN")[0]
        assert posted(slack) == []


async def test_a_scheduled_question_is_answered_for_the_channel_with_its_sources(
    bots: Any,
) -> None:
    async with SlackDouble() as slack, bots() as bot, on_slack(bot, slack):
        await bot.teach("laptops.md", LAPTOPS, "slack:-:T0TEAM:C0GENERAL")
        bot.chat.answer = SAYS
        prompts = len(bot.chat.prompts)
        await confirmed(slack, "every Monday at 9 post when a lost laptop is reported here")
        assert len(bot.chat.prompts) == prompts  # no model is asked what was meant
        await bot.due(MONDAY)
        await slack.until(lambda: any("laptops.md" in each for each in posted(slack)))
        (text,) = posted(slack)
        assert "when a lost laptop is reported" in text
        assert SAYS.rstrip(".") in text


async def test_who_has_left_a_channel_posts_nothing_there_and_is_told_once(
    bots: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with SlackDouble() as slack, bots() as bot, on_slack(bot, slack):
        await confirmed(slack, "every Monday at 9 stand-up")
        slack.members["U0ANN"].clear()
        for week in range(2):
            await bot.due(MONDAY + timedelta(weeks=week))
            await slack.until(lambda: posted(slack, "D0ANN"))
        assert posted(slack) == []
        (told,) = posted(slack, "D0ANN")
        assert "stand-up" in told
        assert await bot.app.later.reminders.standing() == []
        assert "is cancelled" in caplog.text


@pytest.mark.parametrize(
    "about",
    [{"is_archived": True}, {"properties": {"posting_restricted_to": {"type": ["admin"]}}}],
)
async def test_who_may_not_post_in_slack_can_ask_for_nothing_there(
    bots: Any, about: dict[str, Any]
) -> None:
    async with SlackDouble() as slack, bots() as bot, on_slack(bot, slack):
        slack.channels["C0GENERAL"] = about
        await slack.command("/glm", "remind every Monday at 9 stand-up")
        await slack.until(lambda: slack.responses)
        assert "may not post" in slack.responses[0]["text"]
        await slack.command("/glm", "remind every Monday at 9 stand-up", channel="C0SECOND")
        await slack.until(lambda: len(slack.responses) > 1)  # she isn't in that one
        assert "may not post" in slack.responses[1]["text"]
        assert "actions" not in str(slack.responses)


async def test_what_is_wanted_survives_the_process_and_comes_late_once(bots: Any) -> None:
    async with SlackDouble() as slack:
        async with bots() as bot, on_slack(bot, slack):
            await confirmed(slack, "every Monday at 9 stand-up")
        async with bots() as bot, on_slack(bot, slack):
            await bot.due(MONDAY + timedelta(weeks=2, hours=3))
            await slack.until(lambda: posted(slack))
            await bot.due(MONDAY + timedelta(weeks=2, hours=4))
        (text,) = posted(slack)
        assert "Late" in text
        assert "Mon 30 Nov 2026 09:00" in text


async def test_a_kill_after_the_time_is_stored_posts_once_after_the_restart(bots: Any) -> None:
    async with SlackDouble() as slack:
        async with bots() as bot, on_slack(bot, slack):
            await confirmed(slack, "every Monday at 9 stand-up")
        async with bots() as bot:  # killed before Slack was told anything

            class Stored:
                async def post(self, event: Any) -> bool:
                    return bool(await bot.app.inbox.add(event))

            bot.app.later.postings["slack"] = Stored()
            await bot.due(MONDAY)
        async with bots() as bot, on_slack(bot, slack):
            await slack.until(lambda: posted(slack))
            await bot.due(MONDAY + timedelta(minutes=1))
        async with bots() as bot, on_slack(bot, slack):
            await bot.due(MONDAY + timedelta(minutes=2))
        assert len(posted(slack)) == 1


async def test_a_digest_lists_what_is_new_here_and_is_silent_otherwise(bots: Any) -> None:
    async with SlackDouble() as slack, bots() as bot, on_slack(bot, slack):
        await bot.teach("old.md", LAPTOPS)
        bot.clock.at = datetime.now(UTC) + timedelta(seconds=10)  # documents bear the real time
        await confirmed(slack, "every day at 9", "digest")
        (known,) = await bot.app.later.reminders.standing()
        await bot.teach("new.md", LAPTOPS + "New.\n")
        await bot.teach("theirs.md", LAPTOPS + "Theirs.\n", "slack:-:T0TEAM:C0SECOND")
        first = datetime.fromtimestamp(known.due_at or 0, UTC)
        await bot.due(first)
        await slack.until(lambda: posted(slack))
        await bot.due(first + timedelta(days=1))
        await slack.command("/glm", "digest off")
        await slack.until(lambda: "Cancelled" in slack.responses[-1]["text"])
        (text,) = posted(slack)
        assert "new.md" in text
        assert "old.md" not in text
        assert "theirs.md" not in text
        assert await bot.app.later.reminders.standing() == []


# Discord


async def agreed(discord: DiscordDouble, what: str, channel: Any = None, **more: Any) -> None:
    """Ask for something in Discord and press Confirm."""
    where = channel or discord.channel
    asked = discord.person.slash(where, "remind", what=what, **more)
    shown = await showing(discord, discord.person, asked, "Shall I")
    assert shown.is_ephemeral
    discord.person.press(shown, "Confirm")
    await showing(discord, discord.person, asked, "It stands")


async def showing(discord: DiscordDouble, person: Person, asked: Any, text: str) -> Message:
    """Return the message that an interaction is answered with, once it says so."""

    def found() -> list[Message]:
        message = person.shown(asked)
        return [message] if message is not None and text in message.content else []

    return (await discord.until(found))[0]


async def test_discord_is_asked_confirmed_and_posted_once(bots: Any) -> None:
    async with DiscordDouble() as discord, bots() as bot, on_discord(bot, discord):
        await agreed(discord, "every Monday at 9 stand-up", zone="Asia/Shanghai")
        await bot.due(MONDAY - timedelta(hours=8))
        await discord.until(lambda: discord.said(discord.channel))
        await bot.due(MONDAY - timedelta(hours=7))
        (message,) = discord.said(discord.channel)
        assert "stand-up" in message.content
        for person in (discord.add_person("tom"), discord.person):
            assert len(await bot.app.later.reminders.standing()) == 1
            pressed = person.press(message, "Cancel")
            text = "Cancelled" if person is discord.person else "There is no"
            await showing(discord, person, pressed, text)
        assert await bot.app.later.reminders.standing() == []


async def test_discord_reminds_one_alone_and_again(bots: Any) -> None:
    async with DiscordDouble() as discord, bots() as bot, on_discord(bot, discord):
        await agreed(discord, "me on Monday at 9:00 am to call Ann")
        await bot.due(MONDAY)
        direct = discord.person.direct
        await discord.until(lambda: discord.said(direct))
        pressed = discord.person.press(discord.said(direct)[0], "Again in an hour")
        await showing(discord, discord.person, pressed, "It stands")
        await bot.due(MONDAY + timedelta(minutes=61))
        await discord.until(lambda: len(discord.said(direct)) == 2)
        assert all("call Ann" in each.content for each in discord.said(direct))
        assert discord.said(discord.channel) == []


@pytest.mark.parametrize("how", ["left", "muted"])
async def test_who_may_no_longer_post_in_discord_posts_nothing_there(bots: Any, how: str) -> None:
    async with DiscordDouble() as discord, bots() as bot, on_discord(bot, discord):
        await agreed(discord, "every Monday at 9 stand-up")
        if how == "left":
            discord.backend.remove_member(discord.guild.id, discord.person.id)
        else:
            discord.forbid(discord.channel, discord.person.id, send_messages=False)
        await bot.due(MONDAY)
        told = await discord.until(lambda: discord.said(discord.person.direct))
        assert "stand-up" in told[0].content
        assert await bot.app.later.reminders.standing() == []
        await bot.due(MONDAY + timedelta(weeks=1))
        assert len(discord.said(discord.person.direct)) == 1
        assert discord.said(discord.channel) == []


async def test_who_may_only_read_in_discord_can_ask_for_nothing_there(bots: Any) -> None:
    async with DiscordDouble() as discord, bots() as bot, on_discord(bot, discord):
        discord.forbid(discord.channel, discord.person.id, send_messages=False)
        asked = discord.person.slash(discord.channel, "remind", what="every Monday at 9 x")
        shown = await showing(discord, discord.person, asked, "may not post")
        assert not shown.components


async def test_a_kill_between_posting_and_noting_is_found_again_in_discord(
    bots: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with DiscordDouble() as discord:
        async with bots() as bot, on_discord(bot, discord):
            await agreed(discord, "on Monday at 9:00 am stand-up")
            monkeypatch.setattr(bot.app.inbox, "posted", lambda *about: asyncio.Event().wait())
            await bot.due(MONDAY)
            await discord.until(lambda: discord.said(discord.channel))
        discord.backend.clock.elapsed += 3600  # its nonce is forgotten by now
        async with bots() as bot:
            done, note = asyncio.Event(), bot.app.inbox.done

            async def noted(event: Event) -> None:
                await note(event)
                done.set()

            monkeypatch.setattr(bot.app.inbox, "done", noted)
            async with on_discord(bot, discord):
                await bot.due(MONDAY + timedelta(minutes=1))
                await done.wait()
        assert len(discord.said(discord.channel)) == 1
