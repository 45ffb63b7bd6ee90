"""Replies as Slack shows them: Markdown from the syntax tree, and buttons under it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bot.adapters.delivery import View
from bot.adapters.due import decided
from bot.adapters.slack.words import word
from bot.commands import GENERATED, SETTINGS
from bot.messages import Citation, File, Language, Reply, Request
from bot.render import clean, escape_slack, escape_slack_markdown, render, shorten, split

Block = dict[str, Any]

PAGE_LIMIT: Final = 8000
"""Characters of Markdown in one message: Slack takes 13,000, its buttons included."""
_TEXT_LIMIT: Final = 2900  # an edited text may have 4,000
_MOST_CITED: Final = 10
_MOST_FORGOTTEN: Final = 5
_MOST_CASES: Final = 5
TEACHING: Final = ("upload", "remember", "learn")


@dataclass(frozen=True, slots=True)
class Page:
    """One message: its Markdown, what notifications say, and the blocks under it."""

    markdown: str
    text: str
    under: Sequence[Block] = ()
    status: str | None = field(default=None)
    """What the bot is doing, where that is all there is to show yet."""
    counts: bool = False
    """The status only says how far it is."""
    done: bool = False
    failed: bool = False
    file: File | None = None
    """A file instead of all that; the words are for where it can't be sent."""

    @property
    def unseen(self) -> bool:
        """Nobody can look for a file by the mark of its message."""
        return self.file is not None

    def blocks(self) -> list[Block]:
        """Return the whole message as blocks."""
        return [{"type": "markdown", "text": self.markdown}, *self.under]


def pages(view: View, *, share: bool = False) -> list[Page]:
    """Return the messages that show what is known of a reply: one until its end.

    `share` puts a button under a private answer that shows it to everybody.
    """
    if view.reply is None:
        return [_growing(view)]
    shown = render(view.reply, escape_slack_markdown, PAGE_LIMIT, tables=True)
    texts = split(view.text(), escape_slack, _TEXT_LIMIT)
    under = _under(view.request, view.reply, share=share)
    written = [
        Page(
            markdown,
            escape_slack(texts[min(number, len(texts) - 1)]),
            under if number == len(shown) - 1 else (),
            done=True,
            failed=view.reply.outcome == "error",
        )
        for number, markdown in enumerate(shown)
    ]
    return [*written, *(_of_file(file, view.language) for file in view.reply.files)]


def _of_file(file: File, language: Language) -> Page:
    without = word(language, "no_file", name=shorten(file.name, 80))
    shown = escape_slack_markdown(without), escape_slack(without)
    return Page(*shown, done=True, file=file)


def _growing(view: View) -> Page:
    stop = []
    if view.request.command in GENERATED:  # what is being learned is learned to its end
        stop = [_actions([_button("stop", word(view.language, "stop"), view.request.id)])]
    text = escape_slack(split(view.text(), escape_slack, _TEXT_LIMIT)[0])
    if not view.chunks:
        words = clean(view.text()).strip()
        counts = view.status is not None and view.status.total is not None
        return Page(escape_slack_markdown(words)[:PAGE_LIMIT], text, stop, words[:200], counts)
    reply = Reply("answer", "", view.language, view.chunks)
    shown = render(reply, escape_slack_markdown, PAGE_LIMIT, tables=True, listed=False, whole=False)
    return Page(shown[0], text, stop)


def _under(request: Request, reply: Reply, *, share: bool) -> list[Block]:
    """Return the buttons under the end of a reply."""
    language = reply.language
    blocks: list[Block] = []
    of_chunks = [c for chunk in reply.chunks for c in chunk.citations]
    cited = reply.citations or reply.nearest or of_chunks
    if buttons := citation_buttons(cited, language):
        blocks.append(_actions(buttons))
    if request.command in TEACHING and (forgets := _forgets(request, reply)):
        blocks.append(_actions(forgets))
    if request.command == "offer":
        return [_actions([_keep(request, language)])]
    if (choices := decided(request, reply)) is not None:
        deciding = [_actions([_decide(does, id, language) for does, id in choices])] * bool(choices)
        if not reply.taken_for:  # else it may be answered as a question all the same
            return deciding
        blocks += deciding
    if request.command == SETTINGS.handler and reply.outcome == "answer":
        return [_actions([_button("form", word(language, "change"), SETTINGS.name)])]
    if request.command in GENERATED and reply.outcome != "busy":
        about = {"command": request.command, "text": request.text, "id": request.id}
        again = json.dumps(about, ensure_ascii=False)
        buttons = []
        if request.command == "ask" and len(again) <= 1900:
            label = "as_question" if reply.taken_for else "again"
            buttons.append(_button("again", word(language, label), again))
        if share and reply.outcome == "answer":
            buttons.append(_button("share", word(language, "share"), request.id))
        if buttons:
            blocks.append(_actions(buttons))
        if reply.outcome != "error":
            blocks.append(_feedback(request, language))
    return blocks


def citation_buttons(cited: Iterable[Citation], language: Language) -> list[Block]:
    """Return a button a source, whose value says which passage to read anew when it is clicked."""
    numbered = {citation.number: citation for citation in cited}
    buttons = []
    for number in sorted(numbered)[:_MOST_CITED]:
        citation = numbered[number]
        name = shorten(citation.document, 55)
        if citation.page is not None:
            name += f"，{citation.page}" if language == "zh" else f", p. {citation.page}"
        value = {"n": number, "document": citation.document[:1500]}
        value |= {"start": citation.start, "end": citation.end}
        buttons.append(
            _button(f"cite:{number}", f"[{number}] {name}", json.dumps(value, ensure_ascii=False))
        )
    return buttons


