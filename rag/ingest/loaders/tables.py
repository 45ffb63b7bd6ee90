"""Tables as text: every row becomes one line that names its columns.

No passage may begin inside a row without saying whose it is. So a row that might be longer than a
passage becomes several lines that begin with its first cell, and a cell that alone might be so
goes by itself, under the names of its row and column.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise, takewhile

from rag.errors import DocumentCode, DocumentError
from rag.ingest.loaders.limits import MAX_CELLS
from rag.ingest.loaders.outline import Caption, Cell, flow

_PEEK = 20
_GAP = 2  # empty rows above another table
_LINE = 200  # tokens, as `_tokens` guesses them: a passage of the usual size holds more
_LETTERS_A_TOKEN = 2
_NAME = 60  # characters of a cell that stand for its row, and of a column's name
_NUMBER = re.compile(r"[-+(]?[$€£¥￥]?\s?\d[\d\s.,:/%年月日-]*\)?%?")
_YEAR = re.compile(r"(?:19|20)\d\d")

Row = Sequence[str]


@dataclass(frozen=True, slots=True)
class Head:
    """Where a table begins: the lines above it, its columns' names, and the rows of these names."""

    titles: list[str]
    names: list[str]
    rows: list[list[str]]
    """None, one, or two with merged names above others."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a table, and how many empty ones stand above it."""

    cells: list[str]
    gap: int


def lines(
    rows: Iterable[Row], *, header: bool | None = None, max_cells: int = MAX_CELLS
) -> Iterator[str | Cell | Caption]:
    """Yield "Column: value; Column: value" for each row; titles above the header stay lines.

    What stands in which table is as `parts` says. Raise `DocumentError(TOO_LARGE)`.
    """
    names: list[str] = []
    used: set[str] = set()
    for part in parts(rows, header=header, max_cells=max_cells):
        match part:
            case Line(cells):
                used.update(name for name, value in zip(names, cells, strict=False) if value)
                yield from _told(_cells(cells, names))
            case Head(titles, found, tops):
                if left := _unused(names, used):
                    yield left
                yield from titles
                if len(tops) > 1:
                    yield Caption(_listed(*tops[0]))  # what a merged name spans isn't always known
                names, used = found, set()
    if left := _unused(names, used):
        yield left


def parts(
    rows: Iterable[Row], *, header: bool | None = None, max_cells: int = MAX_CELLS
) -> Iterator[Head | Line]:
    """Yield the tables among these rows: the head of each, then its lines.

    `header` says whether the first row names the columns; None lets the table's look decide, and
    find another table below two empty rows. Raise `DocumentError(TOO_LARGE)` past `max_cells`.
    """
    stream = _filled(rows, max_cells)
    ahead = deque(islice(stream, _PEEK))
    names: list[str] = []
    begun = False

    def taken() -> Line:
        ahead.extend(islice(stream, 1))
        return ahead.popleft()

    while ahead:
        if not begun or (header is None and ahead[0].gap >= _GAP):
            titles, found, skip = _top([line.cells for line in ahead], header)
            if not begun or _are_others(found, names, list(ahead)[titles + skip :]):
                above = [next(filter(None, taken().cells)) for _ in range(titles)]
                yield Head(above, found, [taken().cells for _ in range(skip)])
                names, begun = found, True
                continue
        yield taken()


def columns(rows: Sequence[Row]) -> list[str]:
    """Return the names of a table's columns; none where its look doesn't tell them."""
    return _top([line.cells for line in islice(_filled(rows, MAX_CELLS), _PEEK)], None)[1]


def _filled(rows: Iterable[Row], max_cells: int) -> Iterator[Line]:
    """Yield the rows that have text."""
    cells = gap = 0
    for row in rows:
        cells += max(1, len(row))
        if cells > max_cells:
            raise DocumentError(DocumentCode.TOO_LARGE, f"more than {max_cells} cells")
        values = [flow(value) if value else "" for value in row]
        if any(values):
            yield Line(values, gap)
            gap = 0
        else:
            gap += 1


def _top(head: list[list[str]], header: bool | None) -> tuple[int, list[str], int]:
    """Return how many rows are titles, the columns' names, and how many rows those take."""
    titles = 0
    if header is None and any(_width(row) > 1 for row in head):
        titles = next(number for number, row in enumerate(head) if _width(row) > 1)
    return titles, *_names(head[titles:], header)


