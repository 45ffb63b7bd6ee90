"""The whole bot in Slack, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.doubles.slack import SlackDouble
from tests.e2e.bot import PATIENCE, ROOT, Bot

pytestmark = pytest.mark.asyncio(loop_scope="module")

LAPTOP = "How soon must I report a lost laptop?"
GULL = "Which ship carries the spare anchor?"
NOTES = b"# Anchors\n\nThe spare anchor is carried by the ship Amber Gull.\n"

PIER = "The old pier was built in 1921. Ferries to the island leave from it every hour.\n"


@dataclass
class Team:
    slack: SlackDouble
    bot: Bot


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def team(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Team]:
    async with SlackDouble(patience=PATIENCE) as slack:
        bot = Bot(
            tmp_path_factory.mktemp("slack"),
            knowledge=ROOT / "knowledge",
            environment={
                "SLACK_BOT_TOKEN": slack.bot_token,
                "SLACK_APP_TOKEN": slack.app_token,
                "SLACK_API_URL": slack.api_url,
            },
            web={"enabled": False},
        )
        (bot.watched / "pier.md").write_text(PIER, encoding="utf-8")
        await asyncio.to_thread(bot.start)
        assert bot.process is not None
        await asyncio.to_thread(bot.process.wait_for, "folder watched: .*[1-9] added")
        await slack.until(lambda: slack.connections)
        try:
            yield Team(slack, bot)
        finally:
            await asyncio.to_thread(bot.stop)


def says(*texts: str) -> Callable[[str], bool]:
    return lambda shown: any(text in shown for text in texts)


async def test_a_mention_gets_one_cited_answer_in_its_thread(team: Team) -> None:
    outside = team.slack.in_thread(None)
    ts = await team.slack.mention(LAPTOP)
    reply = await team.slack.reply(says("Sources:", "can't find"), ts)
    assert "two hours" in reply.text
    assert "team-handbook.pdf, p. 4" in reply.text
    assert team.slack.in_thread(ts) == [reply]
    assert team.slack.in_thread(None) == outside


async def test_a_file_is_learned_for_its_channel_alone(team: Team) -> None:
    slack = team.slack
    file = slack.add_file("anchors.md", NOTES, "text/markdown")
    ts = await slack.say("our anchors", files=[file])
    receipt = await slack.reply(says("ready"), ts)
    assert "anchors.md" in receipt.text

    ts = await slack.mention(GULL)
    reply = await slack.reply(says("Sources:", "can't find"), ts)
    assert "Amber Gull" in reply.text
    assert "anchors.md" in reply.text

    ts = await slack.mention(GULL, channel="C0SECOND")
    reply = await slack.reply(says("Sources:", "can't find"), ts)
    assert "Amber Gull" not in reply.text
    assert "anchors.md" not in reply.text

    found = await asyncio.to_thread(team.bot.found, GULL, "-k", "20")
    assert "Amber Gull" not in found
    own = ["--channel", "slack:-:T0TEAM:C0GENERAL"]
    assert "Amber Gull" in await asyncio.to_thread(team.bot.found, GULL, *own)


async def test_a_broken_file_gets_a_receipt_that_says_why(team: Team) -> None:
    file = team.slack.add_file("plan.pdf", b"%PDF-1.7\nbroken", "application/pdf")
    ts = await team.slack.say("the plan", files=[file])
    receipt = await team.slack.reply(says("plan.pdf: the file"), ts)
    assert team.slack.in_thread(ts) == [receipt]


async def test_a_document_is_summarised_by_command(team: Team) -> None:
    before = len(team.slack.messages)
    await team.slack.command("/summarise", "pier.md")
    await team.slack.until(
        lambda: any("Sources:" in each.text for each in team.slack.messages[before:])
    )
    [summary] = team.slack.messages[before:]
    assert "pier.md" in summary.text
