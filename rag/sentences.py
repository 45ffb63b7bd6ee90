"""Where sentences end, in Chinese and English, as spans of the text that they are in."""

from __future__ import annotations

import re

_CLOSERS = r"[\"'”’」』）)\]]*"
# A Chinese stop ends a sentence at once; a Latin one only before white space, so that "3.5",
# "config.yaml" and "e.g." inside a word stay whole.
_END = re.compile(
    rf"[。！？；…]+{_CLOSERS}|(?<!\b[A-Z])(?<!\b(?:Mr|Dr|Ms|St|vs|No))(?<!\b(?:e\.g|i\.e|etc|Mrs))"
    rf"[.!?]+{_CLOSERS}(?=\s)|\n+"
)


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return the (start, end) of every sentence of a text, without outer white space."""
    spans = []
    start = 0
    for end in [*(match.end() for match in _END.finditer(text)), len(text)]:
        piece = text[start:end]
        if stripped := piece.strip():
            begin = start + piece.index(stripped[0])
            spans.append((begin, begin + len(stripped)))
        start = end
    return spans


def first_end(text: str) -> int | None:
    """Return where the first sentence of a growing text surely ends, or None if it hasn't yet."""
    # What follows decides whether a Latin stop ended a sentence, so one more character is needed.
    match = _END.search(text)
    return match.end() if match and match.end() < len(text) else None
