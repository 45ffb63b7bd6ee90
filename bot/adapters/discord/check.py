"""What `doctor` finds out about Discord: the invitation, and what is missing, in words."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import aiohttp
import discord

from bot.messages import PlatformError

API_URL = "https://discord.com/api/v10"
PERMISSIONS = discord.Permissions(
    view_channel=True,
    send_messages=True,
    send_messages_in_threads=True,
    create_public_threads=True,
    read_message_history=True,
    attach_files=True,
    embed_links=True,
    use_application_commands=True,
)
"""What the bot needs in a server, and nothing else."""
_CONTENT = 1 << 18 | 1 << 19
"""Application flags: the intent is switched on, for a bot in many or in few servers."""
_NAMES = {
    "view_channel": "View Channels",
    "send_messages": "Send Messages",
    "send_messages_in_threads": "Send Messages in Threads",
    "create_public_threads": "Create Public Threads",
    "read_message_history": "Read Message History",
    "attach_files": "Attach Files",
    "embed_links": "Embed Links",
    "use_application_commands": "Use Application Commands",
}


def invitation(application: str) -> str:
    """Return the address that adds the bot to a server with exactly what it needs."""
    query = {
        "client_id": application,
        "scope": "bot applications.commands",
        "permissions": str(PERMISSIONS.value),
    }
    return "https://discord.com/oauth2/authorize?" + urlencode(query)


async def check(token: str, api_url: str | None, *, message_content: bool) -> tuple[bool, str]:
    """Tell whether the bot has all that it needs, and in one sentence each what is missing.

    Raise `PlatformError` where Discord refuses the token or can't be reached.
    """
    base = (api_url or API_URL).rstrip("/")
    headers = {"Authorization": f"Bot {token}"}
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:

        async def get(path: str) -> Any:
            try:
                async with session.get(base + path, allow_redirects=False) as response:
                    found = await response.json(content_type=None)
                    status = response.status
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                raise PlatformError(f"{base} does not answer: check the network") from error
            if status == 401:
                raise PlatformError("Discord refuses the token: reset it in the developer portal")
            if status != 200:
                raise PlatformError(f"Discord answered {status} to {path}")
            return found

        application = await get("/oauth2/applications/@me")
        guilds = await get("/users/@me/guilds")
    name, id = application["name"], str(application["id"])
    missing = []
    if message_content and not application.get("flags", 0) & _CONTENT:
        missing.append(
            "the intent Message Content is not switched on (developer portal, Bot): files and "
            "follow-ups without a mention are not seen"
        )
    for guild in guilds:
        may = discord.Permissions(int(guild.get("permissions") or 0))
        lacking = [_NAMES[p] for p, v in PERMISSIONS if v and not getattr(may, p)]
        if lacking and not may.administrator:
            missing.append(f"in {guild['name']} it lacks {', '.join(lacking)}")
    if not guilds:
        missing.append("it is in no server yet")
    found = missing or [f"{name}, servers: {', '.join(guild['name'] for guild in guilds)}"]
    return not missing, "; ".join([*found, f"invite it with {invitation(id)}"])
