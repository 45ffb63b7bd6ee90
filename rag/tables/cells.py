"""What the text of a column's cells means: numbers, dates, truth values, or text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

Value = str | int | float | bool | None
Kind = Literal["BIGINT", "DOUBLE", "DATE", "TIMESTAMP", "BOOLEAN", "VARCHAR"]

_MISSING = {
    "", "-", "--", "–", "—", "―", "/", "\\", "?", "n/a", "na", "nil", "null", "none", "tbd",
    "unknown", "无", "暂无", "待定", "未知", "不详",
}  # fmt: skip
_CURRENCY = r"US\$|HK\$|[$€£¥￥]|CHF|USD|EUR|GBP|JPY|CNY|RMB"
_NUMBER = re.compile(
    rf"(?P<open>\()?\s*(?P<sign>[-+−])?\s*(?P<before>{_CURRENCY})?\s*(?P<inner>[-−])?"
    r"(?P<digits>\d{1,3}(?:[,'’ ]\d{3})+(?:\.\d+)?|\d{1,3}(?:\.\d{3})+,\d+|\d+,\d{1,2}"
    r"|\d+(?:\.\d+)?(?:[eE][-+]?\d{1,3})?|\.\d+)"
    rf"\s*(?P<scale>[万亿])?\s*(?P<after>%|％|元|{_CURRENCY})?\s*(?P<close>\))?",
    re.IGNORECASE,
)
_SCALE = {"万": 10_000, "亿": 100_000_000}
_YEAR_FIRST = re.compile(
    r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?"
    r"(?:[ T]\s*(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?)?"
)
_YEAR_LAST = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4})")
_WORDED = re.compile(
    r"(?:(\d{1,2})(?:st|nd|rd|th)?\.?\s+([a-z]{3,9})\.?|([a-z]{3,9})\.?\s+(\d{1,2})(?:st|nd|rd|th)?)"
    r",?\s+(\d{4})",
    re.IGNORECASE,
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATED = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?=\D)")
_MOST_DIGITS = 15
_FEWEST_DATED = 3


@dataclass(frozen=True, slots=True)
class Typed:
    """A column's values in one type; dates are ISO 8601."""

    kind: Kind
    values: list[Value]
    unit: str = ""
    """What stood beside every number: "%", "¥"."""


def typed(texts: Sequence[str]) -> Typed:
    """Return the values that a column's cells mean; a single doubtful one leaves all as text."""
    present = [text for text in texts if text.strip().lower() not in _MISSING]
    if present:
        for read in (_numbers, _dates, _booleans):
            if found := read(present):
                return _with_gaps(texts, found)
    return Typed("VARCHAR", [text or None for text in texts])


def dates_at_start(texts: Sequence[str]) -> Typed | None:
    """Return the days that longer texts all begin with ("2023-03-31.0002"), if they do."""
    present = [text for text in texts if text]
    if len(present) < _FEWEST_DATED:
        return None
    days: list[Value] = []
    for text in present:
        match = _DATED.match(text)
        day = _day(*match.groups()) if match else None
        if day is None:
            return None
        days.append(day)
    filled = iter(days)
    return Typed("DATE", [next(filled) if text else None for text in texts])


def _with_gaps(texts: Sequence[str], found: Typed) -> Typed:
    values = iter(found.values)
    filled = [None if text.strip().lower() in _MISSING else next(values) for text in texts]
    return Typed(found.kind, filled, found.unit)


def _numbers(texts: Sequence[str]) -> Typed | None:
    values: list[Value] = []
    units: set[str] = set()
    for text in texts:
        match = _NUMBER.fullmatch(text.strip())
        if match is None or bool(match["open"]) != bool(match["close"]):
            return None
        value = _number(match)
        if value is None:
            return None
        values.append(value)
        units.add((match["before"] or match["after"] or "").replace("％", "%").replace("￥", "¥"))
    if len(units - {""}) > 1 or ("%" in units and len(units) > 1):
        return None
    whole = all(isinstance(value, int) for value in values)
    return Typed(
        "BIGINT" if whole else "DOUBLE",
        values if whole else [float(value or 0) for value in values],
        max(units),
    )


def _number(match: re.Match[str]) -> int | float | None:
    digits = match["digits"]
    if re.fullmatch(r"0\d+", digits) or sum(map(str.isdigit, digits)) > _MOST_DIGITS:
        return None  # a code, not an amount
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+,\d+|\d+,\d{1,2}", digits):
        digits = digits.replace(".", "").replace(",", ".")
    plain = re.sub(r"[,'’ ]", "", digits)
    value: int | float = int(plain) if plain.isdigit() else float(plain)
    value *= _SCALE.get(match["scale"] or "", 1)
    negative = match["open"] or match["inner"] or (match["sign"] or "") in {"-", "−"}
    return -value if negative and match["sign"] != "+" else value


def _dates(texts: Sequence[str]) -> Typed | None:
    year_last = [_YEAR_LAST.fullmatch(text.strip()) for text in texts]
    if all(year_last):
        found = [match for match in year_last if match]
        # Which of the two is the month, only a number above 12 tells.
        day_first = any(int(match[1]) > 12 for match in found)
        month_first = any(int(match[3]) > 12 for match in found)
        if day_first == month_first:
            return None
        order = (4, 3, 1) if day_first else (4, 1, 3)
        return _as_dates([_day(*(match[at] for at in order)) for match in found])
    for read in (_year_first, _worded):
        values = [read(text.strip()) for text in texts]
        if all(values):
            return _as_dates(values)
    return None


def _as_dates(values: Sequence[str | None]) -> Typed | None:
    if None in values:
        return None
    timed = any(len(value or "") > 10 for value in values)
    return Typed("TIMESTAMP" if timed else "DATE", list(values))


def _year_first(text: str) -> str | None:
    match = _YEAR_FIRST.fullmatch(text)
    if match is None:
        return None
    day = _day(*match.group(1, 2, 3))
    if day is None or match[4] is None:
        return day
    try:
        time = datetime.fromisoformat(f"{day}T{int(match[4]):02}:{match[5]}:{match[6] or '00'}")
    except ValueError:
        return None
    return time.isoformat(" ")


def _worded(text: str) -> str | None:
    match = _WORDED.fullmatch(text)
    if match is None:
        return None
    month = (match[2] or match[3]).lower()[:3]
    if month not in _MONTHS:
        return None
    return _day(match[5], str(_MONTHS.index(month) + 1), match[1] or match[4])


def _day(year: str, month: str, day: str) -> str | None:
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return None


def _booleans(texts: Sequence[str]) -> Typed | None:
    if all(text.upper() in {"TRUE", "FALSE"} for text in texts):
        return Typed("BOOLEAN", [text.upper() == "TRUE" for text in texts])
    return None
