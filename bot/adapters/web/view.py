"""The page's HTML, built from plain data: every word from outside is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from bot.adapters.web.files import PREFIX
from bot.adapters.web.session import Choices, Exchange, Passage, Session
from bot.adapters.web.text import PARTS, TEXT, count, say, size
from bot.commands import SETTINGS
from bot.messages import Language

_SHOWN = 300
"""Rows that the list of documents shows; a browser is slow with thousands."""

_THUMB = (
    '<svg viewBox="0 0 24 24" aria-hidden="true">'
    '<path d="M3 10h3.5v10H3zM9 20V10l4-7.5c1.7 0 2.6 1.3 2.2 3L14.4 9H20l1 1.2-1.8 8.6L17.6 20z"/>'
    "</svg>"
)
_DRAWN = (".pdf", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
"""Documents whose pages can be shown as pictures end in."""
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


def conversation(session: Session, examples: Sequence[str]) -> str:
    """Return the exchanges, or a welcome with example questions."""
    language = session.language
    if not session.exchanges:
        return _welcome(language, examples)
    last = len(session.exchanges) - 1
    articles = "".join(
        _exchange(language, exchange, index, index == last)
        for index, exchange in enumerate(session.exchanges)
    )
    return (
        f'<div class="log" role="log" aria-label="{say(language, "conversation")}">{articles}</div>'
    )


def _welcome(language: Language, examples: Sequence[str]) -> str:
    questions = "".join(
        f'<li><button type="button" data-action="ask" data-question="{escape(question)}">'
        f"{escape(question)}</button></li>"
        for question in examples
    )
    listed = f"<h3>{say(language, 'examples')}</h3><ul>{questions}</ul>" if questions else ""
    return (
        f'<div class="welcome"><h2>{say(language, "welcome")}</h2>'
        f"<p>{say(language, 'welcome_more')}</p>{listed}</div>"
    )


def _exchange(language: Language, exchange: Exchange, index: int, last: bool) -> str:
    outcome = exchange.outcome
    label = "" if outcome in ("running", "answer") else say(language, outcome)
    # Every part is there from the start, empty or not: the page patches its tree in place.
    return (
        f'<article class="exchange" data-outcome="{outcome}">'
        f'<h3 class="question"><span class="unseen">{say(language, "you")}: </span>'
        f"{escape(exchange.question)}</h3>"
        f'<p class="label">{label}</p>'
        f'<div class="answer">{_answer(language, exchange, index)}</div>'
        f'<p class="status" role="status">{_status(language, exchange)}</p>'
        f'<div class="files">{_files(exchange)}</div>'
        f'<div class="sources">{_sources(language, exchange, index)}</div>'
        f'<div class="passages">{_passages(language, exchange, index)}</div>'
        f'<div class="tools">{_tools(language, exchange, last)}</div></article>'
    )


def _answer(language: Language, exchange: Exchange, index: int) -> str:
    if not exchange.sentences:
        return escape(exchange.text)
    names = {passage.number: place(language, passage) for passage in exchange.passages}
    return "".join(
        escape(sentence.text.rstrip())
        + "".join(
            f'<button type="button" class="cite" popovertarget="passage-{index}-{number}" '
            f'aria-label="{say(language, "passage", number=number)}: '
            f'{escape(names.get(number, ""))}">[{number}]</button>'
            for number in sentence.numbers
        )
        + escape(sentence.text[len(sentence.text.rstrip()) :])
        for sentence in exchange.sentences
    )


def _status(language: Language, exchange: Exchange) -> str:
    if exchange.outcome != "running":
        return ""
    if exchange.reading:
        places = dict.fromkeys(place(language, passage) for passage in exchange.reading)
        listed = ("、" if language == "zh" else ", ").join(places)
        return escape(say(language, "reading_sources", sources=listed))
    return escape(exchange.status or say(language, "thinking"))


def _files(exchange: Exchange) -> str:
    """Return the files that came along: a picture as such, all to be saved."""
    return "".join(
        (
            f'<img src="{escape(file.address)}" alt="{escape(file.about)}">'
            if file.name.endswith(".png")
            else ""
        )
        + f'<a href="{escape(file.address)}" download="{escape(file.name)}">'
        f"{escape(file.name)}</a>"
        for file in exchange.files
        if file.address.startswith(PREFIX)
    )


def _sources(language: Language, exchange: Exchange, index: int) -> str:
    if exchange.outcome == "running" or not exchange.passages:
        return ""
    heading = say(language, "closest" if exchange.outcome == "refusal" else "sources")
    items = "".join(
        f'<li><button type="button" popovertarget="passage-{index}-{passage.number}">'
        f"<b>{passage.number}</b> {escape(place(language, passage))}</button></li>"
        for passage in {passage.number: passage for passage in exchange.passages}.values()
    )
    return f"<h4>{heading}</h4><ul>{items}</ul>"


def _passages(language: Language, exchange: Exchange, index: int) -> str:
    def card(number: int, passages: Iterable[Passage]) -> str:
        quotes = "".join(
            f"<h4>{escape(passage.document)}</h4>"
            f"<p>{escape(_where(language, passage))}</p>"
            f'<blockquote tabindex="0">{escape(passage.quote)}</blockquote>'
            f"{_picture(language, passage)}"
            for passage in passages
        )
        name = f"passage-{index}-{number}"
        return (
            f'<div popover class="passage" id="{name}" role="dialog" '
            f'aria-label="{say(language, "passage", number=number)}">'
            f'<button type="button" class="close" popovertarget="{name}" '
            f'popovertargetaction="hide" aria-label="{say(language, "close")}">×</button>'
            f'<span class="number">[{number}]</span>{quotes}</div>'
        )

    grouped = groupby(exchange.passages, key=lambda passage: passage.number)
    return "".join(card(number, passages) for number, passages in grouped)


def _picture(language: Language, passage: Passage) -> str:
    """Return the picture of a passage's page, which the browser fetches when it is to be seen."""
    if passage.start is None or not passage.document.lower().endswith(_DRAWN):
        return ""
    at = {"document": passage.document, "start": passage.start, "end": passage.end}
    described = escape(say(language, "page_picture", place=place(language, passage)))
    return f'<img loading="lazy" src="{escape(f"picture?{urlencode(at)}")}" alt="{described}">'


