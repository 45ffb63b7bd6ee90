"""XLSX: every visible sheet as a table."""

from __future__ import annotations

import datetime
import io
import zipfile
from collections.abc import Iterator
from typing import Any

import openpyxl
from langchain_core.document_loaders.base import BaseBlobParser
from langchain_core.documents import Document
from langchain_core.documents.base import Blob

from rag.errors import DocumentCode, DocumentError
from rag.ingest.loaders import packages
from rag.ingest.loaders.limits import MAX_CELLS
from rag.ingest.loaders.outline import document
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
                text = "\n".join(lines(counted, max_cells=left))
                left -= counted.cells
                yield document(text, page=number, section=sheet.title, pages=len(book.sheetnames))
        except zipfile.BadZipFile as error:
            raise DocumentError(DocumentCode.CORRUPT, str(error)) from error
        finally:
            book.close()


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
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        if "%" in (cell.number_format or ""):
            return f"{value * 100:.10g}%"
        return f"{value:.15g}"
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ", "minutes")
    return str(value)
