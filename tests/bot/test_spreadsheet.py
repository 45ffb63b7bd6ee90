"""Rows as files: what a document says is never run by a spreadsheet."""

from __future__ import annotations

import csv
import io
from typing import Any

from openpyxl import load_workbook

from bot.spreadsheet import spreadsheet

HEADER = ["name", "sum"]
ROWS: list[list[Any]] = [
    ["王, 李", 3],
    ["=HYPERLINK(1)", 2.5],
    ["-2+3", None],
    ["a\x00b", ["x", 1]],
]


def test_csv_has_every_row_and_no_formula() -> None:
    file = spreadsheet("extracted", HEADER, ROWS, "csv")
    assert file.name == "extracted.csv"
    assert file.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(file.content.decode("utf-8-sig"))))
    assert rows[:2] == [HEADER, ["王, 李", "3"]]
    assert [row[0] for row in rows[2:4]] == ["'=HYPERLINK(1)", "'-2+3"]
    assert rows[4][1] == '["x", 1]'


def test_xlsx_has_typed_cells_and_no_formula() -> None:
    file = spreadsheet("extracted", HEADER, ROWS, "xlsx")
    sheet = load_workbook(io.BytesIO(file.content)).active
    assert sheet is not None
    cells = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert cells[1] == ["王, 李", 3]
    assert cells[2] == ["=HYPERLINK(1)", 2.5]
    assert sheet.cell(3, 1).data_type == "s"
    assert cells[4][0] == "ab"
