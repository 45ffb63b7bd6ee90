"""What is declared, and what people type, as text and options."""

from __future__ import annotations

import pytest

from bot.command import Argument, Choice, Command
from bot.commands import COMMANDS, find, wrong

LENGTH = Argument(
    "length",
    "choice",
    ("length", "篇幅"),
    ("How long", "多长"),
    choices=(Choice("short", ("short", "短")), Choice("long", ("long", "长"))),
)
READ = Command(
    "read",
    ("Read", "阅读"),
    ("Read documents", "阅读文档"),
    (
        Argument("document", "documents", ("document", "文档"), ("A name", "名称"), required=True),
        Argument("link", "link", ("link", "链接"), ("An address", "网址")),
        Argument("file", "file", ("file", "文件"), ("A file", "文件")),
        Argument("fields", "text", ("fields", "字段"), ("What to look for", "要找的内容")),
        Argument("rows", "number", ("rows", "行数"), ("How many", "多少")),
        LENGTH,
    ),
)


def test_no_two_commands_are_called_the_same() -> None:
    names = [
        name.casefold()
        for command in COMMANDS
        for name in {command.name, *command.aliases, *map(str.casefold, command.label)}
    ]
    assert len(names) == len(set(names))
    assert all(find(name.upper()) is find(name) is not None for name in names)
    assert find("dance") is None


@pytest.mark.parametrize(
    ("line", "text", "options"),
    [
        ("handbook.pdf", "handbook.pdf", {}),
        ("  my handbook.pdf length=short", "my handbook.pdf", {"length": "short"}),
        ("length=long my handbook.pdf", "my handbook.pdf", {"length": "long"}),
        ("手册.pdf 篇幅=短", "手册.pdf", {"length": "short"}),
        ("手册.pdf 篇幅＝长", "手册.pdf", {"length": "long"}),
        (
            'a.pdf fields="name, due date" rows=12',
            "a.pdf",
            {"fields": "name, due date", "rows": 12},
        ),
        ("a.pdf fields=“姓名，日期”", "a.pdf", {"fields": "姓名，日期"}),
        ("https://x.org/?length=3", "https://x.org/?length=3", {}),
        ("a=b colour=red", "a=b colour=red", {}),
        ("link=https://x.org", "https://x.org", {}),
        ("a.pdf length=sideways", "a.pdf", {"length": "sideways"}),
        ("", "", {}),
    ],
)
def test_a_typed_line_is_text_and_options(line: str, text: str, options: dict[str, object]) -> None:
    assert READ.typed(line) == (text, options)


def test_what_was_filled_in_is_text_and_options() -> None:
    filled = {"document": ["a.md", "b.md"], "length": "长", "rows": None, "file": "x", "fields": ""}
    assert READ.filled(filled) == ("a.md\nb.md", {"length": "long"})
    assert READ.filled({"link": "https://x.org"}) == ("https://x.org", {})


def test_a_default_stands_for_what_is_not_given() -> None:
    since = Argument("since", "since", ("since", "从"), ("From when", "从何时"), default="1d")
    first = Argument("topic", "text", ("topic", "话题"), ("About what", "关于什么"))
    command = Command("missed", ("Missed", "错过"), ("What I missed", "错过了什么"), (first, since))
    assert command.typed("") == ("", {"since": "1d"})
    assert command.typed("since=2h") == ("", {"since": "2h"})


def test_an_option_that_cannot_be_meant_is_found() -> None:
    assert wrong("summarise", {"length": "short"}) is None
    assert wrong("summarise", {"colour": "red"}) is None
    found = wrong("summarise", {"length": "sideways"})
    assert found is not None
    assert (found[0].name, found[1]) == ("length", "sideways")


def test_its_usage_names_what_it_takes_in_words() -> None:
    assert READ.usage("en") == "read DOCUMENT [fields=…] [rows=…] [length=…]"
    assert READ.usage("zh").startswith("read 文档")
