"""Tables that are drawn with lines on the pages of a PDF."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rag.ingest.loaders import parse
from tests.rag.ingest.files import draw_pdf

LEAVE = [["City", "Days", "Asked from"], ["Berlin", "30", "Ann"], ["Xiamen", "25", "Bob"]]
TOLD = [
    "City: Berlin; Days: 30; Asked from: Ann",
    "City: Xiamen; Days: 25; Asked from: Bob",
]
WIDE, HIGH, LEFT = 150, 30, 50


def written(text: str, x: float, y: float) -> str:
    return f"BT /F1 9 Tf {x} {y} Td ({text}) Tj ET"


def table(
    rows: Sequence[Sequence[str]],
    top: int = 700,
    *,
    stroke: bool = True,
    open_across: Sequence[tuple[int, int]] = (),
    open_down: Sequence[tuple[int, int]] = (),
) -> str:
    """Draw a table field by field; `open_…` are those without a line to the left, or above.

    A cell's lines are written one after another across the row, as many programs do.
    """
    drawn = []
    for r, row in enumerate(rows):
        for c, _ in enumerate(row):
            x, y = LEFT + c * WIDE, top - r * HIGH
            lines = [] if (r, c) in open_across else [(x, y - HIGH, x, y)]
            lines += [] if (r, c) in open_down else [(x, y, x + WIDE, y)]
            drawn += [line(*ends, stroke=stroke) for ends in lines]
        for part in range(max(cell.count("|") for cell in row) + 1):
            for c, cell in enumerate(row):
                if part < len(cell.split("|")):
                    text = cell.split("|")[part]
                    drawn.append(
                        written(text, LEFT + c * WIDE + 4, top - r * HIGH - 12 * part - 11)
                    )
    right, bottom = LEFT + len(rows[0]) * WIDE, top - len(rows) * HIGH
    drawn.append(line(LEFT, bottom, right, bottom, stroke=stroke))
    drawn.append(line(right, bottom, right, top, stroke=stroke))
    return " ".join(drawn)


def line(x: float, y: float, to_x: float, to_y: float, *, stroke: bool = True) -> str:
    if stroke:
        return f"{x} {y} m {to_x} {to_y} l S"
    return f"{x} {y} {to_x - x or 0.5} {to_y - y or 0.5} re f"  # a rectangle as thin as a line


def lines_of(*pages: str) -> list[str]:
    return [line for line in parse(draw_pdf(pages), "a.pdf").text.split("\n") if line]


@pytest.mark.parametrize("stroke", [True, False])
def test_rows_name_their_columns_between_what_stands_around_them(stroke: bool) -> None:
    before, after = written("Before the table.", 50, 740), written("After the table.", 50, 500)
    assert lines_of(f"{before} {table(LEAVE, stroke=stroke)} {after}") == [
        "Before the table.", *TOLD, "After the table.",
    ]  # fmt: skip


def test_the_lines_of_a_cell_belong_together() -> None:
    rows = [["City", "Rule"], ["Berlin|office", "ask a week|ahead"], ["Xiamen", "30"]]
    assert lines_of(table(rows)) == [
        "City: Berlin office; Rule: ask a week ahead", "City: Xiamen; Rule: 30",
    ]  # fmt: skip


@pytest.mark.parametrize("repeated", [True, False])
def test_a_table_that_goes_on_overleaf_keeps_its_names(repeated: bool) -> None:
    more = [["Oslo", "20", "Eve"], ["Rome", "21", "Joe"]]
    title = written("Leave of absence", 50, 780)
    overleaf = table([LEAVE[0], *more] if repeated else more)
    assert lines_of(f"{title} {table(LEAVE)}", f"{title} {overleaf}") == [
        "Leave of absence", *TOLD, "Leave of absence",
        "City: Oslo; Days: 20; Asked from: Eve", "City: Rome; Days: 21; Asked from: Joe",
    ]  # fmt: skip


def test_merged_cells_are_said_where_they_count() -> None:
    rows = [
        ["Office", "Days", ""],
        ["", "old", "new"],
        ["Berlin", "28", "30"],
        ["", "29", "31"],
    ]
    drawn = table(rows, open_across=[(0, 2)], open_down=[(1, 0), (3, 0)])
    assert lines_of(drawn)[-2:] == [
        "Office: Berlin; Days old: 28; Days new: 30",
        "Office: Berlin; Days old: 29; Days new: 31",
    ]


@pytest.mark.parametrize(
    "drawing",
    [
        line(40, 600, 300, 600) + line(40, 600, 40, 760) + line(40, 760, 300, 760),
        table([["", "", ""], ["", "", ""], ["", "", ""]], 760),
        "".join(line(n % 500, 100, n % 500, 700) + "\n" for n in range(3000)),
    ],
    ids=["a box", "a diagram", "a drawing"],
)
def test_what_is_no_table_leaves_the_text_alone(drawing: str) -> None:
    assert lines_of(f"{drawing} {written('It says something.', 60, 745)}") == ["It says something."]
