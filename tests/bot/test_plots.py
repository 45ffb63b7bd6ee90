from xml.etree import ElementTree

import pytest

from bot.plots import trade_off
from rag.calibration import Point


@pytest.mark.parametrize("middle", [[], [Point(0.5, 0.1, 0.02)]])
def test_the_curve_has_its_points_and_says_in_words_what_was_chosen(middle: list[Point]) -> None:
    points = [Point(0.0, 1.0, 0.0), *middle, Point(1.0, 0.0, 1.0)]
    drawn = ElementTree.fromstring(trade_off(points, points[-2], 0.05))
    space = "{http://www.w3.org/2000/svg}"
    (curve,) = [path for path in drawn.iter(f"{space}path") if path.get("class") == "curve"]
    assert len(curve.get("d", "").split()) == len(points)
    assert f"{points[-2].false_answers:.1%}" in (drawn.findtext(f"{space}title") or "")
