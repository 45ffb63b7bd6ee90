"""Lines that ended because a page did become paragraphs again."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.language import HAN

_WIDE = re.compile(rf"[{HAN}\u3000-\u303f\uff00-\uffef]")
_ENDS = re.compile(r"[.!?。！？…:：;；][\"'”’)）\]】」』]*$")
_ITEM = re.compile(
    r"[-*•·▪◦●○■□–—]\s*\S|\(?\d{1,3}[.)、]\s?\S|[（(][\d一二三四五六七八九十a-zA-Z]{1,3}[)）]|第[\d一二三四五六七八九十百]+[章节条]|[一二三四五六七八九十]+、"
)
_CLOSES = re.compile(r"[,.;:!?)\]，。；：、！？）】」』》]")
_HYPHEN = re.compile(r"(?<=[a-zà-ÿ])[-\u2010]$")
_FULL = 0.75


def unwrap(lines: Sequence[str]) -> str:
    """Return lines of a page as paragraphs, one a line: full lines go on, hyphens disappear."""
    widths = sorted(width for line in lines if (width := _width(line)) > 0)
    column = widths[int(len(widths) * 0.9)] if widths else 0
    out: list[str] = []
    previous = ""
    for line in lines:
        if out and previous and _goes_on(previous, line, column):
            out[-1] = _join(out[-1], line)
        else:
            out.append(line)
        previous = line
    return "\n".join(out)


def _width(line: str) -> int:
    return len(line) + len(_WIDE.findall(line))


def _goes_on(line: str, following: str, column: int) -> bool:
    if not following or _ITEM.match(following):
        return False
    if _CLOSES.match(following) or (_HYPHEN.search(line) and following[0].islower()):
        return True
    if _width(line) >= _FULL * column and column > 30:
        return not (_ENDS.search(line) and _width(line) < 0.95 * column)
    return following[0].islower() and not _ENDS.search(line)


def _join(line: str, following: str) -> str:
    if _HYPHEN.search(line) and following[0].islower():
        return line[:-1] + following
    if _CLOSES.match(following) or (_WIDE.match(line[-1]) and _WIDE.match(following[0])):
        return line + following
    return f"{line} {following}"
