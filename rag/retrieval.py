"""Find the passages that answer a question, and tell how sure it is that they do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from langchain_core.embeddings import Embeddings

from rag.agreement import Agreement, Statement, statement
from rag.audience import Audience
from rag.fusion import expected, fuse, fuse_translated
from rag.gate import ACROSS_LANGUAGES, SAME_LANGUAGE, signals
from rag.keywords import MAX_WEIGHT, Scores, query_weights, rarity, term_ids
from rag.language import LANGUAGES, Language, chinese_share, language_of
from rag.literals import LITERAL, literal_scores, literals
from rag.records import Candidate, Passage, Records, embedded_text
from rag.store import PassageIndex
from rag.titles import Titles

# Candidates of each arm. Rows that aren't live are dropped afterwards, so it is more than needed.
CANDIDATES = 40
# And of each document that the question names.
_NAMED = 8
# A word of the title counts this much, for every passage of the document.
_TITLE_WEIGHT = 0.4
# A question of whose weight a title has so much is the document's name, and asks for nothing else.
_NAMES = 0.8
# The question against this many passages shows what "unrelated" looks like in this index.
_BACKGROUND = 256
# With fewer passages there is nothing to compare with.
_FEWEST = 8
_KEPT_AUDIENCES = 32
# Passages of each of them, with their vectors: some three kilobytes each.
_KEPT_PASSAGES = 1000
_ATTEMPTS = 5
# So many of the best a reranker reads again: more gain little and take long.
_RERANKED = 20
# So many of the best are compared, whether one replaces or contradicts another.
_COMPARED = 6
# Of the passages, from where on those in another language are worth a translation, and how sure
# it may be at most that the answer is in the question's own.
_NOTABLE = 0.05
_DOUBTFUL = 0.5

_T = TypeVar("_T")


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
        self._index = index
        self._embeddings = embeddings
        self._embedder_key = embedder_key
        self.hidden: Collection[str] = ()
        """Ids of documents to leave out: what is found when they aren't there."""
        self._backgrounds = _Remembered[npt.NDArray[np.float32]]()
        self._titles = _Remembered[Titles]()
        self._rows = _Remembered[dict[str, Candidate]]()
        self._scores = Scores()

    def use(self, index: PassageIndex, embeddings: Embeddings, embedder_key: str) -> None:
        """Answer from another model's index; call it while no question is being answered."""
        self._index, self._embeddings, self._embedder_key = index, embeddings, embedder_key

    def retrieve(
        self, query: str, audience: Audience, *, limit: int, translation: str | None = None
    ) -> Retrieval:
        """Return at most `limit` live passages that the audience may see; blocking, thread-safe.

        `translation` is the question in the other language, for the passages that are in it.
        """
        count, generation = self._records.state(audience)
        if not audience.scopes or not count or not query.strip():
            return Retrieval((), 0.0, self._rarities(query, audience, count))
        asked = self._asked(query, audience, count, generation)
        other = self._asked(translation, audience, count, generation) if translation else None
        titles = self._titles_of(audience, generation)
        both = [asked, other] if other else [asked]
        found = self._candidates(both, audience, titles, query, generation)
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
        titles = self._titles_of(audience, generation)
        if named := titles.named_in(text):
            return sorted(named)
        return list(titles.meant_by(self._rarities(text, audience, count)))[:1]

    def _asked(self, text: str, audience: Audience, count: int, generation: int) -> _Asked:
        vector = np.asarray(self._embeddings.embed_query(text), np.float32)
        usual = {
            language: background @ vector
            for language in LANGUAGES
            if len(background := self._background(audience, language, generation))
        }
        rarities = self._rarities(text, audience, count)
        return _Asked(language_of(text), vector, rarities, usual)

    def _rarities(self, text: str, audience: Audience, count: int) -> dict[int, float]:
        frequencies = self._records.frequencies(set(term_ids(text)), audience)
        return query_weights(text, frequencies, count)

    def _reranked(self, query: str, hits: Sequence[Hit]) -> list[Hit]:
        """Return the hits in the reranker's order and with its scores, if there is one."""
        if self._reranker is None:
            return list(hits)
        texts = [_read(hit.passage) for hit in hits]
        scored = zip(self._reranker.score(query, texts), hits, strict=True)
        rescored = [Hit(hit.passage, score) for score, hit in scored]
        return sorted(rescored, key=lambda hit: -hit.score)

    def _candidates(
        self,
        asked: Sequence[_Asked],
        audience: Audience,
        titles: Titles,
        query: str,
        generation: int,
    ) -> _Candidates:
        """Return the passages that the searches found, with their cosines to each question."""
        languages = asked[0].usual.keys()
        named = [*titles.named_in(query), *titles.meant_by(asked[0].rarities)]
        without = self._records.left_out(audience)
        for _ in range(_ATTEMPTS):
            near = [self._near(each, audience, languages, named, without) for each in asked]
            worded = [
                dict(
                    self._index.search_sparse(
                        each.rarities, audience.scopes, CANDIDATES, without=without
                    )
                )
                for each in asked
            ]
            rows = frozenset().union(*near, *worded)
            found = self._live(rows, audience, generation)
            # What another search found is compared here, so that all scores are exact.
            for row, (_, stored) in found.items():
                for cosines, each in zip(near, asked, strict=True):
                    if row not in cosines and stored is not None:
                        cosines[row] = float(stored @ each.vector)
            # A document that was published meanwhile would be missing, old version and new.
            before, generation = generation, self._records.generation(audience)
            if generation == before:
                break
        live = [
            row
            for row, (passage, _) in found.items()
            if passage.language in languages
            and passage.document_id not in self.hidden
            and all(row in cosines for cosines in near)
        ]
        return _Candidates(
            tuple(asked),
            [found[row][0] for row in live],
            [np.array([cosines[row] for row in live], np.float64) for cosines in near],
            worded,
        )

    def _live(
        self, rows: Collection[str], audience: Audience, generation: int
    ) -> dict[str, Candidate]:
        """Return those of the rows that are live and visible, of the generation or a later one."""
        embedder = self._embedder_key
        kept = self._rows.get(audience, (embedder, generation), dict)
        found = {row: known for row in sorted(rows) if (known := kept.get(row))}
        read = self._records.candidates(sorted(rows - found.keys()), audience, embedder)
        if len(kept) + len(read) > _KEPT_PASSAGES:
            kept.clear()
        kept.update(read)
        return found | read

    def _near(
        self,
        asked: _Asked,
        audience: Audience,
        languages: Collection[Language],
        named: Sequence[str],
        without: Sequence[str],
    ) -> dict[str, float]:
        near: dict[str, float] = {}
        vector = asked.vector.tolist()
        for language in languages:
            near |= self._index.search_dense(
                vector, audience.scopes, CANDIDATES, language=language, without=without
            )
        if named:
            near |= self._index.search_dense(
                vector, audience.scopes, _NAMED * len(named), documents=named
            )
        return near

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

    def _background(
        self, audience: Audience, language: Language, generation: int
    ) -> npt.NDArray[np.float32]:
        key = self._embedder_key
        return self._backgrounds.get(
            (audience, language),
            (key, generation),
            lambda: self._records.sample_vectors(audience, language, key, _BACKGROUND),
        )

    def _titles_of(self, audience: Audience, generation: int) -> Titles:
        openings = self._records.openings
        return self._titles.get(audience, generation, lambda: Titles(openings(audience)))


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """A question, or its translation, and what it is compared by."""

    language: Language
    vector: npt.NDArray[np.float32]
    rarities: Mapping[int, float]
    usual: Mapping[Language, npt.NDArray[np.float32]]
    """Its cosines with a sample of the index, by the language of the passages."""


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Passages, and their cosines to each of the questions."""

    asked: tuple[_Asked, ...]
    passages: list[Passage]
    cosines: list[npt.NDArray[np.float64]]
    worded: list[dict[str, float]]
    """The keyword scores that the index gave, by row id."""


class _Remembered(Generic[_T]):
    """What was made of an audience's passages, for as long as they stay as they are."""

    def __init__(self) -> None:
        self._known: dict[Any, tuple[Any, _T]] = {}
        self._lock = threading.Lock()

    def get(self, key: Any, state: Any, make: Callable[[], _T]) -> _T:
        """Return what is remembered of this state, or make it."""
        known = self._known.get(key)
        if known is None or known[0] != state:
            known = (state, make())
            with self._lock:
                if len(self._known) >= _KEPT_AUDIENCES:
                    self._known.clear()
                self._known[key] = known
        return known[1]


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


def _better_in(asked: _Asked, best: Language, own: float | None, count: int) -> Language | None:
    """Return the other language, if passages in it may well have the answer."""
    others = [
        language
        for language, sample in asked.usual.items()
        if language != asked.language and len(sample) >= min(_BACKGROUND, _NOTABLE * count)
    ]
    if not others or (best == asked.language and (own is None or own >= _DOUBTFUL)):
        return None
    return others[0]


def _sureness(
    found: _Candidates,
    keywords: Sequence[npt.NDArray[np.float64]],
    asked: _Asked,
    language: Language,
) -> float | None:
    """Return how likely the answer is in this language; None with too few passages to tell."""
    inside = np.array([passage.language == language for passage in found.passages])
    usual = asked.usual.get(language)
    if usual is None or len(usual) < _FEWEST or not inside.any():
        return None
    which = found.asked.index(asked)
    possible = sum(asked.rarities.values()) * MAX_WEIGHT
    gate = SAME_LANGUAGE if language == asked.language else ACROSS_LANGUAGES
    said = signals(found.cosines[which][inside], keywords[which][inside], usual, possible)
    return gate.confidence(said)
