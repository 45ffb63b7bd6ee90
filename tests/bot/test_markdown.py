from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.messages import Citation, Reply, ReplyChunk
from bot.render import escape_discord, escape_slack_markdown, render

CITED = Citation(1, "handbook.pdf", 3, "Leave", "Ten days.", 0, 9)


def shown(*chunks: str, limit: int = 2000, tables: bool = True) -> list[str]:
    """Return the messages of an answer whose every chunk is cited, without its sources."""
    said = tuple(ReplyChunk(chunk, (CITED,)) for chunk in chunks)
    reply = Reply("answer", "".join(chunks), "en", said, (CITED,))
    return render(reply, escape_slack_markdown, limit, tables=tables, listed=False)


def test_headings_lists_quotes_and_styles_stay() -> None:
    text = (
        "# Leave\n\n**Ten** days, *not* `eleven`:\n\n- one\n- two\n  - deep\n\n3. third\n\n> said"
    )
    assert shown(text) == [text.removesuffix("said") + "said [1]"]


def test_a_link_is_what_it_says_and_an_image_its_description() -> None:
    [message] = shown("[click](https://evil.example/?q=1) ![a pixel](https://evil.example/p.png)")
    assert message == "click a pixel [1]"


def test_an_address_stays_readable_and_is_no_link() -> None:
    [message] = shown("See https://wiki.example/page or www.wiki.example.")
    assert "://" not in message
    assert message.replace("\u200b", "") == "See https://wiki.example/page or www.wiki.example. [1]"


def test_chinese_emphasis_next_to_punctuation_is_one() -> None:
    [message] = shown("规则：**十天。**之后没有。")
    assert message.replace("\u200b", "") == "规则：**十天。**之后没有。[1]"
    assert "。\u200b**" in message  # without it, CommonMark would show the asterisks


def test_citations_break_neither_a_fence_nor_a_row() -> None:
    chunks = ("```python\nprint(a[1])\n", "b = 2\n```\n", "| a | b |\n|---|---|\n", "| 1 | 2 |\n")
    assert shown(*chunks) == [
        "```python\nprint(a[1])\nb = 2\n```\n[1]\n\n| a | b |\n| --- | --- |\n| 1 | 2 [1] |"
    ]


def test_an_open_fence_is_closed_while_it_is_written() -> None:
    assert shown("```\nhalf") == ["```\nhalf\n```\n[1]"]


def test_a_fence_holds_whatever_is_in_it() -> None:
    [message] = shown("````\n```\n<@U1> @everyone\n````")
    # Three marks in any case: a longer fence would not be one everywhere.
    assert message.startswith("```\n`\u200b`\u200b`\n<\u200b@U1> @\u200beveryone\n```")


def test_long_code_is_closed_and_opened_again() -> None:
    lines = [f"line {n}" for n in range(100)]
    messages = shown("```sql\n" + "\n".join(lines) + "\n```", limit=200)
    code = [m for m in messages if "```" in m]
    assert len(code) > 4
    assert all(m.count("```") == 2 and m.startswith("```sql\n") for m in code)
    assert [line for m in messages for line in re.findall(r"line \d+", m)] == lines
    assert all(len(m) <= 200 for m in messages)


@pytest.mark.parametrize("tables", [True, False])
def test_a_long_table_repeats_its_header_and_cuts_no_row(tables: bool) -> None:
    rows = [f"| row {n} | 值 {n} |" for n in range(60)]
    text = "\n".join(["| Name | 数 |", "|---|---|", *rows])
    messages = shown(text, limit=300, tables=tables)
    tabled = [m for m in messages if "row" in m]
    assert len(tabled) > 3
    assert all("Name" in m and (tables or m.count("```") == 2) for m in tabled)
    assert [n for m in messages for n in re.findall(r"row (\d+) +\| 值 \1\b", m)] == [
        str(n) for n in range(60)
    ]
    assert all(len(m) <= 300 for m in messages)


def test_a_drawn_table_has_columns_of_equal_width() -> None:
    [message] = shown("| a | b |\n|---|---|\n| 中文 | c |", tables=False)
    assert message == "```\na    | b\n-----+------\n中文 | c [1]\n```"


def test_html_is_shown_and_not_read() -> None:
    [message] = shown('<a href="https://evil.example">x</a> <script>1</script>')
    assert "<" not in message
    assert "&lt;script&gt;" in message


PARTS = ["# ", "- ", "> ", "1. ", "```\n", "| a | b |\n", "|---|---|\n", "**", "*", "_", "`", "\\"]
PARTS += [
    "[x](y)",
    "![",
    "](",
    "<@U1>",
    "https://e.example",
    "\n\n",
    "\n",
    "字。",
    "word ",
    "👩‍👩‍👧‍👦",
]


@given(st.lists(st.sampled_from(PARTS), max_size=30), st.integers(40, 90), st.booleans())
def test_any_markdown_is_rendered_within_its_limit_and_inert(
    parts: list[str], limit: int, tables: bool
) -> None:
    text = "".join(parts)
    for escape in (escape_slack_markdown, escape_discord):
        reply = Reply("answer", text, "en", tuple(ReplyChunk(part, (CITED,)) for part in parts))
        messages = render(reply, escape, limit, tables=tables)
        for message in messages:
            assert message.strip()
            assert len(message) <= limit
            assert not re.search(r"<[@#!]|https?://", message)
            outside = re.sub(r"^ *```.*?^ *```|`[^`\n]*`", "", message, flags=re.M | re.S)
            assert not re.search(r"(?<!\\)\]\((?!\\)y", outside)
            fences = re.findall(r"^ *(`{3,})", message, re.M)
            assert fences[::2] == fences[1::2]
