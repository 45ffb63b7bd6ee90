"""A local Slack: Socket Mode, signed HTTP, the Web API and files over real sockets.

What people do in it is in `slack_people`, what the workspace keeps and refuses in
`slack_workspace`, and the payloads, with the field sets that Slack publishes, in `slack_payloads`.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import WSMsgType, web

from tests.doubles import slack_payloads as payloads
from tests.doubles.slack_payloads import BOT_USER, TEAM, Json
from tests.doubles.slack_people import People
from tests.doubles.slack_workspace import Call, Message

__all__ = ["Answer", "Call", "Message", "SlackDouble", "rate_limited"]

BOT_TOKEN = "xoxb-double-bot-token"
APP_TOKEN = "xapp-double-app-token"
SIGNING_SECRET = "double-signing-secret"
LOGIN_PAGE = b"<!DOCTYPE html><html><head><title>Slack</title></head><body>Sign in</body></html>"
REDELIVERY = 2.0
"""Seconds after which an event that nobody acknowledged is delivered again."""
PATIENCE = 30.0
"""Seconds after which something that a test waits for is taken never to happen."""


@dataclass
class Answer:
    """A scripted answer instead of the real one."""

    status: int = 200
    body: Json = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    accept: bool = False
    """Do what was asked all the same, as when only the answer is lost."""


def sign(body: bytes, at: float, secret: str = SIGNING_SECRET) -> dict[str, str]:
    """Return the headers with which Slack signs a request."""
    stamp = str(int(at))
    digest = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    return {"x-slack-request-timestamp": stamp, "x-slack-signature": f"v0={digest}"}


def rate_limited(seconds: int = 1) -> Answer:
    return Answer(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": str(seconds)})


class SlackDouble(People):
    """`async with SlackDouble() as slack` serves a workspace at `slack.api_url`.

    Events come over Socket Mode, or signed to `events_url` where that is set.
    """

    bot_token = BOT_TOKEN
    app_token = APP_TOKEN
    signing_secret = SIGNING_SECRET
    bot_user = BOT_USER
    team = TEAM

    def __init__(
        self,
        *,
        enterprise: str | None = None,
        patience: float = PATIENCE,
        redelivery: float = REDELIVERY,
    ) -> None:
        super().__init__(enterprise=enterprise)
        self._patience = patience
        self._redelivery = redelivery
        self.events_url: str | None = None
        self.responses: list[Json] = []
        """What was sent to response URLs."""
        self.fetched: list[tuple[str, str | None]] = []
        """Paths of files that were asked for, with their Authorization header."""
        self.acks: dict[str, Json | None] = {}
        self.connections = 0
        self._silenced: set[web.WebSocketResponse] = set()
        self._scripts: defaultdict[str, deque[Answer]] = defaultdict(deque)
        self._sockets: list[web.WebSocketResponse] = []
        app = web.Application()
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_get("/link", self._link)
        app.router.add_get("/files-pri/{tail:.*}", self._file)
        app.router.add_post("/upload/{id}", self._upload)
        app.router.add_get("/redirect", self._redirect)
        app.router.add_post("/commands/{tail:.*}", self._response_url)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.origin = f"http://{host}:{port}"
        self.api_url = f"{self.origin}/api/"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for socket in self._sockets:
            await socket.close()
        await self._runner.cleanup()
        if error is None:
            assert not self._violations, self._violations

    # What Slack does

    def script(self, method: str, *answers: Answer) -> None:
        """Give these answers to the next calls of a method instead of the real ones."""
        self._scripts[method].extend(answers)

    async def send_event(
        self,
        event: Json,
        *,
        event_id: str | None = None,
        external: bool = False,
        retry: int = 0,
    ) -> str:
        """Deliver an event; return its id when it is acknowledged."""
        if problem := payloads.violation("SlackEventUnion", event):
            self._violations.append(problem)
        event_id = event_id or f"Ev{self._next():08d}"
        callback = payloads.event_callback(
            event, event_id=event_id, enterprise=self.enterprise, external=external
        )
        await self.send_envelope(
            "events_api", callback, retry_attempt=retry, retry_reason="timeout" if retry else ""
        )
        return event_id

    async def send_envelope(self, kind: str, payload: Json, **fields: Any) -> Json | None:
        """Send an envelope to the newest connection; return what it is acknowledged with."""
        if self.events_url is not None:
            return await self._send_signed(kind, payload, fields)
        for attempt in range(1 if kind != "events_api" else 4):
            await self.until(lambda: any(not socket.closed for socket in self._sockets))
            id = f"envelope-{self._next()}"
            envelope = {
                "envelope_id": id,
                "type": kind,
                "accepts_response_payload": False,
                **fields,
            }
            if attempt:  # as Slack does, sooner
                envelope |= {"retry_attempt": attempt, "retry_reason": "timeout"}
            socket = next(each for each in reversed(self._sockets) if not each.closed)
            with suppress(ConnectionError):
                await socket.send_json(envelope | {"payload": payload})
            patience = self._patience if kind != "events_api" else self._redelivery
            with suppress(TimeoutError):
                # What nobody can acknowledge any more needn't be waited for.
                await self.until(
                    lambda id=id, socket=socket: id in self.acks or socket.closed,  # type: ignore[misc]
                    patience,
                )
            if id in self.acks:
                return self.acks[id]
        raise TimeoutError(f"nobody acknowledged {kind}; the bot's calls were {self._seen()}")

    async def _send_signed(self, kind: str, payload: Json, fields: Json) -> Json | None:
        """Send a payload as Slack does over HTTP; return what it is acknowledged with."""
        headers = {"content-type": "application/x-www-form-urlencoded"}
        if kind == "events_api":
            body = json.dumps(payload).encode()
            headers["content-type"] = "application/json"
            if fields.get("retry_attempt"):
                headers["x-slack-retry-num"] = str(fields["retry_attempt"])
                headers["x-slack-retry-reason"] = "http_timeout"
        elif kind == "slash_commands":
            known = {key: value for key, value in payload.items() if value is not None}
            body = aiohttp.FormData(known)()._value
        else:
            body = aiohttp.FormData({"payload": json.dumps(payload)})()._value
        status, answer = await self.post_signed(body, headers)
        assert status == 200, (status, answer)
        if answer.startswith(b"{"):
            acknowledged: Json = json.loads(answer)
            return acknowledged
        return {"text": answer.decode()} if answer else None

    async def post_signed(
        self, body: bytes, headers: dict[str, str], *, at: float | None = None
    ) -> tuple[int, bytes]:
        """Post bytes to the bot with Slack's signature of them; return its answer."""
        assert self.events_url is not None
        signed = headers | sign(body, time.time() if at is None else at)
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.events_url, data=body, headers=signed) as response,
        ):
            return response.status, await response.read()

    async def refresh(self) -> None:
        """Ask the client to connect anew, as Slack does every few hours; wait until it has."""
        before = self.connections
        info = {"host": "double"}
        for socket in [each for each in self._sockets if not each.closed]:
            await socket.send_json(
                {"type": "disconnect", "reason": "refresh_requested", "debug_info": info}
            )
        await self.until(lambda: self.connections > before)

    async def fall_silent(self) -> None:
        """Keep the connections open and answer nothing on them, not even pings."""
        for socket in self._sockets:
            socket._autoping = False
            self._silenced.add(socket)

    async def drop(self) -> None:
        """Close every connection without a word."""
        for socket in self._sockets:
            await socket.close()

    async def until(self, happened: Callable[[], object], patience: float | None = None) -> None:
        """Wait until something is so; raise `TimeoutError` with what the double saw."""
        end = time.monotonic() + (self._patience if patience is None else patience)
        async with self._changed:
            while not happened():
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"never happened; the bot's last calls were {self._seen()}")
                # Not all that is waited for is a call of the bot's. And `asyncio.wait_for` may
                # swallow a cancellation.
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, 0.5)):
                        await self._changed.wait()

    def _seen(self) -> list[tuple[str, object]]:
        return [(call.method, call.args.get("text")) for call in self.calls[-50:]]

    async def reply(self, said: Callable[[str], bool], thread_ts: str | None = None) -> Message:
        """Wait for a message of the bot's (in a thread) whose text satisfies `said`."""

        def found() -> Message | None:
            return next((m for m in self.in_thread(thread_ts) if said(m.text)), None)

        await self.until(found)
        message = found()
        assert message is not None
        return message

    def in_thread(self, thread_ts: str | None) -> list[Message]:
        """Return the bot's messages in a thread, or outside of any."""
        return [m for m in self._by_thread[thread_ts] if not m.deleted]

    def count(self, method: str) -> int:
        return sum(call.method == method for call in self.calls)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    # The servers

    async def _link(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.append(socket)
        self.connections += 1
        info = {"host": "double", "build_number": 1, "approximate_connection_time": 18060}
        hello = {"num_connections": 1, "debug_info": info, "connection_info": {"app_id": "A0APP"}}
        await socket.send_json({"type": "hello"} | hello)
        await self._notify()
        async for frame in socket:
            if frame.type is WSMsgType.TEXT and socket not in self._silenced:
                answer = json.loads(frame.data)
                self.acks[answer["envelope_id"]] = answer.get("payload")
                await self._notify()
        await self._notify()
        return socket

    async def _api(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        args: Json = dict(request.query)
        if request.content_type == "application/json":
            args |= await request.json()
        else:
            args |= dict(await request.post())
        call = Call(method, args)
        self.calls.append(call)
        try:
            scripted = self._scripts[method].popleft() if self._scripts[method] else None
            if scripted is not None and not scripted.accept:
                return web.json_response(
                    scripted.body, status=scripted.status, headers=scripted.headers
                )
            body = await self._answer(call, request.headers.get("Authorization"))
            if scripted is not None:
                return web.json_response(scripted.body, status=scripted.status)
            return web.json_response(body, headers={"x-oauth-scopes": self.scopes})
        finally:
            await self._notify()

    async def _answer(self, call: Call, authorization: str | None) -> Json:
        socket_mode = call.method == "apps.connections.open"
        if authorization != f"Bearer {APP_TOKEN if socket_mode else BOT_TOKEN}":
            return {"ok": False, "error": "invalid_auth"}
        answer = await self._call(call.method, call.args)
        return {"ok": "error" not in answer, **answer}

    async def _apps_connections_open(self, args: Json) -> Json:
        return {"url": self.origin.replace("http", "ws") + "/link"}

    async def _file(self, request: web.Request) -> web.Response:
        self.fetched.append((request.path, request.headers.get("Authorization")))
        id = request.path.split("/")[2].partition("-")[2]
        if id not in self.files:
            return web.Response(status=404)
        if request.headers.get("Authorization") != f"Bearer {BOT_TOKEN}":
            return web.Response(body=LOGIN_PAGE, content_type="text/html")
        known, content = self.files[id]
        return web.Response(body=content, content_type=known["mimetype"])

    async def _upload(self, request: web.Request) -> web.Response:
        self.uploads[request.match_info["id"]].content = await request.read()
        await self._notify()
        return web.Response(text="OK")

    async def _redirect(self, request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": request.query["to"]})

    async def _response_url(self, request: web.Request) -> web.Response:
        self.responses.append(await request.json())
        await self._notify()
        return web.Response(text="ok")
