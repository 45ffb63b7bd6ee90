import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.embeddings import Embeddings

from rag.citations import Attribution, Citation, Source
from tests.fakes import HashEmbeddings
from tests.rag.passages import passage, rarities


class Topics(Embeddings):
    """Knows what a text is about by the words given for each topic, in any language."""

    def __init__(self, *topics: tuple[str, ...]) -> None:
        self.topics = topics
        self.documents: list[str] = []

    def embed_query(self, text: str) -> list[float]:
        vector = np.array([sum(word in text for word in topic) + 1e-3 for topic in self.topics])
        return [float(number) for number in vector / np.linalg.norm(vector)]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.documents.extend(texts)
        return [self.embed_query(text) for text in texts]


def attribution(*texts: str, embeddings: Embeddings | None = None) -> Attribution:
    sources = [Source(n, passage(text, name=f"{n}.txt")) for n, text in enumerate(texts, 1)]
    known = [sentence for source in sources for sentence in source.sentences]
    return Attribution(sources, rarities(*known), embeddings or HashEmbeddings())


def cited(attribution: Attribution, sentence: str) -> Citation:
    citation = attribution.cite(sentence)
    assert citation is not None
    return citation


TEXT = st.lists(
    st.sampled_from(
        ["Meals are paid.", "年假二十五天。", "x", " ", "\n", "。", "”", "𠀀", "Ask Bob. ", "3.5"]
    ),
    max_size=20,
).map("".join)


@settings(deadline=None)
@given(TEXT, TEXT, TEXT, st.integers(0, 50))
def test_a_quote_is_what_stands_at_its_place(
    before: str, text: str, sentence: str, shift: int
) -> None:
    document = before + text + "the end"
    part = document[shift : len(before) + len(text)]
    source = Source(1, passage(part, start=shift))
    for at in range(len(source.sentences)):
        citation = source.cite(at)
        assert document[citation.start : citation.end] == citation.quote
        assert citation.quote == citation.quote.strip() != ""
        assert source.sentences[at] in citation.quote
    judge = Attribution([source], rarities(*source.sentences), HashEmbeddings())
    found = judge.cite(sentence)
    assert (found is None) == (not part.strip())
    if found:
        assert document[found.start : found.end] == found.quote


def test_a_citation_says_where_its_passage_is() -> None:
    source = Source(
        3, passage("Meals are paid up to 30 euros a day, and drinks are not at all. No.")
    )
    citation = source.cite(0)
    assert (citation.number, citation.document, citation.document_id) == (3, "a.txt", "id of a.txt")


def test_a_short_quote_takes_the_next_sentence_along_and_a_long_one_does_not() -> None:
    long = "Meals are paid up to thirty euros a day, and drinks are not paid for at all."
    source = Source(1, passage(f"Yes. {long} No."))
    assert source.cite(0).quote == f"Yes. {long}"
    assert source.cite(1).quote == long
    assert source.cite(2).quote == "No."


def test_the_source_with_the_rare_words_of_a_sentence_is_cited() -> None:
    judge = attribution(
        "The team has rules for the office and for the trip of the team.",
        "Reimbursement of the Zürich conference needs form K-77 of the office.",
        "The team has a garden.",
    )
    assert cited(judge, "For the Zürich conference the team needs form K-77.").number == 2


def test_the_sentence_with_most_of_the_words_is_quoted() -> None:
    first = "The kitchen on the second floor is cleaned by everyone who works there daily."
    second = "Parcels wait at the reception until somebody of the second floor fetches them."
    judge = attribution(f"{first} {second}")
    assert cited(judge, "Parcels wait at the reception.").quote == second
    assert cited(judge, "Everyone cleans the kitchen daily.").quote == first


def test_chinese_is_attributed_by_its_words_too() -> None:
    judge = attribution("团队成员每年有二十五天年假。", "出差餐费每天报销三十欧元。")
    assert cited(judge, "餐费每天最多报销三十欧元。").number == 2


def test_across_languages_meaning_decides() -> None:
    topics = Topics(("leave", "年假"), ("meals", "餐费"))
    judge = attribution("餐费每天三十欧元。", "年假每年二十五天。", embeddings=topics)
    assert cited(judge, "There are 25 days of leave.").number == 2
    assert cited(judge, "For meals it is 30 euros.").number == 1


def test_one_common_word_is_not_enough_against_meaning() -> None:
    topics = Topics(("holiday", "vacation"), ("meals",))
    judge = attribution(
        "The team likes meals.", "The team likes vacation.", "The team.", embeddings=topics
    )
    assert cited(judge, "Every person of the staff gets a holiday from the team.").number == 2


def test_words_decide_where_there_are_enough_of_them_and_nothing_is_embedded() -> None:
    topics = Topics(("meals",), ("leave",))
    judge = attribution("Meals at Zoo K-77 cost thirty.", "Leave leave leave.", embeddings=topics)
    assert cited(judge, "Meals at Zoo K-77 cost thirty, leave aside.").number == 1
    assert topics.documents == []


def test_sources_are_embedded_once_for_all_sentences() -> None:
    topics = Topics(("leave", "年假"), ("meals", "餐费"))
    judge = attribution("餐费三十欧元。", "年假二十五天。", embeddings=topics)
    for sentence in ("About leave.", "About meals.", "About leave."):
        judge.cite(sentence)
    assert sorted(topics.documents) == sorted(["餐费三十欧元。", "年假二十五天。"])


def test_without_sources_nothing_is_cited() -> None:
    assert attribution().cite("Anything.") is None
    assert attribution("", " \n").cite("Anything.") is None


def test_a_source_without_sentences_does_not_hide_the_others() -> None:
    assert cited(attribution("", "Leave is 25 days."), "什么").number == 2
