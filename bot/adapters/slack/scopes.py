"""The permissions that the Slack app asks for, and what doesn't work without each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

NEEDED: Final = {
    "app_mentions:read": "it doesn't notice when people mention it",
    "assistant:write": "the agent pane has no status and no suggested prompts",
    "channels:history": "it doesn't see messages and files in public channels",
    "channels:read": "it can't tell which channels people are in, nor which are shared",
    "chat:write": "it can't answer",
    "commands": "/ask, /summarise, /glm and the message shortcuts don't work",
    "files:read": "it can't learn the files that people send",
    "files:write": "it can't give tables and charts back as files",
    "groups:history": "it doesn't see messages and files in private channels",
    "groups:read": "it can't tell which private channels people are in",
    "im:history": "it doesn't see direct messages",
    "im:write": "it can't look for an answer that it may have sent to a person already",
    "mpim:history": "it doesn't see messages in group direct messages",
    "users:read": "it can't tell people's language, guests and administrators",
}


def missing(granted: Iterable[str]) -> list[str]:
    """Return a sentence for every permission that the installed app lacks."""
    has = {scope.strip() for scope in granted}
    return [f"without {scope} {why}" for scope, why in NEEDED.items() if scope not in has]
