"""Answers questions over real sheets with SQL over named cells, apart from the bot's own code."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import python_calamine
from openpyxl.utils import range_boundaries

from tests.rag.ingest.files import FORMATS, SHARED

FOLDERS = {
    "documents": SHARED / "documents",
    "knowledge": Path(__file__).parents[1] / "knowledge",
    "formats": FORMATS,
}


def path(document: str) -> Path:
    """Return where a document of the set lies: its first folder is one of `FOLDERS`."""
    folder, _, name = document.partition("/")
    return FOLDERS[folder] / name


def grid(file: Path, sheet: str) -> list[list[Any]]:
    """Return the cells of a sheet, row by row; `sheet` is empty for CSV."""
    if file.suffix == ".xlsx":
        book = openpyxl.load_workbook(file, data_only=True)
        return [list(row) for row in book[sheet].iter_rows(values_only=True)]
    if file.suffix == ".ods":
        workbook = python_calamine.CalamineWorkbook.from_path(str(file))
        return workbook.get_sheet_by_name(sheet).to_python(skip_empty_area=False)
    data = file.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("gb18030")
    rows = csv.reader(io.StringIO(text))
    return [[int(cell) if cell.isdigit() else cell for cell in row] for row in rows]


def answer(line: Mapping[str, Any], cells: Sequence[Sequence[Any]]) -> list[Any]:
    """Return the values that a line's SQL finds, row by row: its ranges are the tables t and u."""
    base = sqlite3.connect(":memory:")
    for name, area in zip("tu", line["ranges"], strict=False):
        left, top, right, bottom = range_boundaries(area)
        columns = [chr(ord("A") + at) for at in range(left - 1, right)]
        base.execute(f"CREATE TABLE {name} ({', '.join(columns)})")
        for row in cells[top - 1 : bottom]:
            values = [*row, *[None] * right][left - 1 : right]
            base.execute(f"INSERT INTO {name} VALUES ({', '.join('?' * len(values))})", values)
    found: Sequence[Sequence[Any]] = base.execute(line["sql"]).fetchall()
    base.close()
    return [value for row in found for value in row]
