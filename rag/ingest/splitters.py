"""Splitters: text into passages at the places where a reader would cut.

All sizes are in tokens of the embedding model, as `count` counts them (without special tokens).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from langchain_core.embeddings import Embeddings
from langchain_text_splitters import TextSplitter

from rag.ingest.atoms import CHARACTERS_A_TOKEN, Atom, atoms, pack
from rag.ingest.parsed import GAP, Chunk, Parsed, Segment

MAX_TOKENS = 250
LIMIT = 500
"""No passage may be longer: the embedding model would not see its tail."""

# What a cut costs between sentences that mean unlike and like things: see `pack`.
_STEP, _SAME = -0.6, 1.0

# Shares of the maximum: up to where neighbours are joined, and what is too little to stand alone.
_TARGET = 0.3
_FRAGMENT = 0.06


class Splitter(TextSplitter):
    """A LangChain splitter whose passages are exact spans of the text, found in order."""

    keeps_small = True
    """Whether a text that fits into one passage stays whole."""

    def __init__(
        self, count: Callable[[str], int], *, max_tokens: int = MAX_TOKENS, overlap: int = 0
    ) -> None:
        if not 0 < max_tokens <= LIMIT:
            raise ValueError(f"a passage has 1 to {LIMIT} tokens, not {max_tokens}")
        super().__init__(chunk_size=max_tokens, chunk_overlap=overlap, length_function=count)
        self.count = count
        self.max_tokens = max_tokens

    @abstractmethod
    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return where the passages of a text start and end; none exceeds `max_tokens`."""

    def split_text(self, text: str) -> list[str]:
        """Return the passages of a text."""
        return [text[start:end] for start, end in self.spans(text)]

    def size(self, text: str) -> int:
        """Return a text's tokens, line by line where it is too long to be one passage."""
        if len(text) <= CHARACTERS_A_TOKEN * self.max_tokens:
            return self.count(text)
        return sum(self.count(line) for line in text.split("\n") if line.strip())


class CharacterSplitter(Splitter):
    """Cuts at paragraphs, else lines, else sentences and so on, into passages of like size."""

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return few passages of like size, cut at the best places near their ends."""
        return pack(atoms(text, self.count, self.max_tokens), self.max_tokens)


class LengthSplitter(Splitter):
    """Fills each passage to the maximum; the next one repeats the last sentence if it is short."""

    def __init__(
        self, count: Callable[[str], int], *, max_tokens: int = MAX_TOKENS, overlap: int = 50
    ) -> None:
        super().__init__(count, max_tokens=max_tokens, overlap=min(overlap, max_tokens // 4))

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return passages as long as may be, of whole sentences."""
        spans: list[tuple[int, int]] = []
        passage: list[Atom] = []
        for atom in atoms(text, self.count, self.max_tokens):
            if passage and sum(a.tokens for a in passage) + atom.tokens > self.max_tokens:
                spans.append((passage[0].start, passage[-1].end))
                last = passage[-1]
                repeats = (
                    len(passage) > 1
                    and last.tokens <= self._chunk_overlap
                    and last.tokens + atom.tokens <= self.max_tokens
                )
                passage = [last] if repeats else []
            passage.append(atom)
        if passage:
            spans.append((passage[0].start, passage[-1].end))
        return spans