def _tools(language: Language, exchange: Exchange, last: bool) -> str:
    if not last or exchange.outcome == "running":
        return ""
    return (
        f"{_form(language, exchange.choices) if exchange.choices else ''}"
        f"{_as_question(language) if exchange.taken_for else ''}"
        f'<button type="button" data-action="regenerate">{say(language, "regenerate")}</button>'
        f'<button type="button" data-action="reset">{say(language, "clear")}</button>'
        f"{_rating(language, exchange) if exchange.ratable else ''}"
    )


def _as_question(language: Language) -> str:
    return f'<button type="button" data-action="question">{say(language, "as_question")}</button>'


def _form(language: Language, choices: Mapping[str, Choices]) -> str:
    """Return the settings as a form: a menu each; of the folders, several may be chosen."""
    zh = language == "zh"
    fields = ""
    for argument in SETTINGS.arguments[1:]:
        shown = choices.get(argument.name)
        if shown is None:
            continue
        labels = {who: say(language, who) for who in ("anyone", "admins")}
        labels |= {choice.value: choice.label[zh] for choice in argument.choices}
        several = argument.name == "folders"
        chosen = shown.value if isinstance(shown.value, list) else [shown.value]
        values = [*shown.allowed]
        values += [each for each in chosen if each and each not in values and not several]
        options = "".join(
            f'<option value="{escape(value)}"{" selected" if value in chosen else ""}>'
            f"{escape(labels.get(value, value))}</option>"
            for value in values
        )
        if several:
            everything = " selected" if shown.value is None else ""
            options = f'<option value="all"{everything}>{say(language, "all")}</option>{options}'
        fields += (
            f'<label><span>{escape(argument.label[zh])}</span><select name="{argument.name}"'
            f"{' multiple' if several else ''}>{options}</select></label>"
        )
    save = f'<button data-action="configure">{say(language, "save")}</button>'
    return f'<form class="settings">{fields}{save}</form>'


def _rating(language: Language, exchange: Exchange) -> str:
    thumbs = "".join(
        f'<button type="button" class="thumb" data-action="rate" data-thumb="{thumb}" '
        f'aria-label="{say(language, thumb)}" title="{say(language, thumb)}" '
        f'aria-pressed="{_bool(exchange.thumb == thumb)}">{_THUMB}</button>'
        for thumb in ("up", "down")
    )
    cases = "".join(
        f'<button type="button" data-action="case" data-name="{escape(name)}">'
        f"{escape(say(language, 'case_for', name=name) if name else say(language, 'case'))}"
        "</button>"
        for name in exchange.cases
    )
    rated = f'<span class="rated" role="status">{escape(exchange.rated)}</span>'
    return f'<span class="thumbs" role="group">{thumbs}</span>{rated}{cases}'


def place(language: Language, passage: Passage) -> str:
    """Return where a passage stands, short: "handbook.pdf p. 2"."""
    page = "" if passage.page is None else " " + say(language, "page", page=passage.page)
    return passage.document + page


def _where(language: Language, passage: Passage) -> str:
    page = None if passage.page is None else say(language, "page", page=passage.page)
    return " · ".join(part for part in (page, passage.section) if part)


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
