"""List, confirm and cancel what is to be posted later."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from bot.handlers.moments import line
from bot.handlers.remind import Proposals, author_of, shown
from bot.messages import Language, Reply, ReplyEvent, Request
from bot.phrases import say
from bot.reminders import OWNERS, Reminder, Reminders

_DO = re.compile(
    r"(?:(?P<confirm>confirm|确认)|(?P<cancel>cancel|delete|stop|取消|删除)|(?P<again>again|再提醒))"
    r"\s*#?(?P<id>\d{1,9})",
    re.IGNORECASE,
)
_AGAIN_SECONDS = 3600.0


class ManageReminders:
    """Handles `reminders`: `request.text` is empty, or says what to do with which number.

    A person's own are listed, and in a channel those that are posted there; whoever runs the bot
    sees all. Authors confirm; authors and admins of the place cancel. What somebody may not change
    isn't there for them.
    """

    command = "reminders"

    def __init__(self, reminders: Reminders, proposals: Proposals) -> None:
        self._reminders = reminders
        self._proposals = proposals

    def uses_chat_model(self, request: Request) -> bool:
        """Return False."""
        return False

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield the list, or what came of a change."""
        wanted = request.text.strip()
        if not wanted:
            yield await self._listed(request, language)
            return
        asked = _DO.fullmatch(wanted)
        if asked is None:
            yield Reply("error", say(language, "reminders_how"), language)
            return
        found = await self._reminders.get(int(asked["id"]))
        mine = found is not None and (_owns(request) or found.author == author_of(request))
        governs = (
            found is not None
            and request.is_admin
            and (request.platform, request.scope) == (found.platform, found.scope)
        )
        if found is None or not (mine or (governs and asked["cancel"])):
            yield Reply("error", say(language, "reminder_unknown", id=asked["id"]), language)
        elif asked["cancel"]:
            await self._reminders.cancel(found.id)
            text = say(language, "reminder_cancelled", id=found.id)
            yield Reply("answer", text, language, data={"id": found.id, "state": "cancelled"})
        elif asked["confirm"]:
            yield await self._confirmed(found, request.scope, language)
        else:
            yield await self._again(found, request.scope, language)

    async def _listed(self, request: Request, language: Language) -> Reply:
        wanted: dict[str, str] = {}
        if not _owns(request):
            wanted = {"author": author_of(request), "scope": request.scope}
        # What is for its author's eyes alone is nobody else's, not even its number.
        known = [
            each
            for each in await self._reminders.standing(**wanted)
            if not each.direct or each.author == author_of(request) or _owns(request)
        ]
        now = self._reminders.clock()
        lines = [f"- {line(each, _due(each), language, request.scope)}" for each in known]
        text = "\n".join([*lines, "", say(language, "reminders_how")])
        if not lines:
            text = say(language, "reminders_none")
        return Reply("answer", text, language, data=[shown(each, now) for each in known])

    async def _confirmed(self, found: Reminder, here: str, language: Language) -> Reply:
        if found.state == "asked":
            if refused := await self._proposals.forbidden(found, language):
                return refused
            now = datetime.fromtimestamp(self._reminders.clock(), UTC)
            following = found.times.after(now)
            if following is None:
                return Reply("error", say(language, "reminder_over"), language)
            await self._reminders.stand(found.id, following.timestamp())
            found = replace(found, state="standing", due_at=following.timestamp())
        if found.state != "standing":
            return Reply("error", say(language, "reminder_over"), language)
        return self._stands(found, here, language)

    async def _again(self, found: Reminder, here: str, language: Language) -> Reply:
        if found.kind != "say" or found.times.rule or found.state == "asked":
            return Reply("error", say(language, "reminders_how"), language)
        if found.state == "done":
            if refused := await self._proposals.forbidden(found, language):
                return refused
            due_at = self._reminders.clock() + _AGAIN_SECONDS
            await self._reminders.stand(found.id, due_at)
            found = replace(found, state="standing", due_at=due_at)
        return self._stands(found, here, language)

    def _stands(self, found: Reminder, here: str, language: Language) -> Reply:
        told = line(found, _due(found), language, here)
        text = say(language, "reminder_stands", line=told)
        return Reply("answer", text, language, data=shown(found, self._reminders.clock()))


def _owns(request: Request) -> bool:
    return request.platform in OWNERS and request.is_admin


def _due(reminder: Reminder) -> datetime:
    return datetime.fromtimestamp(reminder.due_at or 0.0, ZoneInfo(reminder.times.zone))
