from __future__ import annotations

from rag.ingest.parsed import Grid
from rag.tables.reading import tables
from rag.tables.table import Table


def read(*rows: list[str], name: str = "Sheet") -> list[Table]:
    return tables([Grid(name, 1, list(rows))], "folder/book.xlsx")


def test_a_table_has_typed_columns_below_its_titles() -> None:
    (table,) = read(
        ["Rooms in spring", "", ""],
        ["Room 会议室", "Seats 座位", "Free from"],
        ["Egret 白鹭", "12", "2026-03-01"],
        ["Stork 白鹳", "1,016", "2026-03-02"],
    )
    assert table.titles == ("Sheet", "Rooms in spring")
    assert [(c.name, c.title, c.kind) for c in table.columns] == [
        ("Room", "Room 会议室", "VARCHAR"),
        ("Seats", "Seats 座位", "BIGINT"),
        ("Free_from", "Free from", "DATE"),
    ]
    assert table.rows == (("Egret 白鹭", 12, "2026-03-01"), ("Stork 白鹳", 1016, "2026-03-02"))


def test_rows_that_add_up_others_and_notes_are_no_rows() -> None:
    for total in ("Total", "合计", "Grand total:", "小 计"):
        (table,) = read(
            ["Team", "Cost"],
            ["A", "1"],
            ["B", "2"],
            [total, "3"],
            [],
            ["Costs are rounded."],
        )
        assert table.rows == (("A", 1), ("B", 2))
        assert table.totals == 1
        assert table.notes == ("Costs are rounded.",)


def test_tables_of_two_periods_become_one_with_a_column_for_each() -> None:
    rows = [["", "", "January–June 2023"], ["", "Sales (a)", "Profit"], ["North", "12", "3"]]
    rows += [["South", "10", "2"], [], [], ["", "", "January–June 2022"]]
    rows += [["", "Sales (a)", "Profit"], ["North", "11", "—"], ["South", "9", "1"]]
    (table,) = read(*rows)
    names = [column.name for column in table.columns]
    assert names[1:] == ["Sales_2023", "Sales_2022", "Profit_2023", "Profit_2022"]
    assert table.rows == (("North", 12, 11, 3, None), ("South", 10, 9, 2, 1))


def test_names_above_others_tell_columns_of_the_same_name_apart() -> None:
    (table,) = read(
        ["In millions of CHF", "", "January–June 2023", "", "", "January–June 2022"],
        ["", "Goodwill", "Assets", "", "Goodwill", "Assets"],
        ["Water", "0", "-21", "", "—", "-3"],
        ["Pet food", "0", "-15", "", "—", "-4"],
    )
    names = [column.name for column in table.columns]
    assert names == ["item", "Goodwill_2023", "Assets_2023", "Goodwill_2022", "Assets_2022"]
    assert table.titles == ("Sheet", "In millions of CHF")


def test_a_column_that_only_counts_the_rows_is_left_out() -> None:
    (table,) = read(["", "title", "who"], ["0", "a", "x"], ["1", "b", "y"])
    assert [column.name for column in table.columns] == ["title", "who"]


def test_names_need_no_quotes_and_are_each_another() -> None:
    (table,) = read(
        ["order", "2nd half", "Share %", "日期", "日期", "Net other income/(expenses) (c)"],
        ["a", "1", "2", "2026-01-02", "x", "5"],
    )
    assert [column.name for column in table.columns] == [
        "order_", "c_2nd_half", "Share_percent", "日期", "日期_2", "Net_other_income_expenses",
    ]  # fmt: skip