def citation_modal(number: int, reply: Reply) -> Block:
    """Return the modal that a citation's button opens: document, page, section and passage."""
    language, found = reply.language, reply.data
    title = word(language, "source", number=number)
    if not isinstance(found, dict):
        return modal("citation", title, [_rich(reply.text)], language)
    place = [word(language, "page", page=found["page"])] if found["page"] is not None else []
    place += [found["section"]] if found["section"] else []
    blocks = [_rich(found["document"], bold=True)]
    if place:
        blocks.append(_rich(" · ".join(place)))
    for piece in split(found["text"], str, 2900)[:4]:
        quote = {"type": "rich_text_quote", "elements": [{"type": "text", "text": piece}]}
        blocks.append({"type": "rich_text", "elements": [quote]})
    return modal("citation", title, blocks, language)


def modal(
    callback_id: str,
    title: str,
    blocks: Sequence[Block],
    language: Language,
    *,
    submit: str | None = None,
    metadata: str = "",
) -> Block:
    """Return a modal; with `submit` it can be sent."""
    view: Block = {
        "type": "modal",
        "callback_id": callback_id,
        "title": _plain(title[:24]),
        "close": _plain(word(language, "cancel" if submit else "close")),
        "blocks": list(blocks),
        "private_metadata": metadata,
    }
    return view | ({"submit": _plain(submit)} if submit else {})


def _forgets(request: Request, reply: Reply) -> list[Block]:
    """Return a button for each document of a receipt, which asks before it forgets."""
    rows = reply.data if isinstance(reply.data, list) else []
    over = request.id if len(rows) == 1 else None  # else the others' receipts stay
    buttons: list[Block] = []
    for row in rows[:_MOST_FORGOTTEN]:
        if not row.get("document"):
            continue
        name = shorten(str(row["name"]), 50)
        sure = word(reply.language, "forget_sure", name=name)
        button = _button(
            f"forget:{len(buttons)}",
            word(reply.language, "forget", name=name),
            json.dumps({"document": row["document"], "over": over}),
        )
        button["confirm"] = {
            "title": _plain(word(reply.language, "forget", name="")[:100].strip()),
            "text": _plain(sure[:300]),
            "confirm": _plain(word(reply.language, "forget", name="").strip()),
            "deny": _plain(word(reply.language, "cancel")),
        }
        buttons.append(button)
    return buttons


def case_offer(reply: Reply) -> list[Block]:
    """Return thanks for a rating with buttons that make it a case; none where none is offered."""
    if not isinstance(reply.data, dict):
        return []
    buttons: list[Block] = []
    for document in ("", *reply.data["documents"][:_MOST_CASES]):
        name = shorten(document, 50)
        text = word(reply.language, "case_for" if document else "case", name=name)
        value = json.dumps({"reply": reply.data["reply"], "document": document}, ensure_ascii=False)
        if len(value) <= 2000:
            buttons.append(_button(f"case:{len(buttons)}", text, value))
    return [_rich(reply.text), _actions(buttons)]


def _decide(does: str, id: int, language: Language) -> Block:
    button = _button(f"reminders:{does}", word(language, f"reminder_{does}"), f"{does} {id}")
    return button | ({"style": "primary"} if does == "confirm" else {})


def _keep(request: Request, language: Language) -> Block:
    """Return the button that has offered files learned."""
    files: list[list[Any]] = []
    value = ""
    for each in request.attachments:
        files.append([each.name, each.size, each.reference])
        longer = json.dumps({"over": request.id, "files": files}, ensure_ascii=False)
        if len(longer) > 2000:
            break
        value = longer
    return _button("keep", word(language, "keep"), value) | {"style": "primary"}


def _feedback(request: Request, language: Language) -> Block:
    def choice(key: str, value: str) -> Block:
        text = word(language, key)
        return {"text": _plain(text), "accessibility_label": text, "value": value}

    buttons = {
        "type": "feedback_buttons",
        "action_id": "rate",
        "positive_button": choice("good", f"up {request.id}"),
        "negative_button": choice("bad", f"down {request.id}"),
    }
    return {"type": "context_actions", "elements": [buttons]}


def _actions(elements: Sequence[Block]) -> Block:
    return {"type": "actions", "elements": list(elements)}


def _button(action_id: str, text: str, value: str) -> Block:
    return {"type": "button", "action_id": action_id, "text": _plain(text[:75]), "value": value}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": clean(text), "emoji": False}


def _rich(text: str, *, bold: bool = False) -> Block:
    """Return text that Slack shows as it is: no markup, no mention, no link."""
    run: Block = {"type": "text", "text": clean(text) or "…"}
    run |= {"style": {"bold": True}} if bold else {}
    section = {"type": "rich_text_section", "elements": [run]}
    return {"type": "rich_text", "elements": [section]}


def home(status: str, documents: str, channel: str, language: Language) -> Block:
    """Return the app's home page for a person: what it is, how it is, what it knows for them."""
    blocks: list[Block] = [
        {"type": "header", "text": _plain(word(language, "home_title"))},
        _rich(word(language, "home_about")),
        {"type": "divider"},
        *[_rich(piece) for piece in split(status, str, 2900)[:3]],
        {"type": "divider"},
        {"type": "header", "text": _plain(word(language, "home_documents"))},
        *[_rich(piece) for piece in split(documents, str, 2900)[:10]],
        _actions([_button("home_ask", word(language, "ask"), channel)]),
    ]
    return {"type": "home", "blocks": blocks}
