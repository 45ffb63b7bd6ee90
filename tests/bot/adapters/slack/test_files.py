"""Files in Slack: learned for their place, fetched from Slack alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from bot.adapters.slack.files import file_origins
from bot.adapters.slack.work import Habits
from bot.messages import AttachmentError, Reply, ReplyEvent, Request, Status
from rag.fetch import FetchError
from tests.bot.adapters.slack.bot import ANSWER, GENERAL, Bot, Script, Start, finished, says
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
            except (AttachmentError, FetchError) as error:
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


def test_files_are_where_slack_keeps_them() -> None:
    slack: tuple[list[str], list[str]] = (["https://files.slack.com"], [])
    assert file_origins("https://slack.com/api/") == slack
    assert file_origins("https://slack-gov.com/api/") == (["https://files.slack-gov.com"], [])
    # A configured proxy is the only other place: row F8 tries what else an address can be.
    assert file_origins("http://127.0.0.1:40/api/") == (slack[0], ["http://127.0.0.1:40"])


async def test_the_token_follows_no_redirect(slack: SlackDouble, learning: Bot) -> None:
    async with SlackDouble() as other:
        for url in (
            f"{other.origin}/files-pri/T-F/x",
            f"{slack.origin}/redirect?to={other.origin}",
        ):
            file = slack.add_file("x.txt", b"x", "text/plain", url_private_download=url)
            assert "unreadable" in await refused(slack, file)
        assert other.fetched == []


# What is kept, and forgotten


def learned(request: Request) -> Reply:
    rows = [
        {"document": f"d{n}", "name": each.name, "state": "ready", "pages": 12, "passages": 34}
        for n, each in enumerate(request.attachments)
    ]
    text = "\n".join(f"{each.name}: 12 pages, 34 passages, ready" for each in request.attachments)
    return Reply("answer", text, "en", data=rows)


async def receipts(request: Request) -> AsyncIterator[ReplyEvent]:
    """Learn and forget as the real handlers do."""
    if request.command == "upload":
        yield Status("rules.txt: reading")
        await asyncio.sleep(0.05)
        yield Status("rules.txt: reading 9 of 34", 9, 34)
        await asyncio.sleep(0.05)
        yield learned(request)
    else:
        yield Reply("answer", f"Forgot {request.text}.", "en")


@pytest.mark.parametrize("streams", [True, False])
async def test_a_receipt_goes_from_reading_to_ready(
    slack: SlackDouble, start: Start, streams: bool
) -> None:
    slack.streams = streams
    await start(receipts)
    ts = await slack.say("", files=[slack.add_file("rules.txt", b"ten days", "text/plain")])
    await slack.until(lambda: "rules.txt: reading" in shown(slack, ts))
    receipt = await finished(slack, ts, "12 pages, 34 passages")
    assert slack.in_thread(ts) == [receipt]
    # What is being learned is learned to its end, and how far it was matters to nobody then.
    assert "stop" not in str([call.args.get("blocks") for call in slack.calls])
    assert "9 of 34" not in str(receipt.blocks)


def shown(slack: SlackDouble, ts: str) -> str:
    return "".join(f"{m.text} {m.blocks}" for m in slack.in_thread(ts))


async def test_forget_on_a_receipt_replaces_it(slack: SlackDouble, start: Start) -> None:
    bot = await start(receipts)
    ts = await slack.say("", files=[slack.add_file("rules.txt", b"ten days", "text/plain")])
    receipt = await finished(slack, ts, "34 passages")
    [forget] = [e for _, e in receipt.elements() if e["action_id"].startswith("forget")]
    assert "rules.txt" in forget["text"]["text"]
    assert forget["confirm"]
    slack.people["U0BEN"] = {"is_admin": True}
    await slack.click(receipt, "forget", user="U0BEN")
    await slack.reply(says("Forgot d0."), ts)
    assert slack.in_thread(ts) == [receipt]
    [asked] = bot.asked("forget")
    assert (asked.user, asked.is_admin, asked.audience) == ("U0BEN", True, {"public", GENERAL})


async def test_files_can_be_kept_on_a_button(slack: SlackDouble, start: Start) -> None:
    bot = await start(receipts, habits=Habits(keep_files="ask"))
    ts = await slack.say("", files=[slack.add_file("rules.txt", b"ten days", "text/plain")])
    offer = await finished(slack, ts, "Shall I keep rules.txt")
    assert bot.requests == []
    await slack.click(offer, "keep")
    await slack.reply(says("34 passages"), ts)
    assert slack.in_thread(ts) == [offer]
    [upload] = bot.asked("upload")
    assert [each.name for each in upload.attachments] == ["rules.txt"]
    assert upload.scope == GENERAL


async def test_files_can_be_left_alone(slack: SlackDouble, start: Start) -> None:
    bot = await start(receipts, habits=Habits(keep_files="never"))
    await slack.say("", files=[slack.add_file("a.txt", b"a", "text/plain")])
    ts = await slack.mention("", files=[slack.add_file("b.txt", b"b", "text/plain")])
    await finished(slack, ts, "34 passages")
    assert [each.attachments[0].name for each in bot.asked("upload")] == ["b.txt"]


def only_admins(request: Request) -> Reply | None:
    """Let nobody but admins teach and forget."""
    limited = request.command in ("upload", "forget") and not request.is_admin
    return Reply("error", "Please ask an admin.", "en") if limited else None


@pytest.mark.parametrize("keep", ["always", "ask"])
async def test_files_of_people_who_may_not_teach_are_left_alone_unless_they_ask(
    slack: SlackDouble, start: Start, keep: str
) -> None:
    bot = await start(receipts, forbids=only_admins, habits=Habits(keep_files=keep))
    slack.people["U0BEN"] = {"is_admin": True}

    async def post(say: Callable[..., Any], **where: Any) -> str:
        file = slack.add_file("rules.txt", b"ten days", "text/plain")
        ts: str = await say("", files=[file], **where)
        return ts

    ignored = await post(slack.say)
    taken = await post(slack.say, user="U0BEN")
    asked = await post(slack.mention)
    direct = await post(slack.say, channel="D0ANN")
    for ts in (taken, asked, direct):
        await slack.until(lambda ts=ts: slack.in_thread(ts))  # type: ignore[misc]
    assert slack.in_thread(ignored) == []
    assert {each.user for each in bot.requests} == (
        {"U0ANN", "U0BEN"} if keep == "always" else {"U0ANN"}
    )


async def test_who_may_not_press_a_button_leaves_it_to_others(
    slack: SlackDouble, start: Start
) -> None:
    bot = await start(receipts, forbids=only_admins, habits=Habits(keep_files="ask"))
    slack.people["U0BEN"] = {"is_admin": True}
    file = slack.add_file("rules.txt", b"ten days", "text/plain")
    ts = await slack.say("", files=[file], user="U0BEN")
    offer = await finished(slack, ts, "Shall I keep rules.txt")
    await slack.click(offer, "keep")
    await slack.until(lambda: slack.responses)
    assert "ask an admin" in slack.responses[-1]["text"]
    await slack.click(offer, "keep", user="U0BEN")
    receipt = await finished(slack, ts, "34 passages")
    await slack.click(receipt, "forget")
    await slack.until(lambda: len(slack.responses) == 2)
    assert "34 passages" in receipt.text
    assert [each.command for each in bot.requests] == ["upload"]


async def test_a_file_in_a_direct_message_belongs_to_it_alone(
    slack: SlackDouble, start: Start
) -> None:
    bot = await start(receipts)
    file = slack.add_file("rules.txt", b"ten days", "text/plain")
    await slack.say("", files=[file], channel="D0ANN")
    await slack.until(lambda: bot.requests)
    assert bot.requests[0].scope == "slack:-:T0TEAM:D0ANN"


async def test_what_people_say_below_a_file_is_not_said_to_the_bot(
    slack: SlackDouble, start: Start
) -> None:
    bot = await start(receipts)
    ts = await slack.say("", files=[slack.add_file("rules.txt", b"ten days", "text/plain")])
    await finished(slack, ts, "34 passages")
    await slack.say("Is that the new one?", thread_ts=ts, user="U0BEN", parent="U0ANN")
    await slack.mention("A question")
    await slack.until(lambda: bot.asked())
    assert [request.command for request in bot.requests] == ["upload", "ask"]
