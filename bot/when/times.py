"""What was said of when something shall be done, as exact times."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.timetable import Timetable, changes_clocks
from bot.when.words import DAYS, Part, Pieces, Unclear

_YEARS = 5


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
