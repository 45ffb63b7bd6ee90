import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from rag.audience import Audience
from rag.author import AnswerLimits, Author
from rag.calibration import Calibration
from rag.errors import ModelFailed
from rag.pipeline import (
    Event,
    Exchange,
    Finished,
    Found,
    QuestionTooLong,
    RagPipeline,
    Sentence,
)
from rag.priority import Priority
from rag.retrieval import Retrieval
from rag.writing import AnswerTimeout
from tests.fakes import HashEmbeddings
from tests.rag.scripted import CountlessRecords, ScriptedChat, ScriptedRetriever, found, said

EVERYONE = Audience.of({"public"})
LEAVE = "Leave is asked for two weeks ahead of it, by form K77."
MEALS = "Meals are paid up to thirty euros a day on every trip."
ANSWER = ["Leave is asked ", "for two weeks ahead. Use ", "form K77."]
RETRIEVED = found(LEAVE, MEALS)


class Watched(Priority):
    """Tells whether a question is being answered."""

    @property
    def busy(self) -> bool:
        return self._questions > 0


class Desk:
    """A pipeline with its scripted parts at hand."""

    def __init__(
        self,
        *scripts: Sequence[Any],
        find: Callable[[str], Retrieval] = lambda query: RETRIEVED,
        window: int = 4000,
        **limits: Any,
    ) -> None:
        self.chat = ScriptedChat(scripts=[list(script) for script in scripts])
        self.retriever = ScriptedRetriever(find)
        self.priority = Watched()
        author = Author(
            CountlessRecords(),
            HashEmbeddings(),
            self.chat,
            context_window=lambda: window,
            limits=AnswerLimits(**limits),
        )
        records = CountlessRecords()
        self.pipeline = RagPipeline(records, self.retriever, author, self.priority)

    def stream(self, question: str = "When is leave asked for?", **more: Any) -> Any:
        return self.pipeline.stream(question, EVERYONE, **more)


async def collect(stream: AsyncGenerator[Event, None]) -> list[Event]:
    async with aclosing(stream) as events:
        return [event async for event in events]


def text(events: Sequence[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Sentence))


def last(events: Sequence[Event]) -> Finished:
    assert isinstance(events[-1], Finished)
    assert not any(isinstance(event, Finished) for event in events[:-1])
    return events[-1]


class TestAnAnswer:
    async def test_comes_as_found_sentences_and_finished(self) -> None:
        events = await collect(Desk(ANSWER).stream())
        assert [type(event) for event in events] == [Found, Sentence, Sentence, Finished]
        assert text(events) == "".join(ANSWER)
        assert last(events).outcome == "answer"
        assert last(events).nearest == ()

    async def test_says_first_which_passages_are_read(self) -> None:
        (first, *_) = await collect(Desk(ANSWER).stream())
        assert isinstance(first, Found)
        assert [(c.number, c.document, c.quote) for c in first.citations] == [
            (1, "1.txt", LEAVE),
            (2, "2.txt", MEALS),
        ]

    async def test_has_sentences_that_cite_what_supports_them(self) -> None:
        script = ["Meals are paid up to thirty euros. Leave is asked for two weeks ahead."]
        events = await collect(Desk(script).stream("What about leave and meals?"))
        cited = [event.citations[0] for event in events if isinstance(event, Sentence)]
        assert [citation.document for citation in cited] == ["2.txt", "1.txt"]
        for citation, passage_text in zip(cited, (MEALS, LEAVE), strict=True):
            start = 10 * citation.number
            assert citation.quote == passage_text[citation.start - start : citation.end - start]

    async def test_shows_a_sentence_before_the_model_has_said_the_next(self) -> None:
        gate = asyncio.Event()
        desk = Desk([f"{LEAVE} ", gate, "Use form K77."])
        async with aclosing(desk.stream()) as events:
            assert isinstance(await anext(events), Found)
            first = await anext(events)
            assert isinstance(first, Sentence)
            assert first.text == LEAVE
            assert not desk.chat.stopped.is_set()
            gate.set()
            rest = [event async for event in events]
        assert text(rest) == " Use form K77."

    async def test_keeps_its_lines(self) -> None:
        script = ["Do this:\n1. Ask for leave.\n2. Use form K", "77.\n\nAsk two weeks ahead."]
        assert text(await collect(Desk(script).stream())) == "".join(script)

    async def test_shows_none_of_the_models_source_numbers(self) -> None:
        script = ["Source 1: Two weeks ahead [1]. ", "Meals: thirty (30) euros [1, 2]."]
        answer = text(await collect(Desk(script).stream("What about leave and meals?")))
        assert answer == "Two weeks ahead. Meals: thirty (30) euros."

    async def test_of_a_chinese_question_is_chinese_and_says_so(self) -> None:
        desk = Desk(["提前两周申请。"], find=lambda query: found("年假要提前两周申请。"))
        events = await collect(desk.stream("什么时候申请年假？"))
        assert last(events).language == "zh"
        assert text(events) == "提前两周申请。"

    async def test_tells_how_long_each_step_took_in_their_order(self) -> None:
        timings = last(await collect(Desk(ANSWER).stream())).timings_ms
        steps = [timings[name] for name in ("retrieve", "first_token", "first_text", "total")]
        assert steps == sorted(steps)

    async def test_is_for_the_audience_that_asked(self) -> None:
        desk = Desk(ANSWER)
        await collect(desk.stream())
        assert {audience for _, audience in desk.retriever.queries} == {EVERYONE}

    async def test_is_made_of_the_question_and_the_passages(self) -> None:
        desk = Desk(ANSWER)
        await collect(desk.stream("When is {leave} asked for?"))
        (prompt,) = desk.chat.asked
        assert "When is {leave} asked for?" in said(prompt)
        assert LEAVE in said(prompt)
        assert MEALS in said(prompt)
        assert desk.chat.options[0]["max_tokens"] > 0


