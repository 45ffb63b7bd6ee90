"""How replies stand in Slack: streamed or edited, inert, in time, once."""

from __future__ import annotations

import asyncio
import html
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bot.adapters.slack.blocks import PAGE_LIMIT
from bot.messages import Citation, Reply, ReplyChunk, ReplyEvent, Request, Sources, Status
from tests.bot.adapters.slack.bot import ANSWER, CITED, Bot, Held, Start, finished, says
from tests.bot.inboxes import MemoryInbox
from tests.doubles import slack_payloads as payloads
from tests.doubles.slack import Answer, SlackDouble, rate_limited


async def stepwise(request: Request) -> AsyncIterator[ReplyEvent]:
    """Answer slowly enough that every step can be seen."""
    for event in (
        Status("Searching"),
        Sources((CITED,)),
        ReplyChunk("One. ", (CITED,)),
        ReplyChunk("Two.", ()),
    ):
        yield event
        await asyncio.sleep(0.05)
    chunks = (ReplyChunk("One. ", (CITED,)), ReplyChunk("Two.", ()))
    yield Reply("answer", "One. Two.", "en", chunks, (CITED,))


async def test_an_answer_is_streamed(slack: SlackDouble, start: Start) -> None:
    await start(stepwise)
    ts = await slack.mention("Why?")
    reply = await finished(slack, ts)
    assert reply.texts[:3] == ["", "One. [1]", "One. [1] Two."]
    assert reply.markdown.startswith("One. [1] Two.\n\nSources:")
    begun = next(call for call in slack.calls if call.method == "chat.startStream")
    assert begun.args["recipient_user_id"] == "U0ANN"
    assert begun.args["recipient_team_id"] == "T0TEAM"
    assert begun.args["thread_ts"] == ts
    tasks = [
        chunk["title"]
        for call in slack.calls
        for chunk in call.args.get("chunks") or ()
        if chunk["type"] == "task_update"
    ]
    assert "Reading handbook.pdf…" in tasks
    assert slack.count("chat.postMessage") == slack.count("chat.update") == 0
    assert {"rate", "cite:1", "again"} <= {element["action_id"] for _, element in reply.elements()}


async def test_where_streams_are_refused_an_answer_grows_by_edits(
    slack: SlackDouble, start: Start
) -> None:
    slack.streams = False
    await start(stepwise)
    ts = await slack.mention("Why?")
    reply = await finished(slack, ts)
    assert "One. [1]" in reply.texts
    assert slack.count("chat.postMessage") == 1
    assert len(reply.texts) == slack.count("chat.update") + 1
    assert {"rate", "cite:1", "again"} <= {element["action_id"] for _, element in reply.elements()}


async def test_edits_keep_the_pace_given(slack: SlackDouble, start: Start) -> None:
    slack.streams = False
    now = 0.0
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        nonlocal now
        waits.append(seconds)
        now += seconds
        await asyncio.sleep(0)

    await start(stepwise, edit_seconds=1.0, clock=lambda: now, sleep=sleep)
    await finished(slack, await slack.mention("Why?"))
    assert waits.count(1.0) >= slack.count("chat.update") - 1


async def test_code_is_streamed_when_it_is_whole(slack: SlackDouble, start: Start) -> None:
    parts = ("Do this:\n\n", "```sh\none\n", "two\n```\n\n", "Done.")

    async def coding(request: Request) -> AsyncIterator[ReplyEvent]:
        for part in parts:
            yield ReplyChunk(part)
            await asyncio.sleep(0.05)
        yield Reply("answer", "".join(parts), "en", tuple(map(ReplyChunk, parts)))

    await start(coding)
    reply = await finished(slack, await slack.mention("How?"), "Done.")
    assert reply.markdown == "Do this:\n\n```sh\none\ntwo\n```\n\nDone."
    assert slack.count("chat.update") == 0


async def test_an_answer_that_ends_otherwise_replaces_what_was_streamed(
    slack: SlackDouble, start: Start
) -> None:
    async def failing(request: Request) -> AsyncIterator[ReplyEvent]:
        yield ReplyChunk("You get ")
        await asyncio.sleep(0.05)
        yield Reply("error", "The answer took too long.", "en")

    await start(failing)
    ts = await slack.mention("Why?")
    reply = await slack.reply(says("too long"), ts)
    assert reply.markdown == "The answer took too long."
    offered = {element["action_id"] for _, element in reply.elements()}
    assert offered == {"again"}  # there is nothing to be rated
    assert not reply.streaming
    assert len(slack.in_thread(ts)) == 1


