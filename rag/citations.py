"""Which passage supports a sentence: decided by words and meaning, not by the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from langchain_core.embeddings import Embeddings

from rag.keywords import term_id, terms
from rag.records import Passage
from rag.sentences import sentence_spans

# A quote shorter than this says little alone: the next sentence joins it.
_SHORT_QUOTE = 60
# Below this share of a sentence's weighty words, that they are shared may be chance.
_ENOUGH_WORDS = 0.3
# Added to the weight asked for, so that one common word alone is never enough.
_NEVER_FEW = 4.0


@dataclass(frozen=True, slots=True)
class Citation:
    """A passage that supports a sentence; `quote` is `start:end` of the document's text."""

    number: int
    document_id: str
    document: str
    page: int | None
    section: str | None
    quote: str
    start: int
    end: int


class Source:
    """A numbered passage of the prompt, cut into sentences that can be compared and quoted."""

    def __init__(self, number: int, passage: Passage) -> None:
        self.number = number
        self.passage = passage
        self.spans = sentence_spans(passage.text)
        self.sentences = [passage.text[start:end] for start, end in self.spans]
        self._terms = [frozenset(map(term_id, terms(sentence))) for sentence in self.sentences]
        self._vectors: npt.NDArray[np.float32] | None = None

    def shared(self, wanted: Mapping[int, float]) -> list[float]:
        """Return, for each sentence, the weight of the wanted terms that it has."""
        return [sum(wanted[term] for term in found & wanted.keys()) for found in self._terms]

    def covered(self, wanted: Mapping[int, float]) -> float:
        """Return the weight of the wanted terms that the whole passage has."""
        return sum(wanted[term] for term in frozenset().union(*self._terms) & wanted.keys())

    def likeness(
        self, vector: npt.NDArray[np.float32], embeddings: Embeddings
    ) -> npt.NDArray[np.float32]:
        """Return each sentence's cosine with a vector; sentences are embedded once."""
        if self._vectors is None:
            self._vectors = np.asarray(embeddings.embed_documents(self.sentences), np.float32)
        return self._vectors @ vector

    def cite(self, best: int) -> Citation:
        """Return the citation that quotes the sentence at `best`."""
        start, end = self.spans[best]
        if end - start < _SHORT_QUOTE and best + 1 < len(self.spans):
            end = self.spans[best + 1][1]
        passage = self.passage
        return Citation(
            number=self.number,
            document_id=passage.document_id,
            document=passage.document,
            page=passage.page,
            section=passage.section,
            quote=passage.text[start:end],
            start=passage.start + start,
            end=passage.start + end,
        )


class Attribution:
    """Attributes the sentences of one answer to its sources; blocking."""

    def __init__(
        self, sources: Sequence[Source], rarities: Mapping[int, float], embeddings: Embeddings
    ) -> None:
        self._sources = [source for source in sources if source.sentences]
        self._rarities = rarities
        """How rare each term of the sources is; a term of none of them weighs nothing."""
        self._embeddings = embeddings

    def cite(self, sentence: str) -> Citation | None:
        """Return the source sentence that says most of this one, or None without sources.

        Shared words decide while there are enough of them, because a name or a number says more
        than a likeness; else, and so across languages, meaning does.
        """
        if not self._sources:
            return None
        found = {term_id(term) for term in terms(sentence)}
        wanted = {term: self._rarities[term] for term in found & self._rarities.keys()}
        source = max(self._sources, key=lambda source: source.covered(wanted))
        if source.covered(wanted) >= _ENOUGH_WORDS * sum(wanted.values(), _NEVER_FEW):
            shared = source.shared(wanted)
            return source.cite(max(range(len(shared)), key=shared.__getitem__))
        vector = np.asarray(self._embeddings.embed_query(sentence), np.float32)
        likeness = {source: source.likeness(vector, self._embeddings) for source in self._sources}
        source = max(likeness, key=lambda source: float(likeness[source].max()))
        return source.cite(int(likeness[source].argmax()))
