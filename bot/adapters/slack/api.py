"""What the adapter asks of Slack about people, channels and files, and what failures mean."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeVar

import aiohttp
from slack_sdk.errors import SlackApiError, SlackRequestError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.adapters.sheet import Refused, Unreachable
from bot.adapters.slack.access import Person, Team
from bot.adapters.slack.requests import SPOKEN, to_text
from bot.messages import AttachmentError, Language
from bot.transcript import Said, transcript

log = logging.getLogger(__name__)

FAILURES = (SlackApiError, SlackRequestError, aiohttp.ClientError, OSError, TimeoutError)
_T = TypeVar("_T")
_PAGE = 200
_MOST_PAGES = 50
_MOST_SAID = 1000
_MOST_THREADS = 50
_RATE_LIMIT_TRIES = 5
_TOO_MANY = 429
_PASSING = ("ratelimited", "internal_error", "fatal_error", "service_unavailable")
"""Errors that Slack reports as refusals, and that pass."""
_NOBODY_THERE = ("channel_not_found", "user_not_found", "user_not_visible")
"""Where the person or the bot is gone; other refusals are about the app, and say nothing."""


def reason(error: BaseException) -> str:
    """Return an error in one line, without what was sent."""
    if isinstance(error, SlackApiError):
        response = error.response
        return str(response.get("error")) if isinstance(response, AsyncSlackResponse) else "no JSON"
    return type(error).__name__  # its text may quote what was sent


class SlackApi:
    """What the adapter asks of Slack; `client` is the connection."""

    def __init__(self, client: AsyncWebClient) -> None:
        self.client = client
        # Not the handler for lost connections: a message that did arrive would be sent again.
        client.retry_handlers = retry_handlers()
        self._locales: dict[str, Language] = {}
        self._names: dict[str, str] = {}

    async def is_external(self, channel: str) -> bool:
        """Tell whether another organisation shares a channel; in doubt one does."""
        try:
            found = await self.client.conversations_info(channel=channel)
        except FAILURES as error:
            log.warning("an answer uses its channel's own documents only: %s", reason(error))
            return True
        about = found.get("channel") or {}
        return bool(about.get("is_ext_shared") or about.get("is_pending_ext_shared"))

    async def channels_of(self, user: str) -> frozenset[str]:
        """Return the channels that a person is in now; none where Slack doesn't tell."""
        try:
            return await self._channels_of(user)
        except FAILURES as error:
            log.warning("a person's channels are left out of an answer: %s", reason(error))
            return frozenset()

    async def _channels_of(self, user: str) -> frozenset[str]:
        channels: set[str] = set()
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page = await self.client.users_conversations(
                user=user, types="public_channel,private_channel", limit=_PAGE, cursor=cursor
            )
            channels.update(channel["id"] for channel in page.get("channels") or ())
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                break
        return frozenset(channels)

    async def may_post(self, user: str, team: Team, channel: str) -> bool | None:
        """Tell whether a person may post in a channel now; None where Slack doesn't tell now."""
        if channel.startswith("D"):
            return True
        try:
            with translated():
                found = await self.client.conversations_info(channel=channel)
                about = found.get("channel") or {}
                inside = channel in await self._channels_of(user)
        except Refused as error:
            return False if str(error) in _NOBODY_THERE else None
        except Unreachable:
            return None
        limited = (about.get("properties") or {}).get("posting_restricted_to") or {}
        if about.get("is_archived") or not inside:
            return False
        if not (limited.get("type") or limited.get("user")) or user in (limited.get("user") or ()):
            return True
        return (await self.person(user, team)).admin

    async def zone_of(self, user: str) -> str | None:
        """Return the IANA name of a person's time zone; None where Slack doesn't tell."""
        zone = (await self._user(user) or {}).get("tz")
        return str(zone) if zone else None

    async def person(self, user: str, team: Team) -> Person:
        """Return what Slack says of a person; somebody it says nothing of is a guest."""
        about = await self._user(user)
        if about is None:
            return Person(guest=True)
        home = about.get("enterprise_user") or {}
        of_ours = about.get("team_id") in (None, team.id) or (
            team.enterprise != "-" and home.get("enterprise_id") == team.enterprise
        )
        return Person(
            guest=bool(about.get("is_restricted") or about.get("is_ultra_restricted")),
            stranger=bool(about.get("is_stranger")) or not of_ours,
            admin=bool(about.get("is_admin") or about.get("is_owner")),
        )

    async def language_of(self, user: str) -> Language | None:
        """Return the language of a person's Slack; None where Slack doesn't tell."""
        if user not in self._locales:
            locale = (await self._user(user) or {}).get("locale")
            if not locale:
                return None
            remember(self._locales, user, "zh" if locale.startswith("zh") else "en")
        return self._locales[user]

    async def _user(self, user: str) -> dict[str, Any] | None:
        try:
            found = await self.client.users_info(user=user, include_locale=True)
        except FAILURES as error:
            log.warning("what Slack knows of a person is not known: %s", reason(error))
            return None
        about: dict[str, Any] | None = found.get("user")
        return about

    async def tell(self, channel: str, thread: str | None, user: str, text: str) -> None:
        """Show something to one person in a channel; log if that isn't possible."""
        try:
            await self.client.chat_postEphemeral(
                channel=channel, thread_ts=thread, user=user, text=text, link_names=False
            )
        except FAILURES as error:
            log.warning("a person could not be told: %s", reason(error))

    async def rest(self, channel: str, thread: str) -> None:
        """Say that nothing is being written in a thread, which Slack doesn't see after a stop."""
        try:
            await self.client.agents_sessions_setStatus(
                channel_id=channel, thread_ts=thread, status="active"
            )
        except FAILURES as error:
            log.warning("a thread still seems to be answered: %s", reason(error))

    async def file_url(self, file: str) -> str:
        """Return where Slack keeps a file; raise `AttachmentError` if it keeps none."""
        try:
            found = (await self.client.files_info(file=file)).get("file") or {}
        except FAILURES as error:
            problem = f"Slack does not show the file ({reason(error)})"
            raise AttachmentError("unreadable", problem) from None
        url = found.get("url_private_download") or found.get("url_private")
        if found.get("mode") == "external" or found.get("is_external") or not url:
            raise AttachmentError("unreadable", "the file is kept outside Slack: upload it here")
        return str(url)

    async def thread(self, channel: str, root: str, title: str, site: str) -> str:
        """Return a thread, or a message without one, as a transcript; raise `AttachmentError`."""
        try:
            found = self._pages("conversations_replies", channel, ts=root)
            said = [await self._said(message) async for message in found]
        except FAILURES as error:
            problem = f"Slack does not show the thread ({reason(error)})"
            raise AttachmentError("unreadable", problem) from None
        link = f"{site.rstrip('/')}/archives/{channel}/p{root.replace('.', '')}"
        return transcript(title, link, said)

    async def channel(self, channel: str, oldest: str, title: str, site: str, me: str) -> str:
        """Return what people said in a channel since a time, threads too, as a transcript: at most
        the newest thousand messages and fifty threads. Raise `AttachmentError`."""
        said: list[tuple[str, Mapping[str, Any]]] = []
        threads = 0
        try:
            async for message in self._pages("conversations_history", channel, oldest=oldest):
                root = str(message["ts"])
                said.append((root, message))
                if message.get("reply_count") and threads < _MOST_THREADS:
                    threads += 1
                    found = self._pages("conversations_replies", channel, ts=root, oldest=oldest)
                    said += [(root, each) async for each in found if each["ts"] != root]
                if len(said) >= _MOST_SAID:
                    break
        except FAILURES as error:
            problem = f"Slack does not show the channel ({reason(error)})"
            raise AttachmentError("not_in_channel", problem) from None
        people = [
            (root, each)
            for root, each in said
            if each.get("subtype") in SPOKEN and each.get("user") != me and each.get("text")
        ]
        if not people:
            raise AttachmentError("nothing_said", "nobody has said anything since then")
        people.sort(key=lambda each: (each[0], each[1]["ts"]))
        told = [await self._said(message) for _, message in people]
        return transcript(title, f"{site.rstrip('/')}/archives/{channel}", told)

    async def _pages(self, method: str, channel: str, **more: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the messages of all pages that a method has."""
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page = await getattr(self.client, method)(
                channel=channel, limit=_PAGE, cursor=cursor, **more
            )
            for message in page.get("messages") or ():
                yield message
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return

    async def _said(self, message: Mapping[str, Any]) -> Said:
        at = datetime.fromtimestamp(float(message["ts"]), UTC)
        author = await self.name(message.get("user"), message.get("bot_id") or "?")
        return Said(author, at, to_text(message.get("text") or ""))

    async def now_for(self, user: str) -> datetime:
        """Return the time where a person is; in UTC where Slack doesn't tell."""
        seconds = (await self._user(user) or {}).get("tz_offset") or 0
        return datetime.now(timezone(timedelta(seconds=int(seconds))))

    async def name(self, user: str | None, otherwise: str) -> str:
        """Return the name that people see of a person; `otherwise` where there is none."""
        if user is None:
            return otherwise
        if user not in self._names:
            about = await self._user(user) or {}
            profile = about.get("profile") or {}
            name = profile.get("display_name") or about.get("real_name") or about.get("name")
            remember(self._names, user, str(name or user))
        return self._names[user]


def remember(known: dict[str, _T], key: str, value: _T, most: int = 10_000) -> None:
    """Add to a dictionary that forgets its oldest entries."""
    known[key] = value
    if len(known) > most:
        del known[next(iter(known))]


def retry_handlers() -> list[Any]:
    """Return what waits as Slack says when it is asked too often."""
    return [AsyncRateLimitErrorRetryHandler(max_retry_count=_RATE_LIMIT_TRIES)]


@contextmanager
def translated() -> Iterator[None]:
    """Tell a refusal from silence: Slack says no with an error code and a status below 500."""
    try:
        yield
    except SlackApiError as error:
        response = error.response
        if isinstance(response, AsyncSlackResponse):
            told = response.status_code < 500 and response.status_code != _TOO_MANY
            if told and str(response.get("error")) not in _PASSING:
                raise Refused(reason(error)) from None
        raise Unreachable(reason(error)) from None
    except FAILURES as error:
        raise Unreachable(type(error).__name__) from None
