"""When something shall be done, out of what people write, by a grammar: no model, and no guess.

A library that finds dates in any text (dateparser) takes what it doesn't understand for something
else; here, what isn't understood, or could mean two times, is asked back as `Unclear`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.timetable import Timetable, changes_clocks
from bot.when_words import DAYS, PIECES, Part, Pieces, Unclear

__all__ = ["Said", "Unclear", "is_zone", "read", "read_when", "timetable"]

_MOST = 1000
_YEARS = 5
_BETWEEN = re.compile(r"(?:\s|,|，|、|的)*")
_WHO = (
    r"(?P<me>me|我(?!们))|us|everyone|everybody|here|the\s+(?:team|channel)|我们|大家|所有人|群里"
)
_LEAD = re.compile(
    r"\s*(?:please\s+|请|麻烦你?|帮我)*"
    rf"(?P<verb>remind(?![a-z])|提醒)?\s*(?:(?:{_WHO})(?![a-z]))?(?:一下)?[\s,:，：]*",
    re.IGNORECASE,
)
_SO = re.compile(
    r"[\s,;:，；：。.\-–—]*(?P<so>(?:to|that|about|of)(?![a-z])|要|去|记得)?[\s:：]*",
    re.IGNORECASE,
)
_HERE = re.compile(
    r"\s*(?:(?<![a-z])(?:here|(?:in|to)\s+this\s+channel)|(?:发?[在到])(?:这里|本频道|频道里|群里))"
    r"\s*[.。!！]*\s*$",
    re.IGNORECASE,
)
_AT_HERE = re.compile(r"[在到](?:这里|本频道|频道里|群里)\s*")


@dataclass(frozen=True, slots=True)
class Said:
    """What people said of something to be done, taken apart."""

    what: str
    pieces: Pieces
    to_me: bool = False
    """It is for who says it alone: "remind me"."""
    reminds: bool = False
    """It is something to be reminded of: "remind us to", "提醒大家"."""


def read(text: str) -> Said:
    """Take apart what is to be done and when, which stands first or last; raise `Unclear`."""
    if len(text) > _MOST:
        raise Unclear("when_long", limit=_MOST)
    whole, here = _HERE.subn("", text.strip())
    lead = _LEAD.match(whole)
    said = Said("", Pieces(), bool(lead and lead["me"]), bool(lead and lead["verb"]))
    start = lead.end() if lead else 0
    pieces, end = _eaten(whole, start)
    if pieces:
        what = whole[end:]
        again = _LEAD.match(what.lstrip(" ,，"))
        if again and (again["verb"] or again["me"]):
            what = what.lstrip(" ,，")[again.end() :]
            to_me, reminds = said.to_me or bool(again["me"]), said.reminds or bool(again["verb"])
            said = replace(said, to_me=to_me, reminds=reminds)
        if pieces.clock and not (pieces.date or pieces.repeat) and _ending(what)[0]:
            raise Unclear("when_apart")
    else:
        pieces, at = _ending(whole[start:])
        if not pieces:
            raise Unclear("when_missing")
        what = whole[start : start + at]
        what, also_here = _HERE.subn("", what)
        here += also_here
    so = _SO.match(what)
    reminds = said.reminds or bool(so and so["so"])
    what = _AT_HERE.sub("", what[so.end() if so else 0 :].strip(" ,，;；"), count=1)
    return replace(
        said, what=what.strip(), pieces=pieces, to_me=said.to_me and not here, reminds=reminds
    )


def read_when(text: str) -> Pieces:
    """Return what a text says that is nothing but a time; raise `Unclear`."""
    given = text.strip().rstrip(".。!！")
    pieces, end = _eaten(given[:_MOST], 0)
    if not pieces or end < len(given):
        raise Unclear("when_unclear", given=given[:_MOST])
    return pieces


def _eaten(text: str, start: int) -> tuple[Pieces, int]:
    """Return the pieces that stand one after another from a place on, and where they end."""
    pieces, end = Pieces(), start
    while True:
        gap = _BETWEEN.match(text, end)
        places = {end, gap.end() if gap else end}
        found = [
            (match.end(), match, take)
            for place in places
            for pattern, take in PIECES
            if (match := pattern.match(text, place))
        ]
        if not found:
            return pieces, end
        longest, match, take = max(found, key=lambda each: each[0])
        new = Pieces()
        take(match, new)
        joined = _joined(pieces, new)
        if joined is None:
            return pieces, end
        pieces, end = joined, longest


def _joined(old: Pieces, new: Pieces) -> Pieces | None:
    """Return both together; None where the second says something else of the same."""
    values = {}
    for name in ("after", "repeat", "date", "clock", "part", "zone"):
        before, now = getattr(old, name), getattr(new, name)
        if before and now:
            return None
        values[name] = before or now
    joined = Pieces(**values)
    if joined.after and (joined.repeat or joined.date or joined.clock or joined.part):
        return None
    if joined.repeat and joined.date and "DAY" not in joined.repeat:
        return None
    return joined


def _ending(text: str) -> tuple[Pieces, int]:
    """Return the pieces that a text ends with, as many as there are, and where they begin."""
    end = len(text.rstrip(" .。!！?？"))
    for at in range(end):
        if at and text[at - 1].isascii() and text[at - 1].isalnum() and text[at].isascii():
            continue  # within a word
        if text[at].isspace():
            continue
        try:
            pieces, eaten = _eaten(text, at)
        except Unclear:
            if at:  # it may be part of something else
                continue
            raise
        if pieces and eaten >= end:
            return pieces, at
    return Pieces(), len(text)


def is_zone(name: str) -> bool:
    """Tell whether a time zone of this name is known."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def timetable(pieces: Pieces, now: datetime, zone: str) -> Timetable:
    """Return the exact times that are meant, in a zone unless another is said; raise `Unclear`."""
    try:
        return _timetable(pieces, now, zone)
    except OverflowError:  # at the ends of the calendar
        raise Unclear("when_which_day") from None


