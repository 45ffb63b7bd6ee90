"""The tables among a sheet's cells: where each begins, what its columns are called and hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, takewhile

from rag.ingest.loaders.tables import Head, Line, parts
from rag.ingest.parsed import Grid
from rag.tables.cells import Typed, dates_at_start, typed
from rag.tables.table import Column, Table, identifiers

_FOOTNOTE_MARK = re.compile(r"\s*\([a-z]\)$")
_FOOTNOTE = re.compile(r"\([a-z\d]{1,2}\)\s|[*†]|注[:：]|Notes?:")
_TOTAL = re.compile(
    r"(?:grand\s|sub-?\s?|overall\s)?totals?(?:\s*\d{4})?|合\s*计|总\s*计|小\s*计|共\s*计|总\s*和|汇总",
    re.IGNORECASE,
)
UNIT = re.compile(
    r"\bin\s+(?:\w+\s+)*(?:thousands?|millions?|billions?|(?-i:[A-Z]{3}))\b|单位", re.I
)
"""What a line says that tells the unit of all numbers below it."""
_MOST_COLUMNS = 100
_ALIKE = 0.8


@dataclass
class _Found:
    """A table as it stands there."""

    titles: list[str]
    head: Head
    lines: list[Line] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    totals: int = 0
    notes: list[str] = field(default_factory=list)


def tables(grids: Sequence[Grid], document: str) -> list[Table]:
    """Return the tables of a document's sheets, in order; each has columns and at least a row."""
    found: list[tuple[Grid, _Found]] = []
    for grid in grids:
        here = [_shaped(table) for table in _found(grid)]
        found += [(grid, table) for table in _beside([t for t in here if t.rows and t.names])]
    stem = re.sub(r"\.\w{1,5}$", "", document.rpartition("/")[2])
    names = identifiers([grid.name or stem for grid, _ in found], "sheet")
    return [_table(name, grid, found) for name, (grid, found) in zip(names, found, strict=True)]


def _found(grid: Grid) -> Iterator[_Found]:
    table: _Found | None = None
    for part in parts(grid.rows):
        if isinstance(part, Head):
            if table:
                yield table
            table = _Found(part.titles, part)
        elif table:
            table.lines.append(part)
    if table:
        yield table


def _shaped(table: _Found) -> _Found:
    """Name the columns, and tell rows from totals and from notes."""
    lines = list(table.lines)
    while lines and _is_note(lines, len(lines) - 1):
        table.notes.insert(0, next(filter(None, lines.pop().cells)))
    width = max([len(table.head.names), *(len(line.cells) for line in lines)], default=0)
    cells = [line.cells + [""] * (width - len(line.cells)) for line in lines]
    used = [at for at in range(width) if any(row[at] for row in cells)][:_MOST_COLUMNS]
    names = _names(table, used, width)
    if used and names[0] == "" and _is_running([row[used[0]] for row in cells]):
        used, names = used[1:], names[1:]  # what a program numbered says nothing
    table.names = [name or f"column {_letter(at)}" for at, name in zip(used, names, strict=True)]
    for row in cells:
        first = next((cell for cell in row if cell), "")
        if _TOTAL.fullmatch(first.strip(" :：")) and sum(map(bool, row)) > 1:
            table.totals += 1
        else:
            table.rows.append([row[at] for at in used])
    return table


def _is_note(lines: Sequence[Line], at: int) -> bool:
    """Tell whether a line at the end is a footnote, or one cell below a gap or other notes."""
    if sum(map(bool, lines[at].cells)) > 1 or max(len(line.cells) for line in lines) < 2:
        return False
    if _FOOTNOTE.match(next(filter(None, lines[at].cells))):
        return True
    for line in reversed(lines[: at + 1]):
        if sum(map(bool, line.cells)) > 1:
            return False
        if line.gap:
            return True
    return False


def _names(table: _Found, used: Sequence[int], width: int) -> list[str]:
    """Return the names of the used columns; what holds for all of them becomes a caption."""
    heads = [row + [""] * (width - len(row)) for row in table.head.rows]
    if not heads:
        return ["" for _ in used]
    top, below = (heads[0], heads[1]) if len(heads) > 1 else ([""] * width, heads[0])
    below = [name or above for name, above in zip(below, top, strict=True)]
    labels = {at: top[at] for at in range(width) if top[at] and top[at] != below[at]}
    names = [_FOOTNOTE_MARK.sub("", below[at]) for at in used]
    if used and UNIT.search(names[0]):
        table.captions.append(names[0])
        names[0] = "item"
    if len(set(labels.values())) == 1:
        table.captions.append(next(iter(labels.values())))
    elif labels:
        short = dict(zip(labels.values(), _differing(list(labels.values())), strict=True))
        spans = _spans(labels, used)
        names = [f"{n} {short[spans[at]]}" if at in spans else n
                 for at, n in zip(used, names, strict=True)]  # fmt: skip
    return names