class MeaningSplitter(Splitter):
    """Cuts where neighbouring sentences mean most unlike things, by their embeddings."""

    keeps_small = False

    def __init__(
        self,
        count: Callable[[str], int],
        embeddings: Embeddings,
        *,
        max_tokens: int = MAX_TOKENS,
        percentile: float = 90,
    ) -> None:
        super().__init__(count, max_tokens=max_tokens)
        self._embeddings = embeddings
        self._percentile = percentile

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return passages that end at the steps of meaning beyond the percentile."""
        pieces = atoms(text, self.count, self.max_tokens)
        if len(pieces) > 2:
            distances = self._distances([text[atom.start : atom.end] for atom in pieces])
            step = float(np.percentile(distances, self._percentile))
            costs = [_STEP if distance >= step else _SAME for distance in distances]
            pieces = [replace(a, cost=c) for a, c in zip(pieces, [*costs, 0.0], strict=True)]
        return pack(pieces, self.max_tokens)

    def _distances(self, sentences: list[str]) -> list[float]:
        vectors = [np.asarray(v) for v in self._embeddings.embed_documents(sentences)]
        return [
            1 - float(a @ b) / (float(np.linalg.norm(a) * np.linalg.norm(b)) or 1.0)
            for a, b in pairwise(vectors)
        ]


def make_splitter(
    name: str,
    count: Callable[[str], int],
    *,
    embeddings: Embeddings | None = None,
    max_tokens: int = MAX_TOKENS,
) -> Splitter:
    """Return the splitter of this name: "character", "length" or "meaning"."""
    if name == "character":
        return CharacterSplitter(count, max_tokens=max_tokens)
    if name == "length":
        return LengthSplitter(count, max_tokens=max_tokens)
    if name == "meaning" and embeddings is not None:
        return MeaningSplitter(count, embeddings, max_tokens=max_tokens)
    if name == "meaning":
        raise ValueError("the splitter by meaning needs embeddings")
    raise ValueError(f"no splitter is called {name!r}: use character, length or meaning")


@dataclass(frozen=True, slots=True)
class _Placed:
    """A segment and where it stands in the version's text."""

    segment: Segment
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Run:
    """Neighbouring segments that are split as one text."""

    parts: tuple[_Placed, ...]
    tokens: int

    @property
    def top(self) -> str | None:
        section = self.parts[0].segment.section
        return None if section is None else section.split(" > ")[0]


def chunks(parsed: Parsed, splitter: Splitter) -> list[Chunk]:
    """Return the passages in order; none crosses a page, and white space stays outside."""
    return [chunk for run in _runs(parsed, splitter) for chunk in _split(parsed, run, splitter)]


def _split(parsed: Parsed, run: _Run, splitter: Splitter) -> Iterator[Chunk]:
    first = run.parts[0]
    text = parsed.text[first.start : run.parts[-1].end]
    whole = splitter.keeps_small and run.tokens <= splitter.max_tokens
    for a, b in [(0, len(text))] if whole else splitter.spans(text):
        start, end = first.start + a, first.start + b
        inside = [part for part in run.parts if part.start < end and start < part.end]
        yield Chunk(start, end, first.segment.page, _section(inside))


def _runs(parsed: Parsed, splitter: Splitter) -> list[_Run]:
    """Join a segment to the run before it while the two belong together and stay small."""
    runs: list[_Run] = []
    start = 0
    for segment in parsed.segments:
        placed = _Placed(segment, start, start + len(segment.text))
        run = _Run((placed,), splitter.size(segment.text))
        if runs and _belong(runs[-1], run, splitter.max_tokens):
            before = runs.pop()
            run = _Run(before.parts + run.parts, before.tokens + run.tokens)
        runs.append(run)
        start = placed.end + len(GAP)
    return runs


def _belong(run: _Run, following: _Run, limit: int) -> bool:
    if run.parts[0].segment.page != following.parts[0].segment.page:
        return False
    together = run.tokens + following.tokens
    if run.tokens <= _FRAGMENT * limit:  # a lone heading goes with what it heads
        return together <= limit or run.top == following.top
    if run.top != following.top:
        return False
    return together <= (limit if following.tokens <= _FRAGMENT * limit else _TARGET * limit)


def _section(parts: list[_Placed]) -> str | None:
    """Return the deepest heading path that the segments share; lone headings have no say."""
    paths = [part.segment.section.split(" > ") for part in parts if part.segment.section]
    bodies = [
        part.segment.section.split(" > ")
        for part in parts
        if part.segment.section and not part.segment.section.endswith(part.segment.text)
    ]
    common: list[str] = []
    for names in zip(*(bodies or paths), strict=False):
        if len(set(names)) > 1:
            break
        common.append(names[0])
    return " > ".join(common) or (" > ".join(paths[0]) if paths else None)
