"""What people read in a file is what its parser yields, with page and section."""

from __future__ import annotations

import json
import re

import pytest

from rag.errors import DocumentCode, DocumentError
from rag.ingest.loaders import kind_of, parse
from rag.ingest.parsed import Parsed
from tests.rag.ingest.files import SHARED, make_docx, make_pdf, make_pptx, make_xlsx, make_zip_bomb

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
CHINESE = "员工手册规定，每周一上午九点开例会，请大家准时参加。"
TRADITIONAL = "員工手冊規定，每週一上午九點開例會，請大家準時參加。"


def lines(parsed: Parsed) -> list[str]:
    return [line for line in parsed.text.split("\n") if line]


def code_of(data: bytes, name: str) -> DocumentCode:
    with pytest.raises(DocumentError) as caught:
        parse(data, name)
    return caught.value.code


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "gbk", "gb18030"],
)
def test_chinese_text_is_read_in_every_usual_encoding(encoding: str) -> None:
    assert parse(CHINESE.encode(encoding), "a.txt").text == CHINESE


def test_big5_is_told_from_gbk() -> None:
    assert parse(TRADITIONAL.encode("big5"), "a.txt").text == TRADITIONAL


@pytest.mark.parametrize("text", ["können", "Die schöne Frau, 5 €", "a “quoted” word", "déjà vu"])
def test_short_western_text_is_not_taken_for_chinese(text: str) -> None:
    assert parse(text.encode("cp1252"), "a.txt").text == text


def test_one_damaged_character_does_not_turn_a_text_into_another_encoding() -> None:
    damaged = (CHINESE * 10).encode()[:-1] + b"\xe5\xae"
    assert CHINESE in parse(damaged, "a.txt").text


def test_binary_data_called_text_is_refused() -> None:
    assert (
        code_of(b"hello\0\0world\0 binary \xff\xfe\xfa" * 50, "a.txt") is DocumentCode.UNSUPPORTED
    )


def test_paragraphs_wrapped_at_a_width_become_lines_and_lists_stay() -> None:
    text = (
        "The office opens at eight in the morning and closes at six in the\n"
        "evening, except on the last Friday of a month, when it is closed\n"
        "from noon.\n\n- bring a badge\n- sign the book\n"
    )
    assert lines(parse(text.encode(), "a.txt")) == [
        "The office opens at eight in the morning and closes at six in the evening, except on the "
        "last Friday of a month, when it is closed from noon.",
        "- bring a badge",
        "- sign the book",
    ]


def test_markdown_has_heading_paths_lists_code_and_rows() -> None:
    text = (
        "Intro.\n\n# Guide\n\n## Install\n\nRun\nthis:\n\n```\nmake run\n  --fast\n```\n\n"
        "1. one\n2. two\n   - deep\n\n## Prices\n\n| Item | Price |\n|---|---|\n| Tea | 3 |\n"
        "| Cake | 4 |\n\n<script>alert(1)</script>\n"
    )
    parsed = parse(text.encode(), "a.md")
    assert [part.section for part in parsed.segments] == [
        None,
        "Guide",
        "Guide > Install",
        "Guide > Prices",
    ]
    assert parsed.segments[2].text.split("\n") == [
        "Install",
        "",
        "Run this:",
        "",
        "make run",
        "  --fast",
        "",
        "1. one",
        "2. two",
        "- deep",
    ]
    assert parsed.segments[3].text == "Prices\n\nItem: Tea; Price: 3\nItem: Cake; Price: 4"


def test_chinese_markdown_lines_join_without_a_space() -> None:
    assert (
        parse("# 制度\n\n每周一\n开例会。\n".encode(), "a.md").segments[0].text
        == "制度\n\n每周一开例会。"
    )


def test_html_keeps_what_people_read() -> None:
    page = """<!doctype html><html><head><title>Rules</title><style>p{}</style></head><body>
      <nav>Home | About</nav><main><h1>Rules</h1><p>Be <b>kind</b>.<script>x()</script></p>
      <h2>Hours</h2><ul><li>Mon</li><li>Tue</li></ul>
      <table><tr><th>Day</th><th>From</th></tr><tr><td rowspan=2>Mon</td><td>8</td></tr>
      <tr><td>13</td></tr></table><p hidden>secret</p></main><footer>2026</footer></body></html>"""
    parsed = parse(page.encode(), "a.html")
    assert [(part.section, part.text) for part in parsed.segments] == [
        ("Rules", "Rules\n\nBe kind."),
        ("Rules > Hours", "Hours\n\n- Mon\n- Tue\n\nDay: Mon; From: 8\nDay: Mon; From: 13"),
    ]


