"""The whole bot in Discord and in Slack at once, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from simcord.backend.models import Channel, Message

from bot.adapters.discord.check import PERMISSIONS
from tests.doubles.discord_wire import DiscordDouble
from tests.doubles.slack import SlackDouble
from tests.e2e.bot import PATIENCE, ROOT, Bot

pytestmark = pytest.mark.asyncio(loop_scope="module")

LAPTOP = "How soon must I report a lost laptop?"
GULL = "Which ship carries the spare anchor?"
NOTES = ("anchors.md", b"# Anchors\n\nThe spare anchor is carried by the ship Amber Gull.\n")
ENDS = ("Sources:", "can't find")


@dataclass
class Team:
    discord: DiscordDouble
    slack: SlackDouble
    bot: Bot

    async def reply(self, channel: Channel | int, count: int = 1) -> Message:
        """Return the newest of so many whole answers in a channel or thread."""

        def whole() -> list[Message]:
            said = self.discord.said(channel)
            done = [each for each in said if any(end in each.content for end in ENDS)]
            return done if len(done) == count else []

        return (await self.discord.until(whole))[-1]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def team(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Team]:
    async with (
        DiscordDouble(permissions=PERMISSIONS.value, patience=PATIENCE) as discord,
        SlackDouble(patience=PATIENCE) as slack,
    ):
        bot = Bot(
            tmp_path_factory.mktemp("discord"),
            knowledge=ROOT / "knowledge",
            environment={
                "DISCORD_BOT_TOKEN": discord.token,
                "DISCORD_API_URL": discord.api_url,
                "DISCORD_GATEWAY_URL": discord.gateway_url,
                "SLACK_BOT_TOKEN": slack.bot_token,
                "SLACK_APP_TOKEN": slack.app_token,
                "SLACK_API_URL": slack.api_url,
            },
            web={"enabled": False},
            discord={"message_content": True},
        )
        await asyncio.to_thread(bot.start)
        assert bot.process is not None
        await asyncio.to_thread(bot.process.wait_for, "folder watched: .*[1-9] added")
        await discord.connected()
        await slack.until(lambda: slack.connections)
        try:
            yield Team(discord, slack, bot)
        finally:
            await asyncio.to_thread(bot.stop)


async def test_a_mention_is_answered_in_its_thread_and_its_source_opens(team: Team) -> None:
    discord = team.discord
    question = discord.person.ask(discord.channel, LAPTOP)
    reply = await team.reply(question.id)
    assert "two hours" in reply.content
    assert "team-handbook.pdf, p. 4" in reply.content
    menu = reply.components[0]["components"][0]
    opened = discord.person.pick(reply, menu["options"][0]["value"])
    passage = await discord.until(lambda: discord.person.shown(opened))
    assert passage is not None
    assert passage.is_ephemeral
    assert "two hours" in passage.content


async def test_both_platforms_are_answered_at_once(team: Team) -> None:
    discord = team.discord
    question = discord.person.ask(discord.channel, LAPTOP)
    ts = await team.slack.mention(LAPTOP)
    there = await team.slack.reply(lambda text: any(end in text for end in ENDS), ts)
    here = await team.reply(question.id)
    assert "two hours" in here.content
    assert "two hours" in there.text


async def test_a_file_is_learned_for_its_channel_alone(team: Team) -> None:
    discord = team.discord
    fleet = discord.add_channel("fleet")
    discord.person.say(fleet, "our anchors", files=[NOTES])
    await discord.until(lambda: [m for m in discord.said(fleet) if "ready" in m.content])

    typed = discord.person.type(fleet, "forget", "document", "anch")
    choices = await discord.until(lambda: typed.autocomplete_choices or [])
    assert [choice["value"] for choice in choices] == ["anchors.md"]

    question = discord.person.ask(fleet, GULL)
    assert "Amber Gull" in (await team.reply(question.id)).content

    outside = discord.person.ask(discord.channel, GULL)
    assert "Amber Gull" not in (await team.reply(outside.id)).content
    ts = await team.slack.mention(GULL)
    elsewhere = await team.slack.reply(lambda text: any(end in text for end in ENDS), ts)
    assert "Amber Gull" not in elsewhere.text
