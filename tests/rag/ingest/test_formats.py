"""The formats that came second: books, letters, notebooks, archives, pictures, other offices."""

from __future__ import annotations

import json
from email.message import EmailMessage

import pytest

from rag.errors import DocumentCode, DocumentError
from rag.ingest.loaders import Reading, kind_of, parse
from rag.ingest.parsed import Raster, Segment
from tests.rag.ingest.files import (
    FORMATS,
    make_docx,
    make_epub,
    make_pdf,
    make_picture,
    make_zip,
    make_zip_bomb,
)
from tests.rag.ingest.outlook import container, make_msg


def told(data: bytes, name: str) -> list[tuple[str | None, str]]:
    return [(part.section, part.text) for part in parse(data, name).segments]


def code_of(data: bytes, name: str) -> DocumentCode:
    with pytest.raises(DocumentError) as caught:
        parse(data, name)
    return caught.value.code


@pytest.mark.parametrize("name", ["leave.odt", "leave.rtf"])
def test_other_text_processors_have_sections_lists_and_rows(name: str) -> None:
    assert told((FORMATS / name).read_bytes(), name) == [
        (None, "Before any heading."),
        ("Leave", "Leave"),
        (
            "Leave > Annual leave",
            "Annual leave\n\nEveryone has 25 days.\n\n- Ask a week ahead\n- Tell the team",
        ),
        (
            "Offices",
            "Offices\n\nCity: Berlin; Floor: 3; Phone: 030\nCity: Xiamen; Floor: 12; Phone: 0592",
        ),
    ]


def test_odp_has_slides_tables_and_notes() -> None:
    parsed = parse((FORMATS / "roadmap.odp").read_bytes(), "a.odp")
    assert [(part.page, part.section) for part in parsed.segments] == [
        (1, "Roadmap"),
        (2, "Prices"),
    ]
    assert parsed.segments[0].text.endswith("- First step\n- Second step\n\nSay why.")
    assert parsed.segments[1].text == "Prices\n\nItem: Tea; Price: 3 EUR"


@pytest.mark.parametrize("name", ["budget.xls", "budget.ods"])
def test_other_spreadsheets_have_visible_sheets_and_rows(name: str) -> None:
    parsed = parse((FORMATS / name).read_bytes(), name)
    assert parsed.pages == 3
    assert [(part.page, part.section, part.text) for part in parsed.segments] == [
        (
            1,
            "预算",
            "2026 年预算\n部门: 研发; 金额: 1200; 占比: 0.25\n部门: 市场; 金额: 800.5; 占比: 0.5",
        ),
        (3, "Notes", "just one line"),
    ]


@pytest.mark.parametrize(
    ("data", "what_to_do"),
    [
        ((FORMATS / "leave.doc").read_bytes(), r"save it as \.docx"),
        (container({"PowerPoint Document": bytes(600)}), r"save it as \.pptx"),
    ],
)
def test_old_office_files_are_refused_with_what_to_do(data: bytes, what_to_do: str) -> None:
    with pytest.raises(DocumentError, match=what_to_do) as caught:
        parse(data, "by-its-content.dat")
    assert caught.value.code is DocumentCode.UNSUPPORTED


def test_rtf_in_a_chinese_code_page_is_read() -> None:
    text = "".join(f"\\'{byte:02x}" for byte in "每周一开例会".encode("gbk"))
    data = rf"{{\rtf1\ansi\ansicpg936 {text}\par {{\u21488?\u39118?}}\par}}".encode()
    assert parse(data, "a.rtf").text == "每周一开例会\n\n台风"


def test_book_has_its_chapters_in_the_order_of_the_spine() -> None:
    book = make_epub(["<h1>One</h1><p>First.</p>", "<p>Goes on.</p>", "<h1>二</h1><p>第二章。</p>"])
    assert told(book, "a.epub") == [
        ("One", "One\n\nFirst.\n\nGoes on."),
        ("二", "二\n\n第二章。"),
    ]


def test_letter_has_its_headers_body_and_attachments() -> None:
    letter = EmailMessage()
    letter["From"] = "Ann <ann@example.org>"
    letter["To"] = "bob@example.org"
    letter["Date"] = "Mon, 02 Nov 2026 10:00:00 +0000"
    letter["Subject"] = "团建时间"
    letter.set_content("周五下午三点。", charset="gb18030")
    letter.add_alternative("<p>ignored</p>", subtype="html")
    letter.add_attachment(make_docx(), maintype="application", subtype="x", filename="leave.docx")
    parts = told(letter.as_bytes(), "letter.txt")  # by what it contains
    assert parts[0][0] == "团建时间"
    assert "From: Ann <ann@example.org>" in parts[0][1]
    assert parts[0][1].endswith("Subject: 团建时间\n\n周五下午三点。")
    assert ("leave.docx > Leave", "Leave") in parts


def test_letter_saved_by_outlook_has_its_headers_and_body() -> None:
    data = make_msg("团建时间", "周五下午三点。", "ann@example.org")
    assert kind_of(data, "letter.dat") == "msg"
    ((section, text),) = told(data, "letter.msg")
    assert section == "团建时间"
    assert text.startswith("From: <ann@example.org>")
    assert text.endswith("Subject: 团建时间\n\n周五下午三点。")


def test_letter_of_html_alone_is_read_as_a_page() -> None:
    data = (
        b"From: a@example.org\r\nDate: x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
        b"<p>Hello</p><script>no</script><p>there</p>"
    )
    assert parse(data, "a.eml").text.endswith("Hello\n\nthere")


