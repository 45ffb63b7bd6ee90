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
from tests.doubles.slack import Message as SlackMessage
from tests.doubles.slack import SlackDouble
from tests.e2e.bot import PATIENCE, ROOT, Bot

pytestmark = pytest.mark.asyncio(loop_scope="module")

LAPTOP = "How soon must I report a lost laptop?"
GULL = "Which ship carries the spare anchor?"
GULLS = b"# Anchors\n\nThe spare anchor is carried by the ship Amber Gull.\n"
PIER = "The old pier was built in 1921. Ferries to the island leave from it every hour.\n"
ENDS = ("Sources:", "can't find")


@dataclass
class Team:
    discord: DiscordDouble
    slack: SlackDouble
    bot: Bot

    async def answered(self, channel: Channel | int) -> Message:
        """Return the one whole answer in a channel or thread of Discord."""

        def whole() -> list[Message]:
            said = self.discord.said(channel)
            return [each for each in said if any(end in each.content for end in ENDS)]

        [reply] = await self.discord.until(whole)
        return reply

    async def replied(self, ts: str) -> SlackMessage:
        """Return the whole answer in a thread of Slack."""
        return await self.slack.reply(lambda text: any(end in text for end in ENDS), ts)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def team(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Team]:
    async with (
        DiscordDouble(permissions=PERMISSIONS.value, patience=PATIENCE) as discord,
        SlackDouble(patience=PATIENCE) as slack,
    ):
        bot = Bot(
            tmp_path_factory.mktemp("platforms"),
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
            answers={"first_token_seconds": PATIENCE, "choose_skills": True},
        )
        (bot.watched / "pier.md").write_text(PIER, encoding="utf-8")
        await asyncio.to_thread(bot.start)
        assert bot.process is not None
        await asyncio.to_thread(bot.process.wait_for, "folder watched: .*[1-9] added")
        await discord.connected()
        await slack.until(lambda: slack.connections)
        try:
            yield Team(discord, slack, bot)
        finally:
            await asyncio.to_thread(bot.stop)


async def test_both_platforms_are_answered_at_once_and_a_source_opens(team: Team) -> None:
    discord, slack = team.discord, team.slack
    outside = slack.in_thread(None)
    question = discord.person.ask(discord.channel, LAPTOP)
    ts = await slack.mention(LAPTOP)
    there = await team.replied(ts)
    assert "two hours" in there.text
    assert "team-handbook.pdf, p. 4" in there.text
    assert slack.in_thread(ts) == [there]
    assert slack.in_thread(None) == outside

    here = await team.answered(question.id)
    assert "two hours" in here.content
    assert "team-handbook.pdf, p. 4" in here.content
    menu = here.components[0]["components"][0]
    opened = discord.person.pick(here, menu["options"][0]["value"])
    passage = await discord.until(lambda: discord.person.shown(opened))
    assert passage is not None
    assert passage.is_ephemeral
    assert "two hours" in passage.content


async def test_a_file_in_discord_is_learned_for_its_channel_alone(team: Team) -> None:
    discord = team.discord
    fleet = discord.add_channel("fleet")
    discord.person.say(fleet, "our anchors", files=[("anchors.md", GULLS)])
    await discord.until(lambda: [m for m in discord.said(fleet) if "ready" in m.content])

    typed = discord.person.type(fleet, "forget", "document", "anch")
    choices = await discord.until(lambda: typed.autocomplete_choices or [])
    assert [choice["value"] for choice in choices] == ["anchors.md"]

    question = discord.person.ask(fleet, GULL)
    assert "Amber Gull" in (await team.answered(question.id)).content
    outside = discord.person.ask(discord.channel, GULL)
    assert "Amber Gull" not in (await team.answered(outside.id)).content
    ts = await team.slack.mention(GULL, channel="C0SECOND")
    assert "Amber Gull" not in (await team.replied(ts)).text


async def test_a_file_in_slack_is_learned_for_its_channel_alone(team: Team) -> None:
    slack = team.slack
    file = slack.add_file("anchors.md", GULLS, "text/markdown")
    ts = await slack.say("our anchors", files=[file])
    receipt = await slack.reply(lambda text: "ready" in text, ts)
    assert "anchors.md" in receipt.text

    reply = await team.replied(await slack.mention(GULL))
    assert "Amber Gull" in reply.text
    assert "anchors.md" in reply.text
    elsewhere = await team.replied(await slack.mention(GULL, channel="C0SECOND"))
    assert "Amber Gull" not in elsewhere.text
    assert "anchors.md" not in elsewhere.text

    found = await asyncio.to_thread(team.bot.found, GULL, "-k", "20")
    assert "Amber Gull" not in found
    own = ["--channel", "slack:-:T0TEAM:C0GENERAL"]
    assert "Amber Gull" in await asyncio.to_thread(team.bot.found, GULL, *own)


async def test_a_broken_file_gets_a_receipt_that_says_why(team: Team) -> None:
    file = team.slack.add_file("plan.pdf", b"%PDF-1.7\nbroken", "application/pdf")
    ts = await team.slack.say("the plan", files=[file])
    receipt = await team.slack.reply(lambda text: "plan.pdf: the file" in text, ts)
    assert team.slack.in_thread(ts) == [receipt]


async def test_a_document_is_summarised_by_command(team: Team) -> None:
    before = len(team.slack.messages)
    await team.slack.command("/summarise", "pier.md")
    await team.slack.until(
        lambda: any("Sources:" in each.text for each in team.slack.messages[before:])
    )
    [summary] = team.slack.messages[before:]
    assert "pier.md" in summary.text
