"""The page's words and what it shows, without a browser."""

from __future__ import annotations

import string

import pytest

from bot.adapters.web import to_request
from bot.adapters.web.exchanges import conversation
from bot.adapters.web.session import Exchange, Session
from bot.adapters.web.text import TEXT, count, size
from bot.adapters.web.view import (
    Receipts,
    State,
    Work,
    documents,
    state,
    uploader,
)
from bot.messages import Reply, ReplyChunk, Sources
from tests.fakes_web import HOSTILE, LEAVE, REMOTE, ScriptedHandle, document


def fields(sentence: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence)} - {None}


def test_both_languages_say_the_same_things() -> None:
    assert TEXT["en"].keys() == TEXT["zh"].keys()
    for key, english in TEXT["en"].items():
        assert fields(english) == fields(TEXT["zh"][key]), key


def test_numbers_are_told_in_words() -> None:
    assert count("en", "page", 1) == "1 page"
    assert count("en", "passage", 2) == "2 passages"
    assert count("zh", "document", 3) == "3 份文档"
    assert size(50 << 20) == "50 MB"
    assert size(100 << 10) == "100 KB"


# The conversation


def answered(question: str) -> Exchange:
    exchange = Exchange.of(question)
    chunks = (ReplyChunk("One. ", (LEAVE,)), ReplyChunk("Two.", (REMOTE,)))
    for event in (Sources((LEAVE, REMOTE)), *chunks):
        exchange.apply(event)
    exchange.apply(Reply("answer", "One. Two.", "en", chunks, (LEAVE, REMOTE)))
    return exchange


def test_an_answer_gathers_its_sentences_and_passages() -> None:
    exchange = answered("q")
    assert exchange.outcome == "answer"
    assert exchange.answer == "One. Two."
    assert [passage.number for passage in exchange.passages] == [1, 2]
    assert [sentence.numbers for sentence in exchange.sentences] == [[1], [2]]


def test_an_answer_without_sentences_keeps_its_text() -> None:
    exchange = Exchange.of("hello")
    exchange.apply(Reply("answer", "Hello!", "en"))
    assert exchange.answer == "Hello!"


def test_a_refusal_has_the_nearest_documents_to_open() -> None:
    session = Session()
    exchange = Exchange.of("q")
    exchange.apply(Reply("refusal", "I can't find that.", "en", nearest=(REMOTE,)))
    session.open(exchange)
    shown = conversation(session, ())
    assert exchange.answer == "I can't find that."
    assert REMOTE.document in shown
    assert REMOTE.quote in shown


def test_a_thumbs_down_is_offered_as_a_case_until_it_is_one() -> None:
    session = Session()
    exchange = answered("q")
    session.open(exchange)
    assert "data-thumb" not in conversation(session, ())  # nothing is kept that could be rated
    exchange.request = "web:1"
    assert 'data-action="case"' not in conversation(session, ())
    offer = {"reply": "web:1", "documents": [HOSTILE]}
    exchange.judge("down", Reply("answer", "Noted.", "en", data=offer))
    shown = conversation(session, ())
    assert shown.count('data-action="case"') == 2
    assert "Noted." in shown
    assert HOSTILE not in shown
    exchange.judge("", Reply("error", "Not now.", "en"))
    assert conversation(session, ()).count('data-action="case"') == 2
    exchange.judge("", Reply("answer", "Added.", "en"))
    assert exchange.thumb == "down"
    assert 'data-action="case"' not in conversation(session, ())


def test_an_error_takes_the_place_of_what_was_said() -> None:
    exchange = Exchange.of("q")
    exchange.apply(ReplyChunk("One. ", (LEAVE,)))
    exchange.apply(Reply("error", "The model broke.", "en"))
    assert (exchange.outcome, exchange.answer) == ("error", "The model broke.")


@pytest.mark.parametrize(
    "typed", ["/summarise my file.pdf", "/Summarize my file.pdf", "/总结 my file.pdf"]
)
def test_a_typed_command_summarises(typed: str) -> None:
    exchange = Exchange.of(typed)
    assert (exchange.command, exchange.target) == ("summarise", "my file.pdf")


