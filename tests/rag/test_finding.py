"""Questions as people ask them: after one another, and in another language than the documents."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from rag.audience import Audience
from rag.finding import Finder, leans
from rag.language import Language
from rag.retrieval import Retrieval
from tests.rag.passages import passage
from tests.rag.scripted import ScriptedRetriever
from tests.rag.scripted import found as scripted

EVERYONE = Audience.of({"public"})
LEAVE, MEALS, PORT = "Leave is twenty days.", "Meals are forty euros.", "The port is 7860."


def found(*texts: str, confidence: float | None = 1.0) -> Retrieval:
    """Return a retrieval in which the same text is the same passage every time."""
    retrieval = scripted(*texts, confidence=confidence)
    hits = [replace(hit, passage=passage(hit.passage.text, name=hit.passage.text[:5]))
            for hit in retrieval.hits]  # fmt: skip
    return replace(retrieval, hits=tuple(hits))


class Translations:
    """Translates by a list, and notes what it was asked."""

    def __init__(self, **known: str) -> None:
        self.known = known
        self.asked: list[tuple[str, Language]] = []

    async def translate(self, question: str, language: Language) -> str | None:
        self.asked.append((question, language))
        return self.known.get(question)


def finder(
    find: Callable[[str], Retrieval], translations: Translations | None = None
) -> tuple[Finder, ScriptedRetriever]:
    retriever = ScriptedRetriever(find)
    return Finder(retriever, translations), retriever


async def test_a_question_is_searched_for_once() -> None:
    finds, retriever = finder(lambda query: found(LEAVE))
    result = await finds.find("When?", EVERYONE, limit=3)
    assert result == found(LEAVE)
    assert retriever.queries == [("When?", EVERYONE)]


async def test_only_a_question_that_needs_it_is_translated() -> None:
    translations = Translations()
    finds, _ = finder(lambda query: found(LEAVE), translations)
    await finds.find("When?", EVERYONE, limit=3)
    assert translations.asked == []


@pytest.mark.parametrize("known", [{}, {"When?": "什么时候？"}])
async def test_a_translation_is_searched_with_if_there_is_one(known: dict[str, str]) -> None:
    translations = Translations(**known)
    finds, retriever = finder(lambda query: replace(found(LEAVE), better_in="zh"), translations)
    result = await finds.find("When?", EVERYONE, limit=3)
    assert result.hits == found(LEAVE).hits
    assert translations.asked == [("When?", "zh")]
    assert retriever.translations == [None, *known.values()]


def by_topic(query: str) -> Retrieval:
    """Find what each search of a script finds, best first."""
    return {
        "And for meals?": found(LEAVE, confidence=0.9),
        "What is the limit on trips? And for meals?": found(MEALS, confidence=0.6),
        "Which port?": found(PORT, confidence=0.95),
        "Maximum?": found(LEAVE, confidence=0.1),
        "What is the limit on trips? Maximum?": found(MEALS, confidence=0.7),
        "Emperor?": found(LEAVE, confidence=0.1),
        "What is the limit on trips? Emperor?": found(MEALS, confidence=0.05),
    }[query]


TRIPS = "What is the limit on trips?"


@pytest.mark.parametrize(
    ("question", "best", "follows"),
    [
        ("And for meals?", MEALS, True),
        ("Which port?", PORT, False),
        ("Maximum?", MEALS, True),
        ("Emperor?", LEAVE, False),
    ],
)
async def test_a_follow_up_is_found_by_what_it_follows_and_a_new_topic_by_itself(
    question: str, best: str, follows: bool
) -> None:
    finds, _ = finder(by_topic)
    result = await finds.find(question, EVERYONE, TRIPS, limit=2)
    assert result.hits[0].passage.text == best
    assert result.follows is follows


async def test_a_follow_up_is_translated_once_and_with_what_it_follows() -> None:
    translations = Translations()
    finds, _ = finder(lambda query: replace(by_topic(query), better_in="zh"), translations)
    await finds.find("And for meals?", EVERYONE, TRIPS, limit=2)
    assert translations.asked == [(f"{TRIPS} And for meals?", "zh")]


@pytest.mark.parametrize(
    "question",
    [
        "And for contractors?",
        "what about the night shift",
        "How long does it take?",
        "Can I keep the old one?",
        "What does that mean?",
        "那晚上呢",
        "实习生呢？",
        "她不在的话找谁？",
        "这个要谁批准？",
    ],
)
def test_words_that_take_up_what_was_said_lean_on_it(question: str) -> None:
    assert leans(question)


@pytest.mark.parametrize(
    "question",
    [
        "How many days of annual leave do we get?",
        "Which port does the page use?",
        "Who is on call on Friday?",
        "Is it true that an employee who loses their laptop must report it within two hours?",
        "What is the Wi-Fi password for guests?",
        "When is the fire drill?",
        "Where do parcels wait that came at night?",
        "年假有几天？",
        "星期三谁值班？",
        "无线网密码是多少？",
        "怎么换聊天模型？",
        "加班餐每人每次最多报销多少钱？",
    ],
)
def test_a_question_with_a_topic_of_its_own_does_not(question: str) -> None:
    assert not leans(question)
