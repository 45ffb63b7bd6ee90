"""Slack, as far as replies stand on it: streamed where Slack streams, else posted and edited."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.adapters.delivery import View
from bot.adapters.sheet import SENT, Place, Refused, Unreachable
from bot.adapters.slack.api import retry_handlers, translated
from bot.adapters.slack.blocks import Page, pages
from bot.commands import GENERATED, PRIVATE
from bot.markdown import inert
from bot.messages import Request

log = logging.getLogger(__name__)

_MARK: Final = "teamglm_reply"
_FILE: Final = "file"
"""Begins what refers to a file of ours, as a channel's id begins what refers to a message."""
_PAGE: Final = 200
_MOST_PAGES: Final = 50
_NOT_THERE: Final = ("channel_not_found", "not_in_channel", "thread_not_found")
"""Where the bot can't look for a message it can't have written one."""
_NO_STREAMS_HERE: Final = ("channel_not_found", "not_in_channel", "is_archived")


@dataclass(slots=True)
class _Stream:
    """A message that Slack is still being told."""

    mark: str
    sent: str = ""
    status: str = ""
    step: str = ""
    """The last status that didn't only say how far it is: what stays above the end."""


class SlackSurface:
    """Where replies go and how they look; `client` is the connection.

    Slack's stream calls carry no metadata, so a stream's mark is the id of its first task, by which
    it is found after a crash. What a stream doesn't take any more is written by an edit.
    """

    def __init__(self, client: AsyncWebClient, *, streaming: bool = True) -> None:
        self._client = client
        self._streaming = streaming
        self._streams: dict[str, _Stream] = {}

    def places(self, request: Request) -> list[Place[Page]]:
        """Return where a reply may go, best first; the last is the person's direct messages."""
        where = request.address
        if "direct" in where:
            return [_Room(self, request.user)]
        if "response_url" in where:
            url, again = where["response_url"], "again" in where
            whisper = _Whisper(self, self._client, url, request.user, again)
            if request.command in PRIVATE and where.get("public") != "yes":
                return [whisper, _Room(self, request.user)]
            return [_Room(self, where["channel"]), whisper, _Room(self, request.user)]
        room = _Room(
            self,
            where["channel"],
            where.get("thread"),
            (request.user, where["team"]) if "team" in where else None,
        )
        return [room, _Room(self, request.user)]

    def render(self, view: View) -> list[Page]:
        """Return a reply in messages; before its end it is one."""
        where = view.request.address
        private = "response_url" in where and view.request.command in PRIVATE
        share = private and view.request.command in GENERATED and where["channel"][0] != "D"
        return pages(view, share=share and where.get("public") != "yes")

    def stopped(self, channel: str, ts: str) -> None:
        """Note that Slack itself has ended a stream."""
        self._streams.pop(f"{channel}/{ts}", None)

    async def post(
        self, channel: str, thread: str | None, asker: tuple[str, str] | None, page: Page, mark: str
    ) -> str:
        """Post a message that carries a mark; return what `edit` calls it; raise as a `Place`."""
        if self._streaming and thread and asker and not page.done:
            try:
                return await self._start(channel, thread, asker, page, mark)
            except Refused as error:
                if str(error) in _NO_STREAMS_HERE:
                    raise
                log.info("answers aren't streamed here but edited: %s", error)
        with translated():
            sent = await self._client.chat_postMessage(
                channel=channel,
                thread_ts=thread,
                text=page.text,
                blocks=page.blocks(),
                metadata={"event_type": _MARK, "event_payload": {"mark": mark}},
                parse="none",
                link_names=False,
                unfurl_links=False,
                unfurl_media=False,
            )
        return f"{sent['channel']}/{sent['ts']}"

    async def _start(
        self, channel: str, thread: str, asker: tuple[str, str], page: Page, mark: str
    ) -> str:
        stream = _Stream(mark)
        with translated():
            sent = await self._client.chat_startStream(
                channel=channel,
                thread_ts=thread,
                recipient_user_id=asker[0],
                recipient_team_id=asker[1],
                chunks=self._chunks(stream, page),
            )
        reference = f"{sent['channel']}/{sent['ts']}"
        self._streams[reference] = stream
        return reference

    def _chunks(self, stream: _Stream, page: Page) -> list[dict[str, Any]]:
        """Return what a page adds to a stream, and note it as sent."""
        chunks: list[dict[str, Any]] = []
        done = page.status is None
        status = inert(page.status or "") or stream.step or stream.status or "…"
        if not (done or page.counts):
            stream.step = status
        if status != stream.status or (done and not stream.sent):
            state = "error" if page.failed else "complete" if done else "in_progress"
            task = {"type": "task_update", "id": stream.mark, "title": status, "status": state}
            chunks.append(task)
            stream.status = status
        text = page.markdown if done else ""
        if len(text) > len(stream.sent) and text.startswith(stream.sent):
            chunks.append({"type": "markdown_text", "text": text[len(stream.sent) :]})
            stream.sent = text
        return chunks

    async def upload(self, channel: str, thread: str | None, page: Page, mark: str) -> str:
        """Send a file, or, where Slack refuses it, the words instead; raise `Unreachable`."""
        if page.file is None:
            raise ValueError("a page without a file is posted")
        try:
            with translated():
                if channel[0] in "UW":
                    opened = await self._client.conversations_open(users=channel)
                    channel = str(opened["channel"]["id"])
                sent = await self._client.files_upload_v2(
                    channel=channel,
                    thread_ts=thread,
                    filename=page.file.name,
                    title=page.file.name,
                    content=page.file.content,
                    alt_txt=page.file.about or None,
                )
        except Refused as error:
            log.warning("a file was not taken: %s", error)
            return await self.post(channel, thread, None, replace(page, file=None), mark)
        return f"{_FILE}/{sent['files'][0]['id']}"

    async def edit(self, reference: str, page: Page) -> None:
        """Replace what a message of ours says; raise `Refused` or `Unreachable`."""
        if page.file is not None:
            raise Refused("a file is sent anew")
        stream = self._streams.get(reference)
        if stream is None:
            return await self._update(reference, page)
        channel, _, ts = reference.partition("/")
        # Whatever fails from here on, the next edit writes the whole message.
        del self._streams[reference]
        chunks = self._chunks(stream, page)
        try:
            if not page.done:
                if chunks:
                    with translated():
                        await self._client.chat_appendStream(channel=channel, ts=ts, chunks=chunks)
                self._streams[reference] = stream
                return
            if stream.sent == page.markdown:
                with translated():
                    await self._client.chat_stopStream(
                        channel=channel,
                        ts=ts,
                        chunks=chunks or None,
                        blocks=list(page.under) or None,
                        metadata={"event_type": _MARK, "event_payload": {"mark": stream.mark}},
                    )
                return
        except Refused as error:
            log.info("a stream has ended before its answer: %s", error)
        await self._update(reference, page)

    async def _update(self, reference: str, page: Page) -> None:
        channel, _, ts = reference.partition("/")
        for still_streaming in (False, True):
            if still_streaming:  # an earlier process began it, or its last call was lost
                with translated():
                    await self._client.chat_stopStream(channel=channel, ts=ts)
            try:
                with translated():
                    await self._client.chat_update(
                        channel=channel,
                        ts=ts,
                        text=page.text,
                        blocks=page.blocks(),
                        parse="none",
                        link_names=False,
                    )
                return
            except Refused as error:
                if str(error) != "streaming_state_conflict" or still_streaming:
                    raise

    async def delete(self, reference: str) -> None:
        """Take a message of ours away; raise `Refused` or `Unreachable`."""
        channel, _, ts = reference.partition("/")
        self._streams.pop(reference, None)
        with translated():
            if channel == _FILE:
                await self._client.files_delete(file=ts)
            else:
                await self._client.chat_delete(channel=channel, ts=ts)

    async def find(self, channel: str, thread: str | None, mark: str) -> str | None:
        """Return our message that carries a mark: in the whole thread, or among the channel's
        newest; raise `Unreachable`."""
        try:
            with translated():
                if channel[0] in "UW":
                    opened = await self._client.conversations_open(users=channel)
                    channel = str(opened["channel"]["id"])
                async for message in self._said(channel, thread):
                    if message.get("bot_id") and _carries(message, mark):
                        return f"{channel}/{message['ts']}"
        except Refused as error:
            if str(error) in _NOT_THERE:
                return None
            raise Unreachable(str(error)) from None
        return None

    async def _said(self, channel: str, thread: str | None) -> AsyncIterator[dict[str, Any]]:
        """Yield a channel's newest messages, or all of a thread, which Slack tells oldest first."""
        where: dict[str, Any] = {"channel": channel, "include_all_metadata": True, "limit": _PAGE}
        for _ in range(1 if thread is None else _MOST_PAGES):
            if thread is None:
                found = await self._client.conversations_history(**where)
            else:
                found = await self._client.conversations_replies(ts=thread, **where)
            for message in found.get("messages") or ():
                yield message
            where["cursor"] = (found.get("response_metadata") or {}).get("next_cursor")
            if not where["cursor"]:
                return


