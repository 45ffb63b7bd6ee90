"""The bytes of what is to be read: files at Discord's own addresses, messages, threads."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import discord

from bot.messages import Attachment, AttachmentError
from bot.transcript import Said, transcript

CDN_HOSTS = frozenset({"cdn.discordapp.com", "media.discordapp.net"})
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_BLOCK = 1 << 16


async def download(
    client: discord.Client, attachment: Attachment, path: Path, limit: int, api_url: str | None
) -> None:
    """Write an attachment's bytes to `path`; raise `AttachmentError`.

    It is a file's address and message (`https://…#channel/message`; an address that has expired is
    asked for anew), what a message says (`text#channel/message`) or a thread (`thread#id`).
    """
    what, _, where = attachment.reference.partition("#")
    try:
        if what == "text":
            message = await _message(client, where)
            await _write(path, message.clean_content, limit)
        elif what == "thread":
            await _write(path, await _thread(client, int(where), limit), limit)
        elif not await fetch(what, path, limit, api_url):
            fresh = _fresh_url(await _message(client, where), what) if where else None
            if fresh is None or not await fetch(fresh, path, limit, api_url):
                raise AttachmentError("unreadable", "Discord no longer has the file")
    except (discord.HTTPException, aiohttp.ClientError, TimeoutError) as error:
        raise AttachmentError("unreadable", f"Discord did not send the file: {error}") from error


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


async def _write(path: Path, text: str, limit: int) -> None:
    content = text.encode()
    if len(content) > limit:
        raise AttachmentError("too_large", f"more than {limit} bytes")
    await asyncio.to_thread(path.write_bytes, content)


async def fetch(url: str, path: Path, limit: int, api_url: str | None) -> bool:
    """Write what stands at `url` to `path`; return False if Discord says it is gone or expired.

    Raise `AttachmentError` past `limit` bytes, and for an address that is neither on Discord's CDN
    nor beside the configured `api_url`.
    """
    if not _may_fetch(url, api_url):
        raise AttachmentError("unreadable", "the file is not at one of Discord's addresses")
    # A session of its own: these addresses are signed, and the token is nobody else's business.
    timeout = aiohttp.ClientTimeout(total=None, connect=10, sock_read=30)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(url, allow_redirects=False) as response,
    ):
        if response.status in (403, 404):
            return False
        if response.status != 200:
            raise AttachmentError("unreadable", f"Discord answered {response.status}")
        written = 0
        with await asyncio.to_thread(path.open, "wb") as file:
            async for block in response.content.iter_chunked(_BLOCK):
                written += len(block)
                if written > limit:
                    raise AttachmentError("too_large", f"more than {limit} bytes")
                await asyncio.to_thread(file.write, block)
    return True


def _may_fetch(url: str, api_url: str | None) -> bool:
    address = urlsplit(url)
    if address.scheme == "https" and address.hostname in CDN_HOSTS:
        return True
    ours = urlsplit(api_url or "")
    safe = ours.scheme == "https" or ours.hostname in _LOOPBACK
    return safe and (address.scheme, address.netloc) == (ours.scheme, ours.netloc)
