"""The local HTTP API: how the command line talks to a bot that is already running.

It listens on loopback only, and answers whoever can read the token in the data folder.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from bot.adapters.serving import serve
from bot.messages import Handle, Language, Reply, ReplyEvent, Request
from bot.wire import event_from_json, event_to_json, request_from_json, request_to_json

ADDRESS_FILE = "api.json"
"""In the data folder: where a running bot's local API is, and its token."""

_STOPPED: dict[Language, str] = {
    "en": "The running bot stopped before it answered: ask again.",
    "zh": "正在运行的机器人在回答之前停止了，请再问一次。",
}


class LocalApi:
    """Serves `handle` to the command line until `run` is cancelled."""

    def __init__(self, handle: Handle, address_file: Path) -> None:
        self._handle = handle
        self._address_file = address_file
        self._token = secrets.token_urlsafe(32)

    async def run(self) -> None:
        """Serve on a free port; the address file (mode 600) exists while it does."""
        routes = [Route("/requests", self._answer, methods=["POST"])]
        listener = socket.create_server(("127.0.0.1", 0))
        try:
            self._write_address(listener.getsockname()[1])
            await serve(Starlette(routes=routes), listener)
        finally:
            self._address_file.unlink(missing_ok=True)
            listener.close()

    def _write_address(self, port: int) -> None:
        self._address_file.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(self._address_file, flags, 0o600), "w") as file:
            json.dump({"address": f"http://127.0.0.1:{port}", "token": self._token}, file)

    async def _answer(self, http: HttpRequest) -> Response:
        offered = http.headers.get("authorization", "")
        if not secrets.compare_digest(offered.encode(), f"Bearer {self._token}".encode()):
            return PlainTextResponse("wrong token", status_code=401)
        try:
            request = request_from_json(await http.json())
        except (ValueError, KeyError, TypeError):
            return PlainTextResponse("not a request", status_code=400)
        return StreamingResponse(self._lines(request), media_type="application/x-ndjson")

    async def _lines(self, request: Request) -> AsyncGenerator[str, None]:
        events = self._handle(request)
        try:
            async for event in events:
                yield json.dumps(event_to_json(event), ensure_ascii=False) + "\n"
        finally:
            # Who asked may have gone: the model must not go on for nobody.
            if isinstance(events, AsyncGenerator):
                await events.aclose()


def running_bot(address_file: Path) -> RemoteBot | None:
    """Return the bot that runs on this data folder, or None if none answers."""
    try:
        found = json.loads(address_file.read_text())
        address, token = found["address"], found["token"]
        response = httpx.post(f"{address}/requests", timeout=5, trust_env=False)
    except (OSError, ValueError, KeyError, TypeError, httpx.HTTPError, httpx.InvalidURL):
        return None
    # Without a token the API refuses: it is there.
    return RemoteBot(address, token) if response.status_code == 401 else None


class RemoteBot:
    """The running bot's `Handle`, over its local API."""

    def __init__(self, address: str, token: str) -> None:
        self._address = address
        self._token = token

    async def handle(self, request: Request) -> AsyncGenerator[ReplyEvent, None]:
        """Pass a request on, and its events back; a bot that stops midway is an error reply."""
        with suppress(httpx.HTTPError, ValueError):  # a line may be cut off
            async with aclosing(self._events(request)) as events:
                async for event in events:
                    yield event
                    if isinstance(event, Reply):
                        return
        language = request.language or "en"
        yield Reply("error", _STOPPED[language], language)

    async def _events(self, request: Request) -> AsyncGenerator[ReplyEvent, None]:
        headers = {"Authorization": f"Bearer {self._token}"}
        # An answer takes as long as it takes; the bot itself limits it.
        async with (
            httpx.AsyncClient(timeout=None, trust_env=False) as client,  # noqa: S113
            client.stream(
                "POST", f"{self._address}/requests", json=request_to_json(request), headers=headers
            ) as response,
        ):
            response.raise_for_status()
            async for line in response.aiter_lines():
                yield event_from_json(json.loads(line))


async def last_reply(events: AsyncIterator[ReplyEvent]) -> Reply:
    """Return the reply that ends a request's events."""
    async for event in events:
        if isinstance(event, Reply):
            return event
    raise RuntimeError("a request ended without a reply")
