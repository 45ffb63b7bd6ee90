"""Cut the passages found to the sentences that matter, as many as the prompt may hold.

On a small machine the prompt is what people wait for, so each sentence has to earn its tokens.
"""

from __future__ import annotations

from bisect import bisect_right
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
    """Return the sources' best sentences in their order, within `budget` tokens; blocking.

    The best one is always among them, cut if it must be.
    """
    vector = np.asarray(embeddings.embed_query(question), np.float32)
    asked = sum(rarities.values()) or 1.0
    worth: list[tuple[float, int, int]] = []
    likes = [
        source.likeness(vector, embeddings) if source.sentences else np.empty(0)
        for source in sources
    ]
    everything = np.concatenate([np.empty(0), *likes])
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
    chosen: list[dict[int, str]] = [{} for _ in sources]
    gap = count(_GAP)
    left = budget
    for _, at, which in sorted(worth, reverse=True):
        sentence = sources[at].sentences[which]
        heading = gap if chosen[at] else count(f"\n{_heading(sources[at])}")
        if left == budget:
            sentence = _cut(sentence, left - heading, count)
        cost = count(sentence) + heading
        if sentence and cost <= left:
            chosen[at][which] = sentence
            left -= cost
    return "\n".join(
        _heading(sources[at]) + _joined(sources[at], chosen[at])
        for at in _reading_order(sources)
        if chosen[at]
    )


def _reading_order(sources: Sequence[Source]) -> list[int]:
    """Return the sources best first, but neighbours in a document together and in their order."""
    order: list[int] = []
    for first in range(len(sources)):
        if first in order:
            continue
        group = {first}
        for _ in sources:  # a chain of neighbours is no longer
            group |= {
                other
                for other in range(len(sources))
                if other not in order and any(_beside(sources[other], sources[m]) for m in group)
            }
        order += sorted(group, key=lambda at: sources[at].passage.start)
    return order


def _beside(source: Source, other: Source) -> bool:
    one, two = source.passage, other.passage
    return one.document_id == two.document_id and abs(one.ordinal - two.ordinal) == 1


def _heading(source: Source) -> str:
    section = source.passage.section
    if not section or source.passage.text.startswith(section.rpartition(" > ")[2]):
        return f"[{source.number}] "
    return f"[{source.number}] {section}: "


def _cut(sentence: str, budget: int, count: Callable[[str], int]) -> str:
    """Return as much of the beginning of a sentence as fits."""
    if count(sentence) <= budget:
        return sentence
    ends = range(1, len(sentence) + 1)
    return sentence[: bisect_right(ends, budget, key=lambda end: count(sentence[:end]))]


def _joined(source: Source, taken: dict[int, str]) -> str:
    """Return the sentences taken in their order, with a mark where some are left out."""
    pieces: list[str] = []
    last: int | None = None
    for which in sorted(taken):
        if last is not None:
            between = source.passage.text[source.spans[last][1] : source.spans[which][0]]
            pieces.append(between[:1] if which == last + 1 else _GAP)
        pieces.append(taken[which])
        last = which
    return "".join(pieces)