@pytest.mark.parametrize(("exchanges", "questions"), [(0, []), (1, ["b"]), (3, ["a", "b"])])
def test_history_is_the_last_answered_exchanges(exchanges: int, questions: list[str]) -> None:
    session = Session()
    for question in ("a", "b"):
        session.open(answered(question))
    failed = Exchange.of("c")
    failed.apply(Reply("error", "no", "en"))
    session.open(failed)
    session.open(Exchange.of("now"))
    turns = session.history(exchanges)
    assert [turn.content for turn in turns if turn.role == "user"] == questions
    assert len(turns) == 2 * len(questions)


def test_a_session_survives_the_browser() -> None:
    session = Session(language="zh")
    session.open(answered("q"))
    assert Session.restore(session.model_dump()) == session


@pytest.mark.parametrize("stored", [None, "x", {"language": "xx"}, {"exchanges": [{"a": 1}]}])
def test_what_a_browser_mangled_starts_afresh(stored: object) -> None:
    assert Session.restore(stored) == Session()


def test_what_ran_when_the_tab_was_left_is_stopped() -> None:
    session = Session()
    session.open(answered("a"))
    session.open(Exchange.of("b"))
    session.interrupt()
    assert [exchange.outcome for exchange in session.exchanges] == ["answer", "stopped"]


# What is shown


async def test_nothing_from_outside_is_markup(handle: ScriptedHandle) -> None:
    session = Session()
    exchange = Exchange.of(f"hostile {HOSTILE}")
    request = to_request("ask", exchange.target, event="1", tab="t", scope="public", language="en")
    async for event in handle(request):
        exchange.apply(event)
    session.open(exchange)
    row = document(HOSTILE, 3) | {"id": '"><b>'}
    failed = row | {"state": "failed", "message": HOSTILE}
    for html in (
        conversation(session, ()),
        conversation(Session(), (HOSTILE,)),
        documents("en", [row, failed]),
        documents("en", [], HOSTILE),
        uploader("en", 10, Receipts(HOSTILE, 1, 2, [("ready", HOSTILE)])),
    ):
        assert "<img" not in html
        assert "<b>bold" not in html
        assert "&lt;img" in html


def test_the_state_line_follows_loading_and_reading() -> None:
    rows = [document(f"{n}.md", 1) for n in range(12)]
    assert state("zh", "embedding model", rows).text == "正在加载向量模型……"
    assert state("en", "chat model", rows).kind == "loading"
    assert state("en", None, rows).text == "Ready · 12 documents"
    for row in rows[3:]:
        row["state"] = "waiting"
    rows[2]["state"] = "reading"
    assert state("en", None, rows).text == "Reading 3 of 12 documents"


def test_the_list_says_who_taught_what_and_when() -> None:
    rows = [
        document("a.pdf", 3) | {"taught_by": "slack:U1", "version": 2},
        document("b.pdf", 3) | {"taught_by": "web:tab"},
        document("c.pdf", 3) | {"state": "reading", "done": 30, "total": 40},
    ]
    shown = documents("en", rows)
    for part in ("version 2", "from U1 on Slack, 2026-01-01", "added here, 2026-01-01", "75 %"):
        assert part in shown
    assert "由 U1 在 Slack 提供" in documents("zh", rows)


def test_a_pause_is_told_where_nothing_is_being_read() -> None:
    work = Work(paused=True)
    assert state("zh", None, [], work) == State("paused", "读取已暂停")
    assert "Resume" in documents("en", [document("a.pdf", 3)], work=work)


def test_the_list_of_documents_is_bounded_and_shows_what_is_read_first() -> None:
    rows = [document(f"{n}.md", 1) for n in range(2000)]
    rows[-1] |= {"state": "reading", "message": "page 3 of 9"}
    html = documents("en", rows)
    assert html.count("<li") < 500
    assert "1700 more" in html
    assert html.index("page 3 of 9") < html.index("0.md")
