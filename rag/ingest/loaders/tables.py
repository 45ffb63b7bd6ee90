"""Tables as text: every row becomes one line that names its columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, pairwise

from rag.errors import DocumentCode, DocumentError
from rag.ingest.loaders.limits import MAX_CELLS
from rag.ingest.loaders.outline import flow

_PEEK = 20
_NUMBER = re.compile(r"[-+(]?[$€£¥￥]?\s?\d[\d\s.,:/%年月日-]*\)?%?")

Row = Sequence[str]


def lines(
    rows: Iterable[Row], *, header: bool | None = None, max_cells: int = MAX_CELLS
) -> Iterator[str]:
    """Yield "Column: value; Column: value" for each row; titles above the header stay lines.

    `header` says whether the first row names the columns; None lets the table's look decide.
    Raise `DocumentError(TOO_LARGE)` past `max_cells`.
    """
    stream = _filled(rows, max_cells)
    head = list(islice(stream, _PEEK))
    if header is None:
        while len(head) > 1 and _width(head[0]) == 1 and any(_width(row) > 1 for row in head[1:]):
            yield next(filter(None, head.pop(0)))
    names, skip = _names(head, header)
    for row in chain(head[skip:], stream):
        if line := _line(row, names):
            yield line
    if skip and len(head) == skip:  # a header and nothing below it is still text
        yield "; ".join(filter(None, names))


def _filled(rows: Iterable[Row], max_cells: int) -> Iterator[list[str]]:
    cells = 0
    for row in rows:
        cells += max(1, len(row))
        if cells > max_cells:
            raise DocumentError(DocumentCode.TOO_LARGE, f"more than {max_cells} cells")
        values = [flow(value) if value else "" for value in row]
        if any(values):
            yield values


def _width(row: Row) -> int:
    return sum(1 for value in row if value)


def _names(head: list[list[str]], header: bool | None) -> tuple[list[str], int]:
    """Return the columns' names and how many rows they take: none, one, or two with merged tops."""
    if not head or header is False:
        return [], 0
    first = head[0]
    if header is None and not (len(head) > 1 and _width(first) > 1 and _is_text(first)):
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


def _line(row: Row, names: Row) -> str:
    parts: list[str] = []
    for i, value in enumerate(row):
        if not value:
            continue
        name = names[i] if i < len(names) else ""
        part = f"{name.rstrip(':：')}: {value}" if name and name != value else value
        if not parts or parts[-1] != part:  # a merged cell repeats itself
            parts.append(part)
    return "; ".join(parts)
