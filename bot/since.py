"""Times in the past as people write them: "2h", "yesterday", "周一", "2026-11-20"."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(
    r"(?P<n>\d{1,4})\s*(?:(?P<m>m|min|mins|minutes?|分钟?)|(?P<h>h|hours?|个?小时)"
    r"|(?P<d>d|days?|天)|(?P<w>w|weeks?|个?(?:周|星期|礼拜)))(?:\s*ago|以?前|以?来|内)?",
    re.IGNORECASE,
)
_DAYS = {"today": 0, "今天": 0, "yesterday": 1, "昨天": 1, "前天": 2}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_CHINESE = re.compile(r"(?:周|星期|礼拜)([一二三四五六日天])")
_NUMERALS = {ord(each): str(n) for n, each in enumerate("一二三四五六七八九十", 1)} | {
    ord("两"): "2"
}
_LEADING = re.compile(r"^(?:since|last|the last|自从?|从|最近|过去|上)\s*", re.IGNORECASE)


def moment(text: str, now: datetime) -> datetime | None:
    """Return the time that a text means, in `now`'s time zone; None where it means none so far."""
    wanted = _LEADING.sub("", text.strip()).casefold()
    found = _meant(wanted, now)
    return found if found is not None and found < now else None


def _meant(wanted: str, now: datetime) -> datetime | None:
    if ago := _AGO.fullmatch(wanted.translate(_NUMERALS)):
        unit = next(name for name in _UNITS if ago[name])
        return now - timedelta(**{_UNITS[unit]: int(ago["n"])})
    midnight = datetime.combine(now.date(), time(), now.tzinfo)
    if wanted in _DAYS:
        return midnight - timedelta(days=_DAYS[wanted])
    if (day := _weekday(wanted)) is not None:
        return midnight - timedelta(days=(now.weekday() - day) % 7 or 7)
    try:
        given = datetime.fromisoformat(wanted)
    except ValueError:
        return None
    return given if given.tzinfo else given.replace(tzinfo=now.tzinfo)


def _weekday(wanted: str) -> int | None:
    if chinese := _CHINESE.fullmatch(wanted):
        return "一二三四五六日".index(chinese[1].replace("天", "日"))
    return next((n for n, name in enumerate(_WEEKDAYS) if wanted in (name, name[:3])), None)
