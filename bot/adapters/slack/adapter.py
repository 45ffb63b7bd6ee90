"""Slack: what people say and click comes in, over Socket Mode or signed HTTP; answers go out."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_sdk.errors import SlackApiError

from bot.adapters.delivery import Deliveries
from bot.adapters.slack import events
from bot.adapters.slack.access import Access, Team
from bot.adapters.slack.api import SlackApi, reason
from bot.adapters.slack.clicks import Clicks
from bot.adapters.slack.files import download, is_loopback
from bot.adapters.slack.http import SignedEvents, serve
from bot.adapters.slack.requests import concerns, is_spoken
from bot.adapters.slack.surface import SlackSurface
from bot.adapters.slack.talk import Threads
from bot.adapters.slack.work import Habits, SlackWork, own_team
from bot.messages import Attachment, Event, Fetch, Forbids, Handle, Inbox, PlatformError

log = logging.getLogger(__name__)

API_URL = "https://slack.com/api/"
_ANY = re.compile(".*", re.DOTALL)


class SlackAdapter:
    """Brings what people do in Slack to `handle`, and its replies back.

    With an `app_token` over Socket Mode, else with the `signing_secret` over HTTP at
    http://`host`:`port`/slack/events. `api_url` replaces Slack's own address. At most
    `most_requests` events are worked on at once; people are told "busy" about further ones.
    `clock` and `sleep` are seconds, so that tests drive the pace of edits; a connection that is
    silent for four `ping_seconds` is opened anew.
    """

    def __init__(
        self,
        handle: Handle,
        inbox: Inbox,
        *,
        bot_token: str,
        fetch: Fetch,
        forbids: Forbids = lambda request: None,
        app_token: str | None = None,
        signing_secret: str | None = None,
        host: str = "127.0.0.1",
        port: int = 3000,
        api_url: str | None = None,
        habits: Habits | None = None,
        streaming: bool = True,
        edit_seconds: float = 1.0,
        ping_seconds: float = 10.0,
        most_requests: int = 200,
        listening: Callable[[int], None] = lambda port: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if not (app_token or signing_secret):
            raise ValueError("Slack needs an app token or a signing secret")
        self._token = bot_token
        self._fetch = fetch
        self._app_token = app_token
        self._ping_seconds = ping_seconds
        self._address = (host, port, listening)
        self._api_url = (api_url or API_URL).rstrip("/") + "/"
        self._habits = habits or Habits()
        # An event is stored before it is acknowledged; our own application checks signatures.
        self._app = AsyncApp(
            name="teamglm",
            token=bot_token,
            signing_secret=signing_secret or "",
            process_before_response=True,
            request_verification_enabled=False,
        )
        self._events = SignedEvents(signing_secret, self._answer) if signing_secret else None
        self._client = self._app.client
        self._client.base_url = self._api_url
        if is_loopback(self._api_url):
            self._client.proxy = None
        self._api = SlackApi(self._client)
        self._access = Access(self._api, clock=clock)
        self._threads = Threads(inbox, self._habits.follow_ups)
        surface = SlackSurface(self._client, streaming=streaming)
        self._work = SlackWork(
            handle, forbids, inbox, self._api, self._access, surface, self._habits, sleep=sleep
        )
        self._deliveries = self._work.deliveries = Deliveries(
            "slack",
            self._work.handle,
            inbox,
            surface,
            self._work.work,
            edit_seconds=edit_seconds,
            most_events=most_requests,
            clock=clock,
            sleep=sleep,
        )
        self._clicks = Clicks(self._api, self._work)
        self._team = Team("")
        self._site = ""
        self._connected = False
        self._app.event(_ANY)(self._on_event)
        self._app.command(_ANY)(self._on_command)
        self._app.action(_ANY)(self._on_click)
        self._app.shortcut(_ANY)(self._on_shortcut)
        self._app.view(_ANY)(self._on_form)
        self._app.options(_ANY)(self._on_options)

    async def run(self) -> None:
        """Answer until cancelled; raise `PlatformError` where Slack refuses the connection."""
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            self._client.session = session
            try:
                await self._sign_in()
                await self._deliveries.resume()
                self._connected = True
                if self._app_token:
                    await self._over_socket(self._app_token)
                elif self._events:
                    await self._over_http(self._events)
            finally:
                self._connected = False
                await self._clicks.close()
                await self._deliveries.close()
                self._client.session = None

    async def _over_socket(self, app_token: str) -> None:
        socket = AsyncSocketModeHandler(
            self._app, app_token, ping_interval=self._ping_seconds, proxy=self._client.proxy
        )
        socket.client.proxy = self._client.proxy
        token = "SLACK_APP_TOKEN (Basic Information, with connections:write)"  # noqa: S105
        try:
            # Asked for here once: the socket's own connect() would try a wrong token for ever.
            socket.client.wss_uri = await self._told(socket.client.issue_new_wss_url(), token)
            await socket.connect_async()  # type: ignore[no-untyped-call]
            await asyncio.Event().wait()
        finally:
            await socket.close_async()  # type: ignore[no-untyped-call]

    async def _over_http(self, events: SignedEvents) -> None:
        host, port, listening = self._address
        try:
            await serve(events, host, port, listening)
        except OSError:
            raise PlatformError(
                f"Slack's events can't be received at {host}:{port}: correct slack.host and "
                "slack.port, or stop what is using the port."
            ) from None

    async def _sign_in(self) -> None:
        token = "SLACK_BOT_TOKEN (OAuth & Permissions)"  # noqa: S105 - where to find one
        me = await self._told(self._client.auth_test(), token)
        self._team, self._work.me = own_team(me), str(me["user_id"])
        self._site = str(me.get("url") or "")
        log.info("connected to Slack as @%s in %s", me.get("user"), me.get("team"))

    async def _told(self, call: Awaitable[Any], token: str) -> Any:
        """Return what a first call returns; put its failure in a sentence."""
        try:
            return await call
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

    async def _answer(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, str, bytes]:
        """Answer what came over HTTP, verified."""
        asked = AsyncBoltRequest(body=body.decode("utf-8", "replace"), headers=dict(headers))
        answer = await self._app.async_dispatch(asked)
        kind = answer.first_headers().get("content-type", "text/plain")
        return answer.status, kind, (answer.body or "").encode()

    async def _on_event(self, body: dict[str, Any]) -> None:
        if event := await self._heard(body):
            await self._deliveries.accept(event)

    async def _heard(self, body: Mapping[str, Any]) -> Event | None:
        """Return what is to be done about an event of Slack's; None where it isn't for the bot."""
        event, me, team = body["event"], self._work.me, self._team
        if event["type"] in events.MEMBERSHIP:
            self._membership(event)
        elif event["type"] == "agent_session_stopped":
            return events.stopped(body, team)
        elif event["type"] == "app_home_opened":
            return events.opened(body, team)
        elif event["type"] not in ("message", "app_mention"):
            return None
        elif event.get("subtype") == "message_changed":
            before = event.get("previous_message") or {}
            if is_spoken(before or event["message"], me):
                return events.edited(body, team)
        elif event.get("subtype") == "message_deleted":
            before = event.get("previous_message") or {}
            if not before or is_spoken(before, me):
                return events.deleted(body, team)
        else:
            here = events.installed_team(body, team)
            follows = await self._threads.follows(event, here, me)
            keeps = self._habits.keep_files != "never"
            if follows or concerns(event, me, keeps_files=keeps):
                return events.said(body, team, follows=follows)
        return None

    def _membership(self, event: Mapping[str, Any]) -> None:
        if event["type"] == "member_left_channel":
            # The event's team is the person's; whoever it is, they are asked about anew.
            self._access.left(event["user"])
        else:
            self._access.changed()

    async def _on_command(self, ack: Any, body: dict[str, Any]) -> None:
        answer = await self._clicks.command(body, self._team)
        if answer is None:
            await self._deliveries.accept(events.command(body, self._team))
            answer = self._clicks.acknowledgement(body)
        await ack(**answer)

    async def _on_click(self, ack: Any, body: dict[str, Any]) -> None:
        if event := self._clicks.click(body, self._team):
            await self._deliveries.accept(event)
        await ack()

    async def _on_shortcut(self, ack: Any, body: dict[str, Any]) -> None:
        if event := self._clicks.shortcut(body, self._team):
            await self._deliveries.accept(event)
        await ack()

    async def _on_form(self, ack: Any, body: dict[str, Any]) -> None:
        errors, event = await self._clicks.form(body, self._team)
        if errors:
            await ack(response_action="errors", errors=errors)
            return
        if event:
            await self._deliveries.accept(event)
        await ack()

    async def _on_options(self, ack: Any, body: dict[str, Any]) -> None:
        await ack(options=await self._clicks.options(body, self._team))

    async def zone_of(self, user: str) -> str | None:
        """Return the IANA name of a person's time zone; None where Slack doesn't tell."""
        return await self._api.zone_of(user)

    async def may_post(self, user: str, team: str, channel: str) -> bool | None:
        """Tell whether a person may post in a channel now; None where nobody can know just now."""
        return await self._api.may_post(user, events.team_of(team), channel)

    async def post(self, event: Event) -> bool:
        """Take over something that is due; False while Slack isn't connected."""
        if self._connected:
            await self._deliveries.accept(event)
        return self._connected

    async def download(self, attachment: Attachment, path: Path, limit: int) -> None:
        """Write an attachment's bytes to `path`; a file known only by its id is looked up."""
        url = attachment.reference
        if url.startswith("thread:"):
            channel, _, root = url.removeprefix("thread:").partition("/")
            text = await self._api.thread(channel, root, attachment.name, self._site)
            await asyncio.to_thread(path.write_text, text, encoding="utf-8")
            return
        if url.startswith("channel:"):
            channel, _, oldest = url.removeprefix("channel:").partition("/")
            me = self._work.me
            text = await self._api.channel(channel, oldest, attachment.name, self._site, me)
            await asyncio.to_thread(path.write_text, text, encoding="utf-8")
            return
        if "://" not in url:
            url = await self._api.file_url(url)
        await download(
            self._fetch,
            url,
            attachment,
            path,
            limit,
            token=self._token,
            api_url=self._api_url,
        )
