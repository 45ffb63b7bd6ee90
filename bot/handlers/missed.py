"""Summarise what was said in a channel since a time: "what did I miss"."""

from __future__ import annotations

from datetime import UTC, datetime

from bot.handlers.summarise import Summarise
from bot.messages import Language, Request
from bot.phrases import say
from bot.since import moment


class Missed(Summarise):
    """Handles `missed`: `request.text` is a time, and the platform's adapter brings what was said
    since then as an attachment."""

    command = "missed"

    def refused(self, request: Request, language: Language) -> str | None:
        """Return why there is nothing to read: no such time, or no channel here."""
        if moment(request.text, datetime.now(UTC)) is None:
            return say(language, "since_unclear", given=request.text.strip())
        return None if request.attachments else say(language, "no_channel")

    def named(self, request: Request) -> str:
        """Return nothing: the text is a time."""
        return ""
