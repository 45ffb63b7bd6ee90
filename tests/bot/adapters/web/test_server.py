"""Whom the page's server lets in, and where it listens."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp

from bot.adapters.web import PasswordMissing, PortTaken, WebAdapter
from bot.adapters.web.guard import Guard
from bot.messages import Handle
from tests.bot.inboxes import MemoryInbox
from tests.fakes_web import ScriptedHandle


def client(app: ASGIApp, base: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=base)


@pytest.mark.parametrize(
    ("base", "headers", "status"),
    [
        ("http://127.0.0.1:7860", {}, 200),
        ("http://localhost:7860", {}, 200),
        ("http://[::1]:7860", {}, 200),
        ("http://rebound.example:7860", {}, 421),
        ("http://127.0.0.1:7860", {"origin": "http://127.0.0.1:7860"}, 200),
        ("http://127.0.0.1:7860", {"origin": "http://evil.example"}, 403),
        ("http://127.0.0.1:7860", {"origin": "null"}, 403),
    ],
)
async def test_only_this_machine_and_this_page_are_served(
    base: str, headers: dict[str, str], status: int
) -> None:
    guard = Guard(PlainTextResponse("in"), None)
    async with client(guard, base) as browser:
        assert (await browser.get("/", headers=headers)).status_code == status


async def test_gradios_other_addresses_are_closed() -> None:
    guard = Guard(PlainTextResponse("in"), None)
    async with client(guard, "http://127.0.0.1") as browser:
        for path in (
            "/gradio_api/file=/etc/passwd",
            "/assets/../gradio_api/file=x",
            "/monitoring",
            "/docs",
        ):
            assert (await browser.get(path)).status_code == 404
        assert (await browser.get("/assets/x.js")).status_code == 200


async def test_the_password_opens_the_page_from_anywhere() -> None:
    guard = Guard(PlainTextResponse("in"), "密码:1")

    def basic(text: str) -> dict[str, str]:
        return {"authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}

    async with client(guard, "http://bot.example") as browser:
        refused = await browser.get("/")
        assert refused.status_code == 401
        assert "Basic" in refused.headers["www-authenticate"]
        assert (await browser.get("/", headers=basic("me:no"))).status_code == 401
        assert (await browser.get("/", headers={"authorization": "Basic ?"})).status_code == 401
        assert (await browser.get("/", headers=basic("me:密码:1"))).status_code == 200


def adapter(handle: Handle, folder: Path, **settings: object) -> WebAdapter:
    arguments: dict[str, object] = {
        "upload_scope": "public",
        "upload_folder": folder,
        "max_upload_bytes": 1 << 20,
        "examples": (),
        "ready": lambda: None,
        "history_turns": 1,
        "say": lambda line: None,
    }
    return WebAdapter(handle, MemoryInbox(), **(arguments | settings))  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def serving(web: WebAdapter) -> AsyncIterator[str]:
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(web.run(address.set_result))
    try:
        yield await address
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_picture_of_a_page_is_for_this_page_alone(
    handle: ScriptedHandle, tmp_path: Path
) -> None:
    async with serving(adapter(handle, tmp_path, port=0)) as address, httpx.AsyncClient() as web:
        place = {"document": "handbook.pdf", "start": "1", "end": "9"}
        shown = await web.get(f"{address}/picture", params=place)
        assert (shown.status_code, shown.headers["content-type"]) == (200, "image/webp")
        assert shown.headers["cache-control"] == "no-store"
        assert shown.headers["cross-origin-resource-policy"] == "same-origin"
        gone = await web.get(f"{address}/picture", params={**place, "document": "gone.pdf"})
        assert gone.status_code == 404
        assert (await web.get(f"{address}/picture")).status_code == 400


def test_a_page_for_others_needs_a_password(handle: ScriptedHandle, tmp_path: Path) -> None:
    with pytest.raises(PasswordMissing, match=r"TEAMGLM_WEB_PASSWORD"):
        adapter(handle, tmp_path, host="0.0.0.0")
    adapter(handle, tmp_path, host="0.0.0.0", password="secret")
    adapter(handle, tmp_path, host="::1")


async def test_a_configured_port_that_is_taken_is_an_error(
    handle: ScriptedHandle, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=str(port)):
            await adapter(handle, tmp_path, port=port).run()


async def test_the_default_port_moves_on_and_says_so(
    handle: ScriptedHandle, tmp_path: Path
) -> None:
    said: list[str] = []
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            stack.enter_context(socket.create_server(("127.0.0.1", 7860)))
        async with serving(adapter(handle, tmp_path, say=said.append)) as address:
            port = httpx.URL(address).port
            assert port is not None
            assert port > 7860
            assert str(port) in said[0]


async def test_the_page_answers_at_once_and_ends_cleanly(
    handle: ScriptedHandle, tmp_path: Path
) -> None:
    async with serving(adapter(handle, tmp_path, port=0)) as address:
        async with httpx.AsyncClient(trust_env=False) as browser:
            answer = await browser.get(address)
        assert answer.status_code == 200
        assert "TeamGLM" in answer.text
    port = httpx.URL(address).port
    assert port is not None
    with socket.create_server(("127.0.0.1", port)):
        pass
