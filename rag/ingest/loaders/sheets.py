"""Spreadsheets: every visible sheet as a table."""

from __future__ import annotations

import datetime
import io
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import openpyxl
import python_calamine
from langchain_core.document_loaders.base import BaseBlobParser
from langchain_core.documents import Document
from langchain_core.documents.base import Blob

from rag.errors import DocumentCode, DocumentError
from rag.ingest.loaders import packages
from rag.ingest.loaders.limits import MAX_CELLS
from rag.ingest.loaders.opendocument import check_password
from rag.ingest.loaders.outline import Outline, placed
from rag.ingest.loaders.tables import lines


@dataclass(frozen=True, slots=True)
class Sheet:
    """A visible sheet of a book: its rows as people see their cells, to be read once, in order."""

    name: str
    number: int
    """Counted from 1, hidden sheets too."""
    of: int
    rows: Iterator[list[str]]


class XlsxParser(BaseBlobParser):
    """Yields a Document for each visible sheet, a self-contained line for each row."""

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Yield the sheets; raise `DocumentError` CORRUPT or TOO_LARGE."""
        for sheet in xlsx(blob.as_bytes()):
            yield from _told(sheet)


class CalamineParser(BaseBlobParser):
    """Yields the same for the formats that only calamine reads: XLS, XLSB and ODS."""

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Yield the sheets; raise `DocumentError` ENCRYPTED, CORRUPT or TOO_LARGE."""
        for sheet in others(blob.as_bytes()):
            yield from _told(sheet)


def xlsx(data: bytes) -> Iterator[Sheet]:
    """Yield the sheets of an XLSX file; raise `DocumentError` CORRUPT or TOO_LARGE."""
    packages.check(data)
    # Read-only streams the rows; otherwise a bomb of 2 MB takes a gigabyte.
    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    except zipfile.BadZipFile as error:
        raise DocumentError(DocumentCode.CORRUPT, str(error)) from error
    cells = _Budget()
    try:
        for number, sheet in enumerate(book.worksheets, 1):
            if sheet.sheet_state == "visible":
                sheet.reset_dimensions()  # files claim dimensions that they don't have
                rows = cells.counted(sheet.iter_rows())
                shown = ([_value(cell) for cell in row] for row in rows)
                yield Sheet(sheet.title, number, len(book.sheetnames), shown)
    finally:
        book.close()


def others(data: bytes) -> Iterator[Sheet]:
    """Yield the sheets of an XLS, XLSB or ODS file; raise `DocumentError`."""
    if data.startswith(b"PK"):
        packages.check(data)
        check_password(data)
    try:
        with python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(data)) as book:
            yield from _sheets(book)
    except python_calamine.PasswordError as error:
        raise DocumentError(DocumentCode.ENCRYPTED, str(error)) from error
    except python_calamine.CalamineError as error:
        raise DocumentError(DocumentCode.CORRUPT, str(error)) from error


def _sheets(book: python_calamine.CalamineWorkbook) -> Iterator[Sheet]:
    left = MAX_CELLS
    visible = python_calamine.SheetVisibleEnum.Visible
    for number, known in enumerate(book.sheets_metadata, 1):
        if known.visible != visible or known.typ != python_calamine.SheetTypeEnum.WorkSheet:
            continue
        sheet = book.get_sheet_by_name(known.name)
        left -= sheet.width * sheet.height
        if left < 0:
            raise _too_many()
        rows = ([_shown(value) for value in row] for row in sheet.iter_rows())
        yield Sheet(known.name, number, len(book.sheets_metadata), rows)


def _told(sheet: Sheet) -> Iterator[Document]:
    outline = Outline()
    outline.title = sheet.name
    table = chain(outline.table(lines(sheet.rows)), outline.close())
    yield from placed(table, page=sheet.number, pages=sheet.of)


class _Budget:
    """How many cells may still be read of a book."""

    def __init__(self) -> None:
        self._left = MAX_CELLS

    def counted(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        """Pass rows on; raise `DocumentError` TOO_LARGE past the budget, CORRUPT for no zip."""
        try:
            for row in rows:
                self._left -= max(1, len(row))
                if self._left < 0:
                    raise _too_many()
                yield row
        except zipfile.BadZipFile as error:
            raise DocumentError(DocumentCode.CORRUPT, str(error)) from error


def _too_many() -> DocumentError:
    return DocumentError(DocumentCode.TOO_LARGE, f"more than {MAX_CELLS} cells")


def _value(cell: Any) -> str:
    """Return a cell as people see it: no needless decimals, percentages, ISO dates."""
    value = cell.value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and "%" in (cell.number_format or ""):
        return f"{value * 100:.10g}%"
    return _shown(value)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        return f"{value:.15g}"
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ", "minutes")
    return str(value)
