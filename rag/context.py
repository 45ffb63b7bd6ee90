"""Cut the passages found to the sentences that matter, as many as the prompt may hold.

On a small machine the prompt is what people wait for, so each sentence has to earn its tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from langchain_core.embeddings import Embeddings

from rag.citations import Source
from rag.retrieval import Hit

_GAP = " … "
# Of a sentence's worth: how well its passage was found, its words, its meaning.
_PASSAGE, _WORDS, _MEANING = 1.0, 0.5, 0.5


def number_sources(hits: Sequence[Hit]) -> list[Source]:
    """Return the passages found as sources, numbered from 1, best first."""
    return [Source(number, hit.passage) for number, hit in enumerate(hits, 1)]


def context(
    question: str,
    hits: Sequence[Hit],
    sources: Sequence[Source],
    rarities: Mapping[int, float],
    embeddings: Embeddings,
    *,
    budget: int,
    count: Callable[[str], int],
) -> str:
    """Return the sources' best sentences in their order, within `budget` tokens; blocking."""
    vector = np.asarray(embeddings.embed_query(question), np.float32)
    asked = sum(rarities.values()) or 1.0
    worth: list[tuple[float, int, int]] = []
    likes = [
        source.likeness(vector, embeddings) if source.sentences else np.empty(0)
        for source in sources
    ]
    everything = np.concatenate(likes)
    low, high = (everything.min(), everything.max()) if everything.size else (0.0, 1.0)
    for at, (hit, source, like) in enumerate(zip(hits, sources, likes, strict=True)):
        words = source.shared(rarities)
        for which in range(len(source.sentences)):
            value = (
                _PASSAGE * hit.score
                + _WORDS * words[which] / asked
                + _MEANING * float((like[which] - low) / max(high - low, 1e-6))
            )
            worth.append((value, at, which))
    chosen: list[set[int]] = [set() for _ in sources]
    left = budget
    for _, at, which in sorted(worth, reverse=True):
        cost = count(sources[at].sentences[which]) + 1
        heading = 0 if chosen[at] else count(_heading(sources[at]))
        if cost + heading <= left:
            chosen[at].add(which)
            left -= cost + heading
    return "\n".join(
        _heading(source) + _joined(source, taken)
        for source, taken in zip(sources, chosen, strict=True)
        if taken
    )


def _heading(source: Source) -> str:
    section = source.passage.section
    if not section or source.passage.text.startswith(section.rpartition(" > ")[2]):
        return f"[{source.number}] "
    return f"[{source.number}] {section}: "


def _joined(source: Source, taken: set[int]) -> str:
    """Return the sentences taken as they stand, with a mark where some are left out."""
    pieces: list[str] = []
    last: int | None = None
    for which in sorted(taken):
        start, end = source.spans[which]
        if last is not None:
            between = source.passage.text[source.spans[last][1] : start]
            pieces.append(between if which == last + 1 else _GAP)
        pieces.append(source.passage.text[start:end])
        last = which
    return "".join(pieces)
