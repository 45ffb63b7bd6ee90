"""Which skill answers a plain message: what it wants, and what there is here to do it with."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bot.links import links, without_links
from bot.messages import Attachment, Language, Request
from bot.router import Intent, Router
from bot.since import moment
from rag.audience import Audience

log = logging.getLogger(__name__)

_SINCE = re.compile(
    r"(?:since|last|the last|自从?|从|最近|过去|上)?\s*(?:\b(?:today|yesterday|(?:mon|tues|wednes|"
    r"thurs|fri|satur|sun)day|\d+\s*(?:minutes?|hours?|days?|weeks?|[mhdw]))\b"
    r"|今天|昨天|前天|(?:周|星期|礼拜)[一二三四五六日天]|[\d一二三四五六七八九十两]+\s*(?:分钟|个?小时|天|周))",
    re.IGNORECASE,
)
_MISSED = re.compile(
    r"miss(?:ed)?\b|catch me up|caught up|up to (?:date|speed)|was i (?:gone|away)|been going on"
    r"|here (?:today|yesterday|since)|错过|我不在|没跟上|刚回来|聊了(?:些?什么|啥)",
    re.IGNORECASE,
)
_KNOWN = re.compile(
    r"\b(?:list|show|which|what|cancel|delete|remove|stop|move|change|snooze)\b.{0,40}\bremind"
    r"|(?:取消|删|列|哪些|有什么|所有|我的|刚才|那个|关).{0,12}提醒|提醒.{0,8}(?:取消|删|列|改|推|关)",
    re.IGNORECASE,
)
_MEMBERS = re.compile(r"https?://(?:[\w-]+\.)*(?:slack|discord|discordapp)\.com[:/]", re.IGNORECASE)
"""Begins the address of a message, which shows nobody else anything."""
_A_DAY = "1d"


class Routing:
    """Makes of a plain message the request of the skill that it asks for; else it is a question, to
    the page that it names or to the documents.

    `named` returns the names of the documents that a text names, `has_tables` whether there are
    sheets, both for an audience and blocking; `kept` keeps what was learned; `key` changes with the
    embedding model. Until `ready` was awaited every message is a question.
    """

    def __init__(
        self,
        router: Router,
        kept: Path,
        *,
        key: Callable[[], str],
        named: Callable[[str, Audience], list[str]],
        has_tables: Callable[[Audience], bool],
    ) -> None:
        self._router = router
        self._kept = kept
        self._key = key
        self._named = named
        self._has_tables = has_tables
        self._learned: str | None = None
        self._learning: asyncio.Task[None] | None = None

    async def ready(self) -> None:
        """Return when the router has learned from its examples."""
        if self._learned != self._key():
            key = self._key()
            await asyncio.to_thread(self._router.learn, self._kept, key)
            self._learned = key

    async def __call__(self, request: Request, language: Language) -> Request:
        """Return a plain message as the request of its skill, or as the question that it is."""
        text = request.text.strip()
        if not text or self._learned is None:
            return request
        if self._learned != self._key():  # another embedding model answers by now
            if self._learning is None or self._learning.done():
                self._learning = asyncio.create_task(self.ready())
            return request
        shares = await asyncio.to_thread(self._router.tell, text)
        intent = next(iter(shares))
        audience = Audience.of(request.audience, folders=request.channel.folders)
        taken = await self._taken(intent, replace(request, language=language), text, audience)
        if taken is None and asks_a_page(text):
            taken = replace(request, command="lookup", language=language)
        if taken is None:
            return request
        log.debug("request %s is taken for %s", request.id, taken.command)
        return taken

    async def _taken(
        self, intent: Intent, request: Request, text: str, audience: Audience
    ) -> Request | None:
        """Return the request of a skill; None where there is nothing here to do it with."""
        match intent:
            case "summary":
                return await self._summary(request, text, audience)
            case "table":
                if await asyncio.to_thread(self._has_tables, audience):
                    return replace(request, command="table")
            case "reminder":
                if _KNOWN.search(text):  # what is there already is listed, to be cancelled there
                    return replace(request, command="reminders", text="")
                return replace(request, command="remind")
            case "small_talk":
                return replace(request, command="small_talk")
        return None

    async def _summary(self, request: Request, text: str, audience: Audience) -> Request | None:
        """Return what is to be summarised: documents, a page, the thread, or what was missed."""
        asked = replace(request, command="summarise")
        if named := links(text):
            return replace(asked, text="\n".join(named))
        if names := await asyncio.to_thread(self._named, text, audience):
            return replace(asked, text="\n".join(names))
        around = request.around
        title = around.get("title", "")
        now = datetime.now(UTC)
        found = _SINCE.search(text)
        since = found[0].strip() if found and moment(found[0], now) else None
        if "channel" in around and (since or _MISSED.search(text)):
            begun = moment(since or _A_DAY, now)
            if begun is not None:
                said = Attachment(title, None, f"{around['channel']}/{int(begun.timestamp())}")
                return replace(request, command="missed", text=since or _A_DAY, attachments=(said,))
        if "thread" in around:
            return replace(asked, text="", attachments=(Attachment(title, None, around["thread"]),))
        return None


def asks_a_page(text: str) -> bool:
    """Tell whether a question names one web page that it may be meant for."""
    named = links(text)
    others = re.search(r"\w", without_links(text))
    return len(named) == 1 and others is not None and not _MEMBERS.match(named[0])
