"""Showing the page of a citation: to those who see the document, and to nobody else."""

from __future__ import annotations

import pytest

from tests.bot.fakes import request
from tests.bot.handlers.conftest import Ask, Send
from tests.e2e.bot import ROOT

CHANNEL = "discord:1:2"
HERE = frozenset({"public", CHANNEL})
HANDBOOK = (ROOT / "knowledge" / "team-handbook.pdf").read_bytes()


@pytest.mark.parametrize("parser", [None])
async def test_a_page_is_shown_to_those_who_see_the_document(ask: Ask, send: Send) -> None:
    attached = (send("handbook.pdf", HANDBOOK),)
    await ask(request("", "upload", scope=CHANNEL, attachments=attached))
    place = {"start": 0, "end": 20}
    _, shown = await ask(request("handbook.pdf", "picture", audience=HERE, options=place))
    assert shown.outcome == "answer"
    [picture] = shown.files
    assert picture.content[8:12] == b"WEBP"

    _, forbidden = await ask(request("handbook.pdf", "picture", options=place))
    _, opened = await ask(request("handbook.pdf", "open", options=place))
    assert (forbidden.outcome, forbidden.text) == ("error", opened.text)

    nowhere = {"start": 10**6, "end": 10**6 + 1}
    _, gone = await ask(request("handbook.pdf", "picture", audience=HERE, options=nowhere))
    assert gone.outcome == "refusal"


async def test_what_has_no_pages_is_said_to_have_none(ask: Ask, send: Send) -> None:
    await ask(request("", "upload", attachments=(send("a.md", "Alpha."),)))
    place = {"start": 0, "end": 5}
    _, reply = await ask(request("a.md", "picture", options=place))
    assert reply.outcome == "refusal"
    assert "a.md" in reply.text
