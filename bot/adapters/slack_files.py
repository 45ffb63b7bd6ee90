"""Files from Slack: the bot's token goes to Slack's own addresses and nowhere else."""

from __future__ import annotations

import asyncio
from pathlib import Path, PurePosixPath

import aiohttp
from yarl import URL

from bot.messages import Attachment, AttachmentError

_FILE_HOSTS = {"slack.com": "files.slack.com", "slack-gov.com": "files.slack-gov.com"}
_HTML = (".html", ".htm", ".xhtml")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_BLOCK = 1 << 16


def is_loopback(url: str) -> bool:
    """Tell whether an address is on this machine."""
    return URL(url).host in _LOOPBACK


def may_have_token(url: str, api_url: str) -> bool:
    """Tell whether the bot's token may be sent to `url`: where Slack keeps files, or its API."""
    try:
        address, api = URL(url), URL(api_url)
        origin = address.origin()
    except ValueError:
        return False
    if address.user is not None or address.password is not None:
        return False
    if address.scheme != "https" and not (address.scheme == "http" and address.host in _LOOPBACK):
        return False
    domain = ".".join((api.host or "").split(".")[-2:])
    kept = _FILE_HOSTS.get(domain, _FILE_HOSTS["slack.com"])
    return origin in (api.origin(), URL(f"https://{kept}"))


async def fetch(
    url: str,
    attachment: Attachment,
    path: Path,
    limit: int,
    *,
    token: str,
    api_url: str,
    proxy: str | None = None,
) -> None:
    """Write the file at `url` to `path`; raise `AttachmentError` for anything but the file."""
    if not may_have_token(url, api_url):
        raise AttachmentError("unreadable", "the file is not at one of Slack's addresses")
    if attachment.size is not None and attachment.size > limit:
        raise AttachmentError("too_large", f"{attachment.size} bytes are more than {limit}")
    timeout = aiohttp.ClientTimeout(total=None, connect=10, sock_read=30)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(
                URL(url),
                headers={"Authorization": f"Bearer {token}"},
                allow_redirects=False,
                proxy=proxy,
            ) as response,
        ):
            _check(response, attachment)
            written = await _save(response, path, limit)
    except TimeoutError as error:
        raise AttachmentError("unreadable", "Slack took too long to send the file") from error
    except (aiohttp.ClientError, OSError) as error:
        reason = f"Slack did not send the file ({type(error).__name__})"
        raise AttachmentError("unreadable", reason) from error
    if _is_page(response) and attachment.size not in (None, written):
        raise AttachmentError("unreadable", "Slack sent its login page instead of the file")


def _check(response: aiohttp.ClientResponse, attachment: Attachment) -> None:
    if response.status != 200:
        raise AttachmentError("unreadable", f"Slack answered {response.status} for the file")
    if _is_page(response) and PurePosixPath(attachment.name).suffix.lower() not in _HTML:
        # With a token that may not read the file, Slack answers 200 and shows its login.
        raise AttachmentError("unreadable", "Slack sent its login page instead of the file")


def _is_page(response: aiohttp.ClientResponse) -> bool:
    return response.content_type in ("text/html", "application/xhtml+xml")


async def _save(response: aiohttp.ClientResponse, path: Path, limit: int) -> int:
    """Write the body as it comes, counted here and not as its header claims."""
    written = 0
    with await asyncio.to_thread(path.open, "wb") as file:
        async for block in response.content.iter_chunked(_BLOCK):
            written += len(block)
            if written > limit:
                raise AttachmentError("too_large", f"more than {limit} bytes")
            await asyncio.to_thread(file.write, block)
    return written
