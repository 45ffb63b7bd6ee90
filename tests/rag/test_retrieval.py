"""Which passages a question finds, in which order, for whom, and how sure that is."""

from collections.abc import Mapping, Sequence

import pytest

from rag.audience import Audience
from rag.retrieval import Retriever
from rag.store import Hits, PassageIndex
from tests.rag.library import (
    CHANNEL,
    EVERYONE,
    HANDBOOK,
    MEMBERS,
    NOBODY,
    SECRET,
    Library,
    Meanings,
    sureness,
    texts,
)


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
            without: Sequence[str] = (),
        ) -> Hits:
            hits = self.inner.search_dense(
                vector, scopes, limit, language=language, documents=documents, without=without
            )
            self.searches += 1
            if self.searches == 1:
                library.learn("handbook.txt", [f"New: {line}" for line in HANDBOOK])
            return hits

        def search_sparse(
            self,
            weights: Mapping[int, float],
            scopes: frozenset[str],
            limit: int,
            *,
            without: Sequence[str] = (),
        ) -> Hits:
            return self.inner.search_sparse(weights, scopes, limit, without=without)

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
