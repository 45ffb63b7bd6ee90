"""Files from Slack: the bot's token goes to Slack's own addresses and nowhere else."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Final

from yarl import URL

from bot.messages import Attachment, AttachmentError, Fetch

_FILE_HOSTS: Final = {"slack.com": "files.slack.com", "slack-gov.com": "files.slack-gov.com"}
_HTML: Final = (".html", ".htm", ".xhtml")
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


def is_loopback(url: str) -> bool:
    """Tell whether an address is on this machine."""
    return URL(url).host in _LOOPBACK


def file_origins(api_url: str) -> tuple[list[str], list[str]]:
    """Return where Slack keeps files, and the configured API's own origin if it isn't Slack's."""
    api = URL(api_url)
    domain = ".".join((api.host or "").split(".")[-2:])
    own = [] if domain in _FILE_HOSTS else [str(api.origin())]
    return [f"https://{_FILE_HOSTS.get(domain, _FILE_HOSTS['slack.com'])}"], own


async def download(
    fetch: Fetch,
    url: str,
    attachment: Attachment,
    path: Path,
    limit: int,
    *,
    token: str,
    api_url: str,
) -> None:
    """Write the file at `url` to `path`; raise `AttachmentError`, or what `fetch` raises."""
    if attachment.size is not None and attachment.size > limit:
        raise AttachmentError("too_large", f"{attachment.size} bytes are more than {limit}")
    origins, own = file_origins(api_url)
    found = await fetch(url, path, limit, origins=origins, own=own, token=token)
    if found.status != 200:
        raise AttachmentError("unreadable", f"Slack answered {found.status} for the file")
    page = PurePosixPath(attachment.name).suffix.lower() in _HTML
    if found.html and (not page or attachment.size not in (None, found.size)):
        # With a token that may not read the file, Slack answers 200 and shows its login.
        raise AttachmentError("unreadable", "Slack sent its login page instead of the file")