@pytest.mark.parametrize(
    "lost",
    [
        ("chat.appendStream", Answer(503, {"ok": False}, accept=True)),
        ("chat.appendStream", Answer(500, {"ok": False})),
        ("chat.appendStream", rate_limited(0)),
        ("chat.stopStream", Answer(503, {"ok": False}, accept=True)),
        ("chat.stopStream", Answer(500, {"ok": False})),
        ("chat.stopStream", rate_limited(0)),
        ("chat.startStream", Answer(503, {"ok": False}, accept=True)),
        ("chat.startStream", Answer(500, {"ok": False})),
        ("chat.startStream", rate_limited(0)),
    ],
)
async def test_a_call_that_is_lost_in_a_stream_doubles_nothing(
    slack: SlackDouble, start: Start, lost: tuple[str, Answer]
) -> None:
    await start(stepwise)
    slack.script(lost[0], lost[1])
    ts = await slack.mention("Why?")
    reply = await finished(slack, ts)
    assert reply.markdown.count("One. [1] Two.") == 1
    assert len(slack.in_thread(ts)) == 1


async def test_a_stream_that_a_crash_cut_off_is_found_and_finished(
    slack: SlackDouble, start: Start
) -> None:
    inbox = MemoryInbox()

    async def hangs(request: Request) -> AsyncIterator[ReplyEvent]:
        yield ReplyChunk("One. ", (CITED,))
        await asyncio.Event().wait()

    bot = Bot(slack, hangs, inbox=inbox)
    task = asyncio.create_task(bot.adapter.run())
    ts = await slack.mention("Why?")
    [reply] = [await slack.reply(says("One."), ts)]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    for kept in inbox.replies.values():  # as if it was killed before it could note the message
        kept.delivery = replace(kept.delivery, parts=())
    assert reply.streaming
    await start(stepwise, inbox=inbox)
    assert await finished(slack, ts) is reply
    assert reply.markdown.count("One. [1] Two.") == 1
    assert slack.in_thread(ts) == [reply]


async def test_a_slow_answer_has_a_placeholder(slack: SlackDouble, start: Start) -> None:
    slack.streams = False
    held = Held()
    await start(held)
    for question, looking in (("Why?", "Looking…"), ("为什么？", "正在查找…")):
        await slack.reply(says(looking), await slack.mention(question))
    assert "stop" in str(slack.messages[0].blocks)
    held.go.set()
    await slack.until(lambda: all("Sources:" in message.text for message in slack.messages))


async def test_rate_limits_are_obeyed_without_a_duplicate(slack: SlackDouble, start: Start) -> None:
    slack.streams = False
    await start()
    slack.script("chat.postMessage", rate_limited(), rate_limited(0))
    slack.script("chat.update", rate_limited(0))
    ts = await slack.mention("Why?")
    await slack.reply(says("Sources:"), ts)
    assert slack.count("chat.postMessage") == 3
    assert len(slack.in_thread(ts)) == 1


async def test_a_post_that_may_have_arrived_is_not_repeated(
    slack: SlackDouble, start: Start
) -> None:
    slack.streams = False

    async def at_once(request: Request) -> AsyncIterator[ReplyEvent]:
        yield ANSWER

    await start(at_once)
    slack.script("chat.postMessage", Answer(503, {"ok": False}, accept=True))
    ts = await slack.mention("Why?")
    await slack.reply(says("Sources:"), ts)
    await slack.reply(says("Sources:"), await slack.mention("And?"))
    assert len(slack.in_thread(ts)) == 1


async def test_an_edit_that_may_not_have_arrived_is_repeated(
    slack: SlackDouble, start: Start
) -> None:
    slack.streams = False
    held = Held()
    await start(held)
    slack.script("chat.update", Answer(503, {"ok": False}), Answer(500, {"ok": False}))
    ts = await slack.mention("Why?")
    await slack.reply(says("Looking"), ts)
    held.go.set()
    await slack.reply(says("Sources:"), ts)
    assert len(slack.in_thread(ts)) == 1


async def test_a_placeholder_that_somebody_deleted_is_written_anew(
    slack: SlackDouble, start: Start
) -> None:
    slack.streams = False
    held = Held()
    await start(held)
    ts = await slack.mention("Why?")
    (await slack.reply(says("Looking"), ts)).deleted = True
    held.go.set()
    await slack.reply(says("Sources:"), ts)


