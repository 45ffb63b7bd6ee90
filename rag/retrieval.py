"""Find the passages that answer a question, and tell how sure it is that they do."""

from __future__ import annotations

import math
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from langchain_core.embeddings import Embeddings

from rag.audience import Audience
from rag.keywords import MAX_WEIGHT, Scores, query_weights, term_id, terms
from rag.language import LANGUAGES, Language, chinese_share, language_of
from rag.records import Passage, Records, embedded_text
from rag.store import PassageIndex

# Candidates of each arm. Rows that aren't live are dropped afterwards, so it is more than needed.
CANDIDATES = 40
_DENSE_SHARE = 0.65
# Of two equals the one in the question's language is the better answer.
_ACROSS = 0.95
# The question against this many passages shows what "unrelated" looks like in this index.
_BACKGROUND = 256
# With fewer passages there is nothing to compare with.
_FEWEST = 8
_RUNNER_UP = 5
_KEPT_BACKGROUNDS = 32
_ATTEMPTS = 5
# So many of the best a reranker reads again: more gain little and take long.
_RERANKED = 20


@dataclass(frozen=True, slots=True)
class Signals:
    """What tells whether the answer is among the passages found, standardised on this index."""

    standing: float
    """How many standard deviations the best cosine is above the question's usual one here."""
    keywords: float
    """The root of the best keyword score's share of the possible one."""
    lead: float
    """The root of how far the best cosine is ahead of the sixth."""


def signals(
    cosines: npt.NDArray[Any],
    keywords: npt.NDArray[Any],
    usual: npt.NDArray[Any],
    possible: float,
) -> Signals:
    """Return the signals of a question.

    `cosines` and `keywords` are the candidates' scores, `usual` the question's cosines with a
    sample of the index, `possible` the keyword score of a passage that has every term for sure.
    """
    ordered = np.sort(cosines)[::-1]
    spread = max(float(usual.std()), 1e-6)
    lead = float(ordered[0] - ordered[min(_RUNNER_UP, len(ordered) - 1)])
    share = float(keywords.max()) / possible if possible else 0.0
    return Signals(
        float(ordered[0] - usual.mean()) / spread,
        math.sqrt(max(share, 0.0)),
        math.sqrt(max(lead, 0.0)),
    )


@dataclass(frozen=True, slots=True)
class Gate:
    """A logistic model of "the answer is among the passages found"; bench/gate.py fits it."""

    bias: float
    standing: float
    keywords: float
    lead: float

    def confidence(self, signals: Signals) -> float:
        """Return the probability, from 0 to 1."""
        score = (
            self.bias
            + self.standing * signals.standing
            + self.keywords * signals.keywords
            + self.lead * signals.lead
        )
        return 1 / (1 + math.exp(-max(min(score, 30.0), -30.0)))


