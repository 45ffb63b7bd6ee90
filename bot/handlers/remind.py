"""Ask for a reminder, a scheduled question or a digest; nothing stands before it is confirmed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from bot.handlers.moments import asked_back, how_often, spelt, told
from bot.handlers.seeing import audience_of
from bot.messages import Language, Posting, Reply, ReplyEvent, Request
from bot.phrases import say
from bot.reminders import OWNERS, PAGE, Kind, Reminder, Reminders
from bot.timetable import Timetable
from bot.when import Pieces, Unclear, read, read_when, timetable
from rag.records import Records

_CHANNELS = ("slack", "discord")
_SHOWN = 3
_SHEETS = (".xlsx", ".xlsm", ".xls", ".csv", ".tsv", ".ods")
_POST = re.compile(
    r"(?:(?:post|show|list|answer|(?:send|tell|give|show)\s+(?:me|us|everyone))(?![a-z])"
    r"|发布|发给(?:我们?|大家)|列出|告诉(?:我们?|大家)|回答|贴出|显示)[\s:：]*",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[\"“「](?P<text>[^\"”」]+)[\"”」]")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants posted."""

    kind: Kind
    text: str = ""
    options: Mapping[str, Any] | None = None
    direct: bool = False


class Proposals:
    """Keeps what is wanted until it is confirmed, where its author may post now.

    `postings` are the platforms by name; `zone` is the time zone of people whose platform tells
    none; `page` tells whether there is a page to post on.
    """

    def __init__(
        self, reminders: Reminders, postings: Mapping[str, Posting], *, zone: str, page: bool
    ) -> None:
        self._reminders = reminders
        self._postings = postings
        self._zone = zone
        self._places = (*_CHANNELS, *[PAGE[0]] * page)

    async def propose(
        self, request: Request, language: Language, wanted: Wanted, pieces: Pieces
    ) -> Reply:
        """Return what would be posted when, to be confirmed; or why it can't be."""
        platform, team, channel = place_of(request)
        if platform not in self._places:
            return Reply("error", say(language, "reminder_nowhere"), language)
        of_owner = request.platform in OWNERS
        if of_owner:
            wanted = replace(wanted, direct=False)
        try:
            zone = await self.zone(request)
            now = self._reminders.clock()
            times = timetable(pieces, datetime.fromtimestamp(now, UTC), zone)
        except Unclear as unclear:
            return Reply("error", asked_back(unclear, language), language)
        asked = Reminder(
            platform,
            team,
            channel,
            request.scope,
            author_of(request),
            language,
            wanted.kind,
            wanted.text,
            times,
            wanted.options or {},
            wanted.direct,
        )
        if refused := await self.forbidden(asked, language):
            return refused
        kept = await self._reminders.ask(asked, request.id)
        if kept is None:
            return Reply("error", say(language, "reminder_too_many"), language)
        return Reply("answer", _question(kept, now, language), language, data=shown(kept, now))

    async def zone(self, request: Request) -> str:
        """Return the time zone that a person's words are in."""
        if given := str(request.options.get("zone") or "").strip():
            return given
        posting = self._postings.get(request.platform)
        known = await posting.zone_of(request.user) if posting else None
        return known or self._zone

    async def forbidden(self, wanted: Reminder, language: Language) -> Reply | None:
        """Return why somebody may not have something posted in its place now, if they may not."""
        platform, _, user = wanted.author.partition(":")
        if platform in OWNERS or (wanted.direct and wanted.kind == "say"):
            return None
        posting = self._postings.get(wanted.platform)
        may = await posting.may_post(user, wanted.team, wanted.channel) if posting else None
        if may:
            return None
        key = "reminder_unsure" if may is None else "reminder_forbidden"
        return Reply("error", say(language, key), language)


