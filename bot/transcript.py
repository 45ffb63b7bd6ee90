"""A thread as the text of a document: who said what, and when."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise

from rag.records import Passage

_WHEN = "%Y-%m-%d %H:%M UTC"
_HEAD = re.compile(r".*\d{4}-\d\d-\d\d \d\d:\d\d UTC:.*")
_BEGINS = re.compile(r"(?:\A|(?<=\n\n))(?!> )(?P<who>.{1,200}?, \d{4}-\d\d-\d\d \d\d:\d\d UTC):")
_SAID = re.compile(r"(?:thread|channel)[:#]")


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


def is_transcript(reference: str) -> bool:
    """Tell whether what a platform refers to is what people said, and no file."""
    return _SAID.match(reference) is not None


def by_message(passages: Iterable[Passage]) -> list[Passage]:
    """Return the passages of a transcript cut where messages begin, each under who said it when."""
    cut: list[Passage] = []
    who: str | None = None
    end = -2
    for passage in passages:
        text = passage.text
        begins = [found.start() for found in _BEGINS.finditer(text)]
        if passage.start - end < 2:  # it goes on with a message, however it sounds
            begins = [start for start in begins if start]
        end = passage.end
        for start, stop in pairwise(sorted({0, *begins, len(text)})):
            if start in begins and (head := _BEGINS.match(text[start:stop])):
                who = head["who"]
            said = text[start:stop].rstrip()
            at, number = passage.start + start, len(cut)
            part = replace(passage, text=said, start=at, end=at + len(said), section=who)
            cut.append(replace(part, row_id=str(number), ordinal=number))
    return cut


def _name(name: str) -> str:
    """Return a name that can't pass for the beginning of a message, nor for a quoted line."""
    shown = _line(name).lstrip("> ") or "?"
    return shown.replace(":", ";") if _HEAD.fullmatch(shown) else shown


def _line(text: str) -> str:
    return " ".join(text.split())
