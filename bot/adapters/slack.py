"""Slack: mentions, direct messages, files and slash commands in; answers in threads out."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.errors import SlackApiError

from bot.adapters.delivery import Deliveries, View
from bot.adapters.sheet import Place
from bot.adapters.slack_api import Room, SlackApi, Whisper, reason
from bot.adapters.slack_files import fetch, is_loopback
from bot.adapters.slack_requests import (
    Context,
    concerns,
    is_direct,
    scope_of,
    to_command,
    to_requests,
)
from bot.messages import Attachment, Event, Handle, Inbox, PlatformError, Request
from bot.render import escape_slack, split

log = logging.getLogger(__name__)

API_URL = "https://slack.com/api/"
MESSAGE_LIMIT = 3000
"""Slack cuts an edited text at 4,000 characters, and nobody reads longer messages in a chat."""
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
        inbox: Inbox,
        *,
        bot_token: str,
        app_token: str,
        api_url: str | None = None,
        edit_seconds: float = 1.0,
        most_requests: int = 200,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._token = bot_token
        self._app_token = app_token
        self._api_url = (api_url or API_URL).rstrip("/") + "/"
        # An event is stored before it is acknowledged.
        self._app = AsyncApp(name="teamglm", token=bot_token, process_before_response=True)
        self._app.event("app_mention")(self._on_event)
        self._app.event("message")(self._on_event)
        self._app.command(re.compile("^/"))(self._on_command)
        self._client = self._app.client
        self._client.base_url = self._api_url
        if is_loopback(self._api_url):
            self._client.proxy = None
        self._api = SlackApi(self._client)
        self._me: Context | None = None
        self._deliveries: Deliveries[str] = Deliveries(
            "slack",
            handle,
            inbox,
            _Surface(self._api),
            self._work,
            edit_seconds=edit_seconds,
            most_events=most_requests,
            clock=clock,
            sleep=sleep,
        )

    async def run(self) -> None:
        """Answer until cancelled; raise `PlatformError` where Slack refuses the connection."""
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            self._client.session = session
            socket = AsyncSocketModeHandler(self._app, self._app_token)
            socket.client.proxy = self._client.proxy
            try:
                await self._sign_in(socket)
                await self._deliveries.resume()
                await socket.connect_async()  # type: ignore[no-untyped-call]
                await asyncio.Event().wait()
            finally:
                await self._deliveries.close()
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
        await self._deliveries.accept(
            Event(
                id=body.get("event_id", said),
                platform="slack",
                team=f"{me.enterprise}:{me.team}",
                channel=event["channel"],
                kind="message",
                payload={"event": event, "external": body.get("is_ext_shared_channel")},
                message=event["ts"],
            )
        )

    async def _on_command(self, ack: AsyncAck, command: Mapping[str, Any]) -> None:
        me = self._me
        if me is None:
            return
        context = replace(me, event_id=command["trigger_id"])
        if to_command(command, context) is None:
            await ack(_USAGE)
            return
        await self._deliveries.accept(
            Event(
                id=context.event_id,
                platform="slack",
                team=f"{me.enterprise}:{me.team}",
                channel=command["channel_id"],
                kind="command",
                payload=dict(command),
            )
        )
        await ack(response_type="in_channel")  # shows everybody what was asked

    async def _work(self, event: Event) -> None:
        if self._me is None:
            raise RuntimeError("events are worked on after signing in")
        context = replace(self._me, event_id=event.id)
        asked = self._said if event.kind == "message" else self._commanded
        for request in await asked(event.payload, context):
            await self._deliveries.deliver(request, event)

    async def _said(self, payload: Mapping[str, Any], context: Context) -> Sequence[Request]:
        event, external = payload["event"], payload["external"]
        direct = is_direct(event)
        if external is None:
            external = not direct and await self._api.is_external(event["channel"])
        context = replace(context, external=external)
        if direct and not external:
            context = await self._with_channels(event["user"], context)
        if event.get("files"):  # which say nothing of their sender's language
            context = replace(context, language=await self._api.language_of(event["user"]))
        return to_requests(event, context)

    async def _commanded(self, command: Mapping[str, Any], context: Context) -> Sequence[Request]:
        channel, user = command["channel_id"], command["user_id"]
        if is_direct({"channel": channel}):
            context = await self._with_channels(user, context)
        else:
            guest = command.get("team_id") != context.team
            external = guest or await self._api.is_external(channel)
            context = replace(context, external=external)
        context = replace(context, language=await self._api.language_of(user))
        request = to_command(command, context)
        return [request] if request else []

    async def _with_channels(self, user: str, context: Context) -> Context:
        channels = await self._api.channels_of(user)
        return replace(context, visible=frozenset(scope_of(each, context) for each in channels))

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


class _Surface:
    """Slack, as far as replies stand on it: messages of plain text."""

    def __init__(self, api: SlackApi) -> None:
        self._api = api
        self.edit = api.edit
        self.delete = api.delete

    def places(self, request: Request) -> list[Place[str]]:
        """Return where a reply may go, best first; the last is the person's direct messages."""
        where = request.address
        places: list[Place[str]] = [Room(self._api, where["channel"], where.get("thread"))]
        if "response_url" in where:  # the bot may not be in the channel of a command
            places.append(Whisper(self._api, where["response_url"]))
        return [*places, Room(self._api, request.user)]

    def render(self, view: View) -> list[str]:
        """Return a reply in messages; before its end what is long is cut."""
        pieces = split(view.text(), escape_slack, MESSAGE_LIMIT)
        return pieces if view.chunks or view.reply else pieces[:1]
