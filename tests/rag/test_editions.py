"""What a document says of its own date, version and standing."""

from datetime import date

import pytest

from rag.editions import Edition, edition_of

TODAY = date(2026, 11, 23)


@pytest.mark.parametrize(
    ("name", "text", "day"),
    [
        ("rules.md", "Rules of 1 March 2024.", (2024, 3, 1)),
        ("rules.md", "March 3rd, 2024: rules", (2024, 3, 3)),
        ("rules.md", "Updated Sep 2025", (2025, 9)),
        ("rules.md", "规定（2023 年 7 月修订）", (2023, 7)),
        ("rules.md", "2026-08-28 發佈", (2026, 8, 28)),
        ("rules.md", "２０２６年３月２日通知", (2026, 3, 2)),
        ("travel-2024.md", "Travel rules.", (2024,)),
        ("travel-2024.md", "Of 1 February 2024. Since 2019 it has been so.", (2024, 2, 1)),
        ("minutes.md", "The launch is on 1 October.", None),
        ("part 20245.md", "Ring 12024.", None),
    ],
)
def test_a_date_is_read_as_exactly_as_it_is_said(
    name: str, text: str, day: tuple[int, ...] | None
) -> None:
    assert edition_of(name, text).day == day


@pytest.mark.parametrize(
    ("name", "text", "version"),
    [
        ("runbook v1.10.md", "", (1, 10)),
        ("接口说明v3.md", "", (3,)),
        ("api.md", "API, version 3", (3,)),
        ("api.md", "接口 第 2 版", (2,)),
        ("api.md", "接口 第二版，版本以后再说", (2,)),
        ("api_rev-4.pdf", "", (4,)),
        ("vase 3.md", "The five vases", None),
    ],
)
def test_a_version_is_read_from_name_or_text(
    name: str, text: str, version: tuple[int, ...] | None
) -> None:
    assert edition_of(name, text).version == version


def newer(a: tuple[str, str], b: tuple[str, str]) -> tuple[bool, bool]:
    first, second = edition_of(*a), edition_of(*b)
    return first.newer_than(second, TODAY), second.newer_than(first, TODAY)


@pytest.mark.parametrize(
    ("newest", "oldest"),
    [
        (("run v1.10.md", ""), ("run v1.9.md", "")),
        (("rules-2026.md", "Rules"), ("rules-2024.md", "Rules")),
        (("a.md", "Of 20 June 2026"), ("b.md", "6 June 2026")),
        (("price.md", "Approved 4 April 2026"), ("price-draft.md", "DRAFT of 9 June 2026")),
        (("考勤.md", "2026 年 1 月批准"), ("考勤征求意见稿.md", "2026 年 4 月")),
        (("leave.md", "Of 2025"), ("leave2.md", "Takes effect on 1 January 2099.")),
        (("停车.md", "2025 年 6 月起施行"), ("停车新.md", "自 2099 年 1 月 1 日起施行")),
        (("leave.md", "Effective 1 May 2026"), ("old.md", "Of 2024")),
    ],
)
def test_the_later_one_in_force_counts(newest: tuple[str, str], oldest: tuple[str, str]) -> None:
    assert newer(newest, oldest) == (True, False)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a.md", "No date"), ("b.md", "None here either")),
        (("a.md", "Of 2026"), ("b.md", "June 2026")),
        (("a.md", "June 2026"), ("b.md", "June 2026")),
        (("api v2.md", ""), ("handbook v3.md", "")),
        (("a.md", "Of 2026"), ("b.md", "Undated")),
    ],
)
def test_where_nothing_tells_neither_counts_more(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    assert newer(one, other) == (False, False)


def test_editions_of_one_document_share_a_stem() -> None:
    stems = {edition_of(name, "").stem for name in ("run v1.9.md", "run-v1.10.md", "run 2024.txt")}
    assert stems == {"run"}


def test_what_says_nothing_is_in_force() -> None:
    assert Edition().in_force(TODAY)
