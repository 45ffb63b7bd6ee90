import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from rag.audience import Audience
from rag.citations import Source
from rag.errors import TeamglmError
from rag.evaluate import (
    Question,
    Result,
    contains,
    f1,
    figures,
    measure,
    normalised,
    read_questions,
)
from rag.pipeline import Event, Finished, Outcome, Sentence
from rag.retrieval import Retrieval
from tests.rag.passages import passage
from tests.rag.scripted import found

EVERYONE = Audience.of({"public"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The Eiffel  Tower!", ["eiffel", "tower"]),
        ("A U.S. e-mail, an apple", ["us", "email", "apple"]),
        ("30,000 EUR", ["30000", "eur"]),
        ("theatre", ["theatre"]),
        ("年假，25 天。", ["年", "假", "25", "天"]),
        ("ＶＰＮ，Wi-Fi", ["vpn", "wifi"]),
        ("“quoted” … text", ["quoted", "text"]),
        ("", []),
    ],
)
def test_texts_are_compared_as_squad_does_and_chinese_by_character(
    text: str, words: list[str]
) -> None:
    assert normalised(text) == words


def test_an_answer_is_contained_in_whole_words_only() -> None:
    assert contains("It is the 25 days.", ["25 days"])
    assert contains("It's 30,000.", ["no", "30000"])
    assert contains("每年有二十五天年假。", ["二十五天"])
    assert not contains("It is 125 days.", ["25 days"])
    assert not contains("days 25", ["25 days"])
    assert not contains("", ["25"])
    assert not contains("anything", [])
    assert not contains("anything", [""])


def test_f1_is_of_shared_words() -> None:
    assert f1("the cat sat", "a cat") == pytest.approx(2 / 3)
    assert f1("cat cat", "cat") == pytest.approx(2 / 3)
    assert f1("二十五天", "十五天") == pytest.approx(6 / 7)
    assert f1("dog", "cat") == 0
    assert f1("", "cat") == f1("cat", "") == f1("", "") == 0


def question(id: str, answer: str | None, **more: Any) -> Question:
    values = {"question": "When?", "document": "1.txt", **more}
    return Question(
        id=id, answers=(answer,) if answer else (), answerable=answer is not None, **values
    )


def result(id: str, rank: int, outcome: str | None = None, text: str = "", *cited: str) -> Result:
    return Result(id, {"rank": rank}, outcome, text, cited)


def test_the_figures_are_those_counted_by_hand() -> None:
    questions = [
        question("a", "two weeks"),
        question("b", "thirty"),
        question("c", "八点", question="什么时候？"),
        question("d", "never"),
        question("e", None),
        question("f", None),
    ]
    results = [
        result("a", 1, "answer", "Two weeks.", "1.txt", "2.txt"),
        result("b", 4, "answer", "About thirty euros", "2.txt", "1.txt"),
        result("c", 8, "answer", "At eight", "1.txt"),
        result("d", 0, "refusal"),
        result("e", 0, "refusal"),
        result("f", 1, "answer", "Perhaps."),
    ]
    report = figures(questions, results)
    assert report["questions"] == 6
    assert report["retrieval"] == {
        "recall_at_1": 0.25,
        "recall_at_5": 0.5,
        "recall_at_10": 0.75,
        "mrr": round((1 + 1 / 4 + 1 / 8) / 4, 4),
    }
    assert report["answers"] == {
        "contains": 0.5,
        "f1": round((1 + 2 / 4 + 0 + 0) / 4, 4),
        "refused_answerable": 0.25,
        "refused_unanswerable": 0.5,
        "cited_right": round(2 / 3, 4),
        "language_matched": 0.75,
    }


def test_the_best_of_several_right_answers_counts() -> None:
    asked = Question("a", "When?", ("no", "two weeks"), "1.txt", True)
    assert figures([asked], [result("a", 1, "answer", "two weeks")])["answers"]["f1"] == 1


def test_what_nobody_knows_the_right_document_or_answer_of_is_no_miss() -> None:
    questions = [question("a", "two weeks"), Question("b", "When?", (), "", True)]
    results = [result("a", 1, "answer", "two weeks", "1.txt"), result("b", 0, "refusal")]
    report = figures(questions, results)
    assert report["retrieval"]["recall_at_1"] == 1
    rates = report["answers"]
    assert (rates["contains"], rates["f1"], rates["cited_right"]) == (1, 1, 1)
    assert rates["refused_answerable"] == 0.5


def test_without_answers_only_retrieval_is_reported() -> None:
    report = figures([question("a", "x")], [result("a", 2)])
    assert set(report) == {"questions", "retrieval"}


def test_what_was_not_asked_has_no_figure() -> None:
    report = figures([question("a", None)], [result("a", 0, "refusal")])
    assert report["retrieval"]["mrr"] is None
    assert report["answers"]["contains"] is None
    assert report["answers"]["refused_unanswerable"] == 1


