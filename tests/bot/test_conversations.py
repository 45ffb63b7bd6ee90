from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.conversations import Conversations, Said
from bot.feedback import Feedback
from bot.handlers.rate import Rate
from bot.messages import Citation, Request
from bot.migrations import upgrade
from bot.writer import Writer
from rag.records import Records
from rag.schema import open_engine, reading
from tests.bot.fakes import collect, request


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    engine = open_engine(f"sqlite:///{tmp_path / 'teamglm.db'}")
    upgrade(engine)
    writer = Writer(engine, reading(engine))
    yield writer
    writer.close()
    engine.dispose()


@pytest.fixture
def records(writer: Writer) -> Records:
    return Records(writer._engine)


def said(question: str, *documents: str) -> Said:
    passages = tuple(
        Citation(number, name, None, None, "words", 0, 5) for number, name in enumerate(documents)
    )
    return Said(question, f"{question}!", "answer", "m", passages)


async def questions(conversations: Conversations, of: Request, count: int = 3) -> list[str]:
    return [turn.question for turn in await conversations.earlier(of, count)]


async def test_the_newest_turns_of_a_conversation_come_back_in_order(writer: Writer) -> None:
    conversations = Conversations(writer)
    for number in range(4):
        await conversations.remember(request(), said(f"{number}"))
    await conversations.remember(request(conversation="other"), said("elsewhere"))
    await conversations.remember(request(), replace(said("refused"), outcome="refusal"))
    assert await questions(conversations, request()) == ["1", "2", "3"]


async def test_the_store_outlives_the_process(writer: Writer) -> None:
    await Conversations(writer).remember(request(), said("before", "a.md"))
    [turn] = await Conversations(writer).earlier(request(), 3)
    assert turn == replace(said("before", "a.md"), documents=frozenset({"a.md"}))


async def test_an_answer_that_is_made_again_replaces_the_first(writer: Writer) -> None:
    conversations = Conversations(writer)
    asked = request()
    await conversations.remember(asked, said("first"))
    await conversations.remember(asked, said("second"))
    assert await questions(conversations, asked) == []
    assert await questions(conversations, request()) == ["second"]


async def test_who_may_see_less_hears_nothing_of_what_was_said(writer: Writer) -> None:
    conversations = Conversations(writer)
    inside = request(audience=frozenset({"public", "slack:-:T:C"}))
    await conversations.remember(inside, said("inside"))
    assert await questions(conversations, request()) == []
    assert await questions(conversations, replace(inside, id="2")) == ["inside"]


async def test_a_forgotten_document_takes_along_what_was_said_from_it(writer: Writer) -> None:
    conversations, feedback = Conversations(writer), Feedback(writer)
    first, second, third = request(), request(), request()
    await conversations.remember(first, said("first", "a.md"))
    follows = await conversations.earlier(second, 1)
    await conversations.remember(second, said("second", "b.md"), follows)
    await conversations.remember(third, said("third", "b.md"))
    for asked in (first, third):
        turn = await conversations.said(asked.platform, asked.id)
        assert turn is not None
        await feedback.add(asked, asked.id, turn, 1, None)
    for kept in (conversations, feedback):
        await kept.forget_document("a.md")
    assert await questions(conversations, request()) == ["third"]
    assert [rating.said.question for rating in await feedback.ratings()] == ["third"]


async def test_a_forgotten_person_takes_along_what_they_said(writer: Writer) -> None:
    conversations, feedback = Conversations(writer), Feedback(writer)
    await conversations.remember(request(), said("theirs"))
    await conversations.remember(request(user="other"), said("others"))
    await feedback.add(request(), "r", said("theirs"), -1, None)
    for kept in (conversations, feedback):
        await kept.forget_person("cli:someone")
    assert await questions(conversations, request()) == ["others"]
    assert await feedback.ratings() == []


async def test_what_is_old_is_not_used_and_is_deleted(writer: Writer) -> None:
    now = 1000.0
    conversations = Conversations(writer, keep_seconds=100, clock=lambda: now)
    asked = request()
    await conversations.remember(asked, said("old"))
    now = 1101.0
    assert await questions(conversations, request()) == []
    assert await conversations.said("cli", asked.id) is not None
    await conversations.prune()
    assert await conversations.said("cli", asked.id) is None


def rated(of: Request, text: str = "", **options: Any) -> Request:
    return request(text, "rate", options={"reply": of.id, **options})


async def test_a_rating_keeps_all_that_it_is_about(writer: Writer, records: Records) -> None:
    conversations, feedback = Conversations(writer), Feedback(writer, clock=lambda: 5.0)
    handler = Rate(conversations, feedback, records)
    asked = request("Why?")
    await conversations.remember(asked, said("Why?", "a.md"))
    for order in (rated(asked, thumb="down"), rated(asked, "It is ten.")):
        _, reply = await collect(handler.handle(order, "en"))
        assert reply.outcome == "answer"
    [rating] = await feedback.ratings()
    assert (rating.request, rating.user, rating.thumb) == (asked.id, "someone", -1)
    assert rating.correction == "It is ten."
    assert rating.said == await conversations.said("cli", asked.id)
    assert rating.rated_at == 5.0
    await collect(handler.handle(rated(asked, thumb="up"), "en"))
    [rating] = await feedback.ratings()
    assert (rating.thumb, rating.correction) == (1, "It is ten.")


async def test_what_is_not_known_or_says_nothing_is_not_a_rating(
    writer: Writer, records: Records
) -> None:
    conversations, feedback = Conversations(writer), Feedback(writer)
    handler = Rate(conversations, feedback, records)
    asked = request("Why?")
    _, reply = await collect(handler.handle(rated(asked, thumb="up"), "en"))
    assert reply.outcome == "error"
    await conversations.remember(asked, said("Why?"))
    _, reply = await collect(handler.handle(rated(asked, thumb="sideways"), "en"))
    assert reply.outcome == "error"
    assert await feedback.ratings() == []
