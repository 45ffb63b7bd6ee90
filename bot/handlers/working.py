"""Tell how far long work is, in words."""

from __future__ import annotations

from bot.messages import Language
from bot.phrases import counted, say
from rag.ingest.activity import Activity


def time_left(language: Language, seconds: float | None) -> str:
    """Return about how long something will still take; nothing where that isn't known."""
    if seconds is None:
        return ""
    if seconds < 90:
        return say(language, "time_left", time=counted(language, "seconds", max(1, round(seconds))))
    if seconds < 5400:
        return say(language, "time_left", time=counted(language, "minutes", round(seconds / 60)))
    return say(language, "time_left", time=counted(language, "hours", round(seconds / 3600)))


def working(activity: Activity, language: Language) -> str | None:
    """Return what ingestion is doing, how far it is and how long it will take; None if nothing."""
    now = activity.now()
    if now is None:
        return say(language, "paused") if activity.paused else None
    text = say(language, f"working_{now.what}", percent=int(now.share * 100))
    return text + (
        say(language, "and_paused") if now.paused else time_left(language, now.seconds_left)
    )