def test_times_are_reported_by_step() -> None:
    results = [Result(str(n), {"rank": 1}, "answer", "x", (), {"total": n}) for n in range(1, 101)]
    questions = [question(one.id, "x") for one in results]
    total = figures(questions, results)["timings_ms"]["total"]
    assert total["p50"] == 50.5
    assert 95 <= total["p95"] <= 96


class Bot:
    """Answers every question with its own words out of the first document, and counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.progress: list[tuple[int, int]] = []

    async def retrieve(self, query: str, audience: Audience) -> Retrieval:
        return found("Leave.", "Meals.")

    async def answer(self, query: str, audience: Audience) -> AsyncGenerator[Event, None]:
        self.asked.append(query)
        citation = Source(1, passage("Leave.", name="1.txt")).cite(0)
        yield Sentence(f"It is {query}", (citation,))
        yield Sentence(" Yes\u2028是。", ())
        yield Finished("answer", "en", {"total": 1.0}, proof=Outcome(0.9, 0.5, 2, 1))

    async def run(self, questions: list[Question], kept: Path) -> dict[str, Any]:
        return await measure(
            questions,
            self.retrieve,
            self.answer,
            EVERYONE,
            kept=kept,
            progress=lambda done, total: self.progress.append((done, total)),
        )


QUESTIONS = [question(str(n), f"w{n}", question=f"w{n}") for n in range(4)]


async def test_every_question_is_asked_once_and_judged(tmp_path: Path) -> None:
    bot = Bot()
    report = await bot.run(QUESTIONS, tmp_path / "runs" / "kept.jsonl")
    assert bot.asked == ["w0", "w1", "w2", "w3"]
    assert bot.progress == [(n, 4) for n in range(1, 5)]
    assert report["answers"]["contains"] == 1
    assert report["answers"]["cited_right"] == 1
    assert report["retrieval"]["recall_at_1"] == 1
    assert report["sentences"] == {"shown": 8, "withheld": 4}


async def test_what_was_shown_and_cited_is_kept_for_who_reads_it(tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    await Bot().run(QUESTIONS[:1], kept)
    (line,) = [json.loads(line) for line in kept.read_text().split("\n") if line]
    assert line["sentences"] == [
        {"text": "It is w0", "documents": ["1.txt"], "quotes": ["Leave."]},
        {"text": "Yes\u2028是。", "documents": [], "quotes": []},
    ]
    assert (line["confidence"], line["support"], line["withheld"]) == (0.9, 0.5, 1)
    assert line["found"] == ["1.txt", "2.txt"]


async def test_retrieval_alone_asks_no_model(tmp_path: Path) -> None:
    report = await measure(
        [question("a", "x", document="2.txt")],
        Bot().retrieve,
        None,
        EVERYONE,
        kept=tmp_path / "kept",
        progress=lambda done, total: None,
    )
    assert report["retrieval"]["mrr"] == 0.5
    assert "answers" not in report


@pytest.mark.parametrize("cut", [1, 5, 40])
async def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path, cut: int) -> None:
    kept = tmp_path / "kept.jsonl"
    whole = await Bot().run(QUESTIONS, kept)
    written = kept.read_bytes()
    kept.write_bytes(written[: -cut - 1])
    second = Bot()
    assert await second.run(QUESTIONS, kept) == whole
    assert second.asked == ["w3"]
    third = Bot()
    assert await third.run(QUESTIONS, kept) == whole
    assert third.asked == []


def write(file: Path, *entries: dict[str, Any]) -> Path:
    lines = [json.dumps(entry, ensure_ascii=False) for entry in entries]
    file.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return file


ENTRY = {
    "id": 1,
    "question": "何时\u2028When?",
    "answers": ["x"],
    "document": "a",
    "answerable": True,
}


def test_questions_are_read_line_by_line(tmp_path: Path) -> None:
    nowhere = {**ENTRY, "id": "2", "answers": [], "document": None, "answerable": False}
    first, second = read_questions(write(tmp_path / "q", ENTRY, nowhere))
    assert first == Question("1", "何时\u2028When?", ("x",), "a", True)
    assert (second.document, second.answerable) == ("", False)


def test_a_sample_is_fair_and_the_same_for_the_same_seed(tmp_path: Path) -> None:
    file = write(tmp_path / "q", *({**ENTRY, "id": n} for n in range(50)))
    sample = [one.id for one in read_questions(file, limit=10, seed=1)]
    assert len(set(sample)) == 10
    assert sample == [one.id for one in read_questions(file, limit=10, seed=1)]
    assert sample != [one.id for one in read_questions(file, limit=10, seed=2)]
    assert len(read_questions(file, limit=99)) == 50


@pytest.mark.parametrize("bad", ["{", "[]", '{"id": 1}', "3", "\xff"])
def test_a_file_of_something_else_is_told_so_by_name(tmp_path: Path, bad: str) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_bytes(bad.encode("latin-1"))
    with pytest.raises(TeamglmError, match=r"questions\.jsonl"):
        read_questions(file)
    with pytest.raises(TeamglmError, match="nowhere"):
        read_questions(tmp_path / "nowhere")
