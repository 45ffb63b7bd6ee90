"""Pictures of measurements, as SVG that a browser shows in light and in dark."""

from __future__ import annotations

from collections.abc import Sequence

from rag.calibration import Point

_SIZE = 320
_EDGE = 56
_STYLE = (
    "text{font:12px sans-serif;fill:#555}"
    ".frame{fill:none;stroke:#999}.curve{fill:none;stroke:#2166ac;stroke-width:2}"
    ".wanted{stroke:#999;stroke-dasharray:4}.chosen{fill:#b2182b}"
    "@media(prefers-color-scheme:dark){text{fill:#bbb}.curve{stroke:#67a9cf}.chosen{fill:#ef8a62}}"
)


def trade_off(points: Sequence[Point], chosen: Point, wanted: float) -> str:
    """Return the curve of false answers against false refusals, with the point that was chosen."""
    ordered = sorted(points, key=lambda point: point.least)
    path = " ".join(
        f"{'L' if at else 'M'}{_x(point):.1f},{_y(point.false_answers):.1f}"
        for at, point in enumerate(ordered)
    )
    marks = "".join(
        f'<text x="{_EDGE + share * _SIZE:.0f}" y="{_SIZE + 32}" text-anchor="middle">'
        f"{share:.0%}</text>"
        f'<text x="{_EDGE - 6}" y="{_y(share) + 4:.0f}" text-anchor="end">{share:.0%}</text>'
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    )
    width, height = _SIZE + _EDGE + 24, _SIZE + 70
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">'
        f"<title>At a least score of {chosen.least:.2f}, {chosen.false_answers:.1%} of the "
        f"unanswerable questions are answered and {chosen.false_refusals:.1%} of the answerable "
        f"ones refused</title><style>{_STYLE}</style>"
        f'<rect class="frame" x="{_EDGE}" y="16" width="{_SIZE}" height="{_SIZE}"/>'
        f'<path class="wanted" d="M{_EDGE},{_y(wanted):.1f}h{_SIZE}"/>'
        f'<path class="curve" d="{path}"/>'
        f'<circle class="chosen" r="5" cx="{_x(chosen):.1f}" cy="{_y(chosen.false_answers):.1f}"/>'
        f'{marks}<text x="{_EDGE + _SIZE / 2}" y="{_SIZE + 54}" text-anchor="middle">'
        "answerable questions refused</text>"
        f'<text transform="rotate(-90)" x="{-16 - _SIZE / 2}" y="14" text-anchor="middle">'
        "unanswerable questions answered</text></svg>\n"
    )


def _x(point: Point) -> float:
    return _EDGE + point.false_refusals * _SIZE


def _y(share: float) -> float:
    return 16 + (1 - share) * _SIZE
