"""Passages as the records give them, made from plain text."""

from __future__ import annotations

from collections.abc import Mapping

from rag.keywords import rarity, term_id, terms
from rag.language import language_of
from rag.records import Passage


def passage(
    text: str, *, name: str = "a.txt", start: int = 0, section: str | None = None, ordinal: int = 0
) -> Passage:
    """Return a passage that begins at `start` of its document's text."""
    return Passage(
        row_id=f"{name}-{ordinal}-{start}",
        document_id=f"id of {name}",
        document=name,
        scope="public",
        ordinal=ordinal,
        text=text,
        start=start,
        end=start + len(text),
        page=None,
        section=section,
        language=language_of(text),
    )


def rarities(*texts: str) -> Mapping[int, float]:
    """Return how rare each term of the texts is among them."""
    having = [frozenset(map(term_id, terms(text))) for text in texts]
    known = frozenset().union(*having)
    return {term: rarity(sum(term in found for found in having), len(having)) for term in known}
