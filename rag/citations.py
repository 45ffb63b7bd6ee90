"""Sources: numbered passages, cut into sentences that can be compared, quoted and cited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from langchain_core.embeddings import Embeddings

from rag.keywords import term_id, terms
from rag.records import Passage
from rag.sentences import sentence_spans

# A quote shorter than this says little alone: the next sentence joins it.
_SHORT_QUOTE = 60


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
        self.terms = [frozenset(map(term_id, terms(sentence))) for sentence in self.sentences]
        self._vectors: npt.NDArray[np.float32] | None = None

    def shared(self, wanted: Mapping[int, float]) -> list[float]:
        """Return, for each sentence, the weight of the wanted terms that it has."""
        return [sum(wanted[term] for term in found & wanted.keys()) for found in self.terms]

    def likeness(
        self, vector: npt.NDArray[np.float32], embeddings: Embeddings
    ) -> npt.NDArray[np.float32]:
        """Return each sentence's cosine with a vector; sentences are embedded once."""
        if self._vectors is None:
            self._vectors = np.asarray(embeddings.embed_documents(self.sentences), np.float32)
        return self._vectors @ vector

    def whole(self) -> Citation:
        """Return the citation of the whole passage."""
        return self._citation(0, len(self.passage.text))

    def cite(self, first: int, last: int | None = None) -> Citation:
        """Return the citation that quotes the sentences from `first` to `last`, or one alone."""
        start, end = self.spans[first][0], self.spans[first if last is None else last][1]
        following = (first if last is None else last) + 1
        if end - start < _SHORT_QUOTE and following < len(self.spans):
            end = self.spans[following][1]
        return self._citation(start, end)

    def _citation(self, start: int, end: int) -> Citation:
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
