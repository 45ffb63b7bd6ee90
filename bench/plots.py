"""Bars with their targets, as SVG that a browser shows in light and in dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_LABELS, _WIDTH, _ROW = 260, 320, 22
_STYLE = (
    "text{font:12px sans-serif;fill:#555}.bar{fill:#67a9cf}.missed{fill:#ef8a62}"
    ".target{stroke:#333;stroke-width:2}"
    "@media(prefers-color-scheme:dark){text{fill:#bbb}.target{stroke:#eee}}"
)


@dataclass(frozen=True)
class Bar:
    """A rate from 0 to 1, and what it should be at least."""

    label: str
    rate: float
    target: float | None = None


def bars(title: str, rows: Sequence[Bar]) -> str:
    """Return a bar a row; a mark says what was wanted, and what misses it has another colour."""
    pieces = []
    for at, row in enumerate(rows):
        top = 30 + at * _ROW
        missed = row.target is not None and row.rate < row.target
        pieces.append(
            f'<text x="{_LABELS - 8}" y="{top + 12}" text-anchor="end">{escape(row.label)}</text>'
            f'<rect class="{"missed" if missed else "bar"}" x="{_LABELS}" y="{top}" height="16" '
            f'width="{row.rate * _WIDTH:.1f}"/>'
            f'<text x="{_LABELS + _WIDTH + 8}" y="{top + 12}">{row.rate:.1%}</text>'
        )
        if row.target is not None:
            x = _LABELS + row.target * _WIDTH
            pieces.append(f'<path class="target" d="M{x:.1f},{top - 2}v20"/>')
    width, height = _LABELS + _WIDTH + 64, 40 + len(rows) * _ROW
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style>"
        f'<text x="{_LABELS}" y="18">{escape(title)}; the marks are the targets</text>'
        f"{''.join(pieces)}</svg>\n"
    )
