"""The passages of one text that a question is about, where no index knows the text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from langchain_core.embeddings import Embeddings

from rag.keywords import query_weights, term_ids
from rag.records import Passage
from rag.retrieval import Hit, Retrieval

_MOST = 64
"""Passages that are embedded: those with the most of the question's words."""


def nearest(
    question: str, passages: Sequence[Passage], embeddings: Embeddings, *, limit: int
) -> Retrieval:
    """Return the passages with the question's words and meaning, best first; blocking.

    How likely they have the answer can't be told from so few.
    """
    terms = [frozenset(term_ids(passage.text)) for passage in passages]
    weights = query_weights(question, Counter(t for own in terms for t in own), len(passages))
    asked = sum(weights.values()) or 1.0
    words = [sum(weights[term] for term in own & weights.keys()) / asked for own in terms]
    chosen = sorted(range(len(passages)), key=lambda at: -words[at])[:_MOST]
    if not chosen:
        return Retrieval((), None, weights)
    vectors = np.asarray(embeddings.embed_documents([passages[at].text for at in chosen]))
    like = vectors @ np.asarray(embeddings.embed_query(question))
    spread = max(float(like.max() - like.min()), 1e-6)
    hits = [
        Hit(passages[at], (words[at] + float(cosine - like.min()) / spread) / 2)
        for at, cosine in zip(chosen, like, strict=True)
    ]
    best = sorted(hits, key=lambda hit: -hit.score)[:limit]
    return Retrieval(tuple(best), None, weights)
