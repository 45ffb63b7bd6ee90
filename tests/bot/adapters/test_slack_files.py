"""Files in Slack: learned for their place, fetched from Slack alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from bot.adapters.slack_files import may_have_token
from bot.messages import AttachmentError, Reply, ReplyEvent, Request, Status
from tests.bot.adapters.slack_bot import ANSWER, GENERAL, Bot, Script, Start, says
from tests.doubles import slack_payloads as payloads
from tests.doubles.slack import SlackDouble


def learner(bot: Callable[[], Bot], path: Path, limit: int = 1000) -> Script:
    """A handle that learns what it is sent, as the real one does."""

    async def learn(request: Request) -> AsyncIterator[ReplyEvent]:
        if request.command != "upload":
            yield ANSWER
            return
        for attachment in request.attachments:
            yield Status(f"{attachment.name}: reading", 1, 2)
            try:
                await bot().adapter.download(attachment, path, limit)
                text = f"{attachment.name}: {await asyncio.to_thread(path.read_text)}"
            except AttachmentError as error:
                text = f"{attachment.name}: {error.code}: {error}"
            yield Reply("answer", text, request.language or "en")

    return learn


@pytest.fixture
async def learning(start: Start, tmp_path: Path) -> Bot:
    bots: list[Bot] = []
    bot: Bot = await start(learner(lambda: bots[0], tmp_path / "file"))
    bots.append(bot)
    return bot


async def test_a_file_in_a_channel_is_learned_with_a_receipt_in_its_thread(
    slack: SlackDouble, learning: Bot
) -> None:
    slack.locales["U0ANN"] = "zh-CN"
    file = slack.add_file("请假 规定.txt", b"ten days", "text/plain")
    ts = await slack.say("Our rules", files=[file])
    await slack.reply(says("请假 规定.txt: ten days"), ts)
    [request] = learning.requests
    assert (request.command, request.text, request.scope) == ("upload", "", GENERAL)
    assert request.language == "zh"
    assert [attachment.size for attachment in request.attachments] == [8]
    assert [token for _, token in slack.fetched] == [f"Bearer {slack.bot_token}"]


async def test_a_question_with_a_file_is_answered_after_it_is_learned(
    slack: SlackDouble, learning: Bot
) -> None:
    file = slack.add_file("rules.txt", b"ten days", "text/plain")
    ts = await slack.mention("What does it say?", files=[file])
    await slack.reply(says("Sources:"), ts)
    assert [request.command for request in learning.requests] == ["upload", "ask"]
    assert learning.requests[1].text == "What does it say?"
    assert len({request.id for request in learning.requests}) == 2
    assert len(slack.in_thread(ts)) == 2


async def test_pictures_of_the_day_are_not_documents(slack: SlackDouble, learning: Bot) -> None:
    await slack.say("Lunch!", files=[slack.add_file("lunch.jpg", b"jpeg", "image/jpeg")])
    ts = await slack.say("", files=[slack.add_file("rules.txt", b"ten days", "text/plain")])
    await slack.reply(says("ten days"), ts)
    assert len(learning.requests) == 1


async def test_a_file_that_the_event_only_names_is_looked_up(
    slack: SlackDouble, learning: Bot
) -> None:
    file = slack.add_file("rules.txt", b"ten days", "text/plain")
    known = {key: value for key, value in file.items() if not key.startswith("url_")}
    known["file_access"] = "check_file_info"
    ts = slack.next_ts()
    event = payloads.message(
        "", user="U0ANN", channel="C0GENERAL", ts=ts, thread_ts=None, files=[known]
    )
    await slack.send_event(event)
    await slack.reply(says("rules.txt: ten days"), ts)


async def refused(slack: SlackDouble, file: dict[str, Any]) -> str:
    ts = await slack.say("Our rules", files=[file])
    reply = await slack.reply(
        lambda text: text.startswith(f"{file['name']}: ") and "1/2" not in text, ts
    )
    return reply.text


async def test_the_login_page_is_not_taken_for_the_file(slack: SlackDouble, learning: Bot) -> None:
    for name in ("rules.pdf", "page.html"):
        file = slack.add_file(name, b"content", "application/pdf")
        learning.adapter._token = "xoxb-may-not-read-files"
        text = await refused(slack, file)
        assert "unreadable" in text
        assert "login page" in text


async def test_a_page_that_is_the_file_is_taken(slack: SlackDouble, learning: Bot) -> None:
    file = slack.add_file("page.html", b"<p>ten days</p>", "text/html")
    ts = await slack.say("", files=[file])
    await slack.reply(says("ten days"), ts)


async def test_bytes_are_counted_as_they_come(slack: SlackDouble, learning: Bot) -> None:
    honest = slack.add_file("big.txt", b"x" * 2000, "text/plain")
    assert "too_large" in await refused(slack, honest)
    assert slack.fetched == []
    liar = slack.add_file("liar.txt", b"x" * 2000, "text/plain", size=10)
    assert "too_large" in await refused(slack, liar)


async def test_a_file_kept_elsewhere_is_refused(slack: SlackDouble, learning: Bot) -> None:
    file = slack.add_file("drive.txt", b"", "text/plain", mode="external")
    assert "unreadable" in await refused(slack, file)
    assert slack.fetched == []


async def test_a_missing_file_is_told(slack: SlackDouble, learning: Bot) -> None:
    file = slack.add_file("gone.txt", b"ten days", "text/plain")
    del slack.files[file["id"]]
    assert "404" in await refused(slack, file)


@pytest.mark.parametrize(
    "url",
    [
        "https://files.slack.com.evil.example/f",
        "https://evil.example/f",
        "http://files.slack.com/f",
        "https://files.slack.com@evil.example/f",
        "https://user:word@files.slack.com/f",
        "https://files.slack.com:8443/f",
        "ftp://files.slack.com/f",
        "http://127.0.0.1:1/f",
        "http://[::1/f",
        "//files.slack.com/f",
        "https:///f",
    ],
)
def test_the_token_goes_to_slack_alone(url: str) -> None:
    assert not may_have_token(url, "https://slack.com/api/")
    assert not may_have_token(url, "http://127.0.0.1:4000/api/")


def test_the_token_goes_to_where_slack_keeps_files() -> None:
    assert may_have_token("https://files.slack.com/f", "https://slack.com/api/")
    assert may_have_token("https://files.slack-gov.com/f", "https://slack-gov.com/api/")
    assert may_have_token("http://127.0.0.1:4000/f", "http://127.0.0.1:4000/api/")


async def test_the_token_follows_no_redirect(slack: SlackDouble, learning: Bot) -> None:
    async with SlackDouble() as other:
        for url in (
            f"{other.origin}/files-pri/T-F/x",
            f"{slack.origin}/redirect?to={other.origin}",
        ):
            file = slack.add_file("x.txt", b"x", "text/plain", url_private_download=url)
            assert "unreadable" in await refused(slack, file)
        assert other.fetched == []
