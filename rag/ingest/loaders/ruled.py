"""Tables on PDF pages that are drawn with lines: which text stands in which of their cells.

Lines that cross make a grid. Where one is missing between two fields they are one cell: across,
its text stands in the first of its columns; down, in each of its rows.
"""

from __future__ import annotations

import ctypes
from bisect import bisect, bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from operator import itemgetter, neg
from typing import Any, NamedTuple

import pypdfium2 as pdfium
import pypdfium2.raw as raw

_NEAR = 3.0  # points: what lies closer together is one line
_SHORT = 6.0
_MOST_LINES = 2_000  # more are a drawing
_REGULAR = 0.6  # of the fields' borders: fewer are a form, or boxes around text
_FILLED = 0.4  # of the fields: fewer are a diagram
_UPRIGHT = (0, 180)


class Rule(NamedTuple):
    """A line along one axis: where it lies on the other, and from where to where it goes."""

    at: float
    start: float
    end: float


class Ruled:
    """A table, and the text of its cells, row by row."""

    def __init__(self, level: Sequence[Rule], upright: Sequence[Rule]) -> None:
        self.lines = _distinct(rule.at for rule in upright)
        """Where its upright lines are, from the left."""
        levels = self._levels = _distinct(rule.at for rule in level)[::-1]  # from the top
        self._texts: dict[tuple[int, int], list[str]] = {}
        self._last: tuple[int, int] | None = None
        beside = [(a + b) / 2 for a, b in pairwise(levels)]
        below = [(a + b) / 2 for a, b in pairwise(self.lines)]
        left = [_near(upright, line) for line in self.lines]
        above = [_near(level, line) for line in levels]
        # For each field whether a line is drawn to its left, and above it.
        self._left = [[_passes(rules, y) for rules in left[:-1]] for y in beside]
        self._above = [[_passes(rules, x) for x in below] for rules in above[:-1]]

    def place(self, x: float, y: float) -> tuple[int, int] | None:
        """Return the row and column of a point, None if it lies outside."""
        column = bisect(self.lines, x) - 1
        row = bisect(self._levels, -y, key=neg) - 1
        if 0 <= column < len(self.lines) - 1 and 0 <= row < len(self._levels) - 1:
            return row, column
        return None

    def add(self, place: tuple[int, int], character: str) -> None:
        """Write a character into the cell of a field."""
        cell = self._beginning(*place)
        text = self._texts.setdefault(cell, [])
        if text and cell != self._last:
            text.append(" ")  # another line of it
        text.append(character)
        self._last = cell

    @property
    def rows(self) -> list[list[str]]:
        """Return the cells' texts from the top."""
        table = [["" for _ in row] for row in self._left]
        for (row, column), text in self._texts.items():
            table[row][column] = "".join(text)
        for row, fields in enumerate(self._left):
            for column, begins in enumerate(fields):
                if begins or not column:
                    table[row][column] = table[self._beginning(row, column)[0]][column]
        return table

    def is_table(self) -> bool:
        """Tell whether most borders between its fields are drawn."""
        if len(self._levels) < 3 or len(self.lines) < 3:
            return False
        borders = [cut for row in self._left for cut in row[1:]]
        borders += [cut for row in self._above[1:] for cut in row]
        return sum(borders) >= _REGULAR * len(borders)

    def is_filled(self) -> bool:
        """Tell whether it says enough to be a table."""
        said = [bool(text.strip()) for row in self.rows for text in row]
        return sum(said) >= _FILLED * len(said)

    def _beginning(self, row: int, column: int) -> tuple[int, int]:
        """Return the row and column where a field's cell begins."""
        while column and not self._left[row][column]:
            column -= 1
        while row and not self._above[row][column]:
            row -= 1
        return row, column


def read(page: pdfium.PdfPage, text_page: pdfium.PdfTextPage) -> list[str | Ruled]:
    """Return the page's text in pdfium's order, with each table where its text begins."""
    tables = list(_tables(page)) if page.get_rotation() in _UPRIGHT else []
    if not tables:
        return [text_page.get_text_range()]
    where: list[tuple[Ruled, tuple[int, int]] | None] = []
    characters = list(_characters(text_page))
    for character, x, y in characters:
        if character.isspace():  # it has no place of its own
            where.append(where[-1] if where else None)
            continue
        places = ((table, table.place(x, y)) for table in tables)
        where.append(next(((table, place) for table, place in places if place), None))
    for (character, _, _), at in zip(characters, where, strict=True):
        if at:
            at[0].add(at[1], character)
    real = [table for table in tables if table.is_filled()]
    pieces: list[str | Ruled] = []
    outside: list[str] = []
    for (character, _, _), at in zip(characters, where, strict=True):
        if at is None or at[0] not in real:
            outside.append(character)
        elif at[0] not in pieces:
            pieces += [_whole(outside), at[0]]
            outside = []
        elif outside and not outside[-1].isspace():
            outside.append("\n")  # what follows a table stands apart
    return [*pieces, _whole(outside)]


