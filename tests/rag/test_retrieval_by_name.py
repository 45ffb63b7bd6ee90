"""Codes, names, titles and exact phrases find their passage, in either script."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from rag.audience import Audience
from rag.ingest.ledger import Ledger
from tests.rag.library import CHANNEL, HANDBOOK, Library, opened, texts

ERRORS = [
    "ERR-4011 means that the printer is out of paper and has to be filled.",
    "ERR-4012: the lid is open.",
    "ERR-4013 means that the printer is too hot and has to cool for a while.",
]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """Documents with names, codes and people, that nobody changes."""
    folder = tmp_path_factory.mktemp("shelf")
    for index in opened(folder):
        library = Library(folder, index)
        library.learn("handbook.txt", HANDBOOK)
        library.learn("printer-errors.txt", ERRORS)
        people = ["郭鸣坐在厦门，管安全。", "何志远管前台和班车。", "Aylin Demir leads."]
        library.learn("people.txt", people)
        library.learn("travel-rules.txt", ["Take the train.", "Book early and keep receipts."])
        benefits = ["每年體檢一次，費用由公司承擔。", "生日當天可以提前下班。"]
        library.learn("員工福利.txt", [*benefits, *people[:2]], scope=CHANNEL)
        yield library
        library.engine.dispose()


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("ERR-4012", ERRORS[1]),
        ("What does ERR-4012 mean for a printer that is out of paper?", ERRORS[1]),
        ("郭鸣", "郭鸣坐在厦门，管安全。"),
        ("何志远", "何志远管前台和班车。"),
        ("Aylin Demir", "Aylin Demir leads."),
        ("too hot", ERRORS[2]),
        ("“the yard”", HANDBOOK[5]),
    ],
)
def test_codes_names_and_phrases_find_their_passage(shelf: Library, query: str, best: str) -> None:
    assert texts(shelf.ask(query))[0] == best


@pytest.mark.parametrize(
    "query", ["travel-rules.txt", "travel rules", "What do the travel rules say about receipts?"]
)
def test_the_name_of_a_file_finds_it(shelf: Library, query: str) -> None:
    assert shelf.ask(query).hits[0].passage.document == "travel-rules.txt"


def test_a_document_is_found_by_the_name_that_it_was_given(library: Library) -> None:
    library.learn("handbook.txt", HANDBOOK)
    document = library.learn("x.txt", ["Nothing of that here."])
    library.ask("garden chairs")
    Ledger(library.engine, lambda: datetime.now(UTC)).rename(document, "garden chairs.txt")
    assert library.ask("garden chairs.txt").hits[0].passage.document_id == document


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("体检费用由谁承担？", "每年體檢一次，費用由公司承擔。"),
        ("員工福利", None),
        ("郭鳴管什麼？", "郭鸣坐在厦门，管安全。"),
    ],
)
def test_traditional_and_simplified_characters_find_each_other(
    shelf: Library, query: str, best: str | None
) -> None:
    (hit, *_) = shelf.ask(query, Audience.of({CHANNEL})).hits
    assert (hit.passage.text == best) if best else (hit.passage.document == "員工福利.txt")