def _carries(message: dict[str, Any], mark: str) -> bool:
    """Tell whether a message has a mark: in its metadata, or a stream's as the id of its task."""
    payload = (message.get("metadata") or {}).get("event_payload") or {}
    return payload.get("mark") == mark or json.dumps(mark) in json.dumps(message.get("blocks"))


@dataclass(frozen=True, slots=True)
class _Room:
    """A channel, a thread or a person's direct messages, as a place of replies."""

    surface: SlackSurface
    channel: str
    thread: str | None = None
    asker: tuple[str, str] | None = None
    """Whom a stream is for: the person and their workspace."""
    editable = True
    unseen_from = None

    async def post(self, page: Page, mark: str) -> str:
        """Post a message that carries the mark."""
        if page.file is not None:
            return await self.surface.upload(self.channel, self.thread, page, mark)
        return await self.surface.post(self.channel, self.thread, self.asker, page, mark)

    async def find(self, mark: str) -> str | None:
        """Look for a message that carries the mark."""
        return await self.surface.find(self.channel, self.thread, mark)


@dataclass(frozen=True, slots=True)
class _Whisper:
    """What only the person who gave a command sees, and what stays as it is."""

    surface: SlackSurface
    client: AsyncWebClient
    response_url: str
    asker: str
    replaces: bool = False
    """The first message takes the place of the one whose button was pressed."""
    editable = False
    unseen_from = 0

    async def post(self, page: Page, mark: str) -> str:
        """Show a message to the person; a file goes to their direct messages."""
        if page.file is not None:
            return await self.surface.upload(self.asker, None, page, mark)
        over = self.replaces and mark.endswith("/0")
        await whisper(self.client, self.response_url, page.text, page.blocks(), over=over)
        return SENT

    async def find(self, mark: str) -> str | None:
        """Return None: nobody can look at what was whispered."""
        return None


async def whisper(
    client: AsyncWebClient,
    response_url: str,
    text: str,
    blocks: Sequence[dict[str, Any]] = (),
    *,
    over: bool = False,
) -> None:
    """Show something to one person alone, `over` what was clicked; raise `Refused` or
    `Unreachable`."""
    webhook = AsyncWebhookClient(
        response_url, proxy=client.proxy, session=client.session, retry_handlers=retry_handlers()
    )
    with translated():
        answer = await webhook.send(
            text=text,
            blocks=list(blocks) or None,
            response_type="ephemeral",
            replace_original=over,
        )
    if answer.status_code != 200:
        raise Refused(f"response_url: {answer.status_code}")
