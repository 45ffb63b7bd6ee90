"""The modals that people fill in, and what they sent: pure functions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bot.adapters.slack.blocks import Block, modal
from bot.adapters.slack.requests import to_text
from bot.adapters.slack.words import word
from bot.command import Argument, Command
from bot.commands import find
from bot.messages import Language
from bot.render import clean, shorten

_OPTIONS: Final = 100
_ABOUT: Final = 1000


def command_form(command: Command, channel: str, response_url: str, language: Language) -> Block:
    """Return the form behind a command that was given without what it needs."""
    zh = language == "zh"
    blocks = [
        _input(
            argument.name,
            argument.label[zh],
            _element(argument, language),
            hint=argument.about[zh],
            optional=not command.requires(argument),
        )
        for argument in command.arguments
    ]
    if command.sees == "choice" and channel[0] != "D":
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
        command.name,
        command.label[zh],
        blocks,
        language,
        submit=command.label[zh],
        metadata=json.dumps({"channel": channel, "response_url": response_url}),
    )


def _element(argument: Argument, language: Language) -> Block:
    """Return what an argument is filled in with."""
    zh = language == "zh"
    match argument.kind:
        case "document" | "documents":
            several = "multi_" if argument.kind == "documents" else ""
            menu = {"type": f"{several}external_select", "min_query_length": 0}
            return menu | {"action_id": argument.name, "placeholder": _plain(argument.label[zh])}
        case "choice":
            options = [_option(each.label[zh], each.value) for each in argument.choices]
            return {"type": "static_select", "action_id": argument.name, "options": options}
        case "file":
            return {"type": "file_input", "action_id": argument.name, "max_files": 10}
        case "link":
            return {"type": "url_text_input", "action_id": argument.name}
        case "number":
            whole = {"type": "number_input", "is_decimal_allowed": False, "min_value": "1"}
            return whole | {"action_id": argument.name}
    text = {"type": "plain_text_input", "action_id": argument.name, "max_length": 3000}
    return text | {"multiline": argument.required}


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


def filled_in(view: Mapping[str, Any], language: Language) -> dict[str, Any]:
    """Return what a modal was opened for and what was filled in; `errors` where that won't do."""
    about: dict[str, Any] = json.loads(view.get("private_metadata") or "{}")
    fields = {
        block: _value(next(iter(values.values()), {}))
        for block, values in (view.get("state") or {}).get("values", {}).items()
    }
    about["public"] = fields.pop("where", None) == "all"
    command = find(view["callback_id"])
    if command is None:
        return about | {"question": str(fields.get("question") or "").strip()}
    files = [file for value in fields.values() if isinstance(value, _Files) for file in value]
    about["text"], about["options"] = command.filled(fields)
    about["files"] = files
    if command.lacks and not (about["text"] or files):
        about["errors"] = {command.arguments[0].name: word(language, "name_one")}
    return about


class _Files(list[dict[str, Any]]):
    """The files that were put into a form."""


def _value(field: Mapping[str, Any]) -> Any:
    """Return what was filled in or chosen."""
    if "files" in field:
        return _Files(field["files"])
    if "selected_options" in field:
        return [str(each["value"]) for each in field["selected_options"]]
    chosen = field.get("selected_option") or {}
    return chosen.get("value") or field.get("value")


def document_options(rows: Sequence[Mapping[str, Any]], typed: str) -> list[Block]:
    """Return the documents whose names have what somebody typed, as options of a menu."""
    wanted = typed.casefold()
    found = [row for row in rows if wanted in str(row["document"]).casefold()]
    return [_option(shorten(str(row["document"]), 74), str(row["id"])) for row in found[:_OPTIONS]]


def _question(language: Language) -> Block:
    text = {"type": "plain_text_input", "action_id": "question", "multiline": True}
    return _input("question", word(language, "question"), text | {"max_length": 3000})


def _input(
    block_id: str, label: str, element: Block, *, hint: str = "", optional: bool = False
) -> Block:
    block = {
        "type": "input",
        "block_id": block_id,
        "label": _plain(label),
        "element": element,
        "optional": optional,
    }
    return block | ({"hint": _plain(hint)} if hint else {})


def _option(text: str, value: str) -> Block:
    return {"text": _plain(text), "value": value}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": clean(text), "emoji": False}
