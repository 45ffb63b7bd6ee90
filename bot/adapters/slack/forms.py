"""The modals that people fill in, and what they sent: pure functions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bot.adapters.slack.blocks import Block, modal
from bot.adapters.slack.requests import to_text
from bot.adapters.slack.words import word
from bot.messages import Language
from bot.render import clean, shorten

_OPTIONS: Final = 100
_ABOUT: Final = 1000


def ask_form(channel: str, response_url: str, language: Language) -> Block:
    """Return the form behind `/ask` without a question: the question, and who sees the answer."""
    blocks = [_question(language)]
    if channel[0] != "D":
        choices = [("me", word(language, "only_me")), ("all", word(language, "everybody"))]
        options = [_option(text, value) for value, text in choices]
        radio = {
            "type": "radio_buttons",
            "action_id": "where",
            "options": options,
            "initial_option": options[0],
        }
        blocks.append(_input("where", word(language, "where"), radio))
    return modal(
        "ask",
        word(language, "ask_title"),
        blocks,
        language,
        submit=word(language, "ask"),
        metadata=json.dumps({"channel": channel, "response_url": response_url}),
    )


def ask_about_form(channel: str, message: Mapping[str, Any], language: Language) -> Block:
    """Return the form behind the shortcut "Ask about this"."""
    text = shorten(to_text(message.get("text") or ""), _ABOUT)
    about = {
        "channel": channel,
        "thread": message.get("thread_ts") or message["ts"],
        "about": text,
    }
    return modal(
        "ask_about",
        word(language, "ask_about_title"),
        [_question(language)],
        language,
        submit=word(language, "ask"),
        metadata=json.dumps(about, ensure_ascii=False),
    )


def summarise_form(channel: str, response_url: str, language: Language) -> Block:
    """Return the form behind `/summarise` without a name: a document, or a link."""
    select = {"type": "external_select", "action_id": "document", "min_query_length": 0}
    select["placeholder"] = _plain(word(language, "document"))
    link = {"type": "url_text_input", "action_id": "link"}
    return modal(
        "summarise",
        word(language, "summarise_title"),
        [
            _input("document", word(language, "document"), select, optional=True),
            _input("link", word(language, "link"), link, optional=True),
        ],
        language,
        submit=word(language, "summarise"),
        metadata=json.dumps({"channel": channel, "response_url": response_url}),
    )


def filled_in(view: Mapping[str, Any], language: Language) -> dict[str, Any]:
    """Return what a modal was opened for and what was filled in; `errors` where that won't do."""
    about: dict[str, Any] = json.loads(view.get("private_metadata") or "{}")
    fields: dict[str, dict[str, Any]] = {
        block: next(iter(values.values()), {})
        for block, values in (view.get("state") or {}).get("values", {}).items()
    }
    about["question"] = (fields.get("question", {}).get("value") or "").strip()
    where = fields.get("where", {}).get("selected_option") or {}
    about["public"] = where.get("value") == "all"
    chosen = fields.get("document", {}).get("selected_option") or {}
    about["name"] = chosen.get("value") or fields.get("link", {}).get("value") or ""
    if view["callback_id"] == "summarise" and not about["name"]:
        about["errors"] = {"document": word(language, "name_one")}
    return about


def document_options(rows: Sequence[Mapping[str, Any]], typed: str) -> list[Block]:
    """Return the documents whose names have what somebody typed, as options of a menu."""
    wanted = typed.casefold()
    found = [row for row in rows if wanted in str(row["document"]).casefold()]
    return [_option(shorten(str(row["document"]), 74), str(row["id"])) for row in found[:_OPTIONS]]


def _question(language: Language) -> Block:
    text = {"type": "plain_text_input", "action_id": "question", "multiline": True}
    return _input("question", word(language, "question"), text | {"max_length": 3000})


def _input(block_id: str, label: str, element: Block, *, optional: bool = False) -> Block:
    return {
        "type": "input",
        "block_id": block_id,
        "label": _plain(label),
        "element": element,
        "optional": optional,
    }


def _option(text: str, value: str) -> Block:
    return {"text": _plain(text), "value": value}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": clean(text), "emoji": False}
