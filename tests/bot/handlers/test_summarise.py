from __future__ import annotations

import pytest

from bot.messages import ReplyChunk, Status
from tests.bot.fakes import FakeChat, request
from tests.bot.handlers.conftest import Ask, Send

TEXT = "# Laptops\n\nA lost laptop is reported to security within one hour.\n"


async def test_a_file_is_summarised_with_citations_and_not_kept(
    ask: Ask, send: Send, chat: FakeChat
) -> None:
    chat.answer = "A lost laptop is reported within one hour."
    attached = (send("laptops.md", TEXT, shown="../laptops.md"),)
    events, reply = await ask(request("", "summarise", attachments=attached))
    assert reply.outcome == "answer"
    assert [event for event in events if isinstance(event, ReplyChunk)] == list(reply.chunks)
    assert reply.data.keys() == {"text", "citations", "timings_ms"}
    assert reply.data["text"] == reply.text == chat.answer
    (citation,) = reply.data["citations"]
    assert citation.keys() == {"number", "document", "page", "section", "quote", "start", "end"}
    assert citation["document"] == "laptops.md"
    _, left = await ask(request("", "sources"))
    assert left.data == []


async def test_a_known_document_is_summarised_by_name_for_who_may_see_it(
    ask: Ask, send: Send
) -> None:
    scope = "slack:E:T:C"
    await ask(request("", "upload", scope=scope, attachments=(send("laptops.md", TEXT),)))
    here = frozenset({"public", scope})
    _, reply = await ask(request("laptops.md", "summarise", audience=here))
    assert reply.outcome == "answer"
    _, reply = await ask(request("laptops.md", "summarise"))
    assert reply.outcome == "error"
    assert "one hour" not in reply.text


@pytest.mark.parametrize(("language", "expected"), [(None, "zh"), ("en", "en"), ("zh", "zh")])
async def test_it_is_written_in_the_interfaces_language_or_the_documents(
    ask: Ask, send: Send, language: str | None, expected: str
) -> None:
    attached = (send("a.md", "丢失笔记本电脑必须在一小时内报告给安全团队。"),)
    _, reply = await ask(request("", "summarise", language=language, attachments=attached))
    assert reply.language == expected


@pytest.mark.parametrize("parser", [None])
@pytest.mark.parametrize(("name", "content"), [("empty.txt", b""), ("broken.pdf", b"%PDF-1.7 no")])
async def test_a_file_that_cannot_be_read_is_told(
    ask: Ask, send: Send, name: str, content: bytes, parser: None
) -> None:
    _, reply = await ask(request("", "summarise", attachments=(send(name, content),)))
    assert reply.outcome == "error"
    assert reply.text


async def test_without_a_name_or_file_one_is_asked_for(ask: Ask) -> None:
    _, reply = await ask(request("  ", "summarise"))
    assert reply.outcome == "error"


@pytest.mark.parametrize("bot", [{"summary_parts": 4}], indirect=True)
async def test_of_300_pages_so_many_parts_are_read_as_is_told_and_their_pages_cited(
    ask: Ask, send: Send, chat: FakeChat
) -> None:
    pages = [
        f"Berth {n} is dredged in week {n + 7} of the year by crew {n % 9} of the southern harbour "
        f"office, and whoever moors there until then is asked to leave for berth {n + 400}."
        for n in range(1, 301)
    ]
    chat.answer = "Berth 1 is dredged in week 8. Berth 300 is dredged in week 307."
    attached = (send("dredging.txt", "\f".join(pages)),)
    events, reply = await ask(request("", "summarise", attachments=attached))
    assert reply.outcome == "answer"
    assert reply.text.startswith(chat.answer)
    assert [citation.page for citation in reply.citations] == [1, 300]
    progress = [(e.done, e.total) for e in events if isinstance(e, Status) and e.total]
    assert progress == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert "4 of 10 parts" in reply.text
    told = ["\n".join(str(message.content) for message in prompt) for prompt in chat.prompts]
    assert len(told) == 5
    assert max(len(prompt.split()) for prompt in told) < 1200
