"""Lines found anywhere on a page, as a person reads them: columns, paragraphs, rows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from rag.ingest.loaders.outline import clean
from rag.ingest.loaders.paragraphs import unwrap

Found = tuple[float, float, float, float, str]
"""Left, top, right, bottom, and the text."""

_GUTTER = 1.2  # of a line's height: less is a space between words
_BREAK = 0.8
_MIN_COLUMN = 0.2
_MAX_DEPTH = 40


def page_text(lines: Sequence[Found]) -> str:
    """Return the text of a page from its lines: paragraphs are lines, blocks have a gap between."""
    if not lines:
        return ""
    height = median(bottom - top for _, top, _, bottom, _ in lines)
    blocks = [_block(block) for block in _blocks(list(lines), height, 0)]
    return clean("\n\n".join(filter(None, blocks)))


def _blocks(lines: list[Found], height: float, depth: int) -> list[list[Found]]:
    """Cut the page at its widest gaps, across and along in turn, until none is left."""
    if len(lines) < 2 or depth > _MAX_DEPTH:
        return [lines]
    for axis, least in ((0, _GUTTER * height), (1, _BREAK * height)):
        parts = _cut(lines, axis, least)
        if len(parts) > 1 and (axis == 1 or _are_columns(parts)):
            return [block for part in parts for block in _blocks(part, height, depth + 1)]
    return [lines]


def _cut(lines: list[Found], axis: int, least: float) -> list[list[Found]]:
    """Cut where nothing stands for at least this much."""
    spans = sorted(((line[:4][axis], line[:4][axis + 2], line) for line in lines), key=_start)
    parts, end = [[spans[0][2]]], spans[0][1]
    for start, stop, line in spans[1:]:
        if start - end >= least:
            parts.append([])
        parts[-1].append(line)
        end = max(end, stop)
    return parts


def _start(span: tuple[float, float, Found]) -> float:
    return span[0]


def _are_columns(parts: list[list[Found]]) -> bool:
    """Tell columns of text from those of a table, whose rows belong together."""
    left = min(line[0] for part in parts for line in part)
    right = max(line[2] for part in parts for line in part)
    for part in parts:
        wide = max(line[2] for line in part) - min(line[0] for line in part)
        full = [line for line in part if line[2] - line[0] > 0.7 * wide]
        if len(part) < 3 or wide < _MIN_COLUMN * (right - left) or len(full) < 0.6 * len(part):
            return False
    return True


def _block(lines: list[Found]) -> str:
    rows: list[list[Found]] = []
    for line in sorted(lines, key=lambda line: line[1] + line[3]):
        middle = (line[1] + line[3]) / 2
        if rows and rows[-1][0][1] <= middle <= rows[-1][0][3]:
            rows[-1].append(line)
        else:
            rows.append([line])
    texts = []
    for row in rows:
        row.sort(key=lambda line: line[0])
        text = row[0][4]
        for before, after in pairwise(row):
            wide = after[0] - before[2] > 2 * (before[3] - before[1])
            text += ("; " if wide else " ") + after[4]
        texts.append(text)
    return unwrap(texts)