def _spans(labels: dict[int, str], used: Sequence[int]) -> dict[int, str]:
    """Return which label stands above which column.

    Columns between empty ones belong together; else a label reaches until the next one.
    """
    runs = [[at for _, at in run] for _, run in groupby(enumerate(used), lambda p: p[1] - p[0])]
    own = [[at for at in run if at in labels] for run in runs]
    if len(runs) > 1 and all(len(found) == 1 for found in own if found):
        return {at: labels[o[0]] for run, o in zip(runs, own, strict=True) if o
                for at in run if at > 0}  # fmt: skip
    spans: dict[int, str] = {}
    label = ""
    for at in range(used[-1] + 1):
        label = labels.get(at, label)
        if label and at in used:
            spans[at] = label
    return spans


def _differing(texts: Sequence[str]) -> list[str]:
    """Return texts without the words that they all begin with."""
    words = [text.split() for text in texts]
    shared = _shared(words) if len(set(texts)) > 1 else 0
    return [" ".join(each[shared:]) or text for each, text in zip(words, texts, strict=True)]


def _shared(words: Sequence[Sequence[str]]) -> int:
    """Return with how many common words all begin."""
    same = takewhile(lambda each: len(set(each)) == 1, zip(*words, strict=False))
    return sum(1 for _ in same)


def _beside(tables: Sequence[_Found]) -> list[_Found]:
    """Put tables of the same rows and columns beside one another: one table of two periods."""
    merged: list[_Found] = []
    for _, group in groupby(tables, lambda table: table.names):
        same = list(group)
        above = [" ".join(table.captions or table.titles[-1:]) for table in same]
        labels = _differing(above)
        keys = [[row[0] for row in table.rows] for table in same]
        if len(same) < 2 or len(set(labels)) < len(same) or not _are_alike(keys):
            merged += same
            continue
        first = same[0]
        words = [text.split() for text in above]
        all_keys = list(dict.fromkeys(key for each in keys for key in each))
        by_key = [{row[0]: row[1:] for row in table.rows} for table in same]
        blank = [""] * (len(first.names) - 1)
        whole = replace(
            first,
            # Values that are compared stand next to each other.
            names=[first.names[0]] + [f"{n} {label}" for n in first.names[1:] for label in labels],
            rows=[
                [key] + [cell for cells in zip(*(rows.get(key, blank) for rows in by_key),
                                               strict=True) for cell in cells]
                for key in all_keys
            ],
            titles=[title for title in first.titles if title not in above],
            captions=[" ".join(words[0][: _shared(words)])],
            totals=sum(table.totals for table in same),
            notes=[note for table in same for note in table.notes],
        )  # fmt: skip
        merged.append(whole)
    return merged


def _are_alike(keys: Sequence[Sequence[str]]) -> bool:
    """Tell whether lists of rows' names have no name twice, and nearly all names in common."""
    if any(len(set(each)) < len(each) or not all(each) for each in keys):
        return False
    shared = set(keys[0]).intersection(*keys[1:])
    return len(shared) >= _ALIKE * max(map(len, keys))


def _table(name: str, grid: Grid, found: _Found) -> Table:
    read: list[tuple[str, Typed]] = []
    for at, title in enumerate(found.names):
        texts = [row[at] for row in found.rows]
        column = typed(texts)
        unit = f" ({column.unit})" if column.unit and column.unit not in title else ""
        read.append((title + unit, column))
        if column.kind == "VARCHAR" and (days := dates_at_start(texts)):
            read.append((f"{title} date", days))
    names = identifiers([title for title, _ in read], "column")
    columns = [Column(n, title, c.kind) for n, (title, c) in zip(names, read, strict=True)]
    return Table(
        name,
        tuple(filter(None, dict.fromkeys([grid.name, *found.titles, *found.captions]))),
        grid.number,
        tuple(columns),
        tuple(zip(*(column.values for _, column in read), strict=True)),
        found.totals,
        tuple(found.notes),
    )


def _is_running(cells: Sequence[str]) -> bool:
    """Tell whether cells count from 0 or 1."""
    return len(cells) > 1 and any(
        cells == [str(n) for n in range(start, start + len(cells))] for start in (0, 1)
    )


def _letter(at: int) -> str:
    """Return what a sheet calls a column."""
    letters = ""
    at += 1
    while at:
        at, rest = divmod(at - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
