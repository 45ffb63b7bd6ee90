"""The page's server: a port, a guard, and Gradio mounted as soon as it is imported."""

from __future__ import annotations

import asyncio
import errno
import importlib
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import uvicorn
from starlette.datastructures import QueryParams
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from bot.adapters.serving import Server
from bot.adapters.web.due import Cards
from bot.adapters.web.files import KeptFiles
from bot.adapters.web.guard import PICTURE, Guard, is_loopback
from bot.adapters.web.talk import LocalDownload, Talk
from bot.adapters.web.view import Work
from bot.messages import Event, Handle, Inbox, Language, PlatformError

DEFAULT_PORT = 7860
_TRIED = 100

_WAITING = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>TeamGLM</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="1"><style>
body{margin:0;min-height:100vh;display:grid;place-content:center;text-align:center;gap:.5rem;
font:16px/1.6 system-ui,"PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif;
color:#1f2a2e;background:#f7f7f5}h1{font-size:1.4rem;margin:0}p{margin:0;opacity:.75}
@media(prefers-color-scheme:dark){body{color:#e4e8e8;background:#14191b}}
</style></head><body><h1>TeamGLM</h1><p role="status">Starting, the page opens in a moment…</p>
<p lang="zh-CN">正在启动，页面马上打开……</p></body></html>"""


class WebError(PlatformError):
    """Why the page cannot be served, in one sentence that says what to do."""


class PortTaken(WebError):
    """The configured port belongs to another program."""


class PasswordMissing(WebError):
    """The page would be open to others without a password."""


class WebAdapter:
    """The web page, served from the bot's own event loop until `run` is cancelled.

    `port` None takes 7860 or the next free one and says so through `say`; 0 takes any.
    `ready` returns None, or the name of what is still loading; `work` what is being read.
    """

    def __init__(
        self,
        handle: Handle,
        inbox: Inbox,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        password: str | None = None,
        upload_scope: str,
        upload_folder: Path,
        max_upload_bytes: int,
        examples: Sequence[str],
        ready: Callable[[], str | None],
        work: Callable[[Language], Work | None] = lambda language: None,
        history_turns: int,
        say: Callable[[str], None],
        refresh_seconds: tuple[float, float] = (1.0, 10.0),
    ) -> None:
        if not is_loopback(host) and not password:
            raise PasswordMissing(
                f"The page on {host} would be open to the whole network: set TEAMGLM_WEB_PASSWORD, "
                "or web.host to 127.0.0.1."
            )
        self._host = host
        self._port = port
        self._password = password
        self._folder = upload_folder
        self._limit = max_upload_bytes
        self._examples = tuple(examples)
        self._ready = ready
        self._work = work
        self._history = history_turns
        self._say = say
        self._refresh = refresh_seconds
        self._talk = Talk(handle, upload_scope)
        self._files = KeptFiles()
        self.cards = Cards(inbox, self._talk, self._files)
        self.download = LocalDownload(upload_folder)

    async def run(self, started: Callable[[str], None] | None = None) -> None:
        """Serve the page until cancelled; call `started` with its address once it answers.

        Raise `PortTaken` if the configured port is taken.
        """
        listener = _listen(self._host, self._port, self._say)
        port = listener.getsockname()[1]
        front = _Front(self._talk)
        server = Server(
            uvicorn.Config(
                Guard(front, self._password),
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                ws="none",
                timeout_graceful_shutdown=1,
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            name = f"[{self._host}]" if ":" in self._host else self._host
            if started is not None:
                started(f"http://{name}:{port}")
            # Importing Gradio takes seconds and building the page most of one, so both happen in
            # a thread; Gradio wants a loop there, though what it makes runs in this one.
            app, running = await asyncio.to_thread(asyncio.run, self._build())
            await self.cards.open()
            async with running:
                front.app = app
                await asyncio.shield(serving)
        finally:
            await self.cards.close()
            await self._talk.close()
            server.should_exit = True
            await asyncio.wait([serving])
            listener.close()

    async def zone_of(self, user: str) -> str | None:
        """Return None: whoever is at the page goes by the settings' time zone."""
        return None

    async def may_post(self, user: str, team: str, channel: str) -> bool | None:
        """Tell that whoever is at the page may have something posted on it."""
        return True

    async def post(self, event: Event) -> bool:
        """Take over something that is due; False while the page isn't served."""
        return await self.cards.post(event)

    async def _build(self) -> tuple[ASGIApp, AbstractAsyncContextManager[None]]:
        self._folder.mkdir(parents=True, exist_ok=True)
        module = importlib.import_module("bot.adapters.web.page")
        page = module.Page(
            self._talk,
            self.download,
            self.cards,
            self._files,
            max_upload_bytes=self._limit,
            examples=self._examples,
            ready=self._ready,
            work=self._work,
            history_turns=self._history,
            refresh_seconds=self._refresh,
        )
        app = module.mount(page, self._folder)
        return app, module.running(page, app)


class _Front:
    """Answers that the page is starting until there is one, and shows pictures of pages."""

    app: ASGIApp | None = None

    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == PICTURE:
            await (await self._picture(QueryParams(scope["query_string"])))(scope, receive, send)
        elif self.app is not None:
            await self.app(scope, receive, send)
        elif scope["path"] == "/":
            await HTMLResponse(_WAITING)(scope, receive, send)
        else:
            await PlainTextResponse("Starting.", 503)(scope, receive, send)

    async def _picture(self, asked: QueryParams) -> Response:
        """Return the picture that a citation's card asks for."""
        try:
            at = {name: int(asked[name]) for name in ("start", "end")}
            request = self._talk.request("picture", asked["document"], "", "en", options=at)
        except (KeyError, ValueError):
            return PlainTextResponse("Which passage?", 400)
        reply = await self._talk.reply(request)
        if reply.outcome != "answer":
            return PlainTextResponse(reply.text, 404)
        return Response(
            reply.files[0].content,
            media_type="image/webp",
            # Nothing is left in the browser of what is forgotten, and no other site shows it.
            headers={
                "cache-control": "no-store",
                "cross-origin-resource-policy": "same-origin",
                "x-content-type-options": "nosniff",
            },
        )


def _listen(host: str, port: int | None, say: Callable[[str], None]) -> socket.socket:
    wanted = range(DEFAULT_PORT, DEFAULT_PORT + _TRIED) if port is None else (port,)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in wanted:
        try:
            listener = socket.create_server((host, candidate), family=family, backlog=2048)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                continue
            raise WebError(
                f"The page cannot be served on {host}:{candidate} ({error.strerror}): "
                "set web.host and web.port to an address of this machine."
            ) from error
        if port is None and candidate != DEFAULT_PORT:
            say(f"Port {DEFAULT_PORT} is taken, so the page is on port {candidate}.")
        return listener
    if port is None:
        raise PortTaken(
            f"Ports {DEFAULT_PORT} to {DEFAULT_PORT + _TRIED - 1} are all taken: "
            "set web.port to a free one."
        )
    raise PortTaken(f"Port {port} is taken by another program: set web.port to a free one.")
