"""The bytes of what is to be read: files at Discord's own addresses, messages, threads."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import discord

from bot.messages import Attachment, AttachmentError, Fetch
from bot.transcript import Said, transcript

_ORIGINS = ("https://cdn.discordapp.com", "https://media.discordapp.net")
_GONE = (403, 404)
_MOST_SAID = 1000
_MOST_ROOMS = 50


async def download(
    client: discord.Client,
    fetch: Fetch,
    attachment: Attachment,
    path: Path,
    limit: int,
    api_url: str | None,
) -> None:
    """Write an attachment's bytes to `path`; raise `AttachmentError`, or what `fetch` raises.

    It is a file's address and message (`https://…#channel/message`; an address that has expired is
    asked for anew), what a message says (`text#channel/message`), a thread (`thread#id`), or what
    was said in a channel since a time (`channel#id/seconds`).
    """
    what, _, where = attachment.reference.partition("#")
    try:
        if what == "text":
            message = await _message(client, where)
            await _write(path, message.clean_content, limit)
        elif what == "channel":
            await _write(path, await _channel(client, attachment.name, where), limit)
        elif what == "thread":
            await _write(path, await _thread(client, int(where), limit), limit)
        elif await _status(fetch, what, path, limit, api_url) in _GONE:
            fresh = _fresh_url(await _message(client, where), what) if where else None
            if fresh is None or await _status(fetch, fresh, path, limit, api_url) in _GONE:
                raise AttachmentError("unreadable", "Discord no longer has the file")
    except (discord.HTTPException, aiohttp.ClientError, TimeoutError) as error:
        raise AttachmentError("unreadable", f"Discord did not send the file: {error}") from error


async def _status(fetch: Fetch, url: str, path: Path, limit: int, api_url: str | None) -> int:
    """Write what stands at one of Discord's addresses, or beside `api_url`; return the status."""
    api = urlsplit(api_url or "")
    own = [f"{api.scheme}://{api.netloc}"] if api_url else []
    # These addresses are signed: the token is nobody else's business.
    found = await fetch(url, path, limit, origins=_ORIGINS, own=own)
    if found.status != 200 and found.status not in _GONE:
        raise AttachmentError("unreadable", f"Discord answered {found.status}")
    return found.status


async def _message(client: discord.Client, where: str) -> discord.Message:
    channel, message = map(int, where.split("/"))
    return await client.get_partial_messageable(channel).fetch_message(message)


def _fresh_url(message: discord.Message, old: str) -> str | None:
    """Return the newly signed address of a message's attachment, by the path of the old one."""
    path = urlsplit(old).path
    return next((file.url for file in message.attachments if urlsplit(file.url).path == path), None)


async def _thread(client: discord.Client, id: int, limit: int) -> str:
    thread: Any = client.get_channel(id) or await client.fetch_channel(id)
    said = []
    size = 0
    # The message that a thread stands on is in its channel, and has the thread's id.
    if isinstance(thread.parent, discord.TextChannel):
        with suppress(discord.NotFound):
            said.append(await thread.parent.fetch_message(id))
    async for message in thread.history(limit=None, oldest_first=True):
        size += len(message.content)
        if size > limit:
            raise AttachmentError("too_large", f"more than {limit} bytes")
        said.append(message)
    return transcript(
        thread.name,
        thread.jump_url,
        (
            Said(message.author.display_name, message.created_at, message.clean_content)
            for message in said
            if message.author != client.user and not message.is_system()
        ),
    )


async def _channel(client: discord.Client, title: str, where: str) -> str:
    """Return what people said in a channel and its open public threads since a time."""
    id, _, seconds = where.partition("/")
    channel: Any = client.get_channel(int(id)) or await client.fetch_channel(int(id))
    since = datetime.fromtimestamp(int(seconds), UTC)
    start = discord.utils.time_snowflake(since)
    rooms = [channel]
    for thread in getattr(channel, "threads", ()):
        if not thread.is_private() and (thread.last_message_id or 0) > start:
            rooms.append(thread)
    said = []
    try:
        for room in rooms[:_MOST_ROOMS]:
            newest = room.history(limit=_MOST_SAID, after=since, oldest_first=False)
            found = [message async for message in newest]
            said += [
                Said(each.author.display_name, each.created_at, each.clean_content)
                for each in reversed(found)
                if each.author != client.user and not each.is_system() and each.content
            ]
    except (discord.Forbidden, discord.NotFound) as error:
        raise AttachmentError("not_in_channel", "Discord does not show the channel") from error
    if not said:
        raise AttachmentError("nothing_said", "nobody has said anything since then")
    return transcript(title, channel.jump_url, said[-_MOST_SAID:])


async def _write(path: Path, text: str, limit: int) -> None:
    content = text.encode()
    if len(content) > limit:
        raise AttachmentError("too_large", f"more than {limit} bytes")
    await asyncio.to_thread(path.write_bytes, content)
