"""Find the passages that answer a question, and tell how sure it is that they do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import numpy as np
import numpy.typing as npt
from langchain_core.embeddings import Embeddings

from rag.agreement import Agreement, Statement, statement
from rag.audience import Audience
from rag.fusion import expected, fuse, fuse_translated
from rag.gate import ACROSS_LANGUAGES, SAME_LANGUAGE, signals
from rag.keywords import MAX_WEIGHT, Scores, rarity
from rag.language import Language, chinese_share
from rag.literals import LITERAL, literal_scores, literals
from rag.records import Passage, Records, embedded_text
from rag.searching import BACKGROUND, CANDIDATES, Asked, Candidates, Search
from rag.store import PassageIndex
from rag.titles import Titles

# A word of the title counts this much, for every passage of the document.
_TITLE_WEIGHT = 0.4
# A question of whose weight a title has so much is the document's name, and asks for nothing else.
_NAMES = 0.8
# With fewer passages there is nothing to compare with.
_FEWEST = 8
# So many of the best a reranker reads again: more gain little and take long.
_RERANKED = 20
# So many of the best are compared, whether one replaces or contradicts another.
_COMPARED = 6
# Of the passages, from where on those in another language are worth a translation, and how sure
# it may be at most that the answer is in the question's own.
_NOTABLE = 0.05
_DOUBTFUL = 0.5


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found; scores compare within one question."""

    passage: Passage
    score: float
    replaced: bool = False
    """Whether a better one says what counts instead: a newer version, or one in force."""


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What a question found, best first, and how likely the answer is in it."""

    hits: tuple[Hit, ...]
    confidence: float | None
    """None where there are too few passages to tell."""
    rarities: Mapping[int, float]
    """How rare each term of the question is, by term id."""
    better_in: Language | None = None
    """The language that the question should be translated into, to find more."""
    disagreeing: tuple[Hit, ...] = ()
    """Those of the hits that give different answers, where nothing says which of them counts."""
    follows: bool = False
    """Whether it was found with what was said before: the question alone would find less."""


class Reranker(Protocol):
    """Reads a question and a passage together, which is slower and surer than comparing vectors."""

    def load(self) -> None:
        """Open it; blocking. Raise `ModelMissing` or `ModelFailed`."""

    def score(self, question: str, passages: Sequence[str]) -> list[float]:
        """Return how well each passage answers the question."""

    def close(self) -> None:
        """Free what `load` took."""


class Retriever:
    """Hybrid retrieval: meaning and keywords, fused where question and passage share a language."""

    def __init__(
        self,
        records: Records,
        index: PassageIndex,
        embeddings: Embeddings,
        *,
        embedder_key: str,
        reranker: Reranker | None = None,
        today: Callable[[], date] = date.today,
    ) -> None:
        self._today = today
        self._records = records
        self._reranker = reranker
        self._search = Search(records, index, embeddings, embedder_key)
        self._scores = Scores()

    def use(self, index: PassageIndex, embeddings: Embeddings, embedder_key: str) -> None:
        """Answer from another model's index; call it while no question is being answered."""
        self._search.use(index, embeddings, embedder_key)

    def hide(self, documents: Collection[str]) -> None:
        """Find from now on what is found where documents of these ids aren't there."""
        self._search.hidden = documents

    def retrieve(
        self, query: str, audience: Audience, *, limit: int, translation: str | None = None
    ) -> Retrieval:
        """Return at most `limit` live passages that the audience may see; blocking, thread-safe.

        `translation` is the question in the other language, for the passages that are in it.
        """
        count, generation = self._records.state(audience)
        if not audience.scopes or not count or not query.strip():
            return Retrieval((), 0.0, self._search.rarities(query, audience, count))
        asked = self._search.asked(query, audience, count, generation)
        other = (
            self._search.asked(translation, audience, count, generation) if translation else None
        )
        titles = self._search.titles_of(audience, generation)
        both = [asked, other] if other else [asked]
        found = self._search.candidates(both, audience, titles, query, generation)
        if not found.passages:
            return Retrieval((), 0.0, asked.rarities)
        keywords = [
            self._keywords(found.passages, worded, each.rarities, titles)
            for worded, each in zip(found.worded, found.asked, strict=True)
        ]
        shares = np.array([chinese_share(passage.text) for passage in found.passages])
        standings = [
            cosines - expected(shares, each.usual)
            for cosines, each in zip(found.cosines, found.asked, strict=True)
        ]
        languages = [passage.language for passage in found.passages]
        own = np.array([language == asked.language for language in languages])
        own_sure = _sureness(found, keywords, asked, asked.language)
        if other:
            scores = fuse_translated(
                (standings[0], standings[1]), (keywords[0], keywords[1]), own, own_sure or 0.0
            )
        else:
            scores = fuse(standings[0], keywords[0], own, own_sure or 0.0)
        scores = scores + _to_the_letter(query, found.passages, asked.rarities, titles)
        order = sorted(range(len(scores)), key=lambda at: (-scores[at], found.passages[at].row_id))
        ranked = [Hit(found.passages[at], float(scores[at])) for at in order]
        ranked = self._reranked(query, ranked[: max(limit, _RERANKED)])
        rarities = {**(other.rarities if other else {}), **asked.rarities}
        settled, disagreeing = self._settled(ranked, rarities, titles, audience, count)
        hits = tuple(settled[:limit])
        best = languages[order[0]]
        told = other or asked
        elsewhere = best != asked.language
        confidence = _sureness(found, keywords, told, best) if elsewhere else own_sure
        better_in = None if other else _better_in(asked, best, own_sure, count)
        return Retrieval(
            hits, confidence, rarities, better_in, tuple(h for h in disagreeing if h in hits)
        )

    def named(self, text: str, audience: Audience) -> list[str]:
        """Return the ids of the documents that a text names: by a file's name, else by the title
        that it has most of; blocking."""
        count, generation = self._records.state(audience)
        if not count:
            return []
        titles = self._search.titles_of(audience, generation)
        if named := titles.named_in(text):
            return sorted(named)
        return list(titles.meant_by(self._search.rarities(text, audience, count)))[:1]

    def _reranked(self, query: str, hits: Sequence[Hit]) -> list[Hit]:
        """Return the hits in the reranker's order and with its scores, if there is one."""
        if self._reranker is None:
            return list(hits)
        texts = [_read(hit.passage) for hit in hits]
        scored = zip(self._reranker.score(query, texts), hits, strict=True)
        rescored = [Hit(hit.passage, score) for score, hit in scored]
        return sorted(rescored, key=lambda hit: -hit.score)

    def _keywords(
        self,
        passages: Sequence[Passage],
        worded: Mapping[str, float],
        rarities: Mapping[int, float],
        titles: Titles,
    ) -> npt.NDArray[np.float64]:
        """Return every candidate's BM25 score, also of what only its meaning found."""
        known = dict(worded)
        if len(worded) == CANDIDATES:  # else nothing further has any of the words
            rest = [passage for passage in passages if passage.row_id not in worded]
            texts = ((passage.row_id, _read(passage)) for passage in rest)
            scored = zip(rest, self._scores.of(texts, rarities), strict=True)
            known |= {passage.row_id: float(score) for passage, score in scored}
        asked = frozenset(rarities)
        titled = [titles.terms_of(passage.document_id) & asked for passage in passages]
        return np.array(
            [
                known.get(passage.row_id, 0.0) + _TITLE_WEIGHT * sum(rarities[t] for t in shared)
                for passage, shared in zip(passages, titled, strict=True)
            ],
            np.float64,
        )

    def _settled(
        self,
        hits: Sequence[Hit],
        rarities: Mapping[int, float],
        titles: Titles,
        audience: Audience,
        count: int,
    ) -> tuple[list[Hit], list[Hit]]:
        """Put what was replaced behind what replaces it, and tell which of the best disagree.

        The best scores stay where they are: they go to those that come first now.
        """
        compared = list(hits[:_COMPARED])
        if len({hit.passage.document_id for hit in compared}) < 2:
            return list(hits), []
        said = [_statement(hit.passage, rarities, titles) for hit in compared]

        def rare() -> dict[int, float]:
            words = frozenset[int]().union(*(each.words for each in said))
            frequencies = self._records.frequencies(words, audience)
            return {word: rarity(min(frequencies.get(word, 0), count), count) for word in words}

        agreement = Agreement(rare, self._today())
        settled = agreement.settle(said)
        moved = {
            at: Hit(compared[at].passage, compared[place].score, at in settled.replaced)
            for place, at in enumerate(settled.order)
        }
        return [*moved.values(), *hits[_COMPARED:]], [moved[at] for at in settled.disagreeing]