class TestARefusal:
    @pytest.mark.parametrize("retrieval", [found(), found(LEAVE, MEALS, confidence=0.1)])
    async def test_comes_without_asking_the_model_where_nothing_fits(
        self, retrieval: Retrieval
    ) -> None:
        desk = Desk(find=lambda query: retrieval, refuse_below=0.5)
        (event,) = await collect(desk.stream())
        assert isinstance(event, Finished)
        assert (event.outcome, event.searched) == ("refusal", 10)
        assert [each.quote for each in event.nearest] == [h.passage.text for h in retrieval.hits]
        assert desk.chat.asked == []

    async def test_is_left_to_the_model_where_there_is_too_little_to_tell(self) -> None:
        desk = Desk(ANSWER, find=lambda query: found(LEAVE, confidence=None), refuse_below=0.99)
        assert last(await collect(desk.stream())).outcome == "answer"

    @pytest.mark.parametrize("words", [["I don't ", "know", ". But perhaps."], ["我不知道。"]])
    async def test_comes_by_the_models_words_and_none_of_them_is_shown(
        self, words: list[str]
    ) -> None:
        desk = Desk(words)
        events = await collect(desk.stream())
        assert [type(event) for event in events] == [Found, Finished]
        assert last(events).outcome == "refusal"
        assert [(each.number, each.document) for each in last(events).nearest] == [
            (1, "1.txt"),
            (2, "2.txt"),
        ]

    async def test_stops_the_model_at_once(self) -> None:
        desk = Desk(["I don't know. ", asyncio.Event()])
        assert last(await collect(desk.stream())).outcome == "refusal"
        await desk.chat.stopped.wait()

    @pytest.mark.parametrize("words", [[""], [" ", "\n"], ["[1]"]])
    async def test_is_what_an_empty_answer_becomes(self, words: list[str]) -> None:
        assert last(await collect(Desk(words).stream())).outcome == "refusal"

    async def test_is_not_made_of_what_a_later_sentence_says(self) -> None:
        events = await collect(Desk(["Two weeks ahead. I don't know more."]).stream())
        assert last(events).outcome == "answer"


WRONG = "Leave is asked for three weeks ahead."


