from __future__ import annotations

import io

import pytest
from PIL import Image

from rag.tables.cells import Value
from rag.tables.chart import Chart, chart_of, drawn
from rag.tables.database import Rows


def rows(*found: tuple[Value, ...]) -> Rows:
    columns = ("label", "value", "other")[: len(found[0])]
    return Rows(columns, found, len(found))


def test_categories_that_are_compared_become_bars_in_their_order() -> None:
    found = rows(("PHI", 2), ("STL", 1), ("TOR", 28))
    assert chart_of("Cups per location?", found) == Chart(
        "bars", ("PHI", "STL", "TOR"), (("value", (2.0, 1.0, 28.0)),)
    )


def test_days_become_a_line_from_the_first_to_the_last() -> None:
    found = rows(("2026-03", 3.5, 1), ("2026-01", 1, 2), ("2026-02", None, 3))
    chart = chart_of("sales", found)
    assert chart is not None
    assert (chart.kind, chart.labels) == ("lines", ("2026-01", "2026-02", "2026-03"))
    assert chart.series[0] == ("value", (1.0, 0.0, 3.5))


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("Cups per location?", rows(("PHI", 2), ("STL", 1))),
        ("Which three are the largest?", rows(("a", 1), ("b", 2), ("c", 3))),
        ("Names per office?", rows(("a", "x"), ("b", "y"), ("c", "z"))),
        ("Seats per office?", rows(("a", 1, "x"), ("b", 2, "y"), ("c", 3, "z"))),
        ("Seats per office?", rows(("a", 1), ("a", 2), ("c", 3))),
    ],
)
def test_what_rows_say_well_enough_becomes_no_picture(question: str, found: Rows) -> None:
    assert chart_of(question, found) is None


@pytest.mark.parametrize("kind", ["bars", "lines"])
def test_a_picture_is_a_png_without_which_words_are_missing(kind: str) -> None:
    series = (("in", (-3.0, 2.5, 1200.0)), ("out", (1.0, 2.0, 3.0)))
    chart = Chart(kind, ("2026-01", "2026-02", "2026-03"), series)  # type: ignore[arg-type]
    png = drawn(chart)
    assert png is not None
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    assert len(image.convert("RGB").getcolors(1 << 20) or ()) > 4  # paper, ink and two colours
