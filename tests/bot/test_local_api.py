from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.adapters.local import (
    LocalApi,
    RemoteBot,
    last_reply,
    running_bot,
)
from bot.messages import (
    Attachment,
    Citation,
    File,
    Reply,
    ReplyChunk,
    ReplyEvent,
    Request,
    Sources,
    Status,
    Turn,
)
from bot.wire import event_from_json, request_from_json, request_to_json
from tests.bot.fakes import ScriptedHandle, collect, request

CITATION = Citation(1, "手册.pdf", 2, "请假 › 年假", "每年 25 天。", 10, 18)
EVENTS: list[ReplyEvent] = [
    Status("正在查找……"),
    Status("reading", 1, 2),
    Sources((CITATION,)),
    ReplyChunk("25 天。", (CITATION,)),
    Reply(
        "answer",
        "25 天。",
        "zh",
        (ReplyChunk("25 天。", (CITATION,)), ReplyChunk(" Yes.\n")),
        (CITATION,),
        "chat",
        {"total": 1.5},
        {"chunks": 3, "failed": [{"code": None}]},
        (CITATION,),
        (File("表.csv", b"a,b\n\x00\xff", "A table"),),
    ),
]
FULL = Request(
    id="1",
    platform="cli",
    command="summarise",
    text="手册\n",
    user="me",
    conversation="c",
    scope="slack:E:T:C",
    audience=frozenset({"public", "slack:E:T:C"}),
    language="zh",
    attachments=(Attachment("手册.pdf", None, "/a/手册.pdf"), Attachment("b", 3, "b")),
    history=(Turn("user", "a"), Turn("assistant", "b")),
    options={"k": 3, "rebuild": True},
    address={"thread": "7"},
)


@asynccontextmanager
async def served(handle: ScriptedHandle, file: Path) -> AsyncIterator[dict[str, str]]:
    """Serve a handle; yield what the address file says."""
    task = asyncio.create_task(LocalApi(handle.handle, file).run())
    try:
        while not await asyncio.to_thread(running_bot, file):
            assert not task.done()
        yield json.loads(file.read_text())
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.parametrize("asked", [FULL, replace(FULL, history=None), request("hello")])
def test_a_request_survives_the_way_as_json(asked: Request) -> None:
    assert request_from_json(json.loads(json.dumps(request_to_json(asked)))) == asked


async def test_every_event_arrives_as_it_was(tmp_path: Path) -> None:
    handle = ScriptedHandle(EVENTS)
    async with served(handle, tmp_path / "api.json"):
        remote = await asyncio.to_thread(running_bot, tmp_path / "api.json")
        assert remote
        seen, _ = await collect(remote.handle(FULL))
    assert seen == EVENTS
    assert handle.requests == [FULL]


async def test_only_who_can_read_the_token_is_answered(tmp_path: Path) -> None:
    handle = ScriptedHandle(EVENTS)
    async with served(handle, tmp_path / "api.json") as found, httpx.AsyncClient() as client:
        for headers in (
            httpx.Headers(),
            httpx.Headers({"Authorization": "Bearer wrong"}),
            httpx.Headers({"Authorization": found["token"]}),
            httpx.Headers({"Authorization": "Bearer wröng"}, encoding="utf-8"),
        ):
            answer = await client.post(
                f"{found['address']}/requests", json=request_to_json(FULL), headers=headers
            )
            assert answer.status_code == 401
    assert not handle.requests


async def test_only_the_owner_can_read_the_token(tmp_path: Path) -> None:
    file = tmp_path / "api.json"
    file.write_text("left by a bot that was killed")
    file.chmod(0o644)
    async with served(ScriptedHandle(EVENTS), file) as found:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert found["address"].startswith("http://127.0.0.1:")
    assert not file.exists()


async def test_the_loop_serves_others_when_it_has_ended(tmp_path: Path) -> None:
    async with served(ScriptedHandle(EVENTS), tmp_path / "api.json"):
        pass
    for _ in range(3):
        other = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        async with other:
            async with asyncio.timeout(30):
                reader, writer = await asyncio.open_connection(*other.sockets[0].getsockname())
                assert await reader.read() == b""
            writer.close()


async def test_the_bot_stops_working_for_who_is_gone(tmp_path: Path) -> None:
    handle = ScriptedHandle(EVENTS[:1], stay=True)
    async with served(handle, tmp_path / "api.json") as found:
        events = RemoteBot(found["address"], found["token"]).handle(FULL)
        assert await anext(events) == EVENTS[0]
        assert not handle.closed.is_set()
        await events.aclose()
        await asyncio.wait_for(handle.closed.wait(), 60)


async def test_a_bot_that_ends_midway_is_an_error_reply(tmp_path: Path) -> None:
    handle = ScriptedHandle(EVENTS[:3])
    async with served(handle, tmp_path / "api.json") as found:
        remote = RemoteBot(found["address"], found["token"])
        seen, reply = await collect(remote.handle(FULL))
        assert seen[:-1] == EVENTS[:3]
        assert (reply.outcome, reply.language) == ("error", "zh")
    _, reply = await collect(remote.handle(request("hello")))
    assert (reply.outcome, reply.language) == ("error", "en")


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "[]",
        "{}",
        '{"address": "http://127.0.0.1:9", "token": "dead"}',
        '{"address": "http://127.0.0.1:9"}',
        '{"address": "http://[", "token": "dead"}',
        '{"address": 5, "token": "dead"}',
    ],
)
def test_what_a_dead_bot_left_is_no_running_bot(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "api.json"
    if content is not None:
        file.write_text(content)
    assert running_bot(file) is None


def test_an_event_of_another_kind_is_refused() -> None:
    values: dict[str, Any] = {"event": "Request", "text": "x"}
    with pytest.raises(KeyError):
        event_from_json(values)


async def test_events_without_a_reply_are_an_error() -> None:
    with pytest.raises(RuntimeError):
        await last_reply(ScriptedHandle(EVENTS[:2]).handle(FULL))
