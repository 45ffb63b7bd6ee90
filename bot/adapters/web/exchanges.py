"""The conversation as HTML: what was asked and answered, and what has fallen due."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import groupby
from urllib.parse import urlencode

from bot.adapters.web.due import Card
from bot.adapters.web.files import PREFIX
from bot.adapters.web.session import Choices, Exchange, Passage, Session
from bot.adapters.web.text import say
from bot.commands import SETTINGS
from bot.messages import Language

_THUMB = (
    '<svg viewBox="0 0 24 24" aria-hidden="true">'
    '<path d="M3 10h3.5v10H3zM9 20V10l4-7.5c1.7 0 2.6 1.3 2.2 3L14.4 9H20l1 1.2-1.8 8.6L17.6 20z"/>'
    "</svg>"
)
_DRAWN = (".pdf", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
"""Documents whose pages can be shown as pictures end in."""
_LEAD = re.compile(r"\*\*(.+?)\*\*")
"""What a reply of something due begins with; the page shows plain text."""


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


def due(language: Language, cards: Sequence[Card]) -> str:
    """Return what has fallen due and nobody has put away yet, oldest first."""
    articles = "".join(
        f'<article class="exchange" data-outcome="{card.exchange.outcome}">'
        f'<p class="label">{say(language, "due")} · <time>{card.at:%Y-%m-%d %H:%M}</time></p>'
        f'<div class="answer">{_led(_answer(language, card.exchange, key))}</div>'
        f'<div class="files">{_files(card.exchange)}</div>'
        f'<div class="sources">{_sources(language, card.exchange, key)}</div>'
        f'<div class="passages">{_passages(language, card.exchange, key)}</div>'
        f'<div class="tools">{_decisions(language, card.exchange, card.id)}'
        f'<button type="button" data-action="away" data-id="{escape(card.id)}">'
        f"{say(language, 'away')}</button></div></article>"
        for key, card in ((f"due-{number}", card) for number, card in enumerate(cards))
    )
    if not articles:
        return ""
    return f'<div class="log" role="log" aria-label="{say(language, "due")}">{articles}</div>'


def _led(answer: str) -> str:
    return _LEAD.sub(r"<b>\1</b>", answer, count=1)


def _decisions(language: Language, exchange: Exchange, card: str = "") -> str:
    """Return the buttons that decide about a reminder, each a command as people type it."""
    return "".join(
        f'<button type="button" data-action="ask" data-question="/reminders {does} {id}" '
        f'data-id="{escape(card)}">{say(language, f"reminder_{does}")}</button>'
        for does, id in exchange.decisions
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


def _exchange(language: Language, exchange: Exchange, index: int | str, last: bool) -> str:
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


def _answer(language: Language, exchange: Exchange, index: int | str) -> str:
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


def _sources(language: Language, exchange: Exchange, index: int | str) -> str:
    if exchange.outcome == "running" or not exchange.passages:
        return ""
    heading = say(language, "closest" if exchange.outcome == "refusal" else "sources")
    items = "".join(
        f'<li><button type="button" popovertarget="passage-{index}-{passage.number}">'
        f"<b>{passage.number}</b> {escape(place(language, passage))}</button></li>"
        for passage in {passage.number: passage for passage in exchange.passages}.values()
    )
    return f"<h4>{heading}</h4><ul>{items}</ul>"


def _passages(language: Language, exchange: Exchange, index: int | str) -> str:
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
        f"{_decisions(language, exchange)}"
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
        f'aria-pressed="{str(exchange.thumb == thumb).lower()}">{_THUMB}</button>'
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
