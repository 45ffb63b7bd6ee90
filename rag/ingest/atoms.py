"""Atoms and packing: the places where a text may be cut, and which of them to take."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

CHARACTERS_A_TOKEN = 12
"""More than any passage has on average: longer texts need no counting to be too long."""

# Where a text may be cut, from the best place to the worst, and what a cut there costs in the
# currency of `pack`: 1 is as bad as a passage of no length at all.
_PARAGRAPH, _LINE, _SENTENCE, _CLAUSE, _SPACE, _ANYWHERE = 0.0, 0.05, 0.15, 0.5, 0.8, 1.5
_LEVELS = (
    (re.compile(r"\n[^\S\n]*\n\s*"), _PARAGRAPH),
    (re.compile(r"\n\s*"), _LINE),
    (
        re.compile(r"""[。！？；…][”’」』）】"')\]]*\s*|(?<!\b[A-Za-z0-9])[.!?;]["'”’)\]]*\s+"""),
        _SENTENCE,
    ),
    (re.compile(r"[，、：]\s*|[,:]\s+|\s[–—-]\s"), _CLAUSE),
    (re.compile(r"\s+"), _SPACE),
)
_ROW = re.compile(r"(?>[^\n]{1,200}?: )[^\n]*; [^\n;]{1,200}: ")


@dataclass(frozen=True, slots=True)
class Atom:
    """A piece of text that is not cut any further, and what a cut behind it costs."""

    start: int
    end: int
    tokens: int
    cost: float


def atoms(text: str, count: Callable[[str], int], limit: int) -> list[Atom]:
    """Return a text's sentences and table rows, cut finer only where one exceeds the limit."""
    return list(_Cutter(text, count, limit).cut(0, len(text), 0, _PARAGRAPH))


class _Cutter:
    def __init__(self, text: str, count: Callable[[str], int], limit: int) -> None:
        self._text = text
        self._count = count
        self._limit = limit

    def cut(self, start: int, end: int, level: int, cost: float) -> Iterator[Atom]:
        """Yield the atoms of `text[start:end]`; `cost` is that of a cut behind it."""
        text = self._text
        start, end = _stripped(text, start, end)
        if start >= end:
            return
        if level > 2 or (level == 2 and _ROW.match(text, start, end)):
            short = end - start <= CHARACTERS_A_TOKEN * self._limit
            tokens = self._count(text[start:end]) if short else self._limit + 1
            if tokens <= self._limit:
                yield Atom(start, end, tokens, cost)
                return
        if level == len(_LEVELS):
            if end - start == 1:
                yield Atom(start, end, self._limit, cost)
                return
            middle = (start + end) // 2
            yield from self.cut(start, middle, level, _ANYWHERE)
            yield from self.cut(middle, end, level, cost)
            return
        pattern, price = _LEVELS[level]
        at = start
        for match in pattern.finditer(text, start, end):
            if match.end() < end:
                yield from self.cut(at, match.end(), level + 1, price)
                at = match.end()
        yield from self.cut(at, end, level + 1, cost)


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def pack(atoms: Sequence[Atom], limit: int) -> list[tuple[int, int]]:
    """Return the spans that cost least: near one size, cut at the cheapest places.

    Dynamic programming over the cuts: best[j] is the least cost of the first j atoms.
    """
    total = sum(atom.tokens for atom in atoms)
    if not atoms:
        return []
    pieces = 1 if total <= limit else max(math.ceil(total / limit), round(total / (0.75 * limit)))
    goal = total / pieces
    best = [0.0] + [math.inf] * len(atoms)
    cut = [0] * (len(atoms) + 1)
    for j in range(1, len(atoms) + 1):
        tokens = 0
        for i in range(j - 1, -1, -1):
            tokens += atoms[i].tokens
            if tokens > limit and i < j - 1:
                break
            price = atoms[i - 1].cost if i else 0.0
            cost = best[i] + price + (tokens / goal - 1) ** 2
            if cost < best[j]:
                best[j], cut[j] = cost, i
    spans: list[tuple[int, int]] = []
    j = len(atoms)
    while j:
        spans.append((atoms[cut[j]].start, atoms[j - 1].end))
        j = cut[j]
    return spans[::-1]
