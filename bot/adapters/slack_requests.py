"""What people do in Slack, as requests: pure functions of events and slash commands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bot.messages import Attachment, Language, Request

PUBLIC = "public"
_SPOKEN = (None, "file_share", "thread_broadcast")
_MEDIA = ("image/", "video/", "audio/")
_ENTITY = re.compile(r"<([@#!]?)([^>|]*)(?:\|([^>]*))?>")
_VERBS = {
    "ask": "ask",
    "search": "search",
    "sources": "sources",
    "summarise": "summarise",
    "summarize": "summarise",
}


@dataclass(frozen=True, slots=True)
class Context:
    """What an event itself doesn't say: who we are, and what its destination may see now."""

    event_id: str
    team: str
    me: str
    """The bot's own user id."""
    enterprise: str = "-"
    """The Enterprise Grid organisation; "-" for a workspace outside one."""
    external: bool = False
    """The conversation is shared with another organisation."""
    visible: frozenset[str] = frozenset()
    """Further scopes that the person in a direct message may see now."""
    language: Language | None = None


def scope_of(channel: str, context: Context) -> str:
    """Return the scope of a channel or a direct message."""
    return f"slack:{context.enterprise}:{context.team}:{channel}"


def is_direct(event: Mapping[str, Any]) -> bool:
    """Tell whether an event is a direct message to the bot."""
    return event.get("channel_type") == "im" or str(event.get("channel", "")).startswith("D")


def concerns(event: Mapping[str, Any], me: str) -> bool:
    """Tell whether an event asks something of the bot: people only, and what they newly say."""
    return (
        event.get("subtype") in _SPOKEN
        and not event.get("bot_id")
        and event.get("user") not in (None, me, "USLACKBOT")
        and (_is_addressed(event, me) or bool(_files(event, addressed=False)))
    )


def to_requests(event: Mapping[str, Any], context: Context) -> tuple[Request, ...]:
    """Return what a message asks of the bot: nothing, an upload, a question, or both in turn.

    `event` is a `message` or an `app_mention`. Files of messages that don't address the bot are
    learned too; pictures, sound and films are not, because people share them all day.
    """
    if not concerns(event, context.me):
        return ()
    addressed = _is_addressed(event, context.me)
    channel = event["channel"]
    # A channel's answers stay in a thread; in a direct message people just talk.
    thread = event.get("thread_ts") or (None if is_direct(event) else event["ts"])
    place = (context.team, channel, *([thread] if thread else []))
    scope = scope_of(channel, context)
    text = to_text(event.get("text") or "", context.me)
    ask = Request(
        id=context.event_id,
        platform="slack",
        command="ask",
        text=text,
        user=event["user"],
        conversation=":".join(place),
        scope=scope,
        audience=_audience(scope, context),
        language=context.language,
        address={"channel": channel} | ({"thread": thread} if thread else {}),
    )
    files = tuple(_files(event, addressed))
    asks = addressed and bool(text or not files)
    requests = []
    if files:
        upload_id = f"{context.event_id}:upload" if asks else context.event_id
        requests.append(replace(ask, id=upload_id, command="upload", text="", attachments=files))
    return (*requests, ask) if asks else tuple(requests)


def to_command(command: Mapping[str, Any], context: Context) -> Request | None:
    """Return what a slash command asks of the bot; None for a verb that `/glm` doesn't have."""
    name, text = command["command"].lstrip("/"), (command.get("text") or "").strip()
    if name == "glm":
        name, _, text = text.partition(" ")
    verb = _VERBS.get(name.lower())
    if verb is None:
        return None
    scope = scope_of(command["channel_id"], context)
    return Request(
        id=context.event_id,
        platform="slack",
        command=verb,
        text=to_text(text, context.me),
        user=command["user_id"],
        conversation=f"{context.team}:{command['channel_id']}",
        scope=scope,
        audience=_audience(scope, context),
        language=context.language,
        address={"channel": command["channel_id"], "response_url": command["response_url"]},
    )


def to_text(markup: str, me: str = "") -> str:
    """Return what a person wrote, without Slack's markup and without the mention of the bot."""

    def spoken(entity: re.Match[str]) -> str:
        kind, target, label = entity.groups()
        match kind:
            case "@" if target == me:
                return ""
            case "@" | "#":
                return kind + (label or target)
            case "!":
                return label or f"@{target}"
        return target if "://" in target else label or target

    text = _ENTITY.sub(spoken, markup)
    for escaped, character in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(escaped, character)
    return text.strip()


def _is_addressed(event: Mapping[str, Any], me: str) -> bool:
    mentions = re.search(rf"<@{re.escape(me)}[|>]", event.get("text") or "") is not None
    return mentions or event["type"] == "app_mention" or is_direct(event)


def _files(event: Mapping[str, Any], addressed: bool) -> list[Attachment]:
    return [
        Attachment(file.get("name") or file["id"], file.get("size"), _reference(file))
        for file in event.get("files") or ()
        if file.get("mode") != "tombstone"
        and (addressed or not str(file.get("mimetype", "")).startswith(_MEDIA))
    ]


def _reference(file: Mapping[str, Any]) -> str:
    """Return where Slack keeps a file; the id, to be looked up, where the event doesn't say."""
    kept_here = file.get("mode") != "external" and not file.get("is_external")
    url = file.get("url_private_download") or file.get("url_private")
    return str(url) if kept_here and url else str(file["id"])


def _audience(scope: str, context: Context) -> frozenset[str]:
    return frozenset({scope} if context.external else {PUBLIC, scope} | context.visible)