def test_html_says_its_encoding_itself() -> None:
    page = f'<html><head><meta charset="gb2312"></head><body><p>{CHINESE}</p></body></html>'
    assert parse(page.encode("gbk"), "a.htm").text == CHINESE


def test_html_nested_very_deep_is_read() -> None:
    assert "in" in parse(b"<html>" + b"<div>" * 1_000 + b"in", "a.html").text


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_every_csv_row_names_its_columns(separator: str) -> None:
    rows = [["编号", "问题", "答案"], ["1", "几点开门？", "八点\n整"], ["2", "", "没有"]]
    text = "\r\n".join(separator.join(f'"{cell}"' for cell in row) for row in rows)
    parsed = parse(text.encode("gbk"), "faq.csv")
    assert lines(parsed) == ["编号: 1; 问题: 几点开门？; 答案: 八点整", "编号: 2; 答案: 没有"]


def test_title_above_a_table_stays_a_line() -> None:
    parsed = parse(b"Stanley Cups,,\nTeam,City,Cups\nBlues,STL,1\n", "a.csv")
    assert lines(parsed) == ["Stanley Cups", "Team: Blues; City: STL; Cups: 1"]


@pytest.mark.parametrize("years", ["2023,2024,2025", "2025年,2024年,2023年"])
def test_a_row_of_years_names_the_columns(years: str) -> None:
    first, _, last = years.split(",")
    parsed = parse(f"Office,{years}\nBerlin,12,15,9\nXiamen,7,8,10\n".encode(), "a.csv")
    assert lines(parsed)[0].startswith(f"Office: Berlin; {first}: 12;")
    assert lines(parsed)[1].endswith(f"{last}: 10")


def test_a_row_of_numbers_that_are_no_years_names_nothing() -> None:
    parsed = parse(b"Berlin,2023,2024\nXiamen,2021,2022\n", "a.csv")
    assert lines(parsed) == ["Berlin; 2023; 2024", "Xiamen; 2021; 2022"]


def test_table_without_names_keeps_its_values() -> None:
    assert lines(parse(b"1,2\n3,4\n", "a.csv")) == ["1; 2", "3; 4"]


def test_pdf_has_pages_and_paragraphs() -> None:
    first = [
        "The budget for travel is decided every year in the month of March by",
        "the finance team, and it is published on the internal pages where ev-",
        "eryone may read it.",
    ]
    parsed = parse(make_pdf([first, [], ["Second thoughts"]]), "a.pdf")
    assert parsed.pages == 3
    assert [part.page for part in parsed.segments] == [1, 3]
    assert lines(parsed)[0].endswith("internal pages where everyone may read it.")


def test_pdf_problems_have_their_codes() -> None:
    assert code_of(make_pdf([["x"]], encrypted=True), "a.pdf") is DocumentCode.ENCRYPTED
    assert code_of(make_pdf([[]]), "a.pdf") is DocumentCode.NO_TEXT
    assert code_of(b"%PDF-1.7 and then nothing of use", "a.pdf") is DocumentCode.CORRUPT
    assert code_of(b"not a PDF at all", "a.pdf") is DocumentCode.CORRUPT
    assert code_of(make_pdf([["x"]] * 2_001), "a.pdf") is DocumentCode.TOO_LARGE


def test_docx_has_sections_lists_and_rows() -> None:
    parsed = parse(make_docx(), "a.docx")
    assert [(part.section, part.text) for part in parsed.segments] == [
        (None, "Before any heading."),
        ("Leave", "Leave"),
        (
            "Leave > Annual leave",
            "Annual leave\n\nEveryone has 25 days.\n\nAsk a week ahead\nTell the team",
        ),
        (
            "Offices",
            "Offices\n\nCity: Berlin; Floor: 3; Phone: 030\nCity: Xiamen; Floor: 12; Phone: 0592",
        ),
    ]


