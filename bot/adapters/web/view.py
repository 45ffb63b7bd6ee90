"""The page's HTML, built from plain data: every word from outside is escaped here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from bot.adapters.web.text import PARTS, TEXT, count, say, size
from bot.messages import Language

_SHOWN = 300
"""Rows that the list of documents shows; a browser is slow with thousands."""

_ORDER = ("reading", "waiting", "failed", "ready")


@dataclass(frozen=True, slots=True)
class State:
    """What the bot is up to: `kind` is loading, reading, ready or error."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Work:
    """How far long work is, in words and from 0 to 1; neither where only its pause is told."""

    text: str = ""
    share: float | None = None
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Receipts:
    """How an upload or a deletion goes: a line with its progress, then a line a file."""

    status: str = ""
    done: int | None = None
    total: int | None = None
    lines: Sequence[tuple[str, str]] = ()
    """(kind, text) with kind ready, known or failed."""


def state(
    language: Language,
    loading: str | None,
    rows: Sequence[Mapping[str, Any]],
    work: Work | None = None,
) -> State:
    """Return the line beside the product's name."""
    if loading is not None:
        part = PARTS.get(loading, loading) if language == "zh" else loading
        return State("loading", say(language, "loading", part=part))
    if work is not None:
        kind = "paused" if work.paused else "reading"
        return State(kind, work.text or say(language, "paused"))
    unread = sum(row.get("state") in ("waiting", "reading") for row in rows)
    waiting = sum(row.get("state") == "waiting" for row in rows)
    if unread:
        done = max(1, len(rows) - waiting)
        return State("reading", say(language, "reading", done=done, total=len(rows)))
    ready = sum(row.get("state") == "ready" for row in rows)
    return State("ready", say(language, "ready", documents=count(language, "document", ready)))


def header(language: Language, now: State) -> str:
    """Return the top of the page: name, state, views and language."""
    choices = "".join(
        f'<button type="button" data-action="language" data-language="{code}" lang="{lang}" '
        f'aria-pressed="{_bool(code == language)}">{name}</button>'
        for code, lang, name in (("zh", "zh-CN", "中文"), ("en", "en", "English"))
    )
    views = "".join(
        f'<button type="button" data-show="{view}">{say(language, view)}</button>'
        for view in ("chat", "documents")
    )
    return (
        f'<header class="top"><span class="mark" aria-hidden="true"></span><h1>TeamGLM</h1>'
        f'<p class="state" role="status" data-kind="{now.kind}">{escape(now.text)}</p>'
        f'<div class="views" role="group" aria-label="{say(language, "views")}">{views}</div>'
        f'<div class="languages" role="group" aria-label="{say(language, "language")}">'
        f"{choices}</div></header>"
    )


def uploader(language: Language, limit: int, receipts: Receipts) -> str:
    """Return the place to drop files, with the receipts of the last ones.

    The data attributes are sentences that the browser needs before anything is sent.
    """
    words = {
        "limit": limit,
        "too-large": say(language, "too_large", name="%", limit=size(limit)),
        "not-sent": say(language, "not_sent", name="%"),
        "sending": TEXT[language]["sending"],
        "received": say(language, "received"),
    }
    data = " ".join(f'data-{key}="{escape(str(value))}"' for key, value in words.items())
    progress = ""
    if receipts.total:
        progress = f'<progress value="{receipts.done or 0}" max="{receipts.total}"></progress>'
    lines = "".join(
        f'<li data-kind="{escape(kind)}">{escape(text)}</li>' for kind, text in receipts.lines
    )
    return (
        f'<div class="drop" {data}><label class="add"><input type="file" multiple>'
        f"<span>{say(language, 'add')}</span></label>"
        f"<small>{say(language, 'add_more', limit=size(limit))}</small></div>"
        f'<p class="status" role="status">{escape(receipts.status)}</p>'
        f'<div class="progress">{progress}</div>'
        f'<ul class="refused" role="alert"></ul><ul class="receipts">{lines}</ul>'
    )