def _are_others(found: Row, names: Row, below: Sequence[Line]) -> bool:
    """Tell whether a row of texts names another table's columns, and isn't one more row."""
    own = chain(below[:1], takewhile(lambda line: line.gap < _GAP, below[1:]))
    has_numbers = any(_NUMBER.fullmatch(value) for line in own for value in line.cells)
    repeated = len(set(found) & set(names) - {""})
    return bool(found) and (has_numbers or 2 * repeated >= len(set(found) - {""}))


def _unused(names: Row, used: set[str]) -> str:
    """Return the names of empty columns, which are still text."""
    return _listed(*(name for name in dict.fromkeys(names) if name not in used))


def _width(row: Row) -> int:
    return sum(1 for value in row if value)


def _names(head: list[list[str]], header: bool | None) -> tuple[list[str], int]:
    """Return the columns' names and how many rows they take: none, one, or two with merged tops."""
    if not head or header is False:
        return [], 0
    first = head[0]
    if header is None and not (
        len(head) > 1 and _width(first) > 1 and (_are_names(first) or _are_years(first, head[1]))
    ):
        return [], 0
    if len(head) > 2 and _is_merged(first, head[1]):
        tops, top = [], ""
        for value in first:
            top = value or top
            tops.append(top)
        below = head[1] + [""] * (len(tops) - len(head[1]))
        tops += [""] * (len(below) - len(tops))
        return [flow(f"{a} {b}") if a != b else a for a, b in zip(tops, below, strict=True)], 2
    return first, 1


def _are_names(row: Row) -> bool:
    return _is_text(row) and all(len(value) <= 2 * _NAME for value in row)


def _are_years(row: Row, below: Row) -> bool:
    """Tell whether a row is a run of years, with something else below them."""
    years = [value.rstrip("年") for value in row[1:] if value]
    runs = years in (sorted(set(years)), sorted(set(years), reverse=True))
    others = not any(_YEAR.fullmatch(value) for value in below[1:])
    return len(years) > 1 and runs and others and all(map(_YEAR.fullmatch, years))


def _is_text(row: Row) -> bool:
    return not any(_NUMBER.fullmatch(value) for value in row if value)


def _is_merged(first: Row, second: Row) -> bool:
    """Tell whether a gap to the right of a name is filled by a name below it."""
    gaps = sum(
        1
        for (a, b), below in zip(pairwise(first), second[1:], strict=False)
        if a and not b and below
    )
    return gaps > 0 and _is_text(second)


def _cells(row: Row, names: Row) -> list[tuple[str, str]]:
    """Return the column's name, or "", and the value of each cell that has one."""
    cells: list[tuple[str, str]] = []
    for i, value in enumerate(row):
        name = names[i].rstrip(":：") if i < len(names) else ""
        cell = ("" if name == value else name, value)
        if value and (not cells or cells[-1] != cell):  # a merged cell repeats itself
            cells.append(cell)
    return cells


def _told(cells: Sequence[tuple[str, str]]) -> Iterator[str | Cell]:
    """Yield a row's lines in order, and among them the cells that are too long for one."""
    line: list[str] = []
    row = ""  # what the row is called in every line but the first
    for name, value in cells:
        text = _named(name, value)
        if _tokens(_listed(row, text)) > _LINE and (row or name):
            if line:
                yield _listed(*line)
            line = []
            yield Cell(_listed(row, _short(name)), _listed(row, text))
        elif line and _tokens(_listed(*line, text)) > _LINE:
            yield _listed(*line)
            line = [row, text]
        else:
            line += [text] if line else [row, text]
        row = row or _named(_short(name), _short(value))
    if line:
        yield _listed(*line)


def _named(name: str, value: str) -> str:
    return f"{name}: {value}" if name else value


def _listed(*parts: str) -> str:
    return "; ".join(filter(None, parts))


def _short(text: str) -> str:
    return text if len(text) <= _NAME else f"{text[: _NAME - 1].rstrip()}…"


def _tokens(text: str) -> int:
    """Guess how many tokens a text has, rather too many."""
    letters = len(text.encode("ascii", "ignore"))
    return len(text) - letters + letters // _LETTERS_A_TOKEN
