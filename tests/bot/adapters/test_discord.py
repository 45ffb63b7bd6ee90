from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import discord
import pytest
from aiohttp import web
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.adapters.discord import DiscordAdapter
from bot.messages import (
    Attachment,
    AttachmentError,
    Citation,
    Handle,
    PlatformError,
    Reply,
    ReplyChunk,
    ReplyEvent,
    Request,
    Sources,
    Status,
)
from rag.audience import Audience
from tests.bot.inboxes import MemoryInbox
from tests.doubles.discord import ScriptedHandle, World, discord_world
from tests.doubles.discord_wire import DiscordDouble

LEAVE = Citation(1, "handbook.pdf", 12, "Leave", "Everyone has 25 days of leave.", 0, 30)
ANSWER: list[ReplyEvent] = [
    Status("Searching the documents …"),
    Sources((LEAVE,)),
    ReplyChunk("You have 25 days. ", (LEAVE,)),
    ReplyChunk("Ask your lead first.", ()),
    Reply(
        "answer",
        "You have 25 days. Ask your lead first.",
        "en",
        chunks=(ReplyChunk("You have 25 days. ", (LEAVE,)), ReplyChunk("Ask your lead first.")),
        citations=(LEAVE,),
    ),
]
RECEIPT: list[ReplyEvent] = [
    Status("handbook.pdf: reading", 1, 12),
    Reply("answer", "handbook.pdf: 12 pages, 34 passages, ready", "en"),
]


