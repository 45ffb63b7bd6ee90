"""Retrieval over the real index and the real records; only the embedder is a stand-in."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rag.audience import Audience
from rag.ingest.indexer import Indexer
from rag.ingest.ledger import Ledger
from rag.records import Records
from rag.retrieval import Retrieval, Retriever
from rag.schema import metadata, open_engine
from rag.store import Hits, PassageIndex
from tests.fakes import DIMENSION, HashEmbeddings, LineParser, split_by_segment

EVERYONE = Audience.of({"public"})
CHANNEL = "slack:E1:T1:C1"
MEMBERS = Audience.of({"public", CHANNEL})
NOBODY = Audience.of(())

SECRET = "The password of the safe is swordfish."
HANDBOOK = (
    "Leave is asked for two weeks ahead.",
    "Meals are paid up to thirty euros a day.",
    "The garden opens at eight.",
    "Parcels wait at the reception.",
    "Printers need form K77 for repair.",
    "Bicycles are parked in the yard.",
    "Visitors sign the book downstairs.",
    "Windows are closed by whoever goes last.",
    "Coffee comes from the machine upstairs.",
    "Backups run every night.",
    "Keys are kept by the janitor.",
    "Laptops are exchanged after four years.",
)


class Meanings(HashEmbeddings):
    """Embeds words of one meaning, in any language, alike."""

    def __init__(self, same: Mapping[str, str]) -> None:
        super().__init__()
        self.same = same

    def embed_query(self, text: str) -> list[float]:
        for word, meaning in self.same.items():
            text = text.replace(word, f" {meaning} ")
        return super().embed_query(text)


class Library:
    """Documents in the real store, and a retriever over them."""

    def __init__(self, folder: Path, index: PassageIndex) -> None:
        index.delete(index.ids())
        self.folder = folder
        self.index = index
        self.engine = open_engine(f"sqlite:///{folder / 'records.db'}")
        metadata.create_all(self.engine)
        self.records = Records(self.engine)
        self.embeddings: HashEmbeddings = HashEmbeddings()

    def learn(self, name: str, lines: Sequence[str], scope: str = "public") -> str:
        indexer = Indexer(
            self.records,
            self.index,
            LineParser(),
            split_by_segment,
            self.embeddings,
            embedder_key="fake",
            splitter_key="segment",
            blobs=self.folder / "blobs",
        )
        file = self.folder / name
        file.write_text("\n".join(lines), encoding="utf-8")
        learned = indexer.learn(file, scope=scope, source="upload", name=name)
        assert learned.document_id
        return learned.document_id

    def retriever(self, index: PassageIndex | None = None) -> Retriever:
        index = index or self.index
        return Retriever(self.records, index, self.embeddings, embedder_key="fake")

    def ask(self, query: str, audience: Audience = EVERYONE, limit: int = 3) -> Retrieval:
        return self.retriever().retrieve(query, audience, limit=limit)


def opened(folder: Path) -> Iterator[PassageIndex]:
    index = PassageIndex(str(folder / "index.db"), embedder_key="fake", dimension=lambda: DIMENSION)
    index.open()
    yield index
    index.close()


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PassageIndex]:
    yield from opened(tmp_path_factory.mktemp("index"))


@pytest.fixture(scope="module")
def handbook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """A library that nobody changes: learning takes longer than asking."""
    folder = tmp_path_factory.mktemp("handbook")
    for index in opened(folder):
        library = Library(folder, index)
        library.learn("handbook.txt", [*HANDBOOK, "# Sabbatical", "After seven years."])
        library.learn("secret.txt", [SECRET], scope=CHANNEL)
        yield library
        library.engine.dispose()


@pytest.fixture
def library(tmp_path: Path, index: PassageIndex) -> Iterator[Library]:
    library = Library(tmp_path, index)
    yield library
    library.engine.dispose()


def texts(retrieval: Retrieval) -> list[str]:
    return [hit.passage.text for hit in retrieval.hits]


def sureness(retrieval: Retrieval) -> float:
    assert retrieval.confidence is not None
    return retrieval.confidence


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("How long ahead is leave asked for?", HANDBOOK[0]),
        ("form K77", HANDBOOK[4]),
        ("KEYS of the JANITOR", HANDBOOK[10]),
    ],
)
def test_the_passage_that_answers_comes_first(handbook: Library, query: str, best: str) -> None:
    found = handbook.ask(query)
    assert texts(found)[0] == best
    scores = [hit.score for hit in found.hits]
    assert scores == sorted(scores, reverse=True)


def test_what_only_its_meaning_shows_is_found(library: Library) -> None:
    library.embeddings = Meanings({"Holidays": "leave", "holidays": "leave", "Leave": "leave"})
    library.learn("handbook.txt", HANDBOOK)
    assert texts(library.ask("holidays?"))[0] == HANDBOOK[0]


def test_what_only_an_exact_word_shows_is_found(library: Library) -> None:
    # To this embedder the two codes are one word, and the other passage is nearer.
    library.embeddings = Meanings({"ZX81": "code", "ZX82": "code", "machine": "code"})
    library.learn("handbook.txt", [*HANDBOOK, "Order ZX81 there.", "Order ZX82 there."])
    assert texts(library.ask("ZX82"))[0] == "Order ZX82 there."
    assert texts(library.ask("ZX81"))[0] == "Order ZX81 there."


def test_a_word_that_no_near_passage_has_brings_its_passage_in(library: Library) -> None:
    library.embeddings = Meanings({"Quokka": "elsewhere", "tea": "meaning"})
    near = [f"tea {n}" for n in range(80)]
    library.learn("a.txt", [*near, "Quokka far away."])
    library.embeddings = Meanings({"quokka": "tea"})
    found = library.ask("quokka", limit=20)
    assert "Quokka far away." in texts(found)


def test_a_heading_is_searched_with_its_passage(handbook: Library) -> None:
    assert texts(handbook.ask("sabbatical"))[0] == "After seven years."


def test_across_languages_passages_are_ranked_by_meaning_alone(library: Library) -> None:
    library.embeddings = Meanings({"年假": "vacation", "餐费": "meals", "holiday": "vacation"})
    # The English word in the wrong passage would win by keywords.
    chinese = ["餐费另议，见文件 holidays 一节和其他各项规定。", "年假"]
    library.embeddings.same = {**library.embeddings.same, "holidays": "nothing"}
    library.learn("规章.txt", chinese)
    assert texts(library.ask("holiday"))[0] == "年假"


def test_in_ones_own_language_shared_words_count(library: Library) -> None:
    library.learn(
        "规章.txt",
        ["团队成员每年有二十五天年假。", "出差餐费每天报销三十欧元。", "钥匙由门卫保管。"],
    )
    assert texts(library.ask("餐费报销多少？"))[0] == "出差餐费每天报销三十欧元。"


@pytest.mark.parametrize("limit", [1, 2, 5, 50])
def test_no_more_passages_come_than_were_asked_for(handbook: Library, limit: int) -> None:
    found = texts(handbook.ask("leave and meals and keys", limit=limit))
    assert len(found) == min(limit, len(HANDBOOK) + 1)
    assert len(set(found)) == len(found)


def test_only_what_the_audience_may_see_is_found(handbook: Library) -> None:
    question = "What is the password of the safe?"
    assert texts(handbook.ask(question, MEMBERS))[0] == SECRET
    assert {hit.passage.scope for hit in handbook.ask(question, limit=50).hits} == {"public"}
    only = handbook.ask("leave", Audience.of({CHANNEL}), limit=50)
    assert {hit.passage.document for hit in only.hits} == {"secret.txt"}


def test_an_audience_of_nothing_finds_nothing(handbook: Library) -> None:
    for audience in (NOBODY, Audience.of({"folder:other"})):
        found = handbook.ask("leave", audience)
        assert (found.hits, found.confidence) == ((), 0.0)


@pytest.mark.parametrize("query", ["", "  \n"])
def test_an_empty_question_finds_nothing(handbook: Library, query: str) -> None:
    assert handbook.ask(query).hits == ()


def test_nothing_is_found_in_nothing(library: Library) -> None:
    assert library.ask("leave").hits == ()


@pytest.mark.parametrize("query", ["?!", "'; DROP TABLE passage; --", "\0", "a" * 5000, "😀"])
def test_any_text_may_be_asked(handbook: Library, query: str) -> None:
    found = handbook.ask(query)
    assert len(found.hits) == 3
    assert 0 <= sureness(found) <= 1


def test_a_matching_question_is_surer_than_an_unrelated_one(handbook: Library) -> None:
    matching = sureness(handbook.ask(HANDBOOK[0]))
    unrelated = sureness(handbook.ask("Why did Rome's emperor fight barbarians?"))
    assert 0 <= unrelated < matching <= 1


def test_with_few_passages_nothing_is_said_about_how_sure_it_is(library: Library) -> None:
    library.learn("few.txt", HANDBOOK[:7])
    found = library.ask("Why did Rome fight barbarians?")
    assert found.hits
    assert found.confidence is None
    library.learn("more.txt", HANDBOOK[7:])
    assert library.ask("Why did Rome fight barbarians?").confidence is not None


def test_sureness_is_of_what_the_audience_sees(library: Library) -> None:
    library.learn("few.txt", HANDBOOK[:3])
    library.learn("many.txt", HANDBOOK, scope=CHANNEL)
    retriever = library.retriever()
    assert retriever.retrieve("leave", MEMBERS, limit=3).confidence is not None
    assert retriever.retrieve("leave", EVERYONE, limit=3).confidence is None


def test_rare_words_of_the_question_weigh_more(handbook: Library) -> None:
    rarities = sorted(handbook.ask("the K77").rarities.values())
    assert len(rarities) == 2
    assert rarities[0] < rarities[1]


def test_a_new_version_is_found_at_once_and_the_old_one_no_more(library: Library) -> None:
    library.learn("handbook.txt", HANDBOOK)
    retriever = library.retriever()
    retriever.retrieve("leave", EVERYONE, limit=3)
    library.learn("handbook.txt", ["Leave is asked for a month ahead.", *HANDBOOK[1:]])
    found = texts(retriever.retrieve("How long ahead is leave asked for?", EVERYONE, limit=50))
    assert found[0] == "Leave is asked for a month ahead."
    assert HANDBOOK[0] not in found


def test_a_document_published_during_the_search_is_not_missed(library: Library) -> None:
    library.learn("handbook.txt", HANDBOOK)

    class Overtaken(PassageIndex):
        """Lets a new version be published once, just after a search."""

        def __init__(self, inner: PassageIndex) -> None:
            self.inner = inner
            self.searches = 0

        def search_dense(
            self,
            vector: Sequence[float],
            scopes: frozenset[str],
            limit: int,
            *,
            language: str | None = None,
            documents: Sequence[str] = (),
        ) -> Hits:
            hits = self.inner.search_dense(
                vector, scopes, limit, language=language, documents=documents
            )
            self.searches += 1
            if self.searches == 1:
                library.learn("handbook.txt", [f"New: {line}" for line in HANDBOOK])
            return hits

        def search_sparse(
            self, weights: Mapping[int, float], scopes: frozenset[str], limit: int
        ) -> Hits:
            return self.inner.search_sparse(weights, scopes, limit)

    overtaken = Overtaken(library.index)
    found = library.retriever(overtaken).retrieve("leave", EVERYONE, limit=50)
    assert overtaken.searches == 2
    assert sorted(texts(found)) == sorted(f"New: {line}" for line in HANDBOOK)


def test_equal_passages_come_in_the_same_order_every_time(library: Library) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        library.learn(name, ["Leave is asked for two weeks ahead."])
    orders = {tuple(hit.passage.row_id for hit in library.ask("leave").hits) for _ in range(3)}
    assert len(orders) == 1


class ShortestFirst:
    """A reranker that likes short passages."""

    def load(self) -> None:
        """Have nothing to open."""

    def close(self) -> None:
        """Have nothing to close."""

    def score(self, question: str, passages: Sequence[str]) -> list[float]:
        return [1 / len(passage) for passage in passages]


def test_a_reranker_puts_what_was_found_in_its_own_order(handbook: Library) -> None:
    plain = Retriever(handbook.records, handbook.index, handbook.embeddings, embedder_key="fake")
    reranked = Retriever(
        handbook.records,
        handbook.index,
        handbook.embeddings,
        embedder_key="fake",
        reranker=ShortestFirst(),
    )
    before = plain.retrieve("laptop", EVERYONE, limit=20)
    after = reranked.retrieve("laptop", EVERYONE, limit=20)
    assert len(after.hits) > 2
    assert set(texts(after)) == set(texts(before))
    scores = [hit.score for hit in after.hits]
    assert scores == sorted(scores, reverse=True)
    assert after.confidence == before.confidence
    assert texts(reranked.retrieve("laptop", EVERYONE, limit=1)) == texts(after)[:1]


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


MEALS = "出差餐费每天报销三十欧元。"


def test_a_question_in_the_other_language_wants_a_translation_and_gains_by_it(
    library: Library,
) -> None:
    library.learn("规章.txt", [MEALS, *(f"第{n}条说的是别的事情。" for n in range(12))])
    alone = library.ask("What is paid for meals?")
    assert alone.better_in == "zh"
    retriever = library.retriever()
    found = retriever.retrieve(
        "What is paid for meals?", EVERYONE, limit=3, translation="餐费报销多少？"
    )
    assert texts(found)[0] == MEALS
    assert found.better_in is None
    assert sureness(found) > sureness(alone)


def test_a_question_that_its_own_language_answers_wants_no_translation(library: Library) -> None:
    library.learn("handbook.txt", HANDBOOK)
    library.learn("规章.txt", [MEALS, *(f"第{n}条说的是别的事情。" for n in range(12))])
    assert library.ask("Printers need form K77 for repair.").better_in is None


def test_where_all_is_in_one_language_no_translation_is_wanted(handbook: Library) -> None:
    assert handbook.ask("Why did Rome's emperor fight barbarians?").better_in is None
