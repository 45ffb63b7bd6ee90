"""Subscribe a channel to a digest of new documents, and write it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime
from zoneinfo import ZoneInfo

from bot.handlers.moments import asked_back, line, spelt
from bot.handlers.remind import Proposals, Wanted, author_of
from bot.handlers.seeing import audience_of
from bot.messages import Language, Reply, ReplyEvent, Request
from bot.phrases import say
from bot.reminders import Reminders
from bot.when import Unclear, read_when
from rag.records import DocumentRecord, Records

_ON = frozenset({"", "on", "开", "打开", "开启", "订阅"})
_OFF = frozenset({"off", "关", "关闭", "取消", "退订"})
_USUALLY = "every weekday at 09:00"
_MOST = 30
_SETTLED_SECONDS = 10.0
"""A document bears the time just before it is known: the newest are left to the next digest."""


class Digest:
    """Handles `digest`: `request.text` is `on`, `off`, or when it is wanted; one a channel."""

    command = "digest"

    def __init__(self, reminders: Reminders, proposals: Proposals) -> None:
        self._reminders = reminders
        self._proposals = proposals

    def uses_chat_model(self, request: Request) -> bool:
        """Return False."""
        return False

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield when it would be posted, to be confirmed, or that there is none any more."""
        wanted = request.text.strip().casefold()
        here = await self._reminders.standing(scope=request.scope)
        known = next((each for each in here if each.kind == "digest"), None)
        if wanted in _OFF:
            may = known and (request.is_admin or known.author == author_of(request))
            if known and may:
                await self._reminders.cancel(known.id)
                text = say(language, "reminder_cancelled", id=known.id)
                yield Reply("answer", text, language, data={"id": known.id, "state": "cancelled"})
                return
            key = "digest_others" if known else "digest_none"
            yield Reply("error", say(language, key), language)
            return
        if known:
            zone = ZoneInfo(known.times.zone)
            told = line(
                known, datetime.fromtimestamp(known.due_at or 0.0, zone), language, request.scope
            )
            yield Reply("error", say(language, "digest_stands", line=told), language)
            return
        try:
            pieces = read_when(_USUALLY if wanted in _ON else request.text)
        except Unclear as unclear:
            yield Reply("error", asked_back(unclear, language), language)
            return
        if not pieces.repeat:
            yield Reply("error", say(language, "digest_often"), language)
            return
        yield await self._proposals.propose(request, language, Wanted("digest"), pieces)


class WriteDigest:
    """Handles `digested`, what a digest says when it is due: its data is empty for no news."""

    command = "digested"

    def __init__(self, records: Records) -> None:
        self._records = records

    def uses_chat_model(self, request: Request) -> bool:
        """Return False."""
        return False

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield the documents that came or changed since the last one, for `request.audience`."""
        since, until = float(request.options["since"]), float(request.options["at"])
        audience = audience_of(request)
        known = await asyncio.to_thread(self._records.sources, audience)
        new = [
            each
            for each in known
            if each.state == "ready" and since < _read_at(each) + _SETTLED_SECONDS <= until
        ]
        at = datetime.fromtimestamp(since, ZoneInfo(str(request.options["zone"])))
        lines = [
            "- " + (each.document if each.version == 1 else _changed(each, language))
            for each in new[:_MOST]
        ]
        if len(new) > _MOST:
            lines.append(f"- … (+ {len(new) - _MOST})")
        head = say(language, "digest_new" if new else "digest_no_news", time=spelt(at, language))
        names = [each.document for each in new]
        yield Reply("answer", "\n".join([head, *lines]), language, data=names)


def _changed(record: DocumentRecord, language: Language) -> str:
    return say(language, "digest_changed", name=record.document)


def _read_at(record: DocumentRecord) -> float:
    return datetime.fromisoformat(record.indexed_at).timestamp() if record.indexed_at else 0.0
