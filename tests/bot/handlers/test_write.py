"""Writing through the handlers: templates, facts, rewriting and translating."""

from __future__ import annotations

import pytest

from tests.bot.fakes import FakeChat, request
from tests.bot.handlers.conftest import Ask, Send

RULE = "# Laptops\n\nA lost laptop is reported to security within one hour.\n"
LETTER = "Dear all,\nA lost laptop is reported to security within one hour.\nBest wishes"


def prompt(chat: FakeChat) -> str:
    return "\n".join(str(message.content) for message in chat.prompts[-1])


async def test_a_letter_rests_on_the_documents_where_that_is_asked_for(
    ask: Ask, send: Send, chat: FakeChat
) -> None:
    await ask(request("", "upload", attachments=(send("laptops.md", RULE),)))
    chat.answer = LETTER
    options = {"template": "email", "facts": "documents"}
    _, reply = await ask(request("lost laptops", "write", options=options))
    assert reply.outcome == "answer"
    assert "within one hour" in prompt(chat)
    assert "Subject:" in prompt(chat)
    cited = {chunk.text.strip(): bool(chunk.citations) for chunk in reply.chunks}
    assert cited == {
        "Dear all,": False,
        "A lost laptop is reported to security within one hour.": True,
        "Best wishes": False,
    }
    assert reply.text == LETTER


async def test_without_facts_nothing_is_read_or_cited(ask: Ask, send: Send, chat: FakeChat) -> None:
    await ask(request("", "upload", attachments=(send("laptops.md", RULE),)))
    chat.answer = LETTER
    _, reply = await ask(request("lost laptops", "write"))
    assert "within one hour" not in prompt(chat)
    assert reply.citations == ()


async def test_where_the_documents_say_nothing_nothing_is_written(ask: Ask, chat: FakeChat) -> None:
    before = len(chat.prompts)
    _, reply = await ask(request("lost laptops", "write", options={"facts": "documents"}))
    assert reply.outcome == "refusal"
    assert len(chat.prompts) == before


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_template_that_is_not_there_is_told_with_those_that_are(
    ask: Ask, language: str
) -> None:
    options = {"template": "sonnet"}
    _, reply = await ask(request("x", "write", language=language, options=options))
    assert reply.outcome == "error"
    assert "announcement" in reply.text


@pytest.mark.parametrize(
    ("command", "options", "expected"),
    [
        ("translate", {}, "中文"),
        ("translate", {"language": "en"}, "into English"),
        ("rewrite", {"how": "as a poem"}, "as a poem"),
    ],
)
async def test_a_text_itself_is_written_anew_as_asked(
    ask: Ask, chat: FakeChat, command: str, options: dict[str, str], expected: str
) -> None:
    chat.answer = "One thing.\nAnother thing."
    _, reply = await ask(request("The laptop is lost.", command, options=options))
    assert reply.text == chat.answer
    assert reply.citations == ()
    assert "The laptop is lost." in prompt(chat)
    assert expected in prompt(chat)


async def test_a_document_is_translated_passage_by_passage_with_its_pages(
    ask: Ask, send: Send, chat: FakeChat
) -> None:
    chat.answer = "译文。"
    file = send("laptops.md", "# A\n\nOne thing is said here.\n\f# B\n\nAnother thing is said.\n")
    _, reply = await ask(request("", "translate", attachments=(file,)))
    assert reply.outcome == "answer"
    assert {citation.page for citation in reply.citations} == {1, 2}
    assert reply.text.count("译文。") == len(reply.citations)
