"""How replies look in Discord, and where they stand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import discord

from bot.adapters.delivery import View
from bot.adapters.discord.posts import Direct, Original, Room, Thread, delete, edit, webhook_of
from bot.adapters.discord.views import Button, Shown
from bot.adapters.discord.words import word
from bot.adapters.due import decided
from bot.adapters.sheet import Place
from bot.commands import GENERATED
from bot.messages import Language, Reply, Request
from bot.render import clean, escape_discord, render, split

CONTENT_LIMIT = 2000
_QUOTED = 300
_BUTTON_ID = 100
_UNESCAPED = re.compile(r"\\(.)", re.DOTALL)
_INVISIBLE = "\u200b"


class DiscordSurface:
    """Discord, as far as replies stand on it."""

    def __init__(self, client: discord.Client) -> None:
        self._client = client

    def places(self, request: Request) -> list[Place[Shown]]:
        """Return where a reply may go, best first; the last is the person's direct messages."""
        where = request.address
        direct = Direct(self._client, int(request.user), request.id)
        if "direct" in where:
            return [direct]
        guild = int(where["guild"]) if where["guild"] != "@me" else None
        channel = self._client.get_partial_messageable(int(where["channel"]), guild_id=guild)
        places: list[Place[Shown]] = []
        if "token" in where:
            webhook = webhook_of(self._client, where["application"], where["token"])
            private = "private" in where
            places.append(Original(webhook, channel, int(where["interaction"]), private=private))
            if not private:
                places.append(Room(self._client, channel, None, request.id))
        elif "message" not in where:  # nobody has asked just now
            places.append(Room(self._client, channel, None, request.id))
        else:
            question = channel.get_partial_message(int(where["message"]))
            if "thread" in where:
                places.append(Thread(self._client, question, where["thread"], request.id))
            places.append(Room(self._client, channel, question, request.id))
        return [*places, direct]

    def render(self, view: View) -> list[Shown]:
        """Return a reply in messages: its text, and below the last what can be done about it."""
        request, language = view.request, view.language
        limit = CONTENT_LIMIT - len(head := quote_of(request))
        if view.reply is not None:
            texts = render(view.reply, escape_discord, limit)
        elif view.chunks:
            written = Reply("answer", "", language, view.chunks)
            texts = render(written, escape_discord, limit, listed=False)
        else:
            texts = [escape_discord(piece) for piece in split(view.text(), escape_discord, limit)]
            texts = texts[:1]
        texts[0] = head + texts[0]
        *first, last = texts
        citations = view.reply.citations or view.reply.nearest if view.reply is not None else ()
        below = buttons(request, view.reply, language, long=bool(first))
        return [
            *(Shown(text, language=language) for text in first),
            Shown(last, tuple(below), citations, language, view.reply.files if view.reply else ()),
        ]

    async def edit(self, reference: str, content: Shown) -> None:
        """Replace what a message of ours shows."""
        await edit(self._client, reference, content)

    async def delete(self, reference: str) -> None:
        """Take a message of ours away."""
        await delete(self._client, reference)


def buttons(
    request: Request, reply: Reply | None, language: Language, *, long: bool = False
) -> Sequence[Button]:
    """Return what can be done about a reply, as far as it is there; a `long` one is in parts."""
    if reply is None:
        stop = Button(word(language, "stop"), "stop", (request.id,))
        return [stop] if _is_generated(request) else []
    if request.command == "offer":
        about = (request.address["channel"], request.address["message"])
        return [
            Button(word(language, "keep"), "keep", about),
            Button(word(language, "leave"), "leave", about),
        ]
    if request.command in ("upload", "remember", "learn"):
        rows: list[Any] = reply.data if isinstance(reply.data, list) else []
        known = [row for row in rows if row["document"]]
        return [
            Button(word(language, "forget", name=row["name"]), "forget", (row["document"],))
            for row in known
        ]
    choices = decided(request, reply)
    # The request's id is there to find the message again.
    deciding = [
        Button(word(language, f"reminder_{does}"), "reminders", (does, str(id), request.id))
        for does, id in choices or ()
    ]
    if choices is not None and not reply.taken_for:
        return deciding
    if not _is_generated(request):
        return []
    does = "redo" if reply.taken_for else "again"
    anew = Button(word(language, does), does, _question(request, long=long))
    if reply.outcome not in ("answer", "refusal"):
        return [anew] if reply.taken_for else []
    found = [Button("", "rate", ("up", request.id), emoji="👍")]
    found.append(Button("", "rate", ("down", request.id), emoji="👎"))
    if "message" in request.address or request.command == "ask":
        found.insert(0, anew)
    if "private" in request.address and request.address["guild"] != "@me":
        more = ("long",) if long else ()
        found.append(Button(word(language, "share"), "share", (request.id, *more)))
    return [*deciding, *found]


def case_offer(reply: Reply) -> Shown:
    """Return what makes a case of a thumbs-down, where it is offered; its ids fit Discord's."""
    if not isinstance(reply.data, dict):
        return Shown("", language=reply.language)
    about = str(reply.data["reply"])
    found = [Button(word(reply.language, "case"), "case", (about, ""))]
    for name in reply.data["documents"]:
        found.append(Button(word(reply.language, "case_for", name=name), "case", (about, name)))
    fitting = tuple(button for button in found if len(button.id) <= _BUTTON_ID)
    return Shown("", fitting, language=reply.language)


def _is_generated(request: Request) -> bool:
    return request.command in GENERATED


def _question(request: Request, *, long: bool) -> tuple[str, ...]:
    """Return what finds the question again: its message, that it is quoted, or kept in memory."""
    where = request.address
    if "message" in where:
        return (where["channel"], where["message"], request.id)
    return ("kept" if long or not quote_of(request) else "quoted", "", request.id)


def quote_of(request: Request) -> str:
    """Return the question as it stands above its answer, where nothing else shows it."""
    shown = request.command == "ask" and "token" in request.address
    return quoted(request.text) if shown else ""


def quoted(question: str) -> str:
    """Return a question as a quote; nothing where that would be long."""
    text = clean(question).strip()
    lines = escape_discord(text).split("\n") if text else []
    quote = "".join(f"> {line}\n" for line in lines)
    return quote if len(quote) <= _QUOTED else ""


def question_in(content: str) -> str:
    """Return the question that stands quoted above an answer."""
    lines = []
    for line in content.split("\n"):
        if not line.startswith("> "):
            break
        lines.append(line.removeprefix("> ").replace(_INVISIBLE, ""))
    return _UNESCAPED.sub(r"\1", "\n".join(lines))
