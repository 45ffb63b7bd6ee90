"""How likely it is that the answer is among the passages found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rag.language import Language

_RUNNER_UP = 5


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


# The weights are one fit. The biases differ, since pairs of Chinese characters are repeated less
# than words are: bench/README.md says how they were chosen.
SAME_LANGUAGE: Mapping[Language, Gate] = {
    "en": Gate(bias=-14.26, standing=0.82, keywords=14.55, lead=21.86),
    "zh": Gate(bias=-12.21, standing=0.82, keywords=14.55, lead=21.86),
}
# Words don't match across languages: only meaning tells, and less surely.
ACROSS_LANGUAGES = Gate(bias=-6.8, standing=2.4, keywords=0.0, lead=0.0)