class Clock:
    """Time that passes only when somebody waits for it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


def adapter_for(handle: Handle, **options: Any) -> DiscordAdapter:
    clock = Clock()
    options = {"token": "token", **options}
    return DiscordAdapter(handle, MemoryInbox(), clock=clock, sleep=clock.sleep, **options)


@pytest.fixture
def handle() -> ScriptedHandle:
    return ScriptedHandle(ask=ANSWER, upload=RECEIPT)


@pytest.fixture
async def world(handle: ScriptedHandle) -> AsyncIterator[World]:
    async with discord_world(adapter_for(handle)) as world:
        yield world


async def test_a_mention_gets_exactly_one_cited_reply_in_its_own_thread(
    world: World, handle: ScriptedHandle
) -> None:
    question = await world.person.send(world.channel, f"{world.me} How many days of leave?")

    (thread,) = world.channel.threads
    (reply,) = world.said_by_bot(thread)
    assert thread.id == question.id
    assert thread.name == "How many days of leave?"
    assert "You have 25 days. [1]" in reply.content
    assert "handbook.pdf, p. 12" in reply.content
    assert world.said_by_bot(world.channel) == []
    assert world.calls("POST", f"/channels/{world.channel.id}/typing") == [None]
    (request,) = handle.requests
    assert request.text == "How many days of leave?"
    assert request.command == "ask"


async def test_a_channel_sees_what_is_public_and_its_own(
    world: World, handle: ScriptedHandle
) -> None:
    world.guild.create_text_channel("another")
    await world.person.send(world.channel, f"{world.me} How many days of leave?")
    await world.person.slash(world.channel, "ask", question="How many days of leave?")

    own = f"discord:{world.guild.id}:{world.channel.id}"
    for request in handle.requests:
        assert request.scope == own
        assert request.audience == {"public", own}
        assert Audience.of(request.audience)


async def test_a_thread_has_its_channels_scope_and_keeps_the_conversation(
    world: World, handle: ScriptedHandle
) -> None:
    await world.person.send(world.channel, f"{world.me} How many days of leave?")
    (thread,) = world.channel.threads
    await world.person.send(thread, f"{world.me} And for juniors?")

    first, second = handle.requests
    assert second.scope == first.scope
    assert second.audience == first.audience
    assert second.conversation == first.conversation
    assert len(world.said_by_bot(thread)) == 2
    assert thread.threads == []


async def test_a_direct_message_sees_the_channels_that_the_person_can_read_now(
    world: World, handle: ScriptedHandle
) -> None:
    hidden = discord.PermissionOverwrite(view_channel=False)
    everyone = world.guild.default_role
    world.guild.create_text_channel("board", overwrites={everyone: hidden})
    other = world.env.create_guild("Strangers")
    other.create_text_channel("theirs")

    await world.person.send_dm("How many days of leave?")

    (request,) = handle.requests
    own = f"discord:@me:{world.person.user.dm_channel.id}"
    assert request.scope == own
    assert request.audience == {
        "public",
        own,
        f"discord:{world.guild.id}:{world.channel.id}",
    }
    assert Audience.of(request.audience)
    (reply,) = world.said_by_bot(world.person.user.dm_channel)
    assert "handbook.pdf, p. 12" in reply.content


async def test_a_channel_that_the_person_has_lost_is_no_longer_in_the_audience(
    world: World, handle: ScriptedHandle
) -> None:
    await world.person.send_dm("How many days of leave?")
    world.guild.remove_member(world.person)
    await world.person.user.send_dm("How many days of leave?")

    before, after = handle.requests
    assert f"discord:{world.guild.id}:{world.channel.id}" in before.audience
    assert after.audience == {"public", after.scope}


async def test_what_does_not_address_the_bot_is_left_alone(
    world: World, handle: ScriptedHandle
) -> None:
    robot = world.guild.add_member(world.env.create_user("robot", bot=True))
    await robot.send(world.channel, f"{world.me} How many days of leave?")
    await world.person.send(world.channel, "How many days of leave?")
    await world.person.send(world.channel, "@everyone lunch?")
    hook = world.guild.create_webhook(world.channel)
    await hook.send(f"{world.me} How many days of leave?")

    assert handle.requests == []
    assert world.said_by_bot(world.channel) == []


async def test_an_event_that_comes_twice_is_answered_once(
    world: World, handle: ScriptedHandle
) -> None:
    question = await world.person.send(world.channel, f"{world.me} How many days of leave?")
    await world.adapter.client.on_message(question)

    assert len(handle.requests) == 1


async def test_a_file_with_a_mention_gets_a_receipt_as_reply(
    world: World, handle: ScriptedHandle
) -> None:
    message = await world.person.send(
        world.channel, world.me, attachments=[("handbook.pdf", b"%PDF-1.7")]
    )

    (receipt,) = world.said_by_bot(world.channel)
    assert receipt.content == "handbook.pdf: 12 pages, 34 passages, ready"
    assert receipt.reference is not None
    assert receipt.reference.message_id == message.id
    (request,) = handle.requests
    assert request.command == "upload"
    assert request.scope == f"discord:{world.guild.id}:{world.channel.id}"
    assert [(file.name, file.size) for file in request.attachments] == [("handbook.pdf", 8)]


async def test_a_file_with_a_question_is_learned_before_the_question_is_answered(
    world: World, handle: ScriptedHandle
) -> None:
    await world.person.send(
        world.channel, f"{world.me} What is new?", attachments=[("handbook.pdf", b"%PDF-1.7")]
    )

    assert [request.command for request in handle.requests] == ["upload", "ask"]
    assert len({request.id for request in handle.requests}) == 2
    assert len(world.said_by_bot(world.channel)) == 1
    assert len(world.said_by_bot(world.channel.threads[0])) == 1


async def test_files_in_a_channel_are_learned_where_the_bot_may_see_them_but_pictures_are_not() -> (
    None
):
    handle = ScriptedHandle(upload=RECEIPT)
    async with discord_world(adapter_for(handle, message_content=True)) as world:
        await world.person.send(
            world.channel, "for all", attachments=[("a.pdf", b"1"), ("cat.png", b"2")]
        )
        await world.person.send(world.channel, "look", attachments=[("cat.png", b"2")])

        (request,) = handle.requests
        assert request.command == "upload"
        assert [file.name for file in request.attachments] == ["a.pdf"]


async def test_a_thread_of_the_bots_goes_on_without_mentions_where_messages_may_be_read() -> None:
    handle = ScriptedHandle(ask=ANSWER)
    async with discord_world(adapter_for(handle, message_content=True)) as world:
        await world.person.send(world.channel, f"{world.me} How many days of leave?")
        (thread,) = world.channel.threads
        await world.person.send(thread, "And for juniors?")
        await world.person.send(thread, f"{world.person.mention} is that so?")

        assert [request.text for request in handle.requests] == [
            "How many days of leave?",
            "And for juniors?",
        ]


async def test_model_text_cannot_mention_or_link(world: World, handle: ScriptedHandle) -> None:
    text = f"@everyone <@{world.person.id}> **bold** [x](http://evil.example) `code`"
    handle.scripts["ask"] = [ReplyChunk(text), Reply("answer", text, "en")]

    await world.person.send(world.channel, f"{world.me} hello")

    (reply,) = world.said_by_bot(world.channel.threads[0])
    assert not reply.mention_everyone
    assert reply.mentions == []
    assert "](http" not in reply.content
    assert reply.flags.suppress_embeds
    for body in world.calls("POST", "/messages"):
        assert body["allowed_mentions"]["parse"] == []


async def test_a_long_chinese_answer_is_split_into_messages_that_discord_takes(
    world: World, handle: ScriptedHandle
) -> None:
    text = "".join(
        f"第{number}条：员工每年享有二十五天带薪年假，请提前申请。" for number in range(200)
    )
    handle.scripts["ask"] = [ReplyChunk(text), Reply("answer", text, "zh")]

    await world.person.send(world.channel, f"{world.me} 年假有多少天？")

    replies = [message.content for message in world.said_by_bot(world.channel.threads[0])]
    assert len(replies) > 1
    assert all(len(reply) <= 2000 for reply in replies)
    assert "".join(replies) == text


async def test_where_no_thread_may_be_started_the_answer_is_a_reply(world: World) -> None:
    channel = world.deny(create_public_threads=True)

    question = await world.person.send(channel, f"{world.me} How many days of leave?")

    (reply,) = world.said_by_bot(channel)
    assert reply.reference is not None
    assert reply.reference.message_id == question.id
    assert "handbook.pdf" in reply.content
    assert reply.flags.suppress_embeds


async def test_where_the_bot_may_not_write_the_person_is_told_directly(world: World) -> None:
    channel = world.deny(
        create_public_threads=True, send_messages=True, send_messages_in_threads=True
    )

    await world.person.send(channel, f"{world.me} How many days of leave?")

    assert world.said_by_bot(channel) == []
    (reply,) = world.said_by_bot(world.person.user.dm_channel)
    assert "handbook.pdf" in reply.content


async def test_an_answer_that_can_be_delivered_nowhere_is_logged(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.env.inject_error("POST", "/channels/*/messages", status=403, code=50001, times=None)

    await world.person.send(world.channel, f"{world.me} How many days of leave?")

    assert [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_thread_that_somebody_else_started_on_the_message_is_used(world: World) -> None:
    world.env.inject_error("POST", "/channels/*/threads", status=400, code=160004)
    world.env.inject_error("POST", "/channels/*/messages", status=404, code=10003, times=1)

    question = await world.person.send(world.channel, f"{world.me} How many days of leave?")

    posted = [e.path for e in world.env.http_requests if e.path.endswith("/messages")]
    assert posted[0] == f"/channels/{question.id}/messages"


async def test_commands_answer_the_interaction(world: World, handle: ScriptedHandle) -> None:
    handle.scripts["summarise"] = [
        Status("Summarising part 1 of 2"),
        Reply("answer", "It is about leave.", "en", citations=(LEAVE,)),
    ]

    result = await world.person.slash(world.channel, "summarise", document="handbook.pdf")

    assert [body["type"] for body in world.calls("POST", "/callback")] == [5]  # deferred
    assert result.response is not None
    assert result.response.content.startswith("It is about leave.")
    assert "handbook.pdf, p. 12" in result.response.content
    assert result.response.flags.suppress_embeds
    assert result.followups == []
    (request,) = handle.requests
    assert (request.command, request.text) == ("summarise", "handbook.pdf")
    assert request.scope == f"discord:{world.guild.id}:{world.channel.id}"
    assert request.audience == {"public", request.scope}
    assert request.language == "en"


async def test_a_file_can_be_summarised(world: World, handle: ScriptedHandle) -> None:
    await world.person.slash(world.channel, "summarise", file=("report.pdf", b"%PDF-1.7"))

    assert [file.name for file in handle.requests[0].attachments] == ["report.pdf"]


async def test_every_command_reaches_its_handler(world: World, handle: ScriptedHandle) -> None:
    await world.person.slash(world.channel, "ask", question="How many days of leave?")
    await world.person.slash(world.channel, "forget", document="handbook.pdf")
    listing = await world.person.slash(world.channel, "sources")
    await world.person.user.slash("ask", question="How many days of leave?")

    assert [request.command for request in handle.requests] == ["ask", "forget", "sources", "ask"]
    assert listing.ephemeral
    assert handle.requests[-1].scope == f"discord:@me:{world.person.user.dm_channel.id}"
    assert f"discord:{world.guild.id}:{world.channel.id}" in handle.requests[-1].audience


async def test_a_command_in_a_thread_has_the_channels_scope(
    world: World, handle: ScriptedHandle
) -> None:
    await world.person.send(world.channel, f"{world.me} How many days of leave?")
    await world.person.slash(world.channel.threads[0], "ask", question="And for juniors?")

    first, second = handle.requests
    assert second.scope == first.scope
    assert second.conversation == first.conversation


async def test_after_the_interaction_has_expired_the_reply_goes_to_the_channel() -> None:
    async def slow(request: Request) -> AsyncIterator[ReplyEvent]:
        yield Status("Summarising part 1 of 9")
        for interaction in there.env.backend.interactions.values():
            interaction.expires_at = there.env.now().isoformat()
        yield Reply("answer", "It is about leave.", "en")

    async with discord_world(adapter_for(slow)) as there:
        await there.person.slash(there.channel, "summarise", document="handbook.pdf")

        assert there.said_by_bot(there.channel)[-1].content == "It is about leave."


async def test_commands_are_registered_in_chinese_too_and_only_when_they_changed(
    handle: ScriptedHandle,
) -> None:
    async with discord_world(adapter_for(handle)) as world:
        (first,) = world.calls("PUT", "/commands")
        assert {"ask", "search", "summarise", "sources", "forget", "help", "Summarise"} <= {
            command["name"] for command in first
        }
        names = {command["name"]: command["name_localizations"]["zh-CN"] for command in first}
        assert names["ask"] == "提问"

        await world.env.restart_bot(adapter_for(handle).client)
        assert len(world.calls("PUT", "/commands")) == 1

        for command in world.env.backend.commands[None].values():
            command["description"] = "of an older version"
        await world.env.restart_bot(adapter_for(handle).client)
        assert len(world.calls("PUT", "/commands")) == 2


async def test_without_the_privileged_intent_mentions_still_work(handle: ScriptedHandle) -> None:
    none = discord.Intents.default()
    async with discord_world(adapter_for(handle), approved_intents=none) as world:
        await world.person.send(world.channel, f"{world.me} How many days of leave?")

        assert handle.requests[0].text == "How many days of leave?"


async def test_an_answer_that_grows_is_edited_at_a_measured_pace() -> None:
    clock = Clock()
    sentences = [ReplyChunk(f"Sentence {number}. ") for number in range(50)]

    async def writing(request: Request) -> AsyncIterator[ReplyEvent]:
        for sentence in sentences:
            yield sentence
            clock.now += 0.2
            await asyncio.sleep(0)
        yield Reply("answer", "".join(chunk.text for chunk in sentences), "en", tuple(sentences))

    adapter = DiscordAdapter(writing, MemoryInbox(), token="token", clock=clock, sleep=clock.sleep)
    async with discord_world(adapter) as there:
        question = await there.person.send(there.channel, f"{there.me} Tell me all.")
        (reply,) = there.said_by_bot(there.channel.threads[0])
        edits = there.calls("PATCH", f"/channels/{question.id}/messages/{reply.id}")

    assert 2 < len(edits) <= clock.now / 1.5 + 1
    assert reply.content.endswith("Sentence 49.")


async def test_a_handle_that_breaks_is_told_to_the_person(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(request: Request) -> AsyncIterator[ReplyEvent]:
        yield Status("正在查找文档……")
        raise ValueError(request.text)

    async with discord_world(adapter_for(broken)) as there:
        await there.person.send(there.channel, f"{there.me} 年假有多少天？")
        (reply,) = there.said_by_bot(there.channel.threads[0])

    assert reply.content.startswith("我这边出了问题")
    assert [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize(("status", "hint"), [(401, "DISCORD_BOT_TOKEN"), (403, "DISCORD_API_URL")])
async def test_a_refused_connection_ends_in_one_sentence(
    cdn: SimpleNamespace,
    handle: ScriptedHandle,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    hint: str,
) -> None:
    monkeypatch.setattr(Route, "BASE", Route.BASE)
    with pytest.raises(PlatformError, match=hint):
        await adapter_for(handle, api_url=f"{cdn.url}/status/{status}").run()


async def test_a_server_that_is_not_there_ends_in_one_sentence(
    handle: ScriptedHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Route, "BASE", Route.BASE)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(PlatformError, match="DISCORD_API_URL"):
        await adapter_for(handle, api_url=f"http://127.0.0.1:{port}").run()


async def test_a_refused_intent_is_logged_and_the_bot_goes_on_without_it(
    handle: ScriptedHandle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Route, "BASE", Route.BASE)
    monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", DiscordWebSocket.DEFAULT_GATEWAY)
    approved = discord.Intents.all()
    approved.message_content = False
    async with DiscordDouble(approved=approved) as double:
        adapter = adapter_for(
            handle,
            token=double.token,
            api_url=double.api_url,
            gateway_url=double.gateway_url,
            message_content=True,
        )
        running = asyncio.create_task(adapter.run())
        await double.connected()
        running.cancel()
        await asyncio.wait([running], timeout=30)

    assert running.cancelled()
    assert [each.intents.message_content for each in double.gateway.identified] == [True, False]
    assert "Message Content Intent" in caplog.text


@pytest.fixture
async def cdn() -> AsyncIterator[SimpleNamespace]:
    """A local server in the CDN's place, and what it was asked."""
    seen: list[web.Request] = []

    async def serve(request: web.Request) -> web.Response:
        seen.append(request)
        if request.path.startswith("/status/"):
            return web.Response(status=int(request.path.split("/")[2]))
        match request.path:
            case "/attachments/1/2/handbook.pdf":
                return web.Response(body=b"%PDF-1.7")
            case "/moved":
                return web.Response(
                    status=302, headers={"Location": "/attachments/1/2/handbook.pdf"}
                )
            case _:
                return web.Response(status=404)

    app = web.Application()
    app.router.add_get("/{path:.*}", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    server = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, server).start()
    url = f"http://127.0.0.1:{server.getsockname()[1]}"
    yield SimpleNamespace(url=url, seen=seen)
    await runner.cleanup()