class TestProof:
    async def test_what_no_source_says_is_never_shown_and_counted(self) -> None:
        events = await collect(Desk([f"{WRONG} Use form K77. Ask Bob."]).stream())
        assert text(events) == " Use form K77."
        proof = last(events).proof
        assert (proof.shown, proof.withheld) == (1, 2)
        assert proof.confidence == 1.0
        assert proof.support is not None
        assert 0 < proof.support <= 1

    async def test_what_claims_nothing_is_shown_with_what_it_leads_to_or_not_at_all(self) -> None:
        events = await collect(Desk(["Sure!\nUse form K77. Here it is:\n"]).stream())
        assert text(events) == "Sure!\nUse form K77."
        assert last(events).proof.withheld == 0

    @pytest.mark.parametrize(("script", "withheld"), [(WRONG, 1), ("Yes.", 0)])
    async def test_where_nothing_is_proven_the_source_is_quoted_word_for_word(
        self, script: str, withheld: int
    ) -> None:
        events = await collect(Desk([script]).stream())
        (sentence,) = [event for event in events if isinstance(event, Sentence)]
        (citation,) = sentence.citations
        assert citation.quote == LEAVE
        assert sentence.text == f"“1.txt” says: “{LEAVE}”"
        assert last(events).outcome == "answer"
        assert (last(events).proof.shown, last(events).proof.withheld) == (1, withheld)

    async def test_a_bare_name_in_the_other_script_comes_with_its_sentence(self) -> None:
        told = "这套系统由 Night Heron Team 维护。"
        desk = Desk(["Night Heron Team"], find=lambda query: found(told))
        events = await collect(desk.stream("这套系统由谁维护？"))
        assert text(events) == f"《1.txt》写道：“{told}”"

    async def test_in_doubt_or_in_another_language_it_is_a_refusal(self) -> None:
        desks = [
            Desk([WRONG], find=lambda query: found(MEALS, confidence=0.35)),
            Desk([WRONG], find=lambda query: found(MEALS, confidence=None)),
            Desk([WRONG], find=lambda query: found("年假要提前两周申请。")),
        ]
        for desk in desks:
            end = last(await collect(desk.stream()))
            assert end.outcome == "refusal"
            assert end.nearest

    @pytest.mark.parametrize(("least", "outcome"), [(0.2, "answer"), (0.99, "refusal")])
    async def test_a_calibration_decides_by_retrieval_and_proof_together(
        self, least: float, outcome: str
    ) -> None:
        calibration = Calibration(bias=-2.0, confidence=1.0, support=2.0, least=least)
        events = await collect(
            Desk(ANSWER, find=lambda query: found(LEAVE, confidence=0.6), calibration=calibration)
            .stream()
        )  # fmt: skip
        assert last(events).outcome == outcome
        assert bool(text(events)) == (outcome == "answer")

    async def test_a_calibration_that_no_proof_can_satisfy_asks_no_model(self) -> None:
        calibration = Calibration(bias=0.0, confidence=1.0, support=0.0, least=0.5)
        desk = Desk(find=lambda query: found(LEAVE, confidence=0.4), calibration=calibration)
        assert last(await collect(desk.stream())).outcome == "refusal"
        assert desk.chat.asked == []


async def test_documents_that_disagree_are_both_quoted_and_cited_without_the_model() -> None:
    doors = found("House rules. The doors are locked at 20:00.", "The doors are locked at 21:30.")
    desk = Desk(find=lambda query: replace(doors, disagreeing=doors.hits))
    events = await collect(desk.stream("When are the doors locked?"))
    assert "20:00" in text(events)
    assert "21:30" in text(events)
    cited = [event.citations for event in events if isinstance(event, Sentence)]
    assert [[each.document for each in by] for by in cited] == [
        ["1.txt", "2.txt"],
        ["1.txt"],
        ["2.txt"],
    ]
    assert last(events).outcome == "answer"
    assert desk.chat.asked == []


class TestStopping:
    async def test_to_listen_stops_the_model_and_lets_background_work_go_on(self) -> None:
        desk = Desk([f"{LEAVE} ", asyncio.Event(), "never"])
        stream = desk.stream()
        await anext(stream)
        await anext(stream)
        assert desk.priority.busy
        await stream.aclose()
        await desk.chat.stopped.wait()
        assert not desk.priority.busy

    async def test_the_task_stops_the_model_even_before_its_first_word(self) -> None:
        desk = Desk([asyncio.Event(), "never"])
        task = asyncio.create_task(collect(desk.stream()))
        await desk.chat.began.wait()
        assert desk.priority.busy
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await desk.chat.stopped.wait()
        assert not desk.priority.busy

    async def test_at_the_end_lets_background_work_go_on(self) -> None:
        for desk in (Desk(ANSWER), Desk(find=lambda query: found())):
            await collect(desk.stream())
            assert not desk.priority.busy


