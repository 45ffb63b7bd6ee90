"""Thumbs down, as cases of the regression file."""

from __future__ import annotations

from dataclasses import replace

from bot.app import App
from bot.messages import Request
from rag.evaluate import Question, read_questions
from tests.bot.fakes import FakeChat, request
from tests.bot.handlers.conftest import Ask, Send

CHANNEL = "slack:-:T1:C1"
INSIDE = frozenset({"public", CHANNEL})


async def complained(ask: Ask, send: Send, chat: FakeChat, correction: str = "") -> Request:
    """Have somebody ask, and mark the answer as bad; return the question."""
    chat.answer = "The canary sings at noon."
    for name, scope in (("birds.md", "public"), ("secret.md", CHANNEL)):
        file = send(name, f"The canary of {name} sings at noon.")
        await ask(request("", "upload", scope=scope, attachments=(file,)))
    asked = request("When does the canary sing?", user="asker", audience=INSIDE)
    await ask(asked)
    down = rating(asked, correction, user="rater", is_admin=False, audience=INSIDE)
    _, reply = await ask(down)
    assert (reply.outcome, reply.data) == ("answer", None)
    return asked


def rating(asked: Request, correction: str = "", thumb: str = "down", **more: object) -> Request:
    return request(correction, "rate", options={"reply": asked.id, "thumb": thumb}, **more)


def case(asked: Request, document: str = "", **more: object) -> Request:
    return request(document, "case", options={"reply": asked.id}, **more)


def cases(bot: App) -> list[Question]:
    return read_questions(bot.settings.data / "regression.jsonl")


async def test_a_thumbs_down_becomes_a_question_that_eval_reads(
    bot: App, ask: Ask, send: Send, chat: FakeChat
) -> None:
    asked = await complained(ask, send, chat, "At dawn.")
    for document in ("", "birds.md"):  # once more, and with the right document
        _, reply = await ask(case(asked, document))
        assert reply.outcome == "answer"
        assert document in reply.text
        [question] = cases(bot)
        assert question.question == asked.text
        assert question.answers == ("At dawn.",)
        assert (question.document, question.answerable) == (document, True)


async def test_only_admins_make_cases(bot: App, ask: Ask, send: Send, chat: FakeChat) -> None:
    asked = await complained(ask, send, chat)
    _, reply = await ask(case(asked, is_admin=False))
    assert reply.outcome == "error"
    assert not (bot.settings.data / "regression.jsonl").exists()


async def test_what_nobody_complained_about_is_no_case(
    bot: App, ask: Ask, send: Send, chat: FakeChat
) -> None:
    asked = await complained(ask, send, chat)
    await ask(rating(asked, thumb="up", user="rater"))
    for other in (asked, replace(asked, id="unknown")):
        _, reply = await ask(case(other))
        assert reply.outcome == "error"


async def test_an_admin_is_offered_the_documents_that_may_be_seen_there(
    ask: Ask, send: Send, chat: FakeChat
) -> None:
    asked = await complained(ask, send, chat)
    _, here = await ask(rating(asked, audience=INSIDE))
    _, elsewhere = await ask(rating(asked))
    _, content = await ask(rating(asked, thumb="up", audience=INSIDE))
    assert here.data == {"reply": asked.id, "documents": ["birds.md", "secret.md"]}
    assert elsewhere.data == {"reply": asked.id, "documents": ["birds.md"]}
    assert content.data is None
    _, forbidden = await ask(case(asked, "secret.md"))
    assert forbidden.outcome == "error"


async def test_what_is_forgotten_is_no_case_any_more(
    bot: App, ask: Ask, send: Send, chat: FakeChat
) -> None:
    file = bot.settings.data / "regression.jsonl"
    by_hand = '{"id": "mine", "question": "Why?", "answers": [], "answerable": true}\n# a note\n'
    file.write_text(by_hand)
    for forget in (
        request("birds.md", "forget"),
        request("", "forget", options={"user": "cli:asker"}),
        request("", "forget", options={"user": "cli:rater"}),
    ):
        asked = await complained(ask, send, chat)
        await ask(case(asked))
        assert "canary" in file.read_text()
        await ask(forget)
        assert file.read_text() == by_hand
