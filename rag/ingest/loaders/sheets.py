"""Spreadsheets: every visible sheet as a table."""

from __future__ import annotations

import datetime
import io
import zipfile
from collections.abc import Iterable, Iterator
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
from rag.ingest.loaders.outline import Caption, Cell, Outline, placed
from rag.ingest.loaders.tables import lines


class XlsxParser(BaseBlobParser):
    """Yields a Document for each visible sheet, a self-contained line for each row."""

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Yield the sheets; raise `DocumentError` CORRUPT or TOO_LARGE."""
        data = blob.as_bytes()
        packages.check(data)
        # Read-only streams the rows; otherwise a bomb of 2 MB takes a gigabyte.
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        try:
            left = MAX_CELLS
            for number, sheet in enumerate(book.worksheets, 1):
                if sheet.sheet_state != "visible":
                    continue
                sheet.reset_dimensions()  # files claim dimensions that they don't have
                counted = _Counted(sheet.iter_rows())
                rows = lines(counted, max_cells=left)
                yield from placed(_told(sheet.title, rows), page=number, pages=len(book.sheetnames))
                left -= counted.cells
        except zipfile.BadZipFile as error:
            raise DocumentError(DocumentCode.CORRUPT, str(error)) from error
        finally:
            book.close()


class CalamineParser(BaseBlobParser):
    """Yields the same for the formats that only calamine reads: XLS, XLSB and ODS."""

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Yield the sheets; raise `DocumentError` ENCRYPTED, CORRUPT or TOO_LARGE."""
        data = blob.as_bytes()
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


def _sheets(book: python_calamine.CalamineWorkbook) -> Iterator[Document]:
    left = MAX_CELLS
    visible = python_calamine.SheetVisibleEnum.Visible
    for number, known in enumerate(book.sheets_metadata, 1):
        if known.visible != visible or known.typ != python_calamine.SheetTypeEnum.WorkSheet:
            continue
        sheet = book.get_sheet_by_name(known.name)
        left -= sheet.width * sheet.height
        if left < 0:
            raise DocumentError(DocumentCode.TOO_LARGE, f"more than {MAX_CELLS} cells")
        rows = ([_shown(value) for value in row] for row in sheet.iter_rows())
        told = _told(known.name, lines(rows))
        yield from placed(told, page=number, pages=len(book.sheets_metadata))


def _told(sheet: str, rows: Iterable[str | Cell | Caption]) -> Iterator[Document]:
    outline = Outline()
    outline.title = sheet
    yield from outline.table(rows)
    yield from outline.close()


class _Counted:
    """The rows of a sheet as text, and how many cells they had."""

    def __init__(self, rows: Iterator[tuple[Any, ...]]) -> None:
        self._rows = rows
        self.cells = 0

    def __iter__(self) -> Iterator[list[str]]:
        for row in self._rows:
            self.cells += max(1, len(row))
            yield [_value(cell) for cell in row]


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
