"""No passage begins inside a table's row without saying which row and column it is from."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Sequence

import docx
import openpyxl
import pptx
import pytest
from pptx.util import Inches

from rag.ingest.loaders import parse
from rag.ingest.parsed import Chunk, Parsed
from rag.ingest.splitters import chunks, make_splitter
from rag.records import embedded_text
from tests.rag.ingest.files import FORMATS, make_zip

STORY = " ".join(f"On day {day} somebody checked the valve again." for day in range(120))
CHINESE = "".join(f"第{day}天又有人检查了阀门。" for day in range(120))
ROWS = (
    ("Machine", "Place", "Story", "说明"),
    ("Pump", "Cellar", STORY, "short"),
    ("Lift", "Roof", "Nothing happened.", CHINESE),
)
MAX_TOKENS = 100


def count(text: str) -> int:
    return len(re.findall(r"[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]+|[^\w\s]", text))


def passages(parsed: Parsed, splitter: str = "character") -> list[tuple[Chunk, str]]:
    """Return the passages, each with what is embedded of it."""
    found = chunks(parsed, make_splitter(splitter, count, max_tokens=MAX_TOKENS))
    return [(c, embedded_text(c.section, parsed.text[c.start : c.end])) for c in found]


def _saved(file: object) -> bytes:
    out = io.BytesIO()
    file.save(out)  # type: ignore[attr-defined]
    return out.getvalue()


def as_docx(rows: Sequence[Sequence[str]]) -> bytes:
    file = docx.Document()
    table = file.add_table(len(rows), len(rows[0]))
    for row, values in zip(table.rows, rows, strict=True):
        for cell, value in zip(row.cells, values, strict=True):
            cell.text = value
    return _saved(file)


def as_pptx(rows: Sequence[Sequence[str]]) -> bytes:
    file = pptx.Presentation()
    shapes = file.slides.add_slide(file.slide_layouts[5]).shapes
    shapes.title.text = "Machines"
    size = (Inches(1), Inches(1), Inches(4), Inches(4))
    table = shapes.add_table(len(rows), len(rows[0]), *size).table
    for i, values in enumerate(rows):
        for j, value in enumerate(values):
            table.cell(i, j).text = value
    return _saved(file)


def as_xlsx(rows: Sequence[Sequence[str]]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    return _saved(book)


def as_ods(rows: Sequence[Sequence[str]], kind: str = "spreadsheet") -> bytes:
    def line(row: Sequence[str]) -> str:
        cells = (f"{_CELL}<text:p>{value}</text:p></table:table-cell>" for value in row)
        return f"<table:table-row>{''.join(cells)}</table:table-row>"

    lines = "".join(map(line, rows))
    content = (
        f"<office:document-content {_SPACES}><office:body><office:{kind}>"
        f'<table:table table:name="Machines">{lines}</table:table></office:{kind}></office:body>'
        "</office:document-content>"
    )
    kinds = {"mimetype": f"application/vnd.oasis.opendocument.{kind}".encode()}
    manifest = {"META-INF/manifest.xml": b"<manifest/>"}
    return make_zip({**kinds, **manifest, "content.xml": content.encode()})


_CELL = '<table:table-cell office:value-type="string">'
_SPACES = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for name in ("office", "table", "text")
)


def as_html(rows: Sequence[Sequence[str]]) -> bytes:
    def line(tag: str, row: Sequence[str]) -> str:
        return f"<tr>{''.join(f'<{tag}>{value}</{tag}>' for value in row)}</tr>"

    body = "".join(line("td", row) for row in rows[1:])
    return f"<!doctype html><html><body><table>{line('th', rows[0])}{body}</table>".encode()


def as_markdown(rows: Sequence[Sequence[str]]) -> bytes:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]]).encode()


def as_rtf(rows: Sequence[Sequence[str]]) -> bytes:
    def escaped(text: str) -> str:
        return "".join(c if c.isascii() else rf"\u{ord(c)}?" for c in text)

    edges = "".join(rf"\cellx{1000 * (i + 1)}" for i in range(len(rows[0])))
    lines = ("".join(rf"{escaped(value)}\cell " for value in row) for row in rows)
    table = "".join(rf"\trowd{edges} {line}\row " for line in lines)
    return rf"{{\rtf1\ansi\ansicpg1252 {table}}}".encode()


def as_json(rows: Sequence[Sequence[str]]) -> bytes:
    return json.dumps([dict(zip(rows[0], row, strict=True)) for row in rows[1:]]).encode()


def as_csv(rows: Sequence[Sequence[str]]) -> bytes:
    return "\n".join("\t".join(row) for row in rows).encode()


MAKERS: dict[str, Callable[[Sequence[Sequence[str]]], bytes]] = {
    "docx": as_docx,
    "pptx": as_pptx,
    "xlsx": as_xlsx,
    "ods": as_ods,
    "odt": lambda rows: as_ods(rows, "text"),
    "html": as_html,
    "md": as_markdown,
    "rtf": as_rtf,
    "json": as_json,
    "tsv": as_csv,
}


@pytest.mark.parametrize("suffix", MAKERS)
def test_every_part_of_a_long_row_has_its_first_cell_and_its_column(suffix: str) -> None:
    parsed = parse(MAKERS[suffix](ROWS), f"machines.{suffix}")
    found = [(chunk, text) for chunk, text in passages(parsed)]
    stories = [text for _, text in found if "valve" in text]
    assert len(stories) > 5
    assert all("Machine: Pump" in text and "Story" in text for text in stories)
    chinese = [text for _, text in found if "阀门" in text]
    assert len(chinese) > 5
    assert all("Machine: Lift" in text and "说明" in text for text in chinese)
    for sentence in ("On day 0 ", "On day 119 ", "第0天", "第119天", "Cellar", "Nothing happened"):
        assert sentence in parsed.text


def test_row_of_many_cells_becomes_lines_that_begin_with_its_first() -> None:
    names = [f"Measure {i}" for i in range(60)]
    values = [f"value number {i}" for i in range(60)]
    parsed = parse(as_csv([names, values, values[::-1]]), "wide.tsv")
    assert all(f"Measure {i}: value number {i}" in parsed.text for i in range(1, 60))
    for line in parsed.text.split("\n"):
        assert line.startswith(("Measure 0: value number 0", "Measure 0: value number 59"))
    assert all(text.startswith("Measure 0: ") for _, text in passages(parsed))


def test_names_at_the_left_of_a_page_s_table_go_with_their_long_values() -> None:
    page = f"<html><body><table><tr><th>Story</th><td>{STORY}</td></tr><tr><th>A</th><td>b</td>"
    parsed = parse(page.encode(), "a.html")
    assert all("Story" in text for _, text in passages(parsed) if "valve" in text)


def test_name_of_an_empty_column_is_kept() -> None:
    rows = [["Figure", "Marks", "Factor", "Total"], ["Eight", "", "2", ""], ["Change", "", "3", ""]]
    assert parse(as_csv(rows), "form.tsv").text.split("\n") == [
        "Figure: Eight; Factor: 2",
        "Figure: Change; Factor: 3",
        "Marks; Total",
    ]


def test_second_table_of_a_sheet_has_its_own_names_and_period() -> None:
    rows = []
    for year, sales in (("H1 2023", "12"), ("H1 2022", "9")):
        rows += [("In millions", "", year), ("", "Sales", "Profit"), ("",)]
        rows += [("North", sales, "3"), ("South", sales, "2"), ("",), ("",)]
    found = passages(parse(as_xlsx(rows), "sales.xlsx"))
    assert {chunk.section for chunk, text in found if "Sales: 12" in text} == {
        "Sheet > In millions; H1 2023"
    }
    assert {chunk.section for chunk, text in found if "Sales: 9" in text} == {
        "Sheet > In millions; H1 2022"
    }


def test_rows_of_texts_below_empty_ones_are_still_rows() -> None:
    people = [("Name", "Team"), ("Ann", "Red"), ("",), ("",), ("Bob", "Blue"), ("Cy", "Red")]
    text = parse(as_xlsx(people), "people.xlsx").text
    assert text.splitlines() == [
        "Name: Ann; Team: Red",
        "Name: Bob; Team: Blue",
        "Name: Cy; Team: Red",
    ]


def test_short_rows_stay_one_line_each() -> None:
    parsed = parse((FORMATS / "budget.ods").read_bytes(), "budget.ods")
    assert "部门: 研发; 金额: 1200" in parsed.text


def test_long_first_row_is_no_header() -> None:
    rows = [["Left " * 40, "right"], ["below", "beside"]]
    assert parse(as_csv(rows), "layout.tsv").text.count("Left Left") < 45


@pytest.mark.parametrize("splitter", ["character", "length"])
def test_passages_are_spans_of_the_text_however_it_is_cut(splitter: str) -> None:
    parsed = parse(as_xlsx(ROWS), "machines.xlsx")
    found = passages(parsed, splitter)
    assert all(chunk.section and chunk.section.startswith("Sheet") for chunk, _ in found)
    assert all(count(parsed.text[chunk.start : chunk.end]) <= MAX_TOKENS for chunk, _ in found)