class Remind:
    """Handles `remind`: `request.text` says what and when, or `options["when"]` says when.

    `options["kind"]` is `text` or `question` where that isn't left to the words; `options["zone"]`
    is a time zone.
    """

    command = "remind"

    def __init__(self, proposals: Proposals, records: Records) -> None:
        self._proposals = proposals
        self._records = records

    def uses_chat_model(self, request: Request) -> bool:
        """Return False."""
        return False

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield what would be posted when, to be confirmed, or a question back."""
        text, when = request.text.strip(), str(request.options.get("when") or "").strip()
        try:
            if when:
                pieces, said = read_when(when), read(f"{when} {text}")
                said = replace(said, pieces=pieces)
            else:
                said = read(text)
        except Unclear as unclear:
            yield Reply("error", asked_back(unclear, language), language)
            return
        if not said.what:
            yield Reply("error", say(language, "reminder_empty"), language)
            return
        kind, what = _meant(said.what, said.reminds, str(request.options.get("kind") or ""))
        options = await self._answered_by(what, request) if kind == "ask" else {}
        wanted = Wanted(kind, what, options, said.to_me)
        yield await self._proposals.propose(request, language, wanted, said.pieces)

    async def _answered_by(self, question: str, request: Request) -> dict[str, Any]:
        """Return which skill answers a question: one about a sheet is computed from its rows."""
        known = await asyncio.to_thread(self._records.sources, audience_of(request))
        named = [
            each.document
            for each in known
            if each.document.casefold() in question.casefold()
            and each.document.casefold().endswith(_SHEETS)
        ]
        if not named:
            return {"skill": "ask"}
        return {"skill": "table", "document": max(named, key=len)}


def _meant(what: str, reminds: bool, chosen: str) -> tuple[Kind, str]:
    """Return whether something is said or asked, and the words."""
    if quoted := _QUOTED.fullmatch(_POST.sub("", what, count=1)):
        return ("ask" if chosen == "question" else "say"), quoted["text"].strip()
    posts = _POST.match(what)
    asks = what.endswith(("?", "？")) or (posts is not None and not reminds)
    if chosen:
        asks = chosen == "question"
    rest = what[posts.end() :] if posts and asks and not reminds else what
    return ("ask", rest) if asks and rest else ("say", what)


def place_of(request: Request) -> tuple[str, str, str]:
    """Return the platform, the team and the channel that a request's scope and address name.

    Whoever runs the bot and names no channel means the page.
    """
    platform, _, rest = request.scope.partition(":")
    if request.platform in OWNERS and platform not in _CHANNELS:
        return PAGE
    team, _, channel = rest.rpartition(":")
    return platform, team, request.address.get("channel", channel)


def author_of(request: Request) -> str:
    """Return who asks, as `slack:U012`; whoever runs the bot is one, whatever tab it is."""
    user = request.platform if request.platform in OWNERS else request.user
    return f"{request.platform}:{user}"


def shown(reminder: Reminder, now: float) -> dict[str, Any]:
    """Return a reminder as JSON."""
    return {
        "id": reminder.id,
        "state": reminder.state,
        "kind": reminder.kind,
        "text": reminder.text,
        "scope": reminder.scope,
        "zone": reminder.times.zone,
        "rule": reminder.times.rule,
        "next": [each.isoformat() for each in reminder.next(_SHOWN, now)],
    }


def _question(asked: Reminder, now: float, language: Language) -> str:
    """Return all that is confirmed: what, where, the next times, and how to confirm it."""
    times: Timetable = asked.times
    comma = "；" if language == "zh" else "; "
    when = comma.join(spelt(each, language) for each in asked.next(_SHOWN, now))
    often = how_often(times.rule, language)
    lines = [
        say(language, "reminder_shall_i"),
        "- " + told(asked, language),
        "- " + (say(language, "reminder_often", often=often, when=when) if often else when),
        "- " + say(language, "reminder_zone", zone=times.zone),
    ]
    return "\n".join(lines) + "\n\n" + say(language, "reminder_confirm", id=asked.id)