def test_pptx_has_slides_tables_and_notes() -> None:
    parsed = parse(make_pptx(), "a.pptx")
    assert parsed.pages == 2
    assert [(part.page, part.section, part.text) for part in parsed.segments] == [
        (1, "Roadmap", "Roadmap\n\nFirst step\nSecond step\n\nSay why."),
        (2, "Prices", "Prices\n\nItem: Tea; Price: 3 EUR"),
    ]


def test_xlsx_has_visible_sheets_as_people_see_them() -> None:
    parsed = parse(make_xlsx(), "a.xlsx")
    assert [(part.page, part.section, part.text) for part in parsed.segments] == [
        (
            1,
            "预算",
            "2026 年预算\n部门: 研发; 金额: 1200; 占比: 25%\n部门: 市场; 金额: 800.5; 占比: 50%",
        ),
        (3, "Notes", "just one line"),
    ]


def test_content_goes_before_the_name() -> None:
    assert kind_of(make_pptx(), "wrong.pdf") == "pptx"
    assert kind_of(make_pdf([["x"]]), "wrong.txt") == "pdf"
    assert kind_of(b"<!-- x --><!DOCTYPE html><p>x", "page.txt") == "html"
    assert kind_of(b"all rights", "LICENSE") == "text"


@pytest.mark.parametrize(
    ("data", "name", "code"),
    [
        (b"", "a.txt", DocumentCode.EMPTY),
        (b" \n\t\n", "a.md", DocumentCode.EMPTY),
        (OLE + bytes(600), "a.doc", DocumentCode.CORRUPT),
        (OLE + bytes(504) + "WordDocument".encode("utf-16-le"), "a.doc", DocumentCode.UNSUPPORTED),
        (b"\x89PNG\r\n\x1a\n", "a.png", DocumentCode.CORRUPT),
        (b"GIF89a and so on", "a.txt", DocumentCode.UNSUPPORTED),
        (b"\x7fELF\0\0\0", "a", DocumentCode.UNSUPPORTED),
        (b"just words", "a.epub", DocumentCode.CORRUPT),
        (make_docx()[:3000], "a.docx", DocumentCode.CORRUPT),
        (make_zip_bomb(64 * 1024 * 1024), "a.docx", DocumentCode.TOO_LARGE),
    ],
)
def test_files_that_cannot_be_learned_say_why(data: bytes, name: str, code: DocumentCode) -> None:
    assert code_of(data, name) is code


def test_office_file_with_a_password_is_told() -> None:
    data = OLE + bytes(504) + "EncryptedPackage".encode("utf-16-le")
    assert code_of(data, "a.xlsx") is DocumentCode.ENCRYPTED


def test_text_has_a_limit() -> None:
    with pytest.raises(DocumentError) as caught:
        parse("两个字。".encode() * 300, "a.txt", max_characters=1_000)
    assert caught.value.code is DocumentCode.TOO_LARGE


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html", "a.csv"])
def test_white_space_and_marks_without_end_take_no_time(name: str) -> None:
    for filling in (" ", "\u3000", "\n", " \n", "# ", "- ", ".", '"', "<", "| "):
        text = "x" + "\n" + filling * 20_000 + "x"
        assert "x" in parse(text.encode(), name).text


def test_nothing_unprintable_survives() -> None:
    text = parse("a\u00a0\u200b b\x07\r\nc\ufeff\u00ad d".encode(), "a.txt").text
    assert text == "a b\nc d"


@pytest.mark.skipif(not (SHARED / "documents").is_dir(), reason="the public documents are absent")
def test_public_documents_are_read_or_refused_clearly() -> None:
    refused: dict[str, str] = {}
    for entry in json.loads((SHARED / "documents" / "manifest.json").read_text()):
        name, expected = entry["file"], entry["expect"]
        try:
            text = parse((SHARED / "documents" / name).read_bytes(), name).text
        except DocumentError as error:
            refused[name] = error.code
            continue
        assert re.sub(r"\s", "", expected or "") in re.sub(r"\s", "", text), name
    assert refused == {
        "g__nul_bytes.txt": "unsupported",
        "g__truncated.docx": "corrupt",
        "pm__encryption__aes-256.pdf": "encrypted",
        "u__empty.txt": "empty",
        "u__password_protected.xlsx": "encrypted",
        "u__simple.doc": "unsupported",
    }
