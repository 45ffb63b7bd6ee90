import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.context import context, number_sources
from rag.records import Passage
from rag.retrieval import Hit
from tests.fakes import HashEmbeddings
from tests.rag.passages import passage, rarities

LEAVE = "Leave is asked for two weeks ahead."
MEALS = "Meals are paid up to thirty euros."
GARDEN = "The garden is open."


def words(text: str) -> int:
    return len(text.split())


def cut(question: str, *passages: Passage, budget: int = 1000, count: object = words) -> str:
    hits = [Hit(passage, 1.0 - n / 10) for n, passage in enumerate(passages)]
    return context(
        question,
        hits,
        number_sources(hits),
        rarities(question),
        HashEmbeddings(),
        budget=budget,
        count=len if count is len else words,
    )


PIECE = st.sampled_from(
    [
        "Meals are paid. ",
        "年假二十五天。",
        "word ",
        "\n\n\n",
        "      ",
        "Ask Bob! ",
        "x" * 40,
        "3.5",
    ]
)
PASSAGE = st.builds(
    passage,
    st.lists(PIECE, max_size=12).map("".join),
    section=st.sampled_from([None, "Trips", "Rules > Trips"]),
)


@settings(deadline=None)
@given(st.lists(PASSAGE, max_size=4), st.integers(64, 200), st.sampled_from([words, len]))
def test_the_budget_is_kept_and_something_is_read_if_there_is_anything(
    passages: list[Passage], budget: int, count: object
) -> None:
    text = cut("Who pays for meals?", *passages, budget=budget, count=count)
    assert (len(text) if count is len else words(text)) <= budget
    assert bool(text) == any(passage.text.strip() for passage in passages)


@settings(deadline=None)
@given(st.lists(PASSAGE, max_size=4))
def test_every_sentence_is_there_once_in_its_order_if_all_have_room(
    passages: list[Passage],
) -> None:
    text = cut("Who pays for meals?", *passages, budget=10_000)
    found = [re.sub(r"\s+", "", re.sub(r"^\[\d+\] ", "", line)) for line in text.split("\n[")]
    for number, one in enumerate(p for p in passages if p.text.strip()):
        assert re.sub(r"\s+", "", one.text) in found[number]
    assert "…" not in text


def test_sources_are_numbered_from_one_in_the_order_that_they_were_found() -> None:
    text = cut("leave?", passage(MEALS, name="b"), passage(LEAVE, name="a"))
    assert text == f"[1] {MEALS}\n[2] {LEAVE}"


def test_the_best_sentence_is_read_where_only_one_has_room() -> None:
    text = cut("How long ahead is leave asked for?", passage(f"{MEALS} {LEAVE} {GARDEN}"), budget=9)
    assert text == f"[1] {LEAVE}"


def test_sentences_stand_in_their_order_with_a_mark_where_some_are_left_out() -> None:
    both = "Who asks for leave? Who pays for meals?"
    text = cut(both, passage(f"{MEALS} {GARDEN} {LEAVE}"), budget=20)
    assert re.fullmatch(rf"\[1\] {re.escape(MEALS)}\W+{re.escape(LEAVE)}", text)


def test_a_better_passage_goes_before_a_worse_one_where_not_both_have_room() -> None:
    same = "Nothing of it here."
    assert (
        cut("leave?", passage(same, name="a"), passage(same, name="b"), budget=7) == f"[1] {same}"
    )


def test_a_best_sentence_that_is_too_long_is_cut_and_not_left_out() -> None:
    row = "leave " * 50 + "end."
    text = cut("Leave leave leave?", passage(row), passage(GARDEN), budget=20)
    assert text.startswith("[1] leave leave")
    assert words(text) == 20


def test_a_heading_stands_once_before_its_sentences() -> None:
    text = cut("leave?", passage(f"{LEAVE} {MEALS}", section="Rules > Trips"))
    assert text == f"[1] Rules > Trips: {LEAVE} {MEALS}"


def test_a_heading_that_the_passage_begins_with_is_not_said_twice() -> None:
    text = cut("leave?", passage(f"Trips\n{LEAVE}", section="Rules > Trips"))
    assert text == f"[1] Trips\n{LEAVE}"


@pytest.mark.parametrize("empty", ["", " \n "])
def test_a_passage_without_sentences_is_left_out(empty: str) -> None:
    assert cut("leave?", passage(empty), passage(LEAVE)) == f"[2] {LEAVE}"
    assert cut("leave?", passage(empty)) == ""


def test_nothing_found_is_nothing_to_read() -> None:
    assert cut("leave?") == ""


def test_a_question_without_words_still_gets_its_sources() -> None:
    assert cut("?!", passage(LEAVE)) == f"[1] {LEAVE}"
