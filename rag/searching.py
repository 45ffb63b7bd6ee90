"""The searches that a question's passages come from: by meaning, by words, by documents' names."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
from langchain_core.embeddings import Embeddings

from rag.audience import Audience
from rag.keywords import query_weights, term_ids
from rag.language import LANGUAGES, Language, language_of
from rag.records import Candidate, Passage, Records
from rag.store import PassageIndex
from rag.titles import Titles

# Candidates of each arm. Rows that aren't live are dropped afterwards, so it is more than needed.
CANDIDATES = 40
# And of each document that the question names.
_NAMED = 8
# The question against this many passages shows what "unrelated" looks like in this index.
BACKGROUND = 256
_KEPT_AUDIENCES = 32
# Passages of each of them, with their vectors: some three kilobytes each.
_KEPT_PASSAGES = 1000
_ATTEMPTS = 5

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A question, or its translation, and what it is compared by."""

    language: Language
    vector: npt.NDArray[np.float32]
    rarities: Mapping[int, float]
    usual: Mapping[Language, npt.NDArray[np.float32]]
    """Its cosines with a sample of the index, by the language of the passages."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Passages, and their cosines to each of the questions."""

    asked: tuple[Asked, ...]
    passages: list[Passage]
    cosines: list[npt.NDArray[np.float64]]
    worded: list[dict[str, float]]
    """The keyword scores that the index gave, by row id."""


class Search:
    """Asks the index and the records, which say what is live and visible; thread-safe."""

    def __init__(
        self, records: Records, index: PassageIndex, embeddings: Embeddings, embedder_key: str
    ) -> None:
        self._records = records
        self.use(index, embeddings, embedder_key)
        self.hidden: Collection[str] = ()
        """Ids of documents to leave out: what is found when they aren't there."""
        self._backgrounds = _Remembered[npt.NDArray[np.float32]]()
        self._titles = _Remembered[Titles]()
        self._rows = _Remembered[dict[str, Candidate]]()

    def use(self, index: PassageIndex, embeddings: Embeddings, embedder_key: str) -> None:
        """Ask another model's index; call it while no question is being answered."""
        self._index, self._embeddings, self._embedder_key = index, embeddings, embedder_key

    def asked(self, text: str, audience: Audience, count: int, generation: int) -> Asked:
        """Return a question and what it is compared by."""
        vector = np.asarray(self._embeddings.embed_query(text), np.float32)
        usual = {
            language: background @ vector
            for language in LANGUAGES
            if len(background := self._background(audience, language, generation))
        }
        rarities = self.rarities(text, audience, count)
        return Asked(language_of(text), vector, rarities, usual)

    def rarities(self, text: str, audience: Audience, count: int) -> dict[int, float]:
        """Return how rare each term of a text is, by term id."""
        frequencies = self._records.frequencies(set(term_ids(text)), audience)
        return query_weights(text, frequencies, count)

    def _background(
        self, audience: Audience, language: Language, generation: int
    ) -> npt.NDArray[np.float32]:
        key = self._embedder_key
        return self._backgrounds.get(
            (audience, language),
            (key, generation),
            lambda: self._records.sample_vectors(audience, language, key, BACKGROUND),
        )

    def titles_of(self, audience: Audience, generation: int) -> Titles:
        """Return the titles of the documents that an audience may see."""
        openings = self._records.openings
        return self._titles.get(audience, generation, lambda: Titles(openings(audience)))

    def candidates(
        self,
        asked: Sequence[Asked],
        audience: Audience,
        titles: Titles,
        query: str,
        generation: int,
    ) -> Candidates:
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
        return Candidates(
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
        asked: Asked,
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