Fetch = Callable[[str, int], Awaitable[bytes]]


@pytest.fixture
def fetch(cdn: SimpleNamespace, handle: ScriptedHandle, tmp_path: Path) -> Fetch:
    adapter = adapter_for(handle, api_url=f"{cdn.url}/api/v10")

    async def fetch(url: str, limit: int) -> bytes:
        path = tmp_path / "file"
        await adapter.download(Attachment("handbook.pdf", None, url), path, limit)
        return path.read_bytes()

    return fetch


async def test_a_file_is_fetched_without_the_token(fetch: Fetch, cdn: SimpleNamespace) -> None:
    assert await fetch(f"{cdn.url}/attachments/1/2/handbook.pdf?ex=1", 8) == b"%PDF-1.7"
    assert "Authorization" not in cdn.seen[0].headers


@pytest.mark.parametrize(
    ("path", "limit", "code"),
    [
        ("/attachments/1/2/handbook.pdf", 7, "too_large"),
        ("/attachments/1/2/gone.pdf", 8, "unreadable"),
        ("/moved", 8, "unreadable"),
    ],
)
async def test_a_file_that_cannot_be_had_says_why(
    fetch: Fetch, cdn: SimpleNamespace, path: str, limit: int, code: str
) -> None:
    with pytest.raises(AttachmentError) as caught:
        await fetch(cdn.url + path, limit)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/attachments/1/2/handbook.pdf",
        "http://cdn.discordapp.com/attachments/1/2/handbook.pdf",
        "https://cdn.discordapp.com.evil.example/a.pdf",
        "file:///etc/passwd",
    ],
)
async def test_only_discords_own_addresses_are_fetched(fetch: Fetch, url: str) -> None:
    with pytest.raises(AttachmentError, match="not at one of Discord's addresses"):
        await fetch(url, 8)


async def test_an_expired_address_is_asked_for_anew(
    world: World, handle: ScriptedHandle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await world.person.send(world.channel, world.me, attachments=[("a.pdf", b"%PDF-1.7")])
    attachment = handle.requests[0].attachments[0]
    fetched: list[str] = []

    async def expired_once(url: str, path: Path, limit: int, api_url: str | None) -> bool:
        fetched.append(url)
        return len(fetched) > 1

    monkeypatch.setattr("bot.adapters.discord_files.fetch", expired_once)
    await world.adapter.download(attachment, tmp_path / "a.pdf", 8)

    assert len(fetched) == 2
    assert world.calls("GET", attachment.reference.rpartition("/")[2])
