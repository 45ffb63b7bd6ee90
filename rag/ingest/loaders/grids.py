"""Sheets as their cells, for those who compute with them."""

from __future__ import annotations

from collections.abc import Iterator

from rag.errors import DocumentCode, DocumentError
from rag.ingest.loaders.kinds import kind_of
from rag.ingest.loaders.limits import MAX_TABLE_CELLS
from rag.ingest.loaders.outline import flow
from rag.ingest.parsed import Grid

_LONGEST = 500  # characters of a cell: longer ones are read, not computed with


def grids(data: bytes, name: str) -> Iterator[Grid]:
    """Yield the visible sheets of a file; raise `DocumentError`, UNSUPPORTED if it has none."""
    left = MAX_TABLE_CELLS
    for sheet, number, rows in _sheets(data, name):
        kept = []
        for row in rows:
            left -= max(1, len(row))
            if left < 0:
                raise DocumentError(DocumentCode.TOO_LARGE, f"more than {MAX_TABLE_CELLS} cells")
            kept.append([flow(cell)[:_LONGEST] if cell else "" for cell in row])
        yield Grid(sheet, number, kept)


def _sheets(data: bytes, name: str) -> Iterator[tuple[str, int, Iterator[list[str]]]]:
    # Each library is opened only for a file that needs it.
    match kind_of(data, name):
        case "csv":
            from rag.ingest.loaders.text import separated

            yield "", 1, separated(data)
        case "xlsx":
            from rag.ingest.loaders.sheets import xlsx

            yield from ((sheet.name, sheet.number, sheet.rows) for sheet in xlsx(data))
        case "xls" | "xlsb" | "ods":
            from rag.ingest.loaders.sheets import others

            yield from ((sheet.name, sheet.number, sheet.rows) for sheet in others(data))
        case kind:
            raise DocumentError(DocumentCode.UNSUPPORTED, f"no sheets in a file of kind {kind}")
