"""Which of several documents counts: what each says of its own date, version and standing.

Only what a document says itself is believed: when a file was copied says nothing of what is in it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from rag.language import HAN, simplified

Day = tuple[int, ...]
"""A year, a year and month, or a whole date."""

_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_MONTH = "|".join(f"{name}|{name[:3]}" for name in _MONTHS)
_YEAR = r"(?<!\d)(?P<{0}>(?:19|20|21)\d\d)"
_DATE = re.compile(
    "|".join(
        [
            _YEAR.format("y1") + r"\s*[-/.年]\s*(?P<m1>1[0-2]|0?[1-9])(?!\d)"
            r"(?:\s*[-/.月]\s*(?P<d1>3[01]|[12]\d|0?[1-9])(?!\d))?",
            rf"(?<!\d)(?P<d2>3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th)?\s+(?P<m2>{_MONTH})\.?,?\s+"
            + _YEAR.format("y2") + r"(?!\d)",
            rf"\b(?P<m3>{_MONTH})\.?\s+(?:(?P<d3>3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th)?,?\s+)?"
            + _YEAR.format("y3") + r"(?!\d)",
            _YEAR.format("y4") + r"(?!\d)",
        ]
    )
)  # fmt: skip
_NUMBER = r"\d+(?:\.\d+)*"
_VERSION = re.compile(
    rf"(?:(?<![a-z])v|(?<![a-z])(?:ver|version|rev|revision|edition)(?![a-z]))[\s._-]*(?P<a>{_NUMBER})"
    rf"|(?:版本|版)\s*(?P<b>{_NUMBER})|第\s*(?P<c>{_NUMBER}|[一二三四五六七八九十])\s*版"
)
_HAN_NUMBERS = "一二三四五六七八九十"
_DRAFT = re.compile(
    r"\bdrafts?\b|\bnot (?:yet )?approved\b|\bunapproved\b|草案|草稿|征求意见|(?:尚未|未经|未)批准"
)
_BEGINS = re.compile(
    r"(?:tak(?:es?|ing) effect|effective|in force|valid|appl(?:y|ies))\W+"
    r"(?:(?:on|from|as of|since)\W+)?$"
)
_BEGINS_AFTER = re.compile(r"\s*[年月日号]?\s*(?:起|开始|正式)*(?:施行|生效|执行|实施|实行)")
_APART = re.compile(r"[\W_]+")
_STOP = re.compile(r"[。!?;:\n]|\.(?=\s|$)")
_IS_HAN = re.compile(f"[{HAN}]")
# A sentence of this width, where a Han character counts as two, says what a document is: "Rules of
# 1 March 2024." In longer ones a date is mostly of something that happened.
_WIDEST = 60
# Or these stand beside the date.
_SAID_BEFORE = re.compile(
    r"(?:updated|revised|amended|issued|approved|published|adopted|decided|dated|last changed"
    r"|(?:更新|修订|发布|批准|印发|通过|公布|修改|制定)(?:日期|时间|于|在)?)\W*(?:on|in|of|at)?\W*$"
)
_SAID_AFTER = re.compile(r"\s*[年月日号]?\s*(?:更新|修订|发布|批准|印发|通过|公布|修改|制定)")


@dataclass(frozen=True, slots=True)
class Edition:
    """What a document says of itself; None where it says nothing."""

    stem: str = ""
    """Its name without dates and versions: that of every edition of the same document."""
    version: tuple[int, ...] | None = None
    day: Day | None = None
    begins: Day | None = None
    """When it takes effect."""
    draft: bool = False

    def in_force(self, today: date) -> bool:
        """Tell whether it counts already."""
        if self.draft:
            return False
        now = (today.year, today.month, today.day)
        return self.begins is None or self.begins <= now[: len(self.begins)]

    def newer_than(self, other: Edition, today: date) -> bool:
        """Tell whether this one surely counts instead of the other."""
        if self.in_force(today) != other.in_force(today):
            return self.in_force(today)
        if self.version and other.version and self.stem == other.stem:
            return self.version > other.version
        if self.day and other.day:
            known = min(len(self.day), len(other.day))
            return self.day[:known] > other.day[:known]
        return False


@lru_cache(maxsize=4096)
def edition_of(name: str, beginning: str) -> Edition:
    """Return what a document's name and its first lines say about its date and version."""
    bare, text = _plain(name.rpartition("/")[2].rpartition(".")[0] or name), _plain(beginning)
    told = list(_dates(text))
    dates = [found.day for found in told if found.of_itself] + [each.day for each in _dates(bare)]
    begins = next((found.day for found in told if found.begins), None)
    # The exact date is more often in the text, a year alone more often in the name.
    day = max(dates, key=len, default=None)
    versions = [*_VERSION.finditer(bare), *_VERSION.finditer(text)]
    return Edition(
        stem=_APART.sub("", _VERSION.sub("", _DATE.sub("", _DRAFT.sub("", bare)))),
        version=_version(versions[0]) if versions else None,
        day=day,
        begins=begins,
        draft=bool(_DRAFT.search(bare) or _DRAFT.search(text)),
    )


def _plain(text: str) -> str:
    return simplified(unicodedata.normalize("NFKC", text)).casefold()


@dataclass(frozen=True, slots=True)
class _Dated:
    day: Day
    begins: bool
    """It is when the document takes effect."""
    of_itself: bool
    """It is a date of the document, and not of what it tells."""


def _dates(text: str) -> Iterator[_Dated]:
    """Yield the dates of a text in order."""
    for found in _DATE.finditer(text):
        year, month, day = (
            next((found[f"{part}{n}"] for n in range(1, 5) if _has(found, f"{part}{n}")), None)
            for part in "ymd"
        )
        assert year is not None  # noqa: S101 - every alternative has one
        parts = [int(year)]
        if month:
            parts.append(int(month) if month.isdigit() else _month(month))
            if day:
                parts.append(int(day))
        start, end = found.span()
        begins = bool(_BEGINS.search(text, 0, start) or _BEGINS_AFTER.match(text, end))
        said = _SAID_BEFORE.search(text, 0, start) or _SAID_AFTER.match(text, end)
        of_itself = begins or bool(said) or _width(_sentence(text, start, end)) <= _WIDEST
        yield _Dated(tuple(parts), begins, of_itself)


def _sentence(text: str, start: int, end: int) -> str:
    before = max((stop.end() for stop in _STOP.finditer(text, 0, start)), default=0)
    after = _STOP.search(text, end)
    return text[before : after.start() if after else len(text)].strip()


def _width(text: str) -> int:
    return len(text) + len(_IS_HAN.findall(text))


def _has(found: re.Match[str], group: str) -> bool:
    return group in found.re.groupindex and found[group] is not None


def _month(name: str) -> int:
    return next(n for n, full in enumerate(_MONTHS, 1) if full.startswith(name))


def _version(found: re.Match[str]) -> tuple[int, ...]:
    number = found["a"] or found["b"] or found["c"]
    if number in _HAN_NUMBERS:
        return (_HAN_NUMBERS.index(number) + 1,)
    return tuple(map(int, number.split(".")))