SAME_LANGUAGE = Gate(bias=-12.76, standing=0.82, keywords=14.55, lead=21.86)
# Words don't match across languages: only meaning tells, and less surely.
ACROSS_LANGUAGES = Gate(bias=-6.8, standing=2.4, keywords=0.0, lead=0.0)


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found; scores compare within one question."""

    passage: Passage
    score: float


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What a question found, best first, and how likely the answer is in it."""

    hits: tuple[Hit, ...]
    confidence: float | None
    """None where there are too few passages to tell."""
    rarities: Mapping[int, float]
    """How rare each term of the question is, by term id."""


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
    ) -> None:
        self._records = records
        self._reranker = reranker
        self._index = index
        self._embeddings = embeddings
        self._embedder_key = embedder_key
        self.hidden: Collection[str] = ()
        """Ids of documents to leave out: what is found when they aren't there."""
        self._backgrounds: dict[tuple[Audience, Language], _Background] = {}
        self._lock = threading.Lock()
        self._scores = Scores()

    def use(self, index: PassageIndex, embeddings: Embeddings, embedder_key: str) -> None:
        """Answer from another model's index; call it while no question is being answered."""
        self._index, self._embeddings, self._embedder_key = index, embeddings, embedder_key

    def retrieve(self, query: str, audience: Audience, *, limit: int) -> Retrieval:
        """Return at most `limit` live passages that the audience may see; blocking, thread-safe."""
        found_terms = {term_id(term) for term in terms(query)}
        count, generation = self._records.state(audience)
        frequencies = self._records.frequencies(found_terms, audience)
        rarities = query_weights(query, frequencies, count)
        if not audience.scopes or not count or not query.strip():
            return Retrieval((), 0.0, rarities)
        vector = np.asarray(self._embeddings.embed_query(query), np.float32)
        # The question's cosines with a sample of the index, by the language of the passages.
        usual = {
            language: background @ vector
            for language in LANGUAGES
            if len(background := self._background(audience, language, generation))
        }
        near, worded, passages = self._candidates(vector, rarities, audience, usual, generation)
        rows = [row for row in near if passages[row].document_id not in self.hidden]
        if not rows:
            return Retrieval((), 0.0, rarities)
        cosines = np.array([near[row] for row in rows], np.float64)
        keywords = self._keywords([passages[row] for row in rows], worded, rarities)
        languages = [passages[row].language for row in rows]
        asked = language_of(query)
        scores = _fuse(
            cosines - _expected([passages[row].text for row in rows], usual),
            keywords,
            np.array([language == asked for language in languages]),
        )
        order = sorted(range(len(rows)), key=lambda at: (-scores[at], rows[at]))
        fused = [Hit(passages[rows[at]], float(scores[at])) for at in order]
        hits = self._reranked(query, fused[: max(limit, _RERANKED)])[:limit]
        best = languages[order[0]]
        if len(usual[best]) < _FEWEST:
            return Retrieval(hits, None, rarities)
        in_best = np.array([language == best for language in languages])
        possible = sum(rarities.values()) * MAX_WEIGHT
        gate = SAME_LANGUAGE if best == asked else ACROSS_LANGUAGES
        found = signals(cosines[in_best], keywords[in_best], usual[best], possible)
        return Retrieval(hits, gate.confidence(found), rarities)

    def _reranked(self, query: str, hits: Sequence[Hit]) -> tuple[Hit, ...]:
        """Return the hits in the reranker's order and with its scores, if there is one."""
        if self._reranker is None:
            return tuple(hits)
        texts = [embedded_text(hit.passage.section, hit.passage.text) for hit in hits]
        scored = zip(self._reranker.score(query, texts), hits, strict=True)
        rescored = [Hit(hit.passage, score) for score, hit in scored]
        return tuple(sorted(rescored, key=lambda hit: -hit.score))

    def _keywords(
        self,
        passages: Sequence[Passage],
        worded: Mapping[str, float],
        rarities: Mapping[int, float],
    ) -> npt.NDArray[np.float64]:
        """Return every candidate's BM25 score, also of what only its meaning found."""
        known = dict(worded)
        if len(worded) == CANDIDATES:  # else nothing further has any of the words
            rest = [passage for passage in passages if passage.row_id not in worded]
            texts = ((p.row_id, embedded_text(p.section, p.text)) for p in rest)
            scored = zip(rest, self._scores.of(texts, rarities), strict=True)
            known |= {passage.row_id: float(score) for passage, score in scored}
        return np.array([known.get(passage.row_id, 0.0) for passage in passages], np.float64)

    def _candidates(
        self,
        vector: npt.NDArray[np.float32],
        rarities: Mapping[int, float],
        audience: Audience,
        languages: Collection[Language],
        generation: int,
    ) -> tuple[dict[str, float], dict[str, float], dict[str, Passage]]:
        """Return cosines, scores and passages of what the searches found, by row id.

        What only its meaning found has no score, and all have a cosine.
        """
        for _ in range(_ATTEMPTS):
            near: dict[str, float] = {}
            for language in languages:
                near |= self._index.search_dense(
                    vector.tolist(), audience.scopes, CANDIDATES, language=language
                )
            worded = dict(self._index.search_sparse(rarities, audience.scopes, CANDIDATES))
            rows = list(near | worded)
            found = self._records.candidates(rows, audience, self._embedder_key)
            passages = {row: passage for row, (passage, _) in found.items()}
            # What only the keywords found is compared here, so that both scores are exact.
            for row, (_, stored) in found.items():
                if row not in near and stored is not None:
                    near[row] = float(stored @ vector)
            # A document that was published meanwhile would be missing, old version and new.
            before, generation = generation, self._records.generation(audience)
            if generation == before:
                break
        live = {
            row: cosine
            for row, cosine in near.items()
            if row in passages and passages[row].language in languages
        }
        return live, worded, passages

    def _background(
        self, audience: Audience, language: Language, generation: int
    ) -> npt.NDArray[np.float32]:
        state = (self._embedder_key, generation)
        key = (audience, language)
        known = self._backgrounds.get(key)
        if known is None or known.state != state:
            sample = self._records.sample_vectors(audience, language, state[0], _BACKGROUND)
            known = _Background(state, sample)
            with self._lock:
                if len(self._backgrounds) >= _KEPT_BACKGROUNDS:
                    self._backgrounds.clear()
                self._backgrounds[key] = known
        return known.vectors


@dataclass(frozen=True, slots=True)
class _Background:
    """A sample of what an audience may see, and the embedder and generation that it is of."""

    state: tuple[str, int]
    vectors: npt.NDArray[np.float32]


def _expected(
    texts: Sequence[str], usual: Mapping[Language, npt.NDArray[np.float32]]
) -> npt.NDArray[np.float64]:
    """Return the cosine that is usual for each text, by how much of it is in which language."""
    means = {language: float(values.mean()) for language, values in usual.items()}
    english, chinese = (means.get(language, max(means.values())) for language in LANGUAGES)
    shares = np.array([chinese_share(text) for text in texts])
    expected: npt.NDArray[np.float64] = shares * chinese + (1 - shares) * english
    return expected


def _fuse(
    standings: npt.NDArray[np.float64],
    keywords: npt.NDArray[np.float64],
    same_language: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float64]:
    """Weigh meaning and keywords; across languages words may help, and never harm.

    `standings` are cosines above what is usual in the passage's language: passages in the
    question's own language have higher cosines whatever they say.
    """
    dense = _spread(standings)
    fused = _DENSE_SHARE * dense + (1 - _DENSE_SHARE) * _spread(keywords)
    across = _ACROSS * np.maximum(dense, fused)
    scores: npt.NDArray[np.float64] = np.where(same_language, fused, across)
    return scores


def _spread(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    lowest, highest = float(values.min()), float(values.max())
    # What differs by less is equal: the rest is the rounding of 32 bits.
    return (values - lowest) / max(highest - lowest, 1e-3)
