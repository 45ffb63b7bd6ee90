"""Fetches files from Discord's own addresses, and from nowhere else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from bot.messages import AttachmentError

CDN_HOSTS = frozenset({"cdn.discordapp.com", "media.discordapp.net"})
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_BLOCK = 1 << 16


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