def _whole(characters: Iterable[str]) -> str:
    """Join characters, of which some may be halves of a surrogate pair."""
    return "".join(characters).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _characters(text_page: pdfium.PdfTextPage) -> Iterator[tuple[str, float, float]]:
    """Yield each character and its middle."""
    edges = [ctypes.c_double() for _ in range(4)]
    for index in range(text_page.count_chars()):
        raw.FPDFText_GetCharBox(text_page, index, *edges)
        left, right, bottom, top = (edge.value for edge in edges)
        character = chr(raw.FPDFText_GetUnicode(text_page, index))
        yield character, (left + right) / 2, (bottom + top) / 2


def _tables(page: pdfium.PdfPage) -> Iterator[Ruled]:
    """Yield the grids of a page."""
    level: list[Rule] = []
    upright: list[Rule] = []
    for a, b in _strokes(page):
        if len(level) + len(upright) > _MOST_LINES:
            return
        if abs(a[1] - b[1]) <= 1 and abs(a[0] - b[0]) >= _SHORT:
            level.append(Rule((a[1] + b[1]) / 2, *sorted((a[0], b[0]))))
        elif abs(a[0] - b[0]) <= 1 and abs(a[1] - b[1]) >= _SHORT:
            upright.append(Rule((a[0] + b[0]) / 2, *sorted((a[1], b[1]))))
    level, upright = _joined(level), _joined(upright)
    left = set(range(len(level)))
    while left:
        rows, columns = {left.pop()}, set[int]()
        waiting = set(rows)
        while waiting:
            row = waiting.pop()
            for c, line in enumerate(upright):
                if c not in columns and _meet(level[row], line):
                    columns.add(c)
                    new = {r for r in left if _meet(level[r], line)}
                    left -= new
                    rows |= new
                    waiting |= new
        grid = Ruled([level[r] for r in rows], [upright[c] for c in columns])
        if grid.is_table():
            yield grid


def _strokes(page: pdfium.PdfPage) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    """Yield the straight lines that are drawn, also those of filled rectangles, by their ends."""
    x, y = ctypes.c_float(), ctypes.c_float()
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    for path in page.get_objects(filter=[raw.FPDF_PAGEOBJ_PATH], max_depth=1):
        raw.FPDFPath_GetDrawMode(path, fill, stroke)
        if not fill.value and not stroke.value:
            continue
        matrix = path.get_matrix()
        first = last = (0.0, 0.0)
        for index in range(min(raw.FPDFPath_CountSegments(path), _MOST_LINES)):
            segment: Any = raw.FPDFPath_GetPathSegment(path, index)
            raw.FPDFPathSegment_GetPoint(segment, x, y)
            point = matrix.on_point(x.value, y.value)
            kind = raw.FPDFPathSegment_GetType(segment)
            if kind == raw.FPDF_SEGMENT_MOVETO:
                first = point
            elif kind == raw.FPDF_SEGMENT_LINETO:
                yield last, point
            last = point
            if raw.FPDFPathSegment_GetClose(segment):
                yield last, first
                last = first


def _joined(rules: Sequence[Rule]) -> list[Rule]:
    """Join lines that go on where another ends."""
    joined: list[Rule] = []
    for rule in sorted(rules):
        first = bisect_left(joined, rule.at - _NEAR, key=itemgetter(0))
        near = range(len(joined) - 1, first - 1, -1)
        before = next((n for n in near if _touch(joined[n], rule)), None)
        if before is None:
            joined.append(rule)
        else:
            at, start, end = joined[before]
            joined[before] = Rule(at, min(start, rule.start), max(end, rule.end))
    return joined


def _touch(a: Rule, b: Rule) -> bool:
    return b.start <= a.end + _NEAR and a.start <= b.end + _NEAR


def _distinct(places: Iterable[float]) -> list[float]:
    distinct: list[float] = []
    for place in sorted(places):
        if not distinct or place - distinct[-1] > _NEAR:
            distinct.append(place)
    return distinct


def _meet(level: Rule, upright: Rule) -> bool:
    return (
        level.start - _NEAR <= upright.at <= level.end + _NEAR
        and upright.start - _NEAR <= level.at <= upright.end + _NEAR
    )


def _near(rules: Sequence[Rule], at: float) -> list[Rule]:
    return [rule for rule in rules if abs(rule.at - at) <= _NEAR]


def _passes(rules: Sequence[Rule], middle: float) -> bool:
    """Tell whether one of the lines goes past a point."""
    return any(rule.start <= middle <= rule.end for rule in rules)
