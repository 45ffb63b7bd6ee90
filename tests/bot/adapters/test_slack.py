"""Slack over real sockets: a local workspace, and a handle that says what the test wants."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.adapters.slack import MESSAGE_LIMIT, SlackAdapter
from bot.adapters.slack_files import may_have_token
from bot.adapters.slack_requests import to_text
from bot.messages import (
    AttachmentError,
    Citation,
    PlatformError,
    Reply,
    ReplyChunk,
    ReplyEvent,
    Request,
    Sources,
    Status,
)
from tests.bot.inboxes import MemoryInbox
from tests.doubles import slack_payloads as payloads
from tests.doubles.slack import Answer, Message, SlackDouble, rate_limited

ANN = "slack:-:T0TEAM:C0GENERAL"
CITED = Citation(1, "handbook.pdf", 3, "Leave", "Ten days a year.", 0, 16)
ANSWER = Reply(
    "answer",
    "You get ten days.",
    "en",
    (ReplyChunk("You get ten days.", (CITED,)),),
    (CITED,),
)

Script = Callable[[Request], AsyncIterator[ReplyEvent]]


class Bot:
    """The adapter over a double, and the requests that it brought."""

    def __init__(self, slack: SlackDouble, script: Script, **settings: Any) -> None:
        self.slack = slack
        self.requests: list[Request] = []
        self._script = script
        self.inbox = settings.pop("inbox", None) or MemoryInbox()
        self.adapter = SlackAdapter(
            self._handle,
            self.inbox,
            bot_token=settings.pop("bot_token", slack.bot_token),
            app_token=settings.pop("app_token", slack.app_token),
            api_url=slack.api_url,
            **{"edit_seconds": 0.0} | settings,
        )

    async def _handle(self, request: Request) -> AsyncIterator[ReplyEvent]:
        self.requests.append(request)
        async for event in self._script(request):
            yield event


async def answer(request: Request) -> AsyncIterator[ReplyEvent]:
    yield Status("Searching the documents …")
    yield Sources((CITED,))
    yield ANSWER.chunks[0]
    yield ANSWER


@pytest.fixture
async def slack() -> AsyncIterator[SlackDouble]:
    async with SlackDouble() as double:
        yield double


Start = Callable[..., Any]


@pytest.fixture
async def start(slack: SlackDouble) -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def begin(script: Script = answer, **settings: Any) -> Bot:
            bot = Bot(slack, script, **settings)
            task = asyncio.create_task(bot.adapter.run())

            async def stop() -> None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

            stack.push_async_callback(stop)
            await slack.until(lambda: slack.connections)
            return bot

        yield begin


def says(text: str) -> Callable[[str], bool]:
    return lambda shown: text in shown


# Questions


async def test_a_mention_gets_one_cited_answer_in_its_thread(
    slack: SlackDouble, start: Start
) -> None:
    bot = await start()
    ts = await slack.mention("How many days &lt;off&gt; for <@U0BEN|ben>?")
    reply = await slack.reply(says("Sources:"), ts)
    assert "You get ten days. [1]" in reply.text
    assert "[1] handbook.pdf, p. 3 · Leave: “Ten days a year.”" in reply.text
    assert slack.in_thread(ts) == [reply]
    [request] = bot.requests
    assert (request.command, request.text) == ("ask", "How many days <off> for @ben?")
    assert request.scope == ANN
    assert request.audience == {"public", ANN}
    assert request.conversation == f"T0TEAM:C0GENERAL:{ts}"


async def test_a_mention_inside_a_thread_is_answered_there(
    slack: SlackDouble, start: Start
) -> None:
    bot = await start()
    root = slack.next_ts()
    await slack.mention("And then?", thread_ts=root)
    await slack.reply(says("Sources:"), root)
    assert bot.requests[0].conversation == f"T0TEAM:C0GENERAL:{root}"


async def test_what_arrives_several_times_is_answered_once(
    slack: SlackDouble, start: Start
) -> None:
    bot = await start()
    said: dict[str, Any] = {"user": "U0ANN", "channel": "C0GENERAL", "thread_ts": None, "files": []}
    event = payloads.app_mention(f"<@{slack.bot_user}> Why?", ts=slack.next_ts(), **said)
    twin = payloads.message(event["text"], ts=event["ts"], **said)
    first = await slack.send_event(twin)
    for id in (first, None, "Ev1"):
        await slack.send_event(event, event_id=id, retry=1)
    await slack.send_event(twin, event_id=first, retry=2)
    await slack.mention("The next question")
    await slack.until(lambda: len(bot.requests) == 2)
    assert [request.text for request in bot.requests] == ["Why?", "The next question"]


async def test_a_retry_alone_is_answered(slack: SlackDouble, start: Start) -> None:
    await start()
    event = payloads.app_mention(
        f"<@{slack.bot_user}> Why?",
        user="U0ANN",
        channel="C0GENERAL",
        ts=slack.next_ts(),
        thread_ts=None,
        files=[],
    )
    await slack.send_event(event, retry=3)
    await slack.reply(says("Sources:"), event["ts"])


async def test_only_people_who_ask_something_are_answered(slack: SlackDouble, start: Start) -> None:
    bot = await start()
    mention = f"<@{slack.bot_user}> Hi"
    await slack.say("Talking among ourselves")
    about = {"type": "message", "channel": "C0GENERAL", "channel_type": "channel", "text": mention}
    for change in (
        {"user": "U0OTHER", "bot_id": "B0OTHER"},
        {"user": slack.bot_user},
        {"user": "U0ANN", "subtype": "channel_topic", "topic": mention},
    ):
        ts = slack.next_ts()
        await slack.send_event(about | {"ts": ts, "event_ts": ts} | change)
    await slack.mention("A real question")
    await slack.until(lambda: bot.requests)
    assert [request.text for request in bot.requests] == ["A real question"]


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


# Who may see what


async def test_a_shared_channel_only_sees_its_own_documents(
    slack: SlackDouble, start: Start
) -> None:
    bot = await start()
    await slack.mention("Anything secret?", external=True)
    await slack.until(lambda: bot.requests)
    assert bot.requests[0].audience == {ANN}


@pytest.mark.parametrize(
    ("about", "audience"),
    [
        ({}, {"public", ANN}),
        ({"is_ext_shared": True}, {ANN}),
        (None, {ANN}),  # Slack doesn't say: in doubt it is shared
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
    await slack.say("What is new?", channel="D0ANN")
    reply = await slack.reply(says("Sources:"), None)
    assert reply.channel == "D0ANN"
    own = "slack:-:T0TEAM:D0ANN"
    channels = {f"slack:-:T0TEAM:C0{n}" for n in range(5)}
    assert bot.requests[0].audience == {"public", own} | channels
    assert bot.requests[0].scope == own
    slack.members["U0ANN"] = ["C04"]
    await slack.say("And now?", channel="D0ANN")
    await slack.until(lambda: len(bot.requests) == 2)
    assert bot.requests[1].audience == {"public", own, "slack:-:T0TEAM:C04"}


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


# Files


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
    assert (request.command, request.text, request.scope) == ("upload", "", ANN)
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


# Commands


async def test_summarise_is_acknowledged_before_the_work(slack: SlackDouble, start: Start) -> None:
    go = asyncio.Event()

    async def slow(request: Request) -> AsyncIterator[ReplyEvent]:
        await go.wait()
        yield ANSWER

    bot = await start(slow)
    ack = await slack.command("/summarise", "handbook.pdf")
    assert ack is not None
    assert ack["response_type"] == "in_channel"
    assert not go.is_set()
    go.set()
    reply = await slack.reply(says("Sources:"), None)
    assert reply.channel == "C0GENERAL"
    assert (bot.requests[0].command, bot.requests[0].text) == ("summarise", "handbook.pdf")


@pytest.mark.parametrize(
    ("command", "text", "asked"),
    [
        ("/ask", "Why?", ("ask", "Why?")),
        ("/glm", "summarise a b.pdf", ("summarise", "a b.pdf")),
        ("/glm", "sources", ("sources", "")),
        ("/glm", "SEARCH leave", ("search", "leave")),
    ],
)
async def test_commands_name_their_handler(
    slack: SlackDouble, start: Start, command: str, text: str, asked: tuple[str, str]
) -> None:
    bot = await start()
    await slack.command(command, text)
    await slack.until(lambda: bot.requests)
    assert (bot.requests[0].command, bot.requests[0].text) == asked


async def test_an_unknown_verb_is_told_what_there_is(slack: SlackDouble, start: Start) -> None:
    bot = await start()
    ack = await slack.command("/glm", "dance")
    assert ack is not None
    assert "/glm sources" in ack["text"]
    assert bot.requests == []


async def test_a_command_where_the_bot_is_not_is_answered_to_the_person(
    slack: SlackDouble, start: Start
) -> None:
    await start()
    slack.channels["C0SECOND"] = {"is_member": False}
    await slack.command("/ask", "Why?", channel="C0SECOND")
    await slack.until(lambda: slack.responses)
    [response] = slack.responses
    assert "ten days" in response["text"]
    assert response["response_type"] == "ephemeral"
    assert slack.messages == []


# Delivery


async def test_an_answer_grows_in_one_message_at_the_pace_given(
    slack: SlackDouble, start: Start
) -> None:
    now = 0.0
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        nonlocal now
        waits.append(seconds)
        now += seconds
        await asyncio.sleep(0)

    shown: list[str] = []

    def current() -> Message:
        return slack.messages[-1]

    def has_grown(before: int) -> bool:
        return bool(slack.messages) and len(current().texts) > before

    async def stepwise(request: Request) -> AsyncIterator[ReplyEvent]:
        for event in (
            Status("Searching"),
            Sources((CITED,)),
            ReplyChunk("One. ", (CITED,)),
            ReplyChunk("Two.", ()),
        ):
            before = len(current().texts) if slack.messages else 0
            yield event
            await slack.until(partial(has_grown, before))
            shown.append(current().text)
        yield ANSWER

    await start(stepwise, edit_seconds=1.0, clock=lambda: now, sleep=sleep)
    ts = await slack.mention("Why?")
    reply = await slack.reply(says("Sources:"), ts)
    assert shown == ["Searching", "Reading handbook.pdf…", "One. [1]", "One. [1] Two."]
    assert slack.count("chat.postMessage") == 1
    assert len(reply.texts) == slack.count("chat.update") + 1
    assert waits.count(1.0) == slack.count("chat.update") - 1


async def test_a_slow_answer_has_a_placeholder(slack: SlackDouble, start: Start) -> None:
    go = asyncio.Event()

    async def slow(request: Request) -> AsyncIterator[ReplyEvent]:
        await go.wait()
        yield ANSWER

    await start(slow)
    for question, looking in (("Why?", "Looking…"), ("为什么？", "正在查找…")):
        await slack.reply(says(looking), await slack.mention(question))
    go.set()
    await slack.until(lambda: all("Sources:" in message.text for message in slack.messages))


async def test_rate_limits_are_obeyed_without_a_duplicate(slack: SlackDouble, start: Start) -> None:
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
    go = asyncio.Event()

    async def slow(request: Request) -> AsyncIterator[ReplyEvent]:
        await go.wait()
        yield ANSWER

    await start(slow)
    slack.script("chat.update", Answer(503, {"ok": False}), Answer(500, {"ok": False}))
    ts = await slack.mention("Why?")
    await slack.reply(says("Looking"), ts)
    go.set()
    await slack.reply(says("Sources:"), ts)
    assert len(slack.in_thread(ts)) == 1


async def test_a_placeholder_that_somebody_deleted_is_written_anew(
    slack: SlackDouble, start: Start
) -> None:
    go = asyncio.Event()

    async def slow(request: Request) -> AsyncIterator[ReplyEvent]:
        await go.wait()
        yield ANSWER

    await start(slow)
    ts = await slack.mention("Why?")
    (await slack.reply(says("Looking"), ts)).deleted = True
    go.set()
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
    go = asyncio.Event()

    async def slow(request: Request) -> AsyncIterator[ReplyEvent]:
        await go.wait()
        yield ANSWER

    bot = await start(slow, most_requests=1)
    await slack.mention("First")
    await slack.until(lambda: bot.requests)
    ts = await slack.mention("Second")
    await slack.reply(says("busy"), ts)
    go.set()
    assert [request.text for request in bot.requests] == ["First"]


SPOOF = (
    "<!channel> <@U0ANN> <#C0GENERAL|x> <https://evil.example/?q=1|here> https://evil.example "
    "[a](https://evil.example) *bold* `code` \u202eexe.pdf"
)


async def test_what_a_model_says_is_never_active(slack: SlackDouble, start: Start) -> None:
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
        assert not re.search(r"[<>]|https?://|\u202e", call.args["text"])
        assert (call.args["parse"], call.args["link_names"]) == ("none", False)
        # In a rich text block only elements of other types would be links or mentions.
        for block in call.args["blocks"]:
            assert block["type"] == "rich_text"
            for section in block["elements"]:
                assert {part["type"] for part in section["elements"]} == {"text"}
        assert "\u202e" not in json.dumps(call.args["blocks"], ensure_ascii=False)
    posts = [call for call in slack.calls if call.method == "chat.postMessage"]
    assert all(call.args["unfurl_links"] is call.args["unfurl_media"] is False for call in posts)


@pytest.mark.parametrize("sentence", ["规则是十天，包括周末。", "👩‍👩‍👧‍👦❤️‍🔥 ", "<b>&amp;</b> "])
async def test_long_answers_become_several_messages(
    slack: SlackDouble, start: Start, sentence: str
) -> None:
    async def long(request: Request) -> AsyncIterator[ReplyEvent]:
        yield ReplyChunk(sentence * 200, (CITED,))
        text = sentence * 1000
        yield Reply("answer", text, "en", (ReplyChunk(text, (CITED,)),), (CITED,))

    await start(long)
    ts = await slack.mention("Tell me everything")
    await slack.reply(says("Sources:"), ts)
    messages = slack.in_thread(ts)
    assert len(messages) > 1
    assert all(len(message.text) <= MESSAGE_LIMIT for message in messages)
    whole = "".join(
        message.args["blocks"][0]["elements"][0]["elements"][0]["text"] for message in messages
    )
    assert "".join(whole.split()).startswith("".join((sentence * 1000).split()))


# Starting


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


# Pure parts


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<@U0BOT> hi <@U0BOT|bot>", "hi"),
        ("<#C1|general> <#C2> <!here> <!subteam^S1|@team>", "#general #C2 @here @team"),
        (
            "<https://a.example/x?a=1&amp;b=2|a.example> <mailto:a@b.example|a@b.example>",
            "https://a.example/x?a=1&b=2 a@b.example",
        ),
        ("1 &lt; 2 &amp;lt;", "1 < 2 &lt;"),
    ],
)
def test_slacks_markup_becomes_what_people_see(markup: str, text: str) -> None:
    assert to_text(markup, "U0BOT") == text


def test_the_manifest_is_one_that_slack_accepts() -> None:
    manifest = yaml.safe_load((Path(__file__).parents[3] / "manifest.yaml").read_text())
    assert payloads.violation("manifest", manifest) is None
    scopes = manifest["oauth_config"]["scopes"]["bot"]
    assert {"app_mentions:read", "chat:write", "files:read", "commands"} <= set(scopes)
    assert manifest["settings"]["socket_mode_enabled"] is True
    commands = {each["command"] for each in manifest["features"]["slash_commands"]}
    assert commands == {"/ask", "/summarise", "/glm"}
