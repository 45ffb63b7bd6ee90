"""What somebody was answered, brought back to be shared."""

from __future__ import annotations

from dataclasses import replace

from bot.app import App
from bot.messages import Request
from tests.bot.fakes import FakeChat, request
from tests.bot.handlers.conftest import Ask, Send

CHANNEL = "slack:-:T1:C1"
INSIDE = frozenset({"public", CHANNEL})


async def answered(ask: Ask, send: Send, chat: FakeChat) -> Request:
    """Have a question answered from a channel's document."""
    chat.answer = "The canary sings at noon."
    file = send("birds.md", "The canary sings at noon.")
    await ask(request("", "upload", scope=CHANNEL, attachments=(file,)))
    asked = request("When does the canary sing?", audience=INSIDE)
    await ask(asked)
    return asked


def recall(asked: Request, **more: object) -> Request:
    return request("", "recall", **{"options": {"reply": asked.id}, "audience": INSIDE, **more})


async def test_an_answer_comes_back_as_it_was(ask: Ask, send: Send, chat: FakeChat) -> None:
    chat.answer = "The canary sings at noon."
    await ask(request("", "upload", attachments=(send("birds.md", chat.answer),)))
    asked = request("When does the canary sing?")
    _, first = await ask(asked)
    _, again = await ask(recall(asked))
    assert first.citations
    assert again == replace(first, data={"command": "ask", "question": asked.text})


async def test_it_comes_back_to_who_asked_alone_where_all_of_it_may_be_seen(
    ask: Ask, send: Send, chat: FakeChat
) -> None:
    asked = await answered(ask, send, chat)
    for other in (
        recall(asked, user="other"),
        recall(asked, audience=frozenset({"public"})),
        recall(replace(asked, id="unknown")),
    ):
        _, reply = await ask(other)
        assert reply.outcome == "error"
        assert "noon" not in reply.text


async def test_what_is_forgotten_does_not_come_back(ask: Ask, send: Send, chat: FakeChat) -> None:
    for forget in (
        request("birds.md", "forget", audience=INSIDE),
        request("", "forget", options={"user": "cli:someone"}),
    ):
        asked = await answered(ask, send, chat)
        assert (await ask(recall(asked)))[1].outcome == "answer"
        await ask(forget)
        assert (await ask(recall(asked)))[1].outcome == "error"


async def test_a_summary_is_rated_with_its_document_and_comes_back(
    bot: App, ask: Ask, send: Send, chat: FakeChat
) -> None:
    chat.answer = "The canary sings at noon."
    file = send("birds.md", "The canary sings at noon.")
    await ask(request("", "upload", attachments=(file,)))
    for asked, known in (
        (request("birds.md", "summarise"), {"birds.md"}),
        (request("", "summarise", attachments=(replace(file, name="other.md"),)), set()),
    ):
        _, summary = await ask(asked)
        down = request("", "rate", options={"reply": asked.id, "thumb": "down"})
        _, thanks = await ask(down)
        assert (thanks.outcome, thanks.data) == ("answer", None)  # a question makes a case
        rating = (await bot.feedback.ratings())[-1]
        assert (rating.request, rating.thumb, rating.said.command) == (asked.id, -1, "summarise")
        assert rating.said.question == (asked.text or "other.md")
        assert (rating.said.answer, rating.said.model) == (summary.text, summary.model)
        assert rating.said.documents == known
        _, again = await ask(recall(asked, audience=asked.audience))
        assert again.text == summary.text


async def test_a_summary_is_no_earlier_turn_of_a_question(
    bot: App, ask: Ask, send: Send, chat: FakeChat
) -> None:
    await ask(request("", "upload", attachments=(send("birds.md", "The canary sings."),)))
    await ask(request("birds.md", "summarise"))
    assert await bot.conversations.earlier(request("And the owl?"), 3) == []
