"""Names and titles of documents, as questions mention them."""

import pytest

from rag.keywords import term_id
from rag.records import Opening
from rag.titles import Titles, stem

TITLES = Titles(
    [
        Opening("leave", "hr/leave-policy 2024.pdf", None, "Annual leave\nTwenty days."),
        Opening("leave-zh", "休假制度.docx", "休假制度 > 年假", "二十天。"),
        Opening("on-call", "on-call.csv", None, "Friday: Tang Bo. Saturday: Aylin."),
        Opening("notes", "notes.txt", None, "One.\nTwo."),
        Opening("7", "007-3.txt", None, "A spy."),
    ]
)


@pytest.mark.parametrize(
    ("question", "documents"),
    [
        ("What is in leave-policy 2024.pdf?", {"leave"}),
        ("What does LEAVE-POLICY 2024 say?", {"leave"}),
        ("休假制度里年假几天", {"leave-zh"}),
        ("休假制度.docx 和 on-call.csv", {"leave-zh", "on-call"}),
        ("Take notes of it", set()),
        ("notes.txt", {"notes"}),
        ("Who is on leave?", set()),
        ("on-callers", set()),
    ],
)
def test_a_file_name_in_a_question_names_its_document(question: str, documents: set[str]) -> None:
    assert TITLES.named_in(question) == documents


def test_a_title_that_has_most_of_the_question_is_meant() -> None:
    annual, leave, other = map(term_id, ("annual", "leav", "other"))
    assert TITLES.meant_by({annual: 3.0, leave: 1.0, other: 1.0}) == {"leave": 0.8}
    assert TITLES.meant_by({annual: 1.0, other: 3.0}) == {}
    assert TITLES.meant_by({}) == {}


def test_the_heading_is_the_title_and_a_sentence_is_none() -> None:
    assert term_id("annual") in TITLES.terms_of("leave")
    assert term_id("年假") not in TITLES.terms_of("leave-zh")
    assert TITLES.terms_of("notes") == {term_id("note")}
    assert TITLES.terms_of("nobody's") == frozenset()


def test_small_numbers_in_a_name_tell_nothing() -> None:
    assert TITLES.terms_of("7") == frozenset()
    assert term_id("2024") in TITLES.terms_of("leave")


@pytest.mark.parametrize(
    ("name", "bare"),
    [("a/b.tar.gz", "b.tar"), ("v1.9 notes", "v1.9 notes"), (".env", ".env"), ("年报", "年报")],
)
def test_a_stem_has_neither_folder_nor_kind(name: str, bare: str) -> None:
    assert stem(name) == bare