def _timetable(pieces: Pieces, now: datetime, zone: str) -> Timetable:
    if pieces.zone:
        zone = pieces.zone
    hour, minute, _ = pieces.clock or (0, 0, True)
    if hour > 23 or minute > 59:
        raise Unclear("when_no_time", given=f"{hour}:{minute:02}")
    if not is_zone(zone):
        raise Unclear("when_no_zone", given=zone)
    here = now.astimezone(ZoneInfo(zone))
    if pieces.after:
        return Timetable((here + pieces.after).replace(microsecond=0), zone)
    if pieces.repeat:
        return _repeated(pieces, here, zone)
    day = _day(pieces.date, here.date()) if pieces.date else None
    if pieces.clock is None:
        raise Unclear("when_what_time")
    start = _at(day, pieces, here, zone)
    if start <= now:
        raise Unclear("when_past", time=start)
    return Timetable(start, zone)


def _repeated(pieces: Pieces, here: datetime, zone: str) -> Timetable:
    parts = dict(pieces.repeat)
    if "DAY" in parts:
        del parts["DAY"]
        parts |= _on(pieces.date, parts["FREQ"])
    rule = ";".join(f"{name}={value}" for name, value in parts.items())
    if parts["FREQ"] in ("HOURLY", "MINUTELY"):
        if pieces.clock or pieces.part:
            raise Unclear("when_what_time")
        step = {"HOURLY": "hours", "MINUTELY": "minutes"}[parts["FREQ"]]
        span = timedelta(**{step: int(parts.get("INTERVAL", "1"))})
        return Timetable((here + span).replace(second=0, microsecond=0), zone, rule)
    if pieces.clock is None:
        raise Unclear("when_what_time")
    clock = _clock(pieces.clock, pieces.part)
    begin = datetime.combine(here.date(), clock, here.tzinfo)
    first = Timetable(begin, zone, _without_step(rule)).after(here)
    if first is None:
        raise Unclear("when_no_date", given="")
    return Timetable(first, zone, rule)


def _without_step(rule: str) -> str:
    """Return a rule that finds the first time, from which every second one is counted."""
    return re.sub(r";INTERVAL=\d+", "", rule)


def _on(day: tuple[object, ...], freq: str) -> dict[str, str]:
    """Return the day of a week, month or year as parts of a rule."""
    match (freq, *day):
        case ("WEEKLY", "weekday", int(number), _):
            return {"BYDAY": DAYS[number]}
        case ("MONTHLY", "monthday", int(number), 0) if 1 <= number <= 31:
            return {"BYMONTHDAY": str(number)}
        case ("YEARLY", "date", None, int(month), int(number)):
            _valid(2028, month, number)  # a leap year
            return {"BYMONTH": str(month), "BYMONTHDAY": str(number)}
    raise Unclear("when_which_day")