def documents(
    language: Language,
    rows: Sequence[Mapping[str, Any]],
    error: str = "",
    work: Work | None = None,
) -> str:
    """Return how far the reading is, and the list of documents, what is being read first."""
    heading = f"<h2>{say(language, 'documents')}</h2>{_work(language, work) if work else ''}"
    if error:
        return f'{heading}<p class="empty">{escape(error)}</p>'
    if not rows:
        return f'{heading}<p class="empty">{say(language, "no_documents")}</p>'
    ordered = sorted(rows, key=_rank)
    items = "".join(_document(language, row) for row in ordered[:_SHOWN])
    more = len(ordered) - _SHOWN
    rest = f"<p>{say(language, 'more_documents', count=more)}</p>" if more > 0 else ""
    return f'{heading}<ul class="list">{items}</ul>{rest}'


def _work(language: Language, work: Work) -> str:
    """Return the bar of what is being read, with its switch."""
    action = "resume" if work.paused else "pause"
    share = "" if work.share is None else f'<progress value="{work.share:.3f}" max="1"></progress>'
    return (
        f'<div class="work" data-paused="{_bool(work.paused)}">'
        f"<p>{escape(work.text or say(language, 'paused'))}</p>"
        f'<button type="button" data-action="{action}">{say(language, action)}</button>'
        f"{share}</div>"
    )


def _rank(row: Mapping[str, Any]) -> tuple[int, str]:
    kind = str(row.get("state", "ready"))
    return (_ORDER.index(kind) if kind in _ORDER else 0, str(row.get("document", "")).lower())


def _document(language: Language, row: Mapping[str, Any]) -> str:
    name, key = escape(str(row["document"])), escape(str(row["id"]))
    kind = str(row.get("state", "ready"))
    parts = [say(language, f"state_{kind}") if kind in _ORDER else kind]
    if kind == "ready":
        parts = [count(language, "page", row["pages"])] if row.get("pages") else []
        parts.append(count(language, "passage", int(row.get("chunks") or 0)))
    elif row.get("message"):
        parts.append(str(row["message"]))
    elif row.get("total"):
        parts.append(f"{100 * int(row.get('done') or 0) // int(row['total'])} %")
    summarise = (
        f'<button type="button" data-action="summarise" data-id="{key}" data-name="{name}" '
        f'aria-label="{escape(say(language, "summarise_name", name=row["document"]))}">'
        f"{say(language, 'summarise')}</button>"
        if kind == "ready"
        else ""
    )
    return (
        f'<li data-kind="{escape(kind)}"><b title="{name}">{name}</b>'
        f"<small>{escape(' · '.join(parts))}</small>"
        f'<span class="tools">{summarise}'
        f'<button type="button" data-confirm="forget" data-id="{key}" data-name="{name}" '
        f'aria-label="{escape(say(language, "delete_name", name=row["document"]))}">'
        f"{say(language, 'delete')}</button></span>"
        f"{_taught(language, row) if kind == 'ready' else ''}</li>"
    )


def _taught(language: Language, row: Mapping[str, Any]) -> str:
    """Return when a document was taught, by whom if a person did, and how often it has changed."""
    day = str(row.get("indexed_at") or row.get("taught_at") or "")[:10]
    platform, _, who = str(row.get("taught_by") or "").partition(":")
    key = f"taught_{platform}" if platform in ("web", "cli", "slack", "discord") else "taught"
    parts = [say(language, key, day=day, who=who)] if day else []
    if int(row.get("version") or 1) > 1:
        parts.append(say(language, "version", number=row["version"]))
    return f'<small class="taught">{escape(" · ".join(parts))}</small>' if parts else ""


def confirm(language: Language) -> str:
    """Return the question that a deletion asks first; the browser puts the name in."""
    return (
        f'<dialog class="confirm" data-sure="{escape(say(language, "delete_sure", name="%"))}">'
        f'<p></p><form method="dialog"><button value="cancel">{say(language, "cancel")}</button>'
        f'<button value="yes" class="danger">{say(language, "delete")}</button></form></dialog>'
    )


def _bool(value: bool) -> str:
    return "true" if value else "false"
