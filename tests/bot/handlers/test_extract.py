"""Extraction through the handlers: words with passages, tables as files, what can't be read."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tests.bot.fakes import FakeChat, request
from tests.bot.handlers.conftest import Ask, Send

ORDER = "# Orders\n\nOrder 4711 of Paper Heron Ltd is due on 5 March 2026.\n"
FOUND = json.dumps({"customer": "Paper Heron Ltd", "due": "2026-03-05"})
FIELDS = {"fields": "customer, due"}


async def test_values_are_told_with_their_passages_and_what_the_text_has_not_is_marked(
    ask: Ask, send: Send, chat: FakeChat
) -> None:
    chat.answer = FOUND
    files = (send("order.md", ORDER),)
    _, reply = await ask(request("", "extract", attachments=files, options=FIELDS))
    assert reply.outcome == "answer", reply.text
    (citation,) = reply.citations
    assert "Paper Heron Ltd" in citation.quote
    (line,) = [chunk for chunk in reply.chunks if chunk.citations]
    assert "Paper Heron Ltd" in line.text
    assert "2026-03-05 (not in the text word for word)" in reply.text
    (document,) = reply.data["documents"]
    assert document["result"]["customer"] == "Paper Heron Ltd"
    assert reply.files == ()


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
async def test_several_files_become_one_table_and_one_that_cannot_be_read_is_named(
    ask: Ask, send: Send, chat: FakeChat, kind: str
) -> None:
    chat.answer = FOUND
    files = (send("a.md", ORDER), send("b.md", "!encrypted"), send("c.md", ORDER))
    options = {**FIELDS, "format": kind}
    _, reply = await ask(request("", "extract", attachments=files, options=options))
    assert reply.outcome == "answer", reply.text
    (file,) = reply.files
    assert file.name.endswith(kind)
    assert "b.md" in reply.text
    assert "password" in reply.text
    if kind == "csv":
        rows = list(csv.reader(io.StringIO(file.content.decode("utf-8-sig"))))
        assert rows[0] == ["document", "customer", "due", "not in the text"]
        assert sorted(row[0] for row in rows[1:]) == ["a.md", "b.md", "c.md"]
        assert rows[-1][1:] == ["Paper Heron Ltd", "2026-03-05", "due"]


async def test_a_schema_with_a_list_becomes_a_row_an_item(
    ask: Ask, send: Send, chat: FakeChat
) -> None:
    item = {"type": "object", "properties": {"who": {"type": "string"}}, "required": ["who"]}
    schema = json.dumps({"type": "array", "items": item})
    chat.answer = 'Here it is: [{"who": "Paper Heron"}, {"who": "Ltd"}]'
    files = (send("order.md", ORDER),)
    asked = request("", "extract", attachments=files, options={"fields": schema})
    _, reply = await ask(asked)
    (file,) = reply.files
    rows = list(csv.reader(io.StringIO(file.content.decode("utf-8-sig"))))
    assert [row[1] for row in rows] == ["who", "Paper Heron", "Ltd"]


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_without_fields_or_where_nothing_fits_it_says_so(
    ask: Ask, send: Send, chat: FakeChat, language: str
) -> None:
    files = (send("order.md", ORDER),)
    _, reply = await ask(request("", "extract", language=language, attachments=files))
    assert reply.outcome == "error"
    assert "fields=" in reply.text
    chat.answer = "I'd rather not."
    asked = request("", "extract", language=language, attachments=files, options=FIELDS)
    _, reply = await ask(asked)
    assert reply.outcome == "error"
    assert reply.language == language
