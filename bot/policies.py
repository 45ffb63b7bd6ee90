"""What the settings say of limits, rights and scopes, as the parts of the bot take it."""

from __future__ import annotations

from collections.abc import Callable

from bot.dispatch import Limits
from bot.models import answers_at_once
from bot.rights import Who
from bot.settings import Settings
from rag.calibration import CALIBRATION, Calibration
from rag.calibration import read as read_calibration
from rag.ingest.blobs import WEB
from rag.ingest.pages import Page
from rag.ingest.standing import Standing
from rag.tools import Tool


def limits_of(settings: Settings) -> Limits:
    """Return what requests may cost."""
    limits = settings.limits
    return Limits(
        question_characters=limits.question_characters,
        answering=answers_at_once(settings),
        waiting=limits.waiting_questions,
        waiting_each=limits.waiting_questions_each,
        learning=limits.uploads_at_once,
        waiting_to_learn=limits.waiting_uploads,
        per_minute_each=limits.requests_per_minute_each,
        per_minute_channel=limits.requests_per_minute_channel,
    )


def calibration_about(settings: Settings) -> dict[str, str]:
    """Return what a calibration holds for: with other models it is another."""
    return {"chat_model": settings.chat_model, "embedding_model": settings.embedding_model}


def calibration_of(settings: Settings) -> Calibration | None:
    """Return what `teamglm calibrate` found out about these models here, if it has been run."""
    return read_calibration(settings.data / CALIBRATION, calibration_about(settings))


def rights_of(settings: Settings) -> dict[str, Who]:
    """Return who may use which command."""
    chosen = settings.permissions
    by_command: dict[str, str | tuple[str, ...]] = {
        "upload": chosen.teach,
        "remember": chosen.teach,
        "learn": chosen.teach,
        "forget": chosen.forget,
        "index": chosen.reindex,
        "case": "admins",
    }
    return {command: _who(who) for command, who in by_command.items()}


def may_configure(settings: Settings) -> Who:
    """Return who may change a channel's settings, which anybody may see."""
    return _who(settings.permissions.settings)


def _who(named: str | tuple[str, ...]) -> Who:
    if named == "anyone":
        return "anyone"
    return "admins" if isinstance(named, str) else frozenset(named)


def granted(settings: Settings) -> dict[str, frozenset[str]]:
    """Return the scopes that the settings let each channel see besides its own."""
    grants: dict[str, frozenset[str]] = {}
    for source in (*settings.folders, *settings.web_pages, *settings.tools.declared.values()):
        for channel in source.channels:
            grants[channel] = grants.get(channel, frozenset()) | {source.scope}
    return grants


def tools_of(settings: Settings) -> list[Tool]:
    """Return the HTTP tools with what the environment says of their headers."""
    keys = settings.secrets.server_keys
    return [settings.tools.tool(name, keys) for name in settings.tools.declared]


def belonging(settings: Settings) -> Callable[[Standing], bool]:
    """Return what tells whether the settings still have a folder or web page in this scope."""
    folders = {f"folder:{folder.name}": folder.scope for folder in settings.folders}
    pages: dict[str, set[str]] = {}
    for page in settings.web_pages:
        named = Page(page.url, page.scope, page.private).name
        pages.setdefault(named, set()).add(page.scope)

    def belongs(standing: Standing) -> bool:
        at = standing.address
        if at.source == WEB and standing.taught_by is None:  # the settings' own
            return at.scope in pages.get(at.name, {at.scope})
        return folders.get(at.source, at.scope) == at.scope

    return belongs
