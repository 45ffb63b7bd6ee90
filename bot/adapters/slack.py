"""Slack: mentions, direct messages, files and slash commands in; answers in threads out."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.errors import SlackApiError

from bot.adapters.sheet import Post, Refused, Sheet, Unreachable
from bot.adapters.slack_api import SlackApi, reason, remember
from bot.adapters.slack_files import fetch, is_loopback
from bot.adapters.slack_requests import (
    Context,
    concerns,
    is_direct,
    scope_of,
    to_command,
    to_requests,
)
from bot.messages import (
    Attachment,
    Handle,
    PlatformError,
    Reply,
    ReplyChunk,
    ReplyEvent,
    Request,
    Sources,
    Status,
)
from bot.render import body, escape_slack, plain, progress, reading, split

log = logging.getLogger(__name__)

API_URL = "https://slack.com/api/"
MESSAGE_LIMIT = 3000
"""Slack cuts an edited text at 4,000 characters, and nobody reads longer messages in a chat."""
_Work = Coroutine[Any, Any, None]
_HAN = re.compile("[\u4e00-\u9fff]")
_LOOKING = {"en": "Looking…", "zh": "正在查找…"}
_BUSY = "I'm busy right now: please ask again in a minute.\n现在请求太多了，请过一分钟再试。"
_FAILED = {
    "en": "Something went wrong on my side; it is in the log. Please try again.",
    "zh": "我这边出了问题，已记录在日志中。请再试一次。",
}
_USAGE = (
    "`/glm ask QUESTION` · `/glm search WORDS` · `/glm summarise NAME` · `/glm sources`\n"
    "用法：`/glm ask 问题` · `/glm search 关键词` · `/glm summarise 文件名` · `/glm sources`"
)


class SlackAdapter:
    """Brings people's messages to `handle` and its replies back, over Socket Mode.

    `api_url` replaces Slack's own address. At most `most_requests` are worked on at once; further
    ones are told "busy". `clock` and `sleep` are seconds, so that tests drive the pace of edits.
    """

    def __init__(
        self,
        handle: Handle,
        *,
        bot_token: str,
        app_token: str,
        api_url: str | None = None,
        edit_seconds: float = 1.0,
        most_requests: int = 200,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._handle = handle
        self._token = bot_token
        self._app_token = app_token
        self._api_url = (api_url or API_URL).rstrip("/") + "/"
        self._most_requests = most_requests
        self._pace: dict[str, Any] = {"edit_seconds": edit_seconds, "clock": clock, "sleep": sleep}
        self._app = AsyncApp(name="teamglm", token=bot_token)
        self._app.event("app_mention")(self._on_event)
        self._app.event("message")(self._on_event)
        self._app.command(re.compile("^/"))(self._on_command)
        self._client = self._app.client
        self._client.base_url = self._api_url
        if is_loopback(self._api_url):
            self._client.proxy = None
        self._api = SlackApi(self._client)
        self._me: Context | None = None
        self._seen: dict[str, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Answer until cancelled; raise `PlatformError` where Slack refuses the connection."""
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            self._client.session = session
            socket = AsyncSocketModeHandler(self._app, self._app_token)
            socket.client.proxy = self._client.proxy
            try:
                await self._sign_in(socket)
                await socket.connect_async()  # type: ignore[no-untyped-call]
                await asyncio.Event().wait()
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)
                await socket.close_async()  # type: ignore[no-untyped-call]
                self._client.session = None

    async def _sign_in(self, socket: AsyncSocketModeHandler) -> None:
        token = "SLACK_BOT_TOKEN (OAuth & Permissions)"  # noqa: S105 - where to find one
        try:
            me = await self._client.auth_test()
            token = "SLACK_APP_TOKEN (Basic Information, with connections:write)"  # noqa: S105
            # Asked for here once: the socket's own connect() would try a wrong token for ever.
            socket.client.wss_uri = await socket.client.issue_new_wss_url()
        except SlackApiError as error:
            raise PlatformError(
                f"Slack refused the token ({reason(error)}): copy it again from the app's "
                f"settings into {token}."
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise PlatformError(
                f"Slack can't be reached at {self._api_url} ({type(error).__name__}): check the "
                "network and SLACK_API_URL."
            ) from None
        enterprise = me.get("enterprise_id") or "-"
        self._me = Context("", str(me["team_id"]), str(me["user_id"]), enterprise)
        log.info("connected to Slack as @%s in %s", me.get("user"), me.get("team"))

    async def _on_event(self, body: Mapping[str, Any]) -> None:
        event, me = body["event"], self._me
        if me is None or not concerns(event, me.me):
            return
        # A mention comes as a message too, and either may come again under its own event id.
        said = f"{me.team}:{event['channel']}:{event['ts']}"
        context = replace(me, event_id=body.get("event_id", said))
        if self._is_new(context.event_id, said):
            work = self._answer(event, context, body.get("is_ext_shared_channel"))
            await self._start(event["channel"], event.get("thread_ts") or event["ts"], work)

    async def _answer(
        self, event: Mapping[str, Any], context: Context, external: bool | None
    ) -> None:
        direct = is_direct(event)
        if external is None:
            external = not direct and await self._api.is_external(event["channel"])
        context = replace(context, external=external)
        if direct and not external:
            context = await self._with_channels(event["user"], context)
        if event.get("files"):  # which say nothing of their sender's language
            context = replace(context, language=await self._api.language_of(event["user"]))
        for request in to_requests(event, context):
            await self._work(request)

    async def _on_command(self, ack: AsyncAck, command: Mapping[str, Any]) -> None:
        me = self._me
        if me is None or not self._is_new(command["trigger_id"]):
            await ack()
            return
        context = replace(me, event_id=command["trigger_id"])
        if to_command(command, context) is None:
            await ack(_USAGE)
            return
        await ack(response_type="in_channel")  # shows everybody what was asked
        await self._start(command["channel_id"], None, self._obey(command, context))

    async def _obey(self, command: Mapping[str, Any], context: Context) -> None:
        channel, user = command["channel_id"], command["user_id"]
        if is_direct({"channel": channel}):
            context = await self._with_channels(user, context)
        else:
            guest = command.get("team_id") != context.team
            external = guest or await self._api.is_external(channel)
            context = replace(context, external=external)
        context = replace(context, language=await self._api.language_of(user))
        if request := to_command(command, context):
            await self._work(request)

    async def _with_channels(self, user: str, context: Context) -> Context:
        channels = await self._api.channels_of(user)
        return replace(context, visible=frozenset(scope_of(each, context) for each in channels))

    async def _start(self, channel: str, thread: str | None, work: _Work) -> None:
        """Do the work in a task of its own, or say that there is too much of it."""
        if len(self._tasks) < self._most_requests:
            task = asyncio.create_task(self._reported(work))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        work.close()
        try:
            await self._api.post(channel, thread, {}, _BUSY)
        except (Refused, Unreachable) as error:
            log.error("nobody could be told that there is too much to do: %s", error)

    async def _reported(self, work: _Work) -> None:
        try:
            await work
        except Exception as error:
            log.error("an event of Slack was not answered: %s", reason(error))

    async def _work(self, request: Request) -> None:
        await self.deliver(request, self._handle(request))

    async def deliver(self, request: Request, events: AsyncIterator[ReplyEvent]) -> None:
        """Show events as they come and the reply in the end, where the request's address says."""
        language = request.language or ("zh" if _HAN.search(request.text) else "en")
        last = Reply("error", _FAILED[language], language)
        chunks: list[ReplyChunk] = []
        sheet = Sheet(self._places(request), **self._pace)
        sheet.show([_LOOKING[language]])
        async with asyncio.TaskGroup() as group:
            group.create_task(sheet.keep_up())
            try:
                async for event in events:
                    match event:
                        case Status() if not chunks:
                            sheet.show(_fit(progress(event))[:1])
                        case Sources() if event.citations and not chunks:
                            sheet.show(_fit(reading(event.citations, language))[:1])
                        case ReplyChunk():
                            chunks.append(event)
                            sheet.show(_fit(body(Reply("answer", "", language, tuple(chunks)))))
                        case Reply():
                            last = event
            except Exception as error:
                log.error("request %s failed: %s", request.id, reason(error))
            sheet.show(_fit(plain(last)))
            sheet.finish()

    async def download(self, attachment: Attachment, path: Path, limit: int) -> None:
        """Write an attachment's bytes to `path`; a file known only by its id is looked up."""
        url = attachment.reference
        if "://" not in url:
            url = await self._api.file_url(url)
        await fetch(
            url,
            attachment,
            path,
            limit,
            token=self._token,
            api_url=self._api_url,
            proxy=self._client.proxy,
        )

    def _places(self, request: Request) -> list[Post]:
        """Return where a reply may go, best first; the last is the person's direct messages."""
        where = request.address
        mark = {"event_type": "teamglm_reply", "event_payload": {"request": request.id}}
        places: list[Post] = [partial(self._api.post, where["channel"], where.get("thread"), mark)]
        if "response_url" in where:  # the bot may not be in the channel of a command
            places.append(partial(self._api.respond, where["response_url"]))
        return [*places, partial(self._api.post, request.user, None, mark)]

    def _is_new(self, *ids: str) -> bool:
        """Tell whether an event comes for the first time, and remember its ids."""
        new = not any(each in self._seen for each in ids)
        for each in ids:
            remember(self._seen, each, None)
        return new


def _fit(text: str) -> list[str]:
    return split(text, escape_slack, MESSAGE_LIMIT)
