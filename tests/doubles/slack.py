"""A local Slack: Socket Mode, the Web API and files over real sockets.

The double keeps what a workspace keeps (channels, members, messages, files), refuses what Slack
refuses, and checks every outgoing message against Slack's own schema where it is at hand, and
against the documented limits.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import WSMsgType, web

from tests.doubles import slack_payloads as payloads
from tests.doubles.slack_payloads import BOT, BOT_USER, TEAM, Json

BOT_TOKEN = "xoxb-double-bot-token"
APP_TOKEN = "xapp-double-app-token"
LOGIN_PAGE = b"<!DOCTYPE html><html><head><title>Slack</title></head><body>Sign in</body></html>"
POST_LIMIT = 40_000
UPDATE_LIMIT = 4_000
BLOCKS_LIMIT = 50
PATIENCE = 30.0
"""Seconds after which something that a test waits for is taken never to happen."""


@dataclass
class Message:
    """A message of the bot's, with every text that it has had."""

    channel: str
    ts: str
    thread_ts: str | None
    args: Json
    texts: list[str] = field(default_factory=list)
    deleted: bool = False

    @property
    def text(self) -> str:
        return self.texts[-1]


@dataclass
class Call:
    """One call of the Web API, with its arguments from query, form and JSON together."""

    method: str
    args: Json


@dataclass
class Answer:
    """A scripted answer instead of the real one."""

    status: int = 200
    body: Json = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    accept: bool = False
    """Do what was asked all the same, as when only the answer is lost."""


