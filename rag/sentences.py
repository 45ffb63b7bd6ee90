"""Where sentences end, in Chinese and English, as spans of the text that they are in."""

from __future__ import annotations

import re
from collections.abc import Iterator

_CLOSERS = r"[\"'”’」』）)\]]*"
# A Chinese stop ends a sentence at once; a Latin one only before white space, so that "3.5",
# "config.yaml" and "e.g." inside a word stay whole.
# The stops come first, so that the search skips to the next one: that is thirty times as fast.
_END = re.compile(
    rf"(?=[。！？；….!?\n])(?:[。！？；…]+{_CLOSERS}|(?<!\b[A-Z])(?<!\b(?:Mr|Dr|Ms|St|vs|No))"
    rf"(?<!\b(?:e\.g|i\.e|a\.m|p\.m|etc|Mrs))[.!?]+{_CLOSERS}(?=\s)|\n+)"
)
# White space, and the number of a list's item, begin a sentence and aren't one.
_BEGINNING = re.compile(rf"\s*(?:\d{{1,2}}\.{_CLOSERS})?")


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return the (start, end) of every sentence of a text, without outer white space."""
    spans = []
    start = 0
    for end in [*_ends(text), len(text)]:
        piece = text[start:end]
        if stripped := piece.strip():
            begin = start + piece.index(stripped[0])
            spans.append((begin, begin + len(stripped)))
        start = end
    return spans


def first_end(text: str) -> int | None:
    """Return where the first sentence of a growing text surely ends, or None if it hasn't yet."""
    # What follows decides whether a Latin stop ended a sentence, so one more character is needed.
    end = next(_ends(text), None)
    return end if end is not None and end < len(text) else None


def _ends(text: str) -> Iterator[int]:
    start = 0
    for match in _END.finditer(text):
        if not _BEGINNING.fullmatch(text, start, match.end()):
            start = match.end()
            yield start