def _statement(passage: Passage, rarities: Mapping[int, float], titles: Titles) -> Statement:
    identity = passage.document_id
    return statement(
        identity, _read(passage), titles.terms_of(identity), titles.edition_of(identity), rarities
    )


def _to_the_letter(
    query: str, passages: Sequence[Passage], rarities: Mapping[int, float], titles: Titles
) -> npt.NDArray[np.float64]:
    """Return what passages gain that have the question's very words, or are what it names."""
    wanted = literals(query)
    texts = [f"{passage.document}\n{_read(passage)}" for passage in passages] if wanted else []
    meant = titles.meant_by(rarities)
    named = {identity for identity, share in meant.items() if share >= _NAMES}
    titled = [LITERAL * (passage.document_id in named) for passage in passages]
    return np.maximum(literal_scores(wanted, texts), titled) if wanted else np.array(titled)


def _read(passage: Passage) -> str:
    return embedded_text(passage.section, passage.text)


def _better_in(asked: Asked, best: Language, own: float | None, count: int) -> Language | None:
    """Return the other language, if passages in it may well have the answer."""
    others = [
        language
        for language, sample in asked.usual.items()
        if language != asked.language and len(sample) >= min(BACKGROUND, _NOTABLE * count)
    ]
    if not others or (best == asked.language and (own is None or own >= _DOUBTFUL)):
        return None
    return others[0]


def _sureness(
    found: Candidates,
    keywords: Sequence[npt.NDArray[np.float64]],
    asked: Asked,
    language: Language,
) -> float | None:
    """Return how likely the answer is in this language; None with too few passages to tell."""
    inside = np.array([passage.language == language for passage in found.passages])
    usual = asked.usual.get(language)
    if usual is None or len(usual) < _FEWEST or not inside.any():
        return None
    which = found.asked.index(asked)
    possible = sum(asked.rarities.values()) * MAX_WEIGHT
    gate = SAME_LANGUAGE[language] if language == asked.language else ACROSS_LANGUAGES
    said = signals(found.cosines[which][inside], keywords[which][inside], usual, possible)
    return gate.confidence(said)