def _day(said: tuple[object, ...], today: date) -> date:
    match said:
        case ("days", int(ahead)):
            return today + timedelta(days=ahead)
        case ("weekday", int(day), str(which)):
            return _weekday(day, which, today)
        case ("monthday", int(number), int(months)):
            return _monthday(number, months, today)
        case ("date", int(year), int(month), int(number)):
            return _valid(year, month, number)
        case ("date", None, int(month), int(number)):
            for year in range(today.year, today.year + _YEARS):
                if (month, number) == (2, 29) and not _is_leap(year):
                    continue
                if (found := _valid(year, month, number)) >= today:
                    return found
    raise Unclear("when_which_day")


def _weekday(day: int, which: str, today: date) -> date:
    monday = today - timedelta(days=today.weekday())
    if which.startswith("week"):
        return monday + timedelta(weeks=int(which.removeprefix("week")), days=day)
    ahead = (day - today.weekday()) % 7
    coming = today + timedelta(days=ahead or 7)
    next_week = monday + timedelta(weeks=1, days=day)
    if which == "next" and coming != next_week:
        raise Unclear("when_which_week", one=coming, other=next_week)
    if ahead == 0 and which != "next":
        raise Unclear("when_which_week", one=today, other=coming)
    return coming


def _monthday(number: int, months: int, today: date) -> date:
    if not 1 <= number <= 31:
        raise Unclear("when_no_date", given=number)
    for ahead in range(months, 4):
        years, month = divmod(today.month - 1 + ahead, 12)
        try:
            found = date(today.year + years, month + 1, number)
        except ValueError:
            if months:
                raise Unclear("when_no_date", given=number) from None
            continue
        if found >= today:
            return found
    raise Unclear("when_no_date", given=number)


def _valid(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        raise Unclear("when_no_date", given=f"{year:04}-{month:02}-{day:02}") from None


def _is_leap(year: int) -> bool:
    return (date(year, 3, 1) - date(year, 2, 28)).days == 2


def _at(day: date | None, pieces: Pieces, here: datetime, zone: str) -> datetime:
    """Return a time on a day; without a day, today or tomorrow."""
    hour, minute, sure = pieces.clock or (0, 0, True)
    if pieces.part or sure:
        clock = _clock(pieces.clock, pieces.part)
        start = _local(day or here.date(), clock, zone)
        if day is None and start <= here:
            start = _local(here.date() + timedelta(days=1), clock, zone)
        return start
    if day is None or day == here.date():
        # Of 4:00 and 16:00 today only one may be still to come.
        coming = [
            start
            for each in (hour % 24, (hour + 12) % 24)
            if (start := _local(here.date(), time(each, minute), zone)) > here
        ]
        usual = 6 < hour <= 12
        if len(coming) == 2 and usual:
            return coming[0]
        if len(coming) == 1 and (day is not None or not usual):
            return coming[0]
        raise Unclear("when_which_half", one=_spelt(hour, minute), other=_spelt(hour + 12, minute))
    return _local(day, _clock(pieces.clock, pieces.part), zone)


def _clock(clock: tuple[int, int, bool] | None, part: Part) -> time:
    """Return a time of day; bare hours from 7 to 12 are those before noon."""
    hour, minute, sure = clock or (0, 0, True)
    if part and hour <= 12:
        hour = _in_part(hour, minute, part)
    elif not sure and hour < 7:
        raise Unclear("when_which_half", one=_spelt(hour, minute), other=_spelt(hour + 12, minute))
    return time(hour, minute)


def _in_part(hour: int, minute: int, part: Part) -> int:
    afternoon = hour + 12 if hour < 12 else hour
    match part:
        case "noon" if hour in (11, 12):
            return hour
        case "noon" if hour in (1, 2):
            return afternoon
        case "morning" if hour < 12:
            return hour
        case "night" if hour < 7:
            return hour
        case "afternoon" if hour in (12, *range(1, 8)):
            return afternoon
        case "evening" if 4 < hour < 12:
            return afternoon
    raise Unclear("when_no_time", given=_spelt(hour, minute))


def _spelt(hour: int, minute: int) -> str:
    return f"{hour % 24:02}:{minute:02}"


def _local(day: date, clock: time, zone: str) -> datetime:
    local = datetime.combine(day, clock)
    if changes_clocks(local, zone):
        raise Unclear("when_clocks", time=f"{local:%Y-%m-%d %H:%M}")
    at = local.replace(tzinfo=ZoneInfo(zone))
    return at.astimezone(UTC).astimezone(ZoneInfo(zone))
