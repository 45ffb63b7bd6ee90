"""What people do in Slack, as requests: pure functions of events and slash commands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from bot.adapters.slack.access import Team
from bot.command import Command
from bot.commands import find
from bot.messages import Attachment, Language, Request

SPOKEN: Final = (None, "file_share", "thread_broadcast")
_MEDIA: Final = ("image/", "video/", "audio/")
_ENTITY = re.compile(r"<([@#!]?)([^>|]*)(?:\|([^>]*))?>")
_MENTION = re.compile(r"<@([UW][^>|]*)")
_QUESTION = re.compile(
    r"[?？]|吗|呢|什么|怎么|如何|为什么|哪|谁|多少|几|"
    r"^\W*(?:and|what|who|when|where|which|why|how|can|could|do|does|did|is|are|will|would|should)\b",
    re.IGNORECASE,
)
_MESSAGE_LINK = re.compile(
    r"https://[\w.-]+/archives/(?P<channel>\w+)/p(?P<s>\d{10})(?P<us>\d{6})"
    r"(?:\?(?:\S*&)?thread_ts=(?P<root>\d+\.\d+)\S*|\?\S*)?"
)
UPLOAD: Final = ":upload"
"""Ends the id of the request that learns a message's files; its question has the event's own."""


@dataclass(frozen=True, slots=True)
class Context:
    """What an event itself doesn't say: who we are, and what its destination may see now."""

    event_id: str
    team: Team
    me: str
    """The bot's own user id."""
    audience: frozenset[str] = field(default=frozenset())
    language: Language | None = None
    is_admin: bool = False


def is_direct(event: Mapping[str, Any]) -> bool:
    """Tell whether an event is a direct message to the bot."""
    return event.get("channel_type") == "im" or str(event.get("channel", "")).startswith("D")


def is_spoken(event: Mapping[str, Any], me: str) -> bool:
    """Tell whether a person newly says something: no bot, no notice of Slack's own."""
    return (
        event.get("subtype") in SPOKEN
        and not event.get("bot_id")
        and event.get("user") not in (None, me, "USLACKBOT")
    )


def concerns(event: Mapping[str, Any], me: str, *, keeps_files: bool = True) -> bool:
    """Tell whether a message asks something of the bot by itself, whatever its thread."""
    return is_spoken(event, me) and (
        is_addressed(event, me) or (keeps_files and bool(_files(event, addressed=False)))
    )


def is_addressed(event: Mapping[str, Any], me: str) -> bool:
    """Tell whether a message is for the bot: a mention, or a direct message."""
    return me in mentioned(event) or event["type"] == "app_mention" or is_direct(event)


def mentioned(event: Mapping[str, Any]) -> set[str]:
    """Return the people whom a message mentions."""
    return set(_MENTION.findall(event.get("text") or ""))


def is_question(event: Mapping[str, Any]) -> bool:
    """Tell whether a message reads like a question; generous, for the bot's own threads."""
    return _QUESTION.search(event.get("text") or "") is not None


def thread_of(event: Mapping[str, Any]) -> str:
    """Return the thread that a message is in, or would begin."""
    return str(event.get("thread_ts") or event["ts"])


def conversation_of(team: Team, channel: str, thread: str | None) -> str:
    """Return what keeps the turns of a thread apart from all others."""
    return ":".join([team.key, channel, *([thread] if thread else [])])


