"""How well passages fit a question: meaning and keywords in one score."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from rag.language import LANGUAGES, Language

Scores = npt.NDArray[np.float64]

_DENSE_SHARE = 0.65
# Of two equals the one in the question's language is the better answer.
_ACROSS = 0.95
# And so much less is another language's worth where the question's own surely has the answer.
_NOT_NEEDED = 0.3
# The question as asked and translated by meaning, and translated by keywords.
_TRANSLATED = (0.5, 0.3, 0.2)


def fuse(
    standings: Scores, keywords: Scores, same_language: npt.NDArray[np.bool_], own_sure: float
) -> Scores:
    """Weigh meaning and keywords; across languages words may help, and never harm.

    `standings` are cosines above what is usual in the passage's language: passages in the
    question's own language have higher cosines whatever they say. `own_sure` is how likely these
    have the answer.
    """
    dense = spread(standings)
    fused = _DENSE_SHARE * dense + (1 - _DENSE_SHARE) * spread(keywords)
    across = _ACROSS * (1 - _NOT_NEEDED * own_sure) * np.maximum(dense, fused)
    return np.asarray(np.where(same_language, fused, across))


def fuse_translated(
    standings: tuple[Scores, Scores],
    keywords: tuple[Scores, Scores],
    same_language: npt.NDArray[np.bool_],
    own_sure: float,
) -> Scores:
    """Weigh a question as asked and as translated, each with its standings and keywords."""
    asked, translated, words = _TRANSLATED
    dense = spread(standings[0])
    fused = _DENSE_SHARE * dense + (1 - _DENSE_SHARE) * spread(keywords[0])
    across = asked * dense + translated * spread(standings[1]) + words * spread(keywords[1])
    across *= 1 - _NOT_NEEDED * own_sure
    return np.asarray(np.where(same_language, fused, across))


def spread(values: Scores) -> Scores:
    """Return values from 0 for the lowest to 1 for the highest."""
    lowest, highest = float(values.min()), float(values.max())
    # What differs by less is equal: the rest is the rounding of 32 bits.
    return (values - lowest) / max(highest - lowest, 1e-3)


def expected(shares: Scores, usual: Mapping[Language, npt.NDArray[np.float32]]) -> Scores:
    """Return the cosine that is usual for each text, by what share of it is in Chinese."""
    means = {language: float(values.mean()) for language, values in usual.items()}
    english, chinese = (means.get(language, max(means.values())) for language in LANGUAGES)
    return np.asarray(shares * chinese + (1 - shares) * english)
