import itertools
import math
from pathlib import Path

import pytest

from rag.calibration import Calibration, Observation, calibrate, curve, read, write

ABOUT = {"chat_model": "a", "embedding_model": "b"}


def seen(*rows: tuple[bool, float, float | None]) -> list[Observation]:
    return [Observation(*row) for row in rows]


CLEAR = seen(
    *[(True, 0.6 + n / 30, 0.8) for n in range(10)],
    *[(False, 0.05 + n / 30, 0.3) for n in range(10)],
)
# The best of the unanswerable ones look better than the worst of the others.
MIXED = seen(
    *[(True, 0.4 + n / 40, 0.5 + n / 50) for n in range(20)],
    *[(False, 0.1 + n / 40, 0.2 + n / 40) for n in range(20)],
)


def test_what_can_be_told_apart_is() -> None:
    found = calibrate(CLEAR, 0.0)
    assert all(found.refuses(one.confidence, support=one.support or 0) != one.answerable
               for one in CLEAR)  # fmt: skip
    assert found.score(0.9, 0.9) > 0.5 > found.score(0.1, 0.1)


@pytest.mark.parametrize("wanted", [0.0, 0.05, 0.1, 0.5, 1.0])
def test_no_more_is_answered_than_wanted_and_no_less_than_possible(wanted: float) -> None:
    found = calibrate(MIXED, wanted)
    points = curve(found, MIXED)
    (chosen,) = [point for point in points if math.isclose(point.least, found.least)]
    assert chosen.false_answers <= wanted
    assert all(point.false_answers > wanted for point in points if point.least < chosen.least)


def test_a_curve_goes_from_answering_all_to_refusing_all() -> None:
    points = curve(calibrate(MIXED, 0.1), MIXED)
    assert (points[0].false_answers, points[0].false_refusals) == (1, 0)
    assert (points[-1].false_answers, points[-1].false_refusals) == (0, 1)
    for before, after in itertools.pairwise(points):
        assert before.false_answers >= after.false_answers
        assert before.false_refusals <= after.false_refusals


def test_what_nothing_was_proven_for_is_refused_whatever_the_score() -> None:
    without_proof = seen((True, 0.9, None), (False, 0.99, None))
    points = curve(calibrate(CLEAR, 0.1), [*CLEAR, *without_proof])
    assert points[0].false_answers == pytest.approx(10 / 11)
    assert points[0].false_refusals == pytest.approx(1 / 11)


def test_more_confidence_or_proof_never_speaks_against_an_answer() -> None:
    upside_down = [Observation(not one.answerable, one.confidence, one.support) for one in MIXED]
    found = calibrate(upside_down, 0.1)
    assert found.confidence >= 0
    assert found.support >= 0


@pytest.mark.parametrize("answerable", [True, False])
def test_questions_of_one_kind_alone_calibrate_nothing(answerable: bool) -> None:
    with pytest.raises(ValueError, match="both"):
        calibrate(seen((answerable, 0.5, 0.5), (answerable, 0.6, 0.5)), 0.05)


def test_certainty_of_either_kind_is_no_trouble() -> None:
    found = calibrate(seen((True, 1.0, 1.0), (False, 0.0, 0.0)), 0.05)
    assert 0 <= found.score(0.0, 0.0) < found.score(1.0, 1.0) <= 1


def test_it_is_kept_for_the_models_that_it_holds_for(tmp_path: Path) -> None:
    file = tmp_path / "calibration.json"
    assert read(file, ABOUT) is None
    found = Calibration(-1.0, 0.5, 2.0, 0.4)
    write(found, file, {**ABOUT, "wanted": 0.05})
    assert read(file, ABOUT) == found
    assert read(file, {**ABOUT, "chat_model": "another"}) is None
    file.write_text("[1]")
    assert read(file, ABOUT) is None
    file.write_text('{"chat_model": "a", "embedding_model": "b"}')
    assert read(file, ABOUT) is None
