"""When to answer and when to refuse, set on questions of which it is known whether they can be.

Retrieval's confidence and the proof of what was written become one score: the probability that the
question can be answered from these documents. Where the score must lie for an answer is chosen so
that no more of the unanswerable questions are answered than wanted.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

CALIBRATION = "calibration.json"
"""What the data folder calls it."""
# Keeps the score of a handful of questions from being all or nothing.
_RIDGE = 0.01
_STEPS = 50
_EDGE = 1e-3


@dataclass(frozen=True, slots=True)
class Observation:
    """A question, and what the bot knew when it had to decide; None where nothing was proven."""

    answerable: bool
    confidence: float | None
    support: float | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """A logistic model of "this question can be answered here", and the score an answer needs."""

    bias: float
    confidence: float
    """Of the log odds of retrieval's confidence."""
    support: float
    least: float
    """The score from 0 to 1 below which a question is refused."""

    def score(self, confidence: float | None, support: float) -> float:
        """Return how likely the question can be answered."""
        odds = self.bias + self.confidence * _log_odds(confidence) + self.support * support
        return 1 / (1 + math.exp(-max(min(odds, 30.0), -30.0)))

    def refuses(self, confidence: float | None, *, support: float) -> bool:
        """Tell whether this is too little for an answer."""
        return self.score(confidence, support) < self.least


@dataclass(frozen=True, slots=True)
class Point:
    """What a least score costs: rates from 0 to 1."""

    least: float
    false_answers: float
    """Of the questions that can't be answered, those that are."""
    false_refusals: float
    """Of the questions that can be answered, those that aren't."""


def calibrate(observations: Sequence[Observation], wanted: float) -> Calibration:
    """Return the model and the least score with at most `wanted` false answers.

    Raise `ValueError` unless there are questions of both kinds.
    """
    labels = np.array([one.answerable for one in observations], float)
    if not 0 < labels.sum() < len(labels):
        raise ValueError("both answerable and unanswerable questions are needed")
    rows = np.array([(1.0, _log_odds(one.confidence), one.support or 0.0) for one in observations])
    bias, confidence, support = (float(each) for each in _fitted(rows, labels))
    # More confidence or more proof never speak against an answer, whatever few questions say.
    model = Calibration(bias, max(confidence, 0.0), max(support, 0.0), 0.0)
    points = curve(model, observations)
    enough = [point for point in points if point.false_answers <= wanted]
    least = min(enough, key=lambda point: point.least).least if enough else points[-1].least
    return Calibration(model.bias, model.confidence, model.support, least)


def curve(model: Calibration, observations: Sequence[Observation]) -> list[Point]:
    """Return what every possible least score costs, from answering all to refusing all."""
    scores = np.array([_scored(model, one) for one in observations])
    answerable = np.array([one.answerable for one in observations])
    known = np.unique(scores[scores >= 0])
    # Between the scores seen, so that a question like one of these falls on the same side.
    between = (known[1:] + known[:-1]) / 2
    return [
        Point(
            float(least),
            float((scores[~answerable] >= least).mean()),
            float((scores[answerable] < least).mean()),
        )
        for least in [0.0, *between, 1.0]
    ]


def _scored(model: Calibration, one: Observation) -> float:
    # Where nothing could be proven there is nothing to show, whatever retrieval says.
    return -1.0 if one.support is None else model.score(one.confidence, one.support)


def _fitted(
    rows: npt.NDArray[np.float64], labels: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the coefficients of a logistic regression, by Newton; both kinds weigh alike."""
    weights = np.where(labels == 1, 0.5 / labels.mean(), 0.5 / (1 - labels.mean()))
    ridge = _RIDGE * len(rows) * np.diag([0.0, *[1.0] * (rows.shape[1] - 1)])
    solution = np.zeros(rows.shape[1])
    for _ in range(_STEPS):
        chances = 1 / (1 + np.exp(-np.clip(rows @ solution, -30, 30)))
        slope = rows.T @ (weights * (labels - chances)) - ridge @ solution
        bend = (rows.T * (weights * chances * (1 - chances))) @ rows + ridge
        step = np.linalg.lstsq(bend, slope, rcond=None)[0]
        solution += step
        if float(np.abs(step).max()) < _EDGE:
            break
    return solution


def _log_odds(confidence: float | None) -> float:
    if confidence is None:  # too few passages to tell: neither for nor against
        return 0.0
    chance = min(max(confidence, _EDGE), 1 - _EDGE)
    return math.log(chance / (1 - chance))


def write(calibration: Calibration, file: Path, about: Mapping[str, str | float]) -> None:
    """Keep a calibration, with what it holds for."""
    text = json.dumps({**asdict(calibration), **about}, ensure_ascii=False, indent=2)
    written = file.with_suffix(".new")
    written.write_text(text + "\n", encoding="utf-8")
    written.replace(file)


def read(file: Path, about: Mapping[str, str]) -> Calibration | None:
    """Return the calibration in a file, or None without one that holds for all of `about`."""
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        if any(known.get(key) != value for key, value in about.items()):
            return None
        return Calibration(*(float(known[key]) for key in Calibration.__slots__))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
