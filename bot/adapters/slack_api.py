"""The calls to Slack's Web API that the adapter makes, and what their failures mean."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.adapters.sheet import Refused, Unreachable
from bot.messages import AttachmentError, Language
from bot.render import escape_slack

log = logging.getLogger(__name__)

FAILURES = (SlackApiError, aiohttp.ClientError, OSError, TimeoutError)
_T = TypeVar("_T")
_PAGE = 200
_MOST_PAGES = 50
_RATE_LIMIT_TRIES = 5
_MARK = "teamglm_reply"
_TOO_MANY = 429
_PASSING = ("ratelimited", "internal_error", "fatal_error", "service_unavailable")
"""Errors that Slack reports as refusals, and that pass."""
_NOT_THERE = ("channel_not_found", "not_in_channel", "thread_not_found", "is_archived")
"""Where the bot can't look for a message it can't have written one."""


def reason(error: BaseException) -> str:
    """Return an error in one line, without what was sent."""
    if isinstance(error, SlackApiError):
        response = error.response
        return str(response.get("error")) if isinstance(response, AsyncSlackResponse) else "no JSON"
    return " ".join(f"{type(error).__name__}: {error}".split())


class SlackApi:
    """What the adapter asks of Slack; `client` is the connection.

    Every text is plain: it goes out as a rich text block, where nothing is parsed, and escaped in
    the notification.
    """

    def __init__(self, client: AsyncWebClient) -> None:
        self.client = client
        # Not the handler for lost connections: a message that did arrive would be sent again.
        client.retry_handlers = _retry_handlers()
        self._locales: dict[str, Language] = {}

    async def post(self, channel: str, thread: str | None, mark: str, text: str) -> str:
        """Post a message that carries a mark; return what `edit` calls it; raise as a `Place`."""
        with translated():
            sent = await self.client.chat_postMessage(
                channel=channel,
                thread_ts=thread,
                text=escape_slack(text),
                blocks=_blocks(text),
                metadata={"event_type": _MARK, "event_payload": {"mark": mark}},
                parse="none",
                link_names=False,
                unfurl_links=False,
                unfurl_media=False,
            )
        return f"{sent['channel']}/{sent['ts']}"

    async def find(self, channel: str, thread: str | None, mark: str) -> str | None:
        """Return our message that carries a mark, of the newest ones; raise `Unreachable`."""
        where: dict[str, Any] = {"channel": channel, "include_all_metadata": True, "limit": _PAGE}
        try:
            with translated():
                if channel.startswith("U"):
                    opened = await self.client.conversations_open(users=channel)
                    where["channel"] = channel = str(opened["channel"]["id"])
                if thread is None:
                    found = await self.client.conversations_history(**where)
                else:
                    found = await self.client.conversations_replies(ts=thread, **where)
        except Refused as error:
            if str(error) in _NOT_THERE:
                return None
            raise Unreachable(str(error)) from None
        for message in found.get("messages") or ():
            payload = (message.get("metadata") or {}).get("event_payload") or {}
            if payload.get("mark") == mark and message.get("bot_id"):
                return f"{channel}/{message['ts']}"
        return None

    async def edit(self, reference: str, text: str) -> None:
        """Replace what a message of ours says; raise `Refused` or `Unreachable`."""
        channel, _, ts = reference.partition("/")
        with translated():
            await self.client.chat_update(
                channel=channel,
                ts=ts,
                text=escape_slack(text),
                blocks=_blocks(text),
                parse="none",
                link_names=False,
            )

    async def delete(self, reference: str) -> None:
        """Take a message of ours away; raise `Refused` or `Unreachable`."""
        channel, _, ts = reference.partition("/")
        with translated():
            await self.client.chat_delete(channel=channel, ts=ts)

    async def respond(self, response_url: str, text: str) -> None:
        """Show a message to the person who gave a command; raise `Refused` or `Unreachable`."""
        webhook = AsyncWebhookClient(
            response_url,
            proxy=self.client.proxy,
            session=self.client.session,
            retry_handlers=_retry_handlers(),
        )
        with translated():
            answer = await webhook.send(
                text=escape_slack(text), blocks=_blocks(text), response_type="ephemeral"
            )
        if answer.status_code != 200:
            raise Refused(f"response_url: {answer.status_code}")

    async def is_external(self, channel: str) -> bool:
        """Tell whether another organisation shares a channel; in doubt one does."""
        try:
            found = await self.client.conversations_info(channel=channel)
        except FAILURES as error:
            log.warning("an answer uses its channel's own documents only: %s", reason(error))
            return True
        return bool((found.get("channel") or {}).get("is_ext_shared"))

    async def channels_of(self, user: str) -> frozenset[str]:
        """Return the channels that a person is in now; none where Slack doesn't tell."""
        # Never from a cache: whoever has left a channel must not see it in the next answer.
        channels: set[str] = set()
        cursor: str | None = None
        try:
            for _ in range(_MOST_PAGES):
                page = await self.client.users_conversations(
                    user=user, types="public_channel,private_channel", limit=_PAGE, cursor=cursor
                )
                channels.update(channel["id"] for channel in page.get("channels") or ())
                cursor = (page.get("response_metadata") or {}).get("next_cursor")
                if not cursor:
                    break
        except FAILURES as error:
            log.warning("a person's channels are left out of an answer: %s", reason(error))
            return frozenset()
        return frozenset(channels)

    async def language_of(self, user: str) -> Language | None:
        """Return the language of a person's Slack; None where Slack doesn't tell."""
        if user not in self._locales:
            try:
                person = await self.client.users_info(user=user, include_locale=True)
            except FAILURES as error:
                log.warning("a person's language is not known: %s", reason(error))
                return None
            locale = (person.get("user") or {}).get("locale")
            if not locale:
                return None
            remember(self._locales, user, "zh" if locale.startswith("zh") else "en")
        return self._locales[user]

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


@dataclass(frozen=True, slots=True)
class Room:
    """A channel, a thread or a person's direct messages, as a place of replies."""

    api: SlackApi
    channel: str
    thread: str | None = None
    editable = True

    async def post(self, text: str, mark: str) -> str:
        """Post a message that carries the mark."""
        return await self.api.post(self.channel, self.thread, mark, text)

    async def find(self, mark: str) -> str | None:
        """Look for a message that carries the mark."""
        return await self.api.find(self.channel, self.thread, mark)


@dataclass(frozen=True, slots=True)
class Whisper:
    """What only the person who gave a command sees, and what stays as it is."""

    api: SlackApi
    response_url: str
    editable = False

    async def post(self, text: str, mark: str) -> str:
        """Show a message to the person."""
        await self.api.respond(self.response_url, text)
        return f"whisper/{mark}"

    async def find(self, mark: str) -> str | None:
        """Raise `Unreachable`: nobody can look at what was whispered."""
        raise Unreachable("an ephemeral message can't be looked for")


def remember(known: dict[str, _T], key: str, value: _T, most: int = 10_000) -> None:
    """Add to a dictionary that forgets its oldest entries."""
    known[key] = value
    if len(known) > most:
        del known[next(iter(known))]


def _retry_handlers() -> list[Any]:
    return [AsyncRateLimitErrorRetryHandler(max_retry_count=_RATE_LIMIT_TRIES)]


def _blocks(text: str) -> list[dict[str, Any]]:
    section = {"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}
    return [{"type": "rich_text", "elements": [section]}]


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
