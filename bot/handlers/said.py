"""What people said, read as a text: each of its passages is of one message (`bot.transcript`)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

from rag.records import Passage

_BEGINS = re.compile(r"(?:\A|(?<=\n\n))(?!> )(?P<who>.{1,200}?, \d{4}-\d\d-\d\d \d\d:\d\d UTC):")
_SAID = re.compile(r"(?:thread|channel)[:#]")


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
