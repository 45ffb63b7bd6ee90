"""Declared commands in Slack: forms with choices and files, files back, and looking back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.messages import AttachmentError, File, Reply, ReplyEvent, Request
from tests.bot.adapters.slack.bot import GENERAL, Start, finished
from tests.doubles.slack import SlackDouble

TABLE = File("people.csv", "name,age\n王,30\n".encode())


async def tabled(request: Request) -> AsyncIterator[ReplyEvent]:
    yield Reply("answer", "Two people were found.", "en", files=(TABLE,))


# What is filled in


async def test_a_form_has_a_field_for_each_argument_and_brings_what_is_filled_in(
    slack: SlackDouble, start: Start
) -> None:
    bot = await start()
    await slack.command("/glm", "compare")
    await slack.until(lambda: slack.views)
    kinds = {b["block_id"]: b["element"]["type"] for b in slack.views[0]["blocks"]}
    assert kinds == {
        "document": "multi_external_select",
        "file": "file_input",
        "length": "static_select",
        "language": "static_select",
    }
    documents = [{"value": "d1"}, {"value": "d2"}]
    file = slack.add_file("rules.txt", b"ten days", "text/plain")
    await slack.submit(
        {
            "document": {
                "document": {"type": "multi_external_select", "selected_options": documents}
            },
            "file": {"file": {"type": "file_input", "files": [file]}},
            "length": {"length": {"type": "static_select", "selected_option": {"value": "short"}}},
            "language": {"language": {"type": "static_select", "selected_option": None}},
        }
    )
    await finished(slack, None)
    (asked,) = bot.asked("compare")
    assert (asked.text, asked.options) == ("d1\nd2", {"length": "short"})
    assert [each.name for each in asked.attachments] == ["rules.txt"]
    assert asked.audience == {"public", GENERAL}


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
async def test_a_typed_command_may_name_its_options(
    slack: SlackDouble, start: Start, locale: str
) -> None:
    slack.locales["U0ANN"] = locale
    bot = await start()
    line = "总结 手册.pdf 篇幅=短" if locale == "zh-CN" else "summarise 手册.pdf length=short"
    await slack.command("/glm", line)
    await finished(slack, None)
    (asked,) = bot.asked("summarise")
    assert (asked.text, asked.options) == ("手册.pdf", {"length": "short"})


# Files that come back


async def test_a_file_follows_its_answer_into_the_thread(slack: SlackDouble, start: Start) -> None:
    await start(tabled)
    root = await slack.mention("Who is there?")
    await slack.until(lambda: [each for each in slack.uploads.values() if each.channel])
    (sent,) = slack.uploads.values()
    assert (sent.name, sent.content) == (TABLE.name, TABLE.content)
    assert (sent.channel, sent.thread_ts) == ("C0GENERAL", root)
    await finished(slack, root, "Two people")


async def test_a_file_of_a_private_answer_goes_to_the_persons_messages(
    slack: SlackDouble, start: Start
) -> None:
    await start(tabled)
    await slack.command("/ask", "Who is there?")
    await slack.until(lambda: [each for each in slack.uploads.values() if each.channel])
    (sent,) = slack.uploads.values()
    assert sent.channel == "D0ANN"
    assert slack.messages == []


async def test_without_the_permission_it_is_said_what_is_missing(
    slack: SlackDouble, start: Start
) -> None:
    slack.scopes = slack.scopes.replace("files:write,", "")
    await start(tabled)
    root = await slack.mention("Who is there?")
    await slack.until(lambda: len(slack.in_thread(root)) == 2)
    answer, instead = slack.in_thread(root)
    assert "Two people" in answer.text
    assert "files:write" in instead.text
    assert TABLE.name in instead.text


async def test_a_deleted_question_takes_the_file_with_it(slack: SlackDouble, start: Start) -> None:
    await start(tabled)
    root = await slack.mention("Who is there?")
    await slack.until(lambda: [each for each in slack.uploads.values() if each.channel])
    await slack.delete(root)
    await slack.until(lambda: not slack.uploads)


# Looking back


async def test_what_was_said_in_the_channel_comes_along(
    slack: SlackDouble, start: Start, tmp_path: Path
) -> None:
    bot = await start()
    slack.people["U0ANN"] = {"real_name": "Ann", "tz_offset": 3600}
    root = await slack.say("The pier is closed")
    await slack.say("Since when?", thread_ts=root, user="U0BEN")
    await slack.say("And the ferry?")
    await slack.say("Not for you", channel="C0SECOND")
    await slack.command("/glm", "missed since=2023-01-01")
    await slack.until(lambda: slack.responses)
    (asked,) = bot.asked("missed")
    (attachment,) = asked.attachments
    assert attachment.name == "#general"
    assert slack.messages == []
    await bot.adapter.download(attachment, tmp_path / "said", 10_000)
    written = await asyncio.to_thread((tmp_path / "said").read_text, encoding="utf-8")
    said = ["The pier is closed", "And the ferry?"]
    assert [written.index(each) for each in said] == sorted(written.index(each) for each in said)
    assert "Not for you" not in written


async def test_where_the_bot_may_not_read_or_nobody_spoke_it_is_told(
    slack: SlackDouble, start: Start, tmp_path: Path
) -> None:
    bot = await start()
    slack.channels["C0SECOND"] = {"is_member": False}
    for channel, code in (("C0SECOND", "not_in_channel"), ("C0GENERAL", "nothing_said")):
        await slack.command("/glm", "missed 2h", channel=channel)
        await slack.until(lambda: bot.asked("missed"))
        (attachment,) = bot.asked("missed")[0].attachments
        with pytest.raises(AttachmentError) as caught:
            await bot.adapter.download(attachment, tmp_path / "said", 10_000)
        assert caught.value.code == code
        bot.requests.clear()


async def test_a_time_that_is_none_brings_nothing(slack: SlackDouble, start: Start) -> None:
    bot = await start()
    await slack.command("/glm", "missed the good old days")
    await slack.until(lambda: bot.asked("missed"))
    assert bot.asked("missed")[0].attachments == ()
