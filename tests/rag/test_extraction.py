"""Values out of texts: what fits the schema, what the text has, and where."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import pytest

from rag.author import AnswerLimits, Author
from rag.extraction import (
    Extracted,
    Extraction,
    Finder,
    NotExtracted,
    SchemaUnusable,
    merged,
    schema_of,
)
from rag.pipeline import Progress
from rag.priority import Priority
from rag.records import Passage
from rag.summaries import Text
from tests.fakes import HashEmbeddings
from tests.rag.passages import passage
from tests.rag.scripted import CountlessRecords, ScriptedChat, said

ORDER = "Order 4711 of Paper Heron Ltd. The sum is EUR 1,240.50, due on 5 March 2026."
FIELDS = schema_of("customer, sum, due")


class Desk:
    """An extraction with its scripted model at hand."""

    def __init__(self, *scripts: Sequence[Any], **limits: Any) -> None:
        self.chat = ScriptedChat(scripts=[list(script) for script in scripts])
        author = Author(
            CountlessRecords(),
            HashEmbeddings(),
            self.chat,
            context_window=lambda: 4000,
            limits=AnswerLimits(**limits),
        )
        self.extraction = Extraction(author, Priority())

    async def extracted(
        self, passages: Sequence[Passage], schema: dict[str, Any]
    ) -> tuple[list[Progress], Extracted]:
        async with aclosing(self.extraction.stream(Text("a.txt", passages), schema)) as events:
            *progress, last = [event async for event in events]
        assert isinstance(last, Extracted)
        return [event for event in progress if isinstance(event, Progress)], last


def filled(**values: Any) -> list[str]:
    return [json.dumps({"customer": None, "sum": None, "due": None} | values)]


async def test_each_value_comes_with_the_sentence_that_has_it() -> None:
    desk = Desk(filled(customer="Paper Heron Ltd", due="5 March 2026"))
    _, found = await desk.extracted([passage(ORDER)], FIELDS)
    assert found.result == {"customer": "Paper Heron Ltd", "sum": None, "due": "5 March 2026"}
    quoted = {v.path: v.citation.quote for v in found.values if v.citation is not None}
    assert "Paper Heron Ltd" in quoted[("customer",)]
    assert "5 March 2026" in quoted[("due",)]
    assert ("sum",) not in quoted
    (options,) = desk.chat.options
    assert options["json_schema"] == FIELDS


async def test_a_value_that_the_text_does_not_have_has_no_passage() -> None:
    _, found = await Desk(filled(customer="Blue Stork Ltd")).extracted([passage(ORDER)], FIELDS)
    values = {value.path: value for value in found.values}
    assert values[("customer",)].value == "Blue Stork Ltd"
    assert values[("customer",)].citation is None


async def test_what_does_not_fit_is_asked_for_once_more_with_the_reason() -> None:
    desk = Desk(["Of course: it is Paper Heron."], ['{"customer": 4}'], filled(customer="4711"))
    _, found = await desk.extracted([passage(ORDER)], FIELDS)
    assert found.result["customer"] == "4711"
    assert len(desk.chat.asked) == 3
    assert "no JSON" in said(desk.chat.asked[1])
    assert "{schema" not in said(desk.chat.asked[2])
    with pytest.raises(NotExtracted):
        await Desk(["no"], ["no"], ["no"]).extracted([passage(ORDER)], FIELDS)


async def test_of_a_long_text_the_parts_are_put_together() -> None:
    parts = filled(customer="Nobody"), filled(customer="Paper Heron Ltd", sum="EUR 9")
    desk = Desk(*parts, part_tokens=16, most_parts=2)
    passages = [passage("Dear all, this is a letter.", ordinal=0), passage(ORDER, start=50)]
    progress, found = await desk.extracted(passages, FIELDS)
    assert progress == [Progress(1, 2), Progress(2, 2)]
    assert found.result == {"customer": "Paper Heron Ltd", "sum": "EUR 9", "due": None}
    assert (found.read, found.of) == (2, 2)


@pytest.mark.parametrize(
    ("text", "value", "has"),
    [
        ("The sum is 1,240.50 euros", 1240.5, True),
        ("The sum is 1.240,50 Euro", 1240.5, True),
        ("Room 12 seats 1 240", 1240, True),
        ("Room 12", 1, False),
        ("a PAPER\n heron", "Paper Heron", True),
        ("paperheron", "paper", False),
        ("会议室白鹭有16个座位", "白鹭", True),
        ("会议室白鹭有16个座位", 16, True),
        ("Yes, it is", True, False),
        ("anything", "", False),
    ],
)
def test_a_value_is_found_as_people_write_it(text: str, value: Any, has: bool) -> None:
    assert Finder([passage(text)]).has(value) is has


@pytest.mark.parametrize("wanted", ["name, due date", "姓名，截止日期", "name;due\n", "a、b"])
def test_fields_are_names_with_something_between_them(wanted: str) -> None:
    schema = schema_of(wanted)
    assert len(schema["properties"]) == len(schema["required"]) == 2


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        " , ",
        "{not json",
        '{"type": "object", "properties": {"a": {"$ref": "https://example.org"}}}',
        '{"type": "string", "pattern": "(a+)+$"}',
        '{"type": "no such type"}',
        '{"properties": {}}',
        '{"type": "object", "properties": ["a"]}',
        pytest.param('{"type": "string", "enum": ' + "[" * 100_000, id="endless"),
        pytest.param('{"type": "string", "title": ' + "[" * 900 + "]" * 900 + "}", id="deep"),
        pytest.param('{"type": "number", "maximum": ' + "9" * 5_000 + "}", id="huge"),
        ",".join(f"f{n}" for n in range(61)),
    ],
)
def test_what_is_no_plain_schema_is_refused(wanted: str) -> None:
    with pytest.raises(SchemaUnusable):
        schema_of(wanted)


def test_lists_are_joined_and_of_two_values_the_one_counts_that_the_text_has() -> None:
    has = {"right", 2}.__contains__
    assert merged({"a": "wrong", "b": [1]}, {"a": "right", "b": [1, 2]}, has) == {
        "a": "right",
        "b": [1, 2],
    }
    assert merged({"a": "right"}, {"a": "wrong", "c": 1}, has) == {"a": "right", "c": 1}
    assert merged(None, [1], has) == [1]
