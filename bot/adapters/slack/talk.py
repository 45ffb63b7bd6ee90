"""Which messages in the bot's own threads are meant for it, though they don't mention it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bot.adapters.slack.access import Team
from bot.adapters.slack.api import remember
from bot.adapters.slack.requests import (
    conversation_of,
    is_addressed,
    is_question,
    is_spoken,
    mentioned,
    thread_of,
)
from bot.messages import Inbox

FollowUps = Literal["addressed", "all", "mention"]


@dataclass(slots=True)
class _Talk:
    """A thread, as far as this process has heard it."""

    partners: set[str] = field(default_factory=set)
    """People who have spoken to the bot here."""
    among_themselves: bool = False
    """Somebody has spoken to somebody else since the bot was last asked."""


class Threads:
    """Tells follow-ups from people's talk: with "all" every message of the bot's threads is one,
    with "mention" none, with "addressed" what its partners say next, and questions to nobody else,
    until people talk to each other."""

    def __init__(self, inbox: Inbox, follow_ups: FollowUps) -> None:
        self._inbox = inbox
        self._follow_ups = follow_ups
        self._talks: dict[str, _Talk] = {}

    async def follows(self, event: Mapping[str, Any], team: Team, me: str) -> bool:
        """Tell whether a message goes on with the bot; remembers who spoke to whom."""
        if not is_spoken(event, me):
            return False
        conversation = conversation_of(team, event["channel"], thread_of(event))
        talk = self._talks.get(conversation) or _Talk()
        remember(self._talks, conversation, talk)
        user = event["user"]
        if is_addressed(event, me):
            talk.partners.add(user)
            talk.among_themselves = False
            return False  # it is for the bot anyway
        if self._follow_ups == "mention" or not event.get("thread_ts"):
            return False
        known = await self._inbox.knows("slack", conversation)
        if known and self._meant(event, talk):
            talk.partners.add(user)
            return True
        talk.among_themselves = True
        return False

    def _meant(self, event: Mapping[str, Any], talk: _Talk) -> bool:
        if mentioned(event):
            return False
        if self._follow_ups == "all":
            return True
        # Who began the thread is a partner too, also after a restart.
        partner = event["user"] in talk.partners or event["user"] == event.get("parent_user_id")
        return not talk.among_themselves and (partner or is_question(event))