async def test_a_failure_is_told_and_logged_without_tokens(
    slack: SlackDouble, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(request: Request) -> AsyncIterator[ReplyEvent]:
        yield Status("Searching")
        raise RuntimeError("out of luck")

    await start(broken)
    await slack.reply(says("Something went wrong"), await slack.mention("Why?"))
    await slack.reply(says("我这边出了问题"), await slack.mention("为什么？"))
    assert "out of luck" in caplog.text
    assert "xoxb" not in caplog.text
    assert "xapp" not in caplog.text


async def test_too_much_at_once_is_told_busy(slack: SlackDouble, start: Start) -> None:
    held = Held()
    bot = await start(held, most_requests=1)
    await slack.mention("First")
    await slack.until(lambda: bot.requests)
    ts = await slack.mention("Second")
    await slack.reply(says("busy"), ts)
    held.go.set()
    assert [request.text for request in bot.requests] == ["First"]


SPOOF = (
    "<!channel> <@U0ANN> <#C0GENERAL|x> <https://evil.example/?q=1|here> https://evil.example "
    "[a](https://evil.example) *bold* `code` \u202eexe.pdf"
)


@pytest.mark.parametrize("streams", [True, False])
async def test_what_a_model_says_is_never_active(
    slack: SlackDouble, start: Start, streams: bool
) -> None:
    slack.streams = streams
    cited = Citation(1, SPOOF, None, SPOOF, SPOOF, 0, 9)

    async def spoofing(request: Request) -> AsyncIterator[ReplyEvent]:
        yield Status(SPOOF)
        yield Sources((cited,))
        yield ReplyChunk(SPOOF, (cited,))
        yield Reply("answer", SPOOF, "en", (ReplyChunk(SPOOF, (cited,)),), (cited,))

    await start(spoofing)
    ts = await slack.mention("Why?")
    await slack.reply(says("Sources:"), ts)
    for call in slack.calls:
        if not call.method.startswith("chat."):
            continue
        for block in [*(call.args.get("blocks") or ()), *(call.args.get("chunks") or ())]:
            # Labels of buttons are plain text, where Slack parses nothing.
            assert "mrkdwn" not in json.dumps(block)
            shown = f"{block.get('text', '')} {block.get('title', '')}"
            assert not re.search(r"<[!@#h]|https?://|\]\(h|\u202e|&lt;[!@#]", shown)
        if "text" in call.args:
            assert not re.search(r"[<>]|https?://|\u202e", call.args["text"])
            assert (call.args["parse"], call.args["link_names"]) == ("none", False)
    posts = [call for call in slack.calls if call.method == "chat.postMessage"]
    assert all(call.args["unfurl_links"] is call.args["unfurl_media"] is False for call in posts)


@pytest.mark.parametrize("sentence", ["规则是十天，包括周末。", "👩‍👩‍👧‍👦❤️‍🔥 ", "<b>&amp;</b> "])
async def test_long_answers_become_several_messages(
    slack: SlackDouble, start: Start, sentence: str
) -> None:
    async def long(request: Request) -> AsyncIterator[ReplyEvent]:
        yield ReplyChunk(sentence * 200, (CITED,))
        text = sentence * 2000
        yield Reply("answer", text, "en", (ReplyChunk(text, (CITED,)),), (CITED,))

    await start(long)
    ts = await slack.mention("Tell me everything")
    await finished(slack, ts)
    messages = slack.in_thread(ts)
    assert len(messages) > 1
    assert all(len(message.markdown) <= PAGE_LIMIT for message in messages)
    whole = "".join(message.markdown for message in messages)
    shown = html.unescape(whole).replace("\u200b", "").split("[1]")[0]
    assert "".join(shown.split()) == "".join((sentence * 2000).split())


async def test_an_answer_to_an_archived_channel_goes_to_the_person(
    slack: SlackDouble, start: Start
) -> None:
    slack.channels["C0GENERAL"] = {"is_archived": True}
    await start()
    await slack.mention("Why?")
    reply = await finished(slack, None)
    assert reply.channel == "D0ANN"
    assert len(slack.messages) == 1


async def test_what_can_be_said_nowhere_is_logged(
    slack: SlackDouble, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    slack.channels["C0GENERAL"] = {"is_archived": True}
    bot = await start()
    closed = Answer(body={"ok": False, "error": "messages_tab_disabled"})
    archived = Answer(body={"ok": False, "error": "is_archived"})
    slack.script("chat.postMessage", *[archived, closed] * 4)
    await slack.mention("Why?")
    await slack.until(lambda: "could not be delivered anywhere" in caplog.text)
    assert slack.messages == []
    assert [each.text for each in bot.requests] == ["Why?"]
    assert "Why?" not in caplog.text


async def test_the_place_in_the_queue_is_told_within_three_seconds(
    slack: SlackDouble, start: Start
) -> None:
    now, moved = 0.0, asyncio.Event()

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        await asyncio.sleep(0)

    async def waiting(request: Request) -> AsyncIterator[ReplyEvent]:
        yield Status("2 ahead of you …")
        await moved.wait()
        yield Status("1 ahead of you …")
        await asyncio.Event().wait()

    async def told(place: str) -> float:
        await slack.until(lambda: place in str([m.blocks for m in slack.in_thread(ts)]))
        return now

    await start(waiting, edit_seconds=1.0, clock=lambda: now, sleep=sleep)
    ts = await slack.mention("Why?")
    first = await told("2 ahead of you")
    assert first <= 3
    moved.set()
    assert await told("1 ahead of you") - first <= 3


async def test_an_answer_is_found_again_in_a_thread_of_any_length(
    slack: SlackDouble, start: Start
) -> None:
    slack.streams = False
    root = slack.next_ts()
    for number in range(450):
        said = payloads.message(
            f"No {number}", user="U0BEN", channel="C0GENERAL", ts=slack.next_ts(),
            thread_ts=root, files=[],
        )  # fmt: skip
        slack.said.append(said)
    await start()
    slack.script("chat.postMessage", Answer(503, {"ok": False}, accept=True))
    await slack.mention("Why?", thread_ts=root)
    await slack.until(lambda: slack.count("conversations.replies") == 3)  # 200 messages each
    await finished(slack, await slack.mention("And?"))
    assert len(slack.in_thread(root)) == 1
