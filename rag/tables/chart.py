"""Rows as a picture, where one says more than they do: bars of categories, lines over time."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rag.language import HAN
from rag.tables.cells import Value
from rag.tables.database import Rows

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

_HAS_HAN = re.compile(f"[{HAN}]")
_ASKED = re.compile(
    r"\b(?:chart|plot|graph|trend|compare[ds]?|comparison|distribution|over time|growth|develop\w*"
    r"|per|by|each|every|monthly|weekly|daily|yearly|annual\w*)\b"
    r"|图|趋势|走势|变化|对比|比较|分布|占比|构成|各|每|按",
    re.IGNORECASE,
)
_DAY = re.compile(r"\d{4}(?:-\d{2}(?:-\d{2}(?:[ T].*)?)?)?")
_FEWEST, _MOST_BARS, _MOST_POINTS, _MOST_SERIES = 3, 20, 400, 4
_COLOURS = ((37, 99, 175), (222, 130, 28), (63, 138, 76), (158, 72, 148))
_INK, _GRID, _PAPER = (34, 34, 34), (222, 222, 222), (255, 255, 255)
_WIDTH, _MARGIN, _BAR, _PLOT = 960, 24, 20, 360
_LABEL = 28
# Fonts with Han characters, as Linux, macOS and Windows bring them.
_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "/System/Library/Fonts",
            "/Library/Fonts", "C:/Windows/Fonts")  # fmt: skip
_FONTS = (
    "NotoSansCJK-Regular", "NotoSansSC-Regular", "NotoSansCJKsc-Regular",
    "SourceHanSansSC-Regular", "wqy-microhei", "wqy-zenhei", "PingFang", "Hiragino Sans GB",
    "STHeiti Light", "msyh", "simhei", "DroidSansFallbackFull", "NotoSerifCJK-Regular",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chart:
    """What a picture shows: a value of each series for each label."""

    kind: Literal["bars", "lines"]
    labels: tuple[str, ...]
    series: tuple[tuple[str, tuple[float, ...]], ...]


def chart_of(question: str, found: Rows) -> Chart | None:
    """Return the picture that says an answer better; None where its rows say it well enough."""
    if not _FEWEST <= len(found.rows) <= _MOST_POINTS or found.count is None:
        return None
    columns = list(zip(*found.rows, strict=True))
    numbers = [at for at, column in enumerate(columns) if at and _are_numbers(column)]
    labels = [str(value) for value in columns[0]]
    timed = all(_DAY.fullmatch(label) for label in labels)
    if not numbers or len(numbers) < len(columns) - 1 or len(set(labels)) < len(labels):
        return None
    if None in columns[0] or not (timed or _ASKED.search(question)):
        return None
    if not timed and (len(labels) > _MOST_BARS or _are_numbers(columns[0])):
        return None
    if timed:
        order = sorted(range(len(labels)), key=lambda at: labels[at])
    else:
        order = list(range(len(labels)))
    series = tuple(
        (found.columns[at], tuple(float(columns[at][row] or 0) for row in order))
        for at in numbers[:_MOST_SERIES]
    )
    return Chart("lines" if timed else "bars", tuple(labels[row] for row in order), series)


def drawn(chart: Chart) -> bytes | None:
    """Return the picture as PNG; None where no font here has its characters."""
    words = "".join([*chart.labels, *(name for name, _ in chart.series)])
    fonts = _fonts(han=_HAS_HAN.search(words) is not None)
    if fonts is None:
        return None
    from PIL import Image, ImageDraw

    legend = 32 if len(chart.series) > 1 else 0
    if chart.kind == "bars":
        height = len(chart.labels) * (len(chart.series) * _BAR + 14) + 2 * _MARGIN + legend + 24
    else:
        height = _PLOT + 2 * _MARGIN + legend + 40
    image = Image.new("RGB", (_WIDTH, height), _PAPER)
    draw = ImageDraw.Draw(image)
    top = _MARGIN + legend
    x = _MARGIN
    for (name, _), colour in zip(chart.series, _COLOURS, strict=False):
        if not legend:
            draw.text((_MARGIN, 4), _short(name, 80), _INK, fonts)
            break
        draw.rectangle((x, _MARGIN - 8, x + 14, _MARGIN + 6), colour)
        draw.text((x + 20, _MARGIN - 10), _short(name), _INK, fonts)
        x += int(draw.textlength(_short(name), fonts)) + 48
    (_bars if chart.kind == "bars" else _lines)(draw, chart, fonts, top, height)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def _bars(draw: ImageDraw, chart: Chart, font: FreeTypeFont, top: int, height: int) -> None:
    left = _MARGIN + max(int(draw.textlength(_short(label), font)) for label in chart.labels) + 10
    values = [value for _, each in chart.series for value in each]
    low, high = min(0.0, *values), max(0.0, *values)
    told = max(int(draw.textlength(_number(value), font)) for value in values) + 12
    scale = (_WIDTH - _MARGIN - told - left - (told if low < 0 else 0)) / ((high - low) or 1)
    zero = left + (told if low < 0 else 0) - low * scale
    y = top + 8
    for at, label in enumerate(chart.labels):
        group = len(chart.series) * _BAR
        draw.text((_MARGIN, y + group / 2 - 10), _short(label), _INK, font)
        for (_, each), colour in zip(chart.series, _COLOURS, strict=False):
            end = zero + each[at] * scale
            draw.rectangle((min(zero, end), y, max(zero, end), y + _BAR - 4), colour)
            text = _number(each[at])
            side = end + 6 if each[at] >= 0 else end - draw.textlength(text, font) - 6
            draw.text((side, y - 3), text, _INK, font)
            y += _BAR
        y += 14
    draw.line((zero, top, zero, height - _MARGIN), _INK)


def _lines(draw: ImageDraw, chart: Chart, font: FreeTypeFont, top: int, height: int) -> None:
    values = [value for _, each in chart.series for value in each]
    ticks = _ticks(min(0.0, *values), max(0.0, *values))
    low, high = ticks[0], ticks[-1]
    bottom = height - _MARGIN - 24
    top += 16
    left = _MARGIN + max(int(draw.textlength(_number(tick), font)) for tick in ticks) + 12
    step = (_WIDTH - left - _MARGIN - 20) / max(len(chart.labels) - 1, 1)
    for tick in ticks:
        y = bottom - (bottom - top) * (tick - low) / (high - low)
        draw.line((left, y, _WIDTH - _MARGIN, y), _GRID)
        draw.text((_MARGIN, y - 10), _number(tick), _INK, font)
    for (_, each), colour in zip(chart.series, _COLOURS, strict=False):
        points = [
            (left + at * step, bottom - (bottom - top) * (value - low) / (high - low))
            for at, value in enumerate(each)
        ]
        draw.line(points, colour, 3)
        for x, y in points if len(points) <= 60 else ():
            draw.ellipse((x - 4, y - 4, x + 4, y + 4), colour)
    room = max(int(draw.textlength(label, font)) for label in chart.labels) + 16
    every = max(1, -(-room // max(int(step), 1)))
    for at in range(0, len(chart.labels), every):
        half = draw.textlength(chart.labels[at], font) / 2
        x = min(max(left + at * step - half, 0), _WIDTH - 2 * half)
        draw.text((x, bottom + 8), chart.labels[at], _INK, font)


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers, a handful, from below the lowest to above the highest value."""
    rough = ((high - low) or 1) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * times for times in (1, 2, 2.5, 5, 10) if power * times >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [step * at for at in range(first, max(last, first + 1) + 1)]


def _are_numbers(column: Sequence[Value]) -> bool:
    known = [value for value in column if value is not None]
    return bool(known) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in known
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.2f}"


def _short(text: str, longest: int = _LABEL) -> str:
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


@cache
def _fonts(*, han: bool) -> FreeTypeFont | None:
    """Return a font, with Han characters where they are needed; None if there is none such."""
    from PIL import ImageFont

    if not han:
        font = ImageFont.load_default(16)
        return font if isinstance(font, ImageFont.FreeTypeFont) else None
    files = [file for folder in map(Path, _FOLDERS) if folder.is_dir()
             for file in folder.rglob("*.[to]t[cf]")]  # fmt: skip
    for name in _FONTS:
        for file in files:
            if file.stem == name:
                return ImageFont.truetype(str(file), 16)
    return None