def to_requests(
    event: Mapping[str, Any], context: Context, *, follows: bool = False, keep: str = "always"
) -> tuple[Request, ...]:
    """Return what a message asks of the bot: nothing, an upload, a question, or both in turn.

    `event` is a `message` or an `app_mention`; `follows` says that it goes on in one of the bot's
    threads. Files of messages that don't address the bot are learned as `keep` says: "always",
    "ask" (an offer is made) or "never"; pictures, sound and films are not, because people share
    them all day.
    """
    if not (follows or concerns(event, context.me, keeps_files=keep != "never")):
        return ()
    addressed = follows or is_addressed(event, context.me)
    channel, thread = event["channel"], thread_of(event)
    ask = Request(
        id=context.event_id,
        platform="slack",
        command="ask",
        text=to_text(event.get("text") or "", context.me),
        user=event["user"],
        conversation=conversation_of(context.team, channel, thread),
        scope=context.team.scope(channel),
        audience=context.audience,
        language=context.language,
        address={"channel": channel, "thread": thread, "team": context.team.id},
        is_admin=context.is_admin,
        plain=True,
        around=_around(event),
    )
    files = tuple(_files(event, addressed))
    asks = addressed and bool(ask.text or not files)
    requests = []
    if files:
        upload = replace(
            ask,
            id=f"{context.event_id}{UPLOAD}",
            command="upload" if addressed or keep == "always" else "offer",
            text="",
            attachments=files,
        )
        if not addressed:  # what people say below their files is not said to the bot
            address = {**upload.address, "unasked": "yes"}
            upload = replace(upload, conversation=f"{ask.conversation}:files", address=address)
        requests.append(upload)
    return (*requests, ask) if asks else tuple(requests)


def _around(event: Mapping[str, Any]) -> dict[str, str]:
    """Return what refers to what was said where a message stands."""
    channel = event["channel"]
    around = {"channel": f"channel:{channel}", "title": "#channel"}
    if event.get("thread_ts"):
        around["thread"] = f"thread:{channel}/{event['thread_ts']}"
    return around


def to_verb(command: Mapping[str, Any]) -> tuple[Command, str] | None:
    """Return the command and the rest of the line of a slash command; None for none of ours."""
    name, text = command["command"].lstrip("/"), (command.get("text") or "").strip()
    if name.lower() == "glm":
        name, _, text = text.partition(" ")
    found = find(name or "help")
    return (found, text.strip()) if found else None


def to_command(command: Mapping[str, Any], context: Context) -> Request | None:
    """Return what a slash command asks of the bot; None for a verb that isn't there."""
    found = to_verb(command)
    if found is None:
        return None
    verb, line = found
    text, options = verb.typed(to_text(line, context.me))
    channel = command["channel_id"]
    text, threads = threads_in(text, channel) if verb.reads else (text, ())
    return Request(
        id=context.event_id,
        platform="slack",
        command=verb.handler,
        text=text,
        user=command["user_id"],
        # Only this person sees it: what they ask next goes on from here.
        conversation=conversation_of(context.team, channel, command["user_id"]),
        scope=context.team.scope(channel),
        audience=context.audience,
        language=context.language,
        attachments=threads,
        options=options,
        address={"channel": channel, "response_url": command["response_url"]},
        is_admin=context.is_admin,
    )


def threads_in(text: str, channel: str) -> tuple[str, tuple[Attachment, ...]]:
    """Return a text without the links to messages of a channel, and the threads of these."""
    threads: dict[str, Attachment] = {}

    def take(link: re.Match[str]) -> str:
        if link["channel"] != channel:  # who sees the answer may not see what is said there
            return link[0]
        reference = f"thread:{channel}/{link['root'] or link['s'] + '.' + link['us']}"
        threads[reference] = Attachment("#thread", None, reference)
        return ""

    rest = _MESSAGE_LINK.sub(take, text)
    return (rest.strip(" \n,，;；、") if threads else text), tuple(threads.values())


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


def _files(event: Mapping[str, Any], addressed: bool) -> list[Attachment]:
    return [
        Attachment(file.get("name") or file["id"], file.get("size"), _reference(file))
        for file in event.get("files") or ()
        if file.get("mode") != "tombstone"
        and (addressed or not str(file.get("mimetype", "")).startswith(_MEDIA))
    ]


def files_of(message: Mapping[str, Any]) -> tuple[Attachment, ...]:
    """Return the files of a message that somebody chose."""
    return tuple(_files(message, addressed=True))


def _reference(file: Mapping[str, Any]) -> str:
    """Return where Slack keeps a file; the id, to be looked up, where the event doesn't say."""
    kept_here = file.get("mode") != "external" and not file.get("is_external")
    url = file.get("url_private_download") or file.get("url_private")
    return str(url) if kept_here and url else str(file["id"])
