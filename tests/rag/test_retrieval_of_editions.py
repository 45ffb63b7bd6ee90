"""Of documents that say the same thing the newest counts; where none is, both are told."""

import pytest

from tests.rag.library import CHANNEL, HANDBOOK, MEMBERS, Library, texts

OLD = "Rules of 1 March 2024. The mileage allowance is EUR 0.30 a kilometre."
NEW = "Rules of 1 May 2026. The mileage allowance is EUR 0.38 a kilometre."


@pytest.mark.parametrize("order", [(OLD, NEW), (NEW, OLD)])
def test_the_newest_of_two_documents_counts(library: Library, order: tuple[str, str]) -> None:
    library.learn("handbook.txt", HANDBOOK)
    for number, text in enumerate(order):
        library.learn(f"rules {number}.txt", [text])
    found = library.ask("What is the mileage allowance?", limit=20)
    assert texts(found)[0] == NEW
    assert [hit.passage.text for hit in found.hits if hit.replaced] == [OLD]
    scores = [hit.score for hit in found.hits]
    assert scores == sorted(scores, reverse=True)


def test_what_is_asked_of_the_old_document_is_answered_from_it(library: Library) -> None:
    library.learn("handbook.txt", HANDBOOK)
    library.learn("old.txt", [OLD])
    library.learn("new.txt", [NEW])
    found = library.ask("What was the mileage allowance in March 2024?")
    assert not any(hit.replaced for hit in found.hits if hit.passage.text == OLD)


def test_documents_that_contradict_each_other_are_told_so(library: Library) -> None:
    library.learn("handbook.txt", HANDBOOK)
    library.learn("a.txt", ["House rules. The doors are locked at 20:00."])
    library.learn("b.txt", ["Notes for new people. The doors are locked at 21:30."])
    found = library.ask("When are the doors locked?")
    assert {hit.passage.document for hit in found.disagreeing} == {"a.txt", "b.txt"}
    assert set(found.disagreeing) <= set(found.hits)
    assert library.ask("When does the garden open?").disagreeing == ()


def test_documents_for_different_people_don_t_contradict_each_other(library: Library) -> None:
    library.learn("handbook.txt", HANDBOOK)
    library.learn("berlin.txt", ["Berlin office, 2026. Core hours are 10 to 15."])
    library.learn("xiamen.txt", ["Xiamen office, 2026. Core hours are 9:30 to 16."])
    assert library.ask("When are core hours in Berlin?").disagreeing == ()


def test_nobody_learns_of_a_newer_version_that_is_not_theirs(library: Library) -> None:
    library.learn("handbook.txt", HANDBOOK)
    library.learn("old.txt", [OLD])
    library.learn("new.txt", [NEW], scope=CHANNEL)
    question = "What is the mileage allowance?"
    assert library.ask(question).hits[0].passage.text == OLD
    assert not library.ask(question).hits[0].replaced
    assert library.ask(question, MEMBERS).hits[0].passage.text == NEW