class TestTrouble:
    async def test_a_model_that_hangs_is_given_up(self) -> None:
        desk = Desk([asyncio.Event()], timeout=0.05)
        with pytest.raises(AnswerTimeout):
            await collect(desk.stream())
        await desk.chat.stopped.wait()
        assert not desk.priority.busy

    async def test_a_model_that_drips_is_given_up_too(self) -> None:
        class Drip(asyncio.Event):
            async def wait(self) -> Any:
                await asyncio.sleep(0.005)

        desk = Desk([part for _ in range(1000) for part in ("drip ", Drip())], timeout=0.05)
        with pytest.raises(AnswerTimeout):
            await collect(desk.stream())
        await desk.chat.stopped.wait()
        assert desk.chat.scripts == []

    async def test_a_model_that_fails_says_so_after_what_it_had_said(self) -> None:
        desk = Desk([f"{LEAVE} ", ModelFailed("The model broke.")])
        events = desk.stream()
        assert text([await anext(events), await anext(events)]) == LEAVE
        with pytest.raises(ModelFailed, match="broke"):
            await anext(events)
        assert not desk.priority.busy

    async def test_a_question_that_leaves_no_room_is_told_so_before_the_model_reads_it(
        self,
    ) -> None:
        desk = Desk(window=400)
        with pytest.raises(QuestionTooLong):
            await collect(desk.stream("word " * 400))
        assert desk.chat.asked == []
        assert not desk.priority.busy

    async def test_a_prompt_never_exceeds_the_window(self) -> None:
        long = " ".join(f"Sentence {n} of it is about leave." for n in range(200))
        desk = Desk(
            ANSWER,
            find=lambda query: found(long, long),
            window=400,
            context_tokens=10_000,
            max_tokens=96,
        )
        await collect(desk.stream(history=[Exchange("word " * 50, "word " * 50)] * 3))
        (prompt,) = desk.chat.asked
        assert len(said(prompt).split()) + 96 <= 400


TURNS = [Exchange(f"question {n}", f"answer {n}") for n in range(3)]


FOLLOW_UP = "And how long ahead is leave asked for?"


class TestEarlierTurns:
    @pytest.mark.parametrize("count", [0, 1, 3])
    async def test_reach_the_model_in_their_order(self, count: int) -> None:
        desk = Desk(ANSWER)
        await collect(desk.stream(FOLLOW_UP, history=TURNS[:count]))
        (prompt,) = desk.chat.asked
        turns = prompt[1:-1]
        assert [str(message.content) for message in turns] == [
            words for turn in TURNS[:count] for words in (turn.question, turn.answer)
        ]
        assert [type(message) for message in turns] == [HumanMessage, AIMessage] * count

    async def test_are_given_up_from_the_oldest_where_the_window_is_small(self) -> None:
        long = [Exchange(f"q{n} " + "word " * 60, f"a{n}") for n in range(3)]
        kept = []
        for window in (4000, 420, 340, 230):
            desk = Desk(ANSWER, window=window)
            await collect(desk.stream(FOLLOW_UP, history=long))
            prompt = said(desk.chat.asked[0])
            kept.append([n for n in range(3) if f"q{n} " in prompt])
            assert LEAVE in prompt
        assert kept[0] == [0, 1, 2]
        assert kept[-1] == []
        assert all(turns == [0, 1, 2][3 - len(turns) :] for turns in kept)
        assert len({len(turns) for turns in kept}) > 2

    async def test_say_what_a_question_that_finds_nothing_is_about(self) -> None:
        def find(query: str) -> Retrieval:
            return found(LEAVE, confidence=0.9 if "question 2" in query else 0.1)

        desk = Desk(ANSWER, find=find)
        events = await collect(desk.stream("Guests?", history=TURNS))
        assert last(events).outcome == "answer"
        assert [query for query, _ in desk.retriever.queries] == ["Guests?", "question 2 Guests?"]

    async def test_are_not_read_where_the_question_is_about_something_else(self) -> None:
        desk = Desk(ANSWER)
        await collect(desk.stream("When is leave asked for?", history=TURNS))
        assert [type(message) for message in desk.chat.asked[0]] == [SystemMessage, HumanMessage]

    async def test_save_no_question_that_they_do_not_help(self) -> None:
        desk = Desk(find=lambda query: found(LEAVE, confidence=0.1))
        assert last(await collect(desk.stream(history=TURNS))).outcome == "refusal"
        assert len(desk.retriever.queries) == 2
