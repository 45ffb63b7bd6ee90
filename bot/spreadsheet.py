"""Rows as files that people open in a spreadsheet: CSV and XLSX."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any, Literal

from bot.messages import File

Format = Literal["csv", "xlsx"]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_LONGEST = 32_000  # of a cell of XLSX: 32,767


def spreadsheet(
    name: str, header: Sequence[str], rows: Sequence[Sequence[Any]], kind: Format
) -> File:
    """Return rows as a file; no cell of it is a formula, whatever a document says."""
    if kind == "xlsx":
        return File(f"{name}.xlsx", _xlsx(header, rows))
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for row in (header, *rows):
        writer.writerow([_inert(_cell(value)) for value in row])
    # The mark at its beginning has Excel read UTF-8.
    return File(f"{name}.csv", text.getvalue().encode("utf-8-sig"))


def _xlsx(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    from openpyxl import Workbook  # a large library: loaded when a table is made
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    book = Workbook()
    sheet = book.active
    assert sheet is not None  # noqa: S101 - a new workbook has one
    for at, row in enumerate((header, *rows), 1):
        for column, value in enumerate(map(_cell, row), 1):
            cell = sheet.cell(at, column)
            if isinstance(value, str):
                value = ILLEGAL_CHARACTERS_RE.sub("", value)[:_LONGEST]
            cell.value = value
            if isinstance(value, str):
                cell.data_type = "s"
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def _cell(value: Any) -> str | int | float | bool | None:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return json.dumps(value, ensure_ascii=False)


def _inert(value: Any) -> Any:
    """Return a text that a spreadsheet would take for a formula as plain text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
