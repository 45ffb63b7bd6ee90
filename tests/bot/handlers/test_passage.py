"""Opening a citation: the passage, its place, and who may see it still."""

from __future__ import annotations

from tests.bot.fakes import request
from tests.bot.handlers.conftest import Ask, Send

CHANNEL = "discord:1:2"
HERE = frozenset({"public", CHANNEL})
TEXT = "# Leave\nEveryone has 25 days.\nAsk your lead first."


async def taught(ask: Ask, send: Send) -> None:
    attached = (send("handbook.md", TEXT),)
    await ask(request("", "upload", scope=CHANNEL, attachments=attached))


async def test_a_citation_opens_the_passage_that_it_stands_in(ask: Ask, send: Send) -> None:
    await taught(ask, send)
    _, listed = await ask(request("days", "search", audience=HERE))
    hit = next(row for row in listed.data if "25 days" in row["text"])
    place = {"start": hit["start"] + 2, "end": hit["end"] - 2}
    _, reply = await ask(request("handbook.md", "open", audience=HERE, options=place))
    assert reply.outcome == "answer"
    assert reply.data["text"] == hit["text"]
    assert "handbook.md" in reply.text
    assert "25 days" in reply.text
    assert "Leave" in reply.text


async def test_who_may_not_see_the_document_is_told_that_there_is_none(
    ask: Ask, send: Send
) -> None:
    await taught(ask, send)
    place = {"start": 0, "end": 5}
    _, forbidden = await ask(request("handbook.md", "open", options=place))
    _, unknown = await ask(request("handbook.md", "open", audience=frozenset(), options=place))
    assert forbidden.outcome == "error"
    assert forbidden.text == unknown.text
    assert "25 days" not in forbidden.text


async def test_a_passage_that_is_no_longer_there_is_not_guessed(ask: Ask, send: Send) -> None:
    await taught(ask, send)
    place = {"start": 10_000, "end": 10_010}
    _, reply = await ask(request("handbook.md", "open", audience=HERE, options=place))
    assert reply.outcome == "refusal"
    assert "25 days" not in reply.text