def test_text_that_begins_like_a_letter_is_none() -> None:
    assert kind_of(b"Subject: shopping\n\nmilk and bread", "list.txt") == "text"


def test_notebook_has_headings_code_and_what_it_printed() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Sales\n", "By *month*."]},
        {
            "cell_type": "code",
            "source": "total = 3\nprint(total)",
            "outputs": [{"output_type": "stream", "text": ["\x1b[31m42\x1b[0m\n"]}],
        },
    ]
    data = json.dumps({"nbformat": 4, "cells": cells}).encode()
    assert told(data, "a.ipynb") == [
        ("Sales", "Sales\n\nBy month.\n\ntotal = 3\nprint(total)\n\n42")
    ]


def test_json_has_rows_lines_and_key_paths() -> None:
    value = {
        "name": "服务",
        "ports": [80, 443],
        "db": {"host": "h1", "pool": {"size": 5}},
        "people": [{"name": "Ann", "floor": 3}, {"name": "李雷", "tags": ["a", "b"]}],
    }
    assert told(json.dumps(value).encode(), "a.json") == [
        (None, "name: 服务\nports: 80, 443"),
        ("db", "db\n\nhost: h1"),
        ("db > pool", "pool\n\nsize: 5"),
        ("people", "people\n\nname: Ann; floor: 3\nname: 李雷; tags: a, b"),
    ]


def test_json_lines_are_rows_and_broken_json_stays_text() -> None:
    assert (
        parse(b'{"q": "a", "n": 1}\n{"q": "b", "n": 2}\n', "a.jsonl").text
        == "q: a; n: 1\nq: b; n: 2"
    )
    assert parse(b'{"q": "a", // why\n "n": 1}', "a.json").text.startswith('{"q": "a", // why')


def test_yaml_is_cut_at_its_top_keys_and_keeps_comments() -> None:
    text = "# the port\nport: 80\nfolders:\n  - path: a\n    scope: public\n"
    assert told(text.encode(), "a.yaml") == [
        ("port", "# the port\nport: 80"),
        ("folders", "folders:\n  - path: a\n    scope: public"),
    ]


def test_source_code_is_cut_at_its_definitions() -> None:
    text = (
        "import os\n\n# says hello\ndef hello():\n    return 1\n\n"
        "class A:\n    def run(self):\n        pass\n"
    )
    assert told(text.encode(), "a.py") == [
        (None, "import os"),
        ("hello", "# says hello\ndef hello():\n    return 1"),
        ("A", "class A:"),
        ("A > run", "def run(self):\n        pass"),
    ]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_pictures_are_handed_on_as_grey_values(kind: str) -> None:
    (part,) = Reading(make_picture("Hello", kind), "a.dat")
    assert isinstance(part, Raster)
    assert len(part.pixels) == part.width * part.height
    assert min(part.pixels) < 60


def test_every_frame_of_a_fax_is_a_page() -> None:
    reading = Reading(make_picture("Hello", "TIFF", frames=3), "fax.tif")
    assert [part.page for part in reading] == [1, 2, 3]
    assert reading.pages == 3


def test_archive_has_its_files_by_name_and_passes_over_what_nobody_reads() -> None:
    inner = make_zip({"深/说明.txt": "里面的文字".encode()})
    archive = make_zip(
        {
            "docs/a.md": b"# Rules\n\nBe kind.",
            "b.pdf": make_pdf([["one"], ["two"]]),
            "program.exe": b"MZ\0\0",
            "__MACOSX/a.md": b"no",
            "inner.zip": inner,
        }
    )
    parsed = parse(archive, "a.zip")
    assert [(part.section, part.page, part.text) for part in parsed.segments] == [
        ("docs/a.md > Rules", None, "Rules\n\nBe kind."),
        ("b.pdf", 1, "one"),
        ("b.pdf", 2, "two"),
        ("inner.zip > 深/说明.txt", None, "里面的文字"),
    ]


def test_archive_with_nothing_to_read_says_why() -> None:
    assert code_of(make_zip({"a.exe": b"MZ\0"}), "a.zip") is DocumentCode.UNSUPPORTED
    assert code_of(make_zip({}), "a.zip") is DocumentCode.EMPTY
    assert code_of(make_zip({"a.docx": make_docx()[:900]}), "a.zip") is DocumentCode.CORRUPT


def test_archives_in_archives_share_one_limit() -> None:
    bomb = make_zip_bomb(30 * 1024 * 1024)
    assert (
        code_of(make_zip({"a.zip": make_zip({"b.docx": bomb})}), "a.zip") is DocumentCode.TOO_LARGE
    )
    files = {f"{number}.txt": b"x" for number in range(600)}
    inner = make_zip(files)
    assert code_of(make_zip({"a.zip": inner, "b.zip": inner}), "a.zip") is DocumentCode.TOO_LARGE


def test_archives_nest_only_so_deep() -> None:
    data = make_zip({"deep.txt": b"words"})
    for _ in range(4):
        data = make_zip({"a.zip": data, "top.txt": b"top"})
    texts = [part.text for part in Reading(data, "a.zip") if isinstance(part, Segment)]
    assert set(texts) == {"top"}


def test_unknown_names_are_read_if_they_hold_text() -> None:
    assert parse(b"<note>hello</note>", "a.xml").text == "<note>hello</note>"
    assert parse("x = 1  # 说明".encode("gbk"), "a.unknown").text == "x = 1 # 说明"
