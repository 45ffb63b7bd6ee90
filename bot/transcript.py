"""A thread as the text of a document: who said what, and when."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

_WHEN = "%Y-%m-%d %H:%M UTC"
_HEAD = re.compile(r".*\d{4}-\d\d-\d\d \d\d:\d\d UTC:.*")


@dataclass(frozen=True, slots=True)
class Said:
    """A message of a thread, in plain text."""

    author: str
    """The name that people see."""
    at: datetime
    text: str


def transcript(title: str, link: str, messages: Iterable[Said]) -> str:
    """Return a thread as plain text, a paragraph a message; one without words is left out.

    No message can pass for another: a line that begins as a message does is quoted.
    """
    paragraphs = [f"{_name(title)}\n{_line(link)}"]
    for message in messages:
        lines = [line for line in message.text.splitlines() if line.strip()]
        if lines:
            when = message.at.astimezone(UTC).strftime(_WHEN)
            quoted = [f"> {line}" if _HEAD.fullmatch(line) else line for line in lines]
            paragraphs.append(f"{_name(message.author)}, {when}: " + "\n".join(quoted))
    return "\n\n".join(paragraphs) + "\n"


def _name(name: str) -> str:
    """Return a name that can't pass for the beginning of a message, nor for a quoted line."""
    shown = _line(name).lstrip("> ") or "?"
    return shown.replace(":", ";") if _HEAD.fullmatch(shown) else shown


def _line(text: str) -> str:
    return " ".join(text.split())
