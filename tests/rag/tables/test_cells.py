from __future__ import annotations

import pytest

from rag.tables.cells import dates_at_start, typed


@pytest.mark.parametrize(
    ("texts", "kind", "values"),
    [
        (["12,553", "-81", "0"], "BIGINT", [12553, -81, 0]),
        (["1,200.5", "(3.5)", "—", ""], "DOUBLE", [1200.5, -3.5, None, None]),
        (["45%", "12.5％"], "DOUBLE", [45.0, 12.5]),
        (["¥1,200", "￥80"], "BIGINT", [1200, 80]),
        (["1.2万", "3亿"], "DOUBLE", [12000.0, 300_000_000.0]),
        (["1.234,56", "12,5"], "DOUBLE", [1234.56, 12.5]),
        (["2026/4/1", "2026年4月2日"], "DATE", ["2026-04-01", "2026-04-02"]),
        (["31.12.2025", "01.02.2026"], "DATE", ["2025-12-31", "2026-02-01"]),
        (["12/31/2025", "1/2/2026"], "DATE", ["2025-12-31", "2026-01-02"]),
        (["3 March 2026", "April 1, 2026"], "DATE", ["2026-03-03", "2026-04-01"]),
        (["2026-03-31 09:30", "2026-04-01"], "TIMESTAMP", ["2026-03-31 09:30:00", "2026-04-01"]),
        (["TRUE", "false"], "BOOLEAN", [True, False]),
    ],
)  # fmt: skip
def test_cells_of_one_kind_become_values(texts: list[str], kind: str, values: list[object]) -> None:
    found = typed(texts)
    assert (found.kind, found.values) == (kind, values)


@pytest.mark.parametrize(
    "texts",
    [
        ["007", "12"],  # codes keep their zeros
        ["13800138000138000", "1"],  # so do long ones
        ["1/2/2026", "3/4/2026"],  # nobody knows which is the month
        ["2026-02-30"],
        ["$5", "€5"],
        ["45%", "3"],
        ["12", "about 12"],
        ["Zone NA"],
        ["-", "n/a"],
    ],
)
def test_doubtful_cells_stay_text(texts: list[str]) -> None:
    found = typed(texts)
    assert found.kind == "VARCHAR"
    assert found.values == texts


def test_a_unit_is_kept_beside_the_numbers() -> None:
    assert typed(["45%", "3%"]).unit == "%"
    assert typed(["CHF 3", "4"]).unit == "CHF"


def test_days_at_the_start_of_longer_texts_are_a_column_of_their_own() -> None:
    found = dates_at_start(["2023-03-31.0002", "2023-04-01.0003", "", "2023-04-02x"])
    assert found is not None
    assert found.values == ["2023-03-31", "2023-04-01", None, "2023-04-02"]
    assert dates_at_start(["2023-03-31.0002", "later", "2023-04-02.1"]) is None