def rate_limited(seconds: int = 1) -> Answer:
    return Answer(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": str(seconds)})


class SlackDouble:
    """`async with SlackDouble() as slack` serves a workspace at `slack.api_url`."""

    bot_token = BOT_TOKEN
    app_token = APP_TOKEN
    bot_user = BOT_USER
    team = TEAM

    def __init__(self, *, enterprise: str | None = None, patience: float = PATIENCE) -> None:
        self.enterprise = enterprise
        self._patience = patience
        self.channels: dict[str, Json] = {"C0GENERAL": {}, "C0SECOND": {}}
        self.members: dict[str, list[str]] = {"U0ANN": ["C0GENERAL"]}
        self.locales: dict[str, str] = {"U0ANN": "en-US"}
        self.files: dict[str, tuple[Json, bytes]] = {}
        self.page_size = 2
        self.calls: list[Call] = []
        self.messages: list[Message] = []
        self.responses: list[Json] = []
        """What was sent to response URLs."""
        self.fetched: list[tuple[str, str | None]] = []
        """Paths of files that were asked for, with their Authorization header."""
        self.acks: dict[str, Json | None] = {}
        self.connections = 0
        self._scripts: defaultdict[str, deque[Answer]] = defaultdict(deque)
        self._violations: list[str] = []
        self._sockets: list[web.WebSocketResponse] = []
        self._changed = asyncio.Condition()
        self._count = 0
        app = web.Application()
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_get("/link", self._link)
        app.router.add_get("/files-pri/{tail:.*}", self._file)
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

    # What people do

    async def say(
        self,
        text: str,
        *,
        channel: str = "C0GENERAL",
        user: str = "U0ANN",
        thread_ts: str | None = None,
        files: Iterable[Json] = (),
        twin: bool = True,
        external: bool = False,
    ) -> str:
        """Post a message; where it mentions the bot, its `app_mention` twin comes too. Return
        its ts when all events are acknowledged."""
        ts = self.next_ts()
        said: Json = {
            "user": user,
            "channel": channel,
            "ts": ts,
            "thread_ts": thread_ts,
            "files": list(files),
        }
        events = [payloads.message(text, **said)]
        if f"<@{BOT_USER}>" in text and twin and channel[0] != "D":
            events.append(payloads.app_mention(text, **said))
        for event in events:
            await self.send_event(event, external=external)
        return ts

    async def mention(self, text: str, **where: Any) -> str:
        """Post a message that mentions the bot; as `say`."""
        return await self.say(f"<@{BOT_USER}> {text}", **where)

    async def command(
        self,
        command: str,
        text: str = "",
        *,
        channel: str = "C0GENERAL",
        user: str = "U0ANN",
    ) -> Json | None:
        """Give a slash command; return what it was acknowledged with."""
        payload = payloads.slash_command(
            command,
            text,
            user=user,
            channel=channel,
            trigger_id=f"trigger.{self._next()}",
            response_url=f"{self.origin}/commands/{TEAM}/{self._next()}/secret",
        )
        return await self.send_envelope("slash_commands", payload, accepts_response_payload=True)

    def add_file(
        self,
        name: str,
        content: bytes,
        mimetype: str = "application/octet-stream",
        *,
        mode: str = "hosted",
        user: str = "U0ANN",
        **fields: Any,
    ) -> Json:
        """Keep a file; return it as messages carry it, with some fields changed."""
        id = f"F0{self._next():06d}"
        known = payloads.file(
            name, content, mimetype, id=id, user=user, origin=self.origin, mode=mode
        )
        self.files[id] = (known, content)
        return known | fields

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
        await self.until(lambda: any(not socket.closed for socket in self._sockets))
        id = f"envelope-{self._next()}"
        envelope = {"envelope_id": id, "type": kind, "accepts_response_payload": False, **fields}
        socket = next(each for each in reversed(self._sockets) if not each.closed)
        await socket.send_json(envelope | {"payload": payload})
        await self.until(lambda: id in self.acks)
        return self.acks[id]

    async def refresh(self) -> None:
        """Ask the client to connect anew, as Slack does every few hours; wait until it has."""
        before = self.connections
        info = {"host": "double"}
        for socket in [each for each in self._sockets if not each.closed]:
            await socket.send_json(
                {"type": "disconnect", "reason": "refresh_requested", "debug_info": info}
            )
        await self.until(lambda: self.connections > before)

    async def drop(self) -> None:
        """Close every connection without a word."""
        for socket in self._sockets:
            await socket.close()

    async def until(self, happened: Callable[[], object]) -> None:
        """Wait until something is so; raise `TimeoutError` with what the double saw."""

        async def wait() -> None:
            async with self._changed:
                await self._changed.wait_for(lambda: bool(happened()))

        try:
            await asyncio.wait_for(wait(), self._patience)
        except TimeoutError:
            seen = [(call.method, call.args.get("text")) for call in self.calls]
            raise TimeoutError(f"never happened; the bot's calls were {seen}") from None

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
        return [m for m in self.messages if m.thread_ts == thread_ts and not m.deleted]

    def count(self, method: str) -> int:
        return sum(call.method == method for call in self.calls)

    def next_ts(self) -> str:
        return f"17000{self._next():05d}.000100"

    def _next(self) -> int:
        self._count += 1
        return self._count

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
            if frame.type is WSMsgType.TEXT:
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
            return web.json_response(body)
        finally:
            await self._notify()

    async def _answer(self, call: Call, authorization: str | None) -> Json:
        socket_mode = call.method == "apps.connections.open"
        if authorization != f"Bearer {APP_TOKEN if socket_mode else BOT_TOKEN}":
            return {"ok": False, "error": "invalid_auth"}
        handler: Callable[[Json], Awaitable[Json]] | None
        handler = getattr(self, "_" + call.method.replace(".", "_"), None)
        if handler is None:
            return {"ok": False, "error": "unknown_method"}
        answer = await handler(call.args)
        return {"ok": "error" not in answer, **answer}

    async def _apps_connections_open(self, args: Json) -> Json:
        return {"url": self.origin.replace("http", "ws") + "/link"}

    async def _auth_test(self, args: Json) -> Json:
        me = {"team_id": TEAM, "user_id": BOT_USER, "bot_id": BOT, "is_enterprise_install": False}
        names = {"url": "https://team.slack.com/", "team": "Team", "user": "teamglm"}
        return me | names | ({"enterprise_id": self.enterprise} if self.enterprise else {})

    async def _chat_postMessage(self, args: Json) -> Json:
        channel = args["channel"]
        if channel[0] == "U":
            channel = f"D{channel[1:]}"
        elif channel[0] != "D" and channel not in self.channels:
            return {"error": "channel_not_found"}
        elif self.channels.get(channel, {}).get("is_member") is False:
            return {"error": "not_in_channel"}
        if problem := payloads.violation("ChatPostMessage", args):
            self._violations.append(problem)
        if error := self._fits(args, POST_LIMIT):
            return {"error": error}
        message = Message(channel, self.next_ts(), args.get("thread_ts"), args, [args["text"]])
        self.messages.append(message)
        return {"channel": channel, "ts": message.ts, "message": {"text": message.text}}

    async def _chat_update(self, args: Json) -> Json:
        message = self._find(args)
        if message is None:
            return {"error": "message_not_found"}
        same = {key: args[key] for key in ("channel", "text", "blocks") if key in args}
        if problem := payloads.violation("ChatPostMessage", same):
            self._violations.append(problem)
        if error := self._fits(args, UPDATE_LIMIT):
            return {"error": error}
        message.texts.append(args["text"])
        message.args = message.args | args
        return {"channel": message.channel, "ts": message.ts, "text": message.text}

    async def _chat_delete(self, args: Json) -> Json:
        message = self._find(args)
        if message is None:
            return {"error": "message_not_found"}
        message.deleted = True
        return {"channel": message.channel, "ts": message.ts}

    def _find(self, args: Json) -> Message | None:
        return next(
            (
                each
                for each in self.messages
                if (each.channel, each.ts) == (args["channel"], args["ts"]) and not each.deleted
            ),
            None,
        )

    def _fits(self, args: Json, limit: int) -> str | None:
        if not str(args.get("text") or "").strip() and not args.get("blocks"):
            return "no_text"
        too_many = len(args.get("blocks") or ()) > BLOCKS_LIMIT
        if len(args.get("text") or "") > limit or too_many:
            self._violations.append("a message is too long")
            return "msg_too_long"
        return None

    async def _conversations_info(self, args: Json) -> Json:
        if args["channel"] not in self.channels:
            return {"error": "channel_not_found"}
        about = {"id": args["channel"], "is_channel": True, "is_ext_shared": False}
        return {"channel": about | self.channels[args["channel"]]}

    async def _users_conversations(self, args: Json) -> Json:
        channels = self.members.get(args["user"], [])
        start = int(args.get("cursor") or 0)
        end = start + min(self.page_size, int(args.get("limit", 100)))
        cursor = str(end) if end < len(channels) else ""
        page = [{"id": channel, "is_channel": True} for channel in channels[start:end]]
        return {"channels": page, "response_metadata": {"next_cursor": cursor}}

    async def _users_info(self, args: Json) -> Json:
        user = args["user"]
        if user not in self.locales:
            return {"error": "user_not_found"}
        return {"user": {"id": user, "team_id": TEAM, "locale": self.locales[user]}}

    async def _files_info(self, args: Json) -> Json:
        if args["file"] not in self.files:
            return {"error": "file_not_found"}
        return {"file": self.files[args["file"]][0]}

    async def _file(self, request: web.Request) -> web.Response:
        self.fetched.append((request.path, request.headers.get("Authorization")))
        id = request.path.split("/")[2].partition("-")[2]
        if id not in self.files:
            return web.Response(status=404)
        if request.headers.get("Authorization") != f"Bearer {BOT_TOKEN}":
            return web.Response(body=LOGIN_PAGE, content_type="text/html")
        known, content = self.files[id]
        return web.Response(body=content, content_type=known["mimetype"])

    async def _redirect(self, request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": request.query["to"]})

    async def _response_url(self, request: web.Request) -> web.Response:
        self.responses.append(await request.json())
        await self._notify()
        return web.Response(text="ok")
