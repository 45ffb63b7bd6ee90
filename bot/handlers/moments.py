"""Say times, and what falls due when, in words."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from bot.messages import Language
from bot.phrases import say
from bot.reminders import PAGE, Reminder
from bot.when import DAYS, Unclear

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_ZH_DAYS = "一二三四五六日"
_NTH = {"1": "first", "2": "second", "3": "third", "4": "fourth", "-1": "last"}
_ZH_NTH = {"1": "第一个", "2": "第二个", "3": "第三个", "4": "第四个", "-1": "最后一个"}
_UNITS = {
    "MINUTELY": ("minute", "分钟"),
    "HOURLY": ("hour", "小时"),
    "DAILY": ("day", "天"),
    "WEEKLY": ("week", "周"),
    "MONTHLY": ("month", "个月"),
    "YEARLY": ("year", "年"),
}
_SHOWN = 60


def spelt(at: datetime | date, language: Language) -> str:
    """Return a time, or a day, in words."""
    clock = f" {at:%H:%M}" if isinstance(at, datetime) else ""
    if language == "zh":
        return f"{at.year}年{at.month}月{at.day}日（周{_ZH_DAYS[at.weekday()]}）{clock.strip()}"
    return f"{_DAYS[at.weekday()][:3]} {at.day} {at:%b %Y}{clock}"


def asked_back(unclear: Unclear, language: Language) -> str:
    """Return the question that an unclear time is answered with."""
    values: dict[str, Any] = {
        name: spelt(value, language) if isinstance(value, date) else value
        for name, value in unclear.values.items()
    }
    return say(language, unclear.key, **values)


def how_often(rule: str, language: Language) -> str:
    """Return a rule in words; empty for once."""
    if not rule:
        return ""
    parts = dict(each.split("=", 1) for each in rule.split(";"))
    zh = language == "zh"
    unit = _UNITS[parts["FREQ"]][zh]
    count = int(parts.get("INTERVAL", "1"))
    if zh:
        every = f"每{unit.removeprefix('个')}" if count == 1 else f"每 {count} {unit}"
    else:
        every = f"every {unit}" if count == 1 else f"every {count} {unit}s"
    return every + _on(parts, language)


def _on(parts: dict[str, str], language: Language) -> str:
    zh = language == "zh"
    if month := parts.get("BYMONTH"):
        day = parts["BYMONTHDAY"]
        return f"{month}月{day}日" if zh else f" on {day} {date(2000, int(month), 1):%B}"
    day = parts.get("BYMONTHDAY", "")
    if day:
        if day == "-1":
            return "最后一天" if zh else " on the last day"
        return f"{day}日" if zh else f" on day {day}"
    by = parts.get("BYDAY", "")
    if not by:
        return ""
    if by == ",".join(DAYS[:5]):
        return "一至周五" if zh else " from Monday to Friday"
    if (nth := by[:-2]) in _NTH:
        number = DAYS.index(by[-2:])
        return (
            f"{_ZH_NTH[nth]}周{_ZH_DAYS[number]}" if zh else f" on the {_NTH[nth]} {_DAYS[number]}"
        )
    numbers = [DAYS.index(each) for each in by.split(",")]
    if zh:
        every_week = "INTERVAL" not in parts
        named = "、周".join(_ZH_DAYS[number] for number in numbers)
        return named if every_week else f"的周{named}"
    return " on " + ", ".join(_DAYS[number] for number in numbers)


def line(reminder: Reminder, next_at: datetime, language: Language, here: str) -> str:
    """Return a reminder as one line, as it is told in a scope: number, when, what and where."""
    text = " ".join(reminder.text.split())
    what = say(language, f"listed_{reminder.kind}", text=_cut(text, _SHOWN))
    if reminder.direct:
        what += say(language, "listed_direct")
    elif reminder.platform == PAGE[0]:
        what += say(language, "listed_page")
    elif reminder.scope != here:
        what += f" · {reminder.scope}"
    often = how_often(reminder.times.rule, language)
    key = "reminder_again" if often else "reminder_once"
    return say(
        language,
        key,
        id=reminder.id,
        what=what,
        time=spelt(next_at, language),
        zone=reminder.times.zone,
        often=often,
    )


def told(reminder: Reminder, language: Language) -> str:
    """Return what is posted here, and to whom, in words."""
    text = " ".join(reminder.text.split())
    where = "_direct" if reminder.direct else "_page" if reminder.platform == PAGE[0] else ""
    return say(language, f"reminder_{reminder.kind}{where}", text=text)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
