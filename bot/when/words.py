"""The words that say when, in English and Chinese, piece by piece: "tomorrow", "at 9", "每周一"."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

Match = re.Match[str]
Part = Literal["", "night", "morning", "noon", "afternoon", "evening"]
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


class Unclear(Exception):
    """What was written means no time, or several; `key` names the phrase that asks back."""

    def __init__(self, key: str, **values: Any) -> None:
        super().__init__(key)
        self.key = key
        self.values = values


@dataclass(slots=True)
class Pieces:
    """What was said of a time so far; each of these at most once."""

    after: timedelta | None = None
    repeat: dict[str, str] = field(default_factory=dict)
    """The parts of a rule; with `DAY`, a day has still to be named."""
    date: tuple[Any, ...] = ()
    """days N, weekday N WHICH, monthday N MONTHS, or date YEAR MONTH DAY."""
    clock: tuple[int, int, bool] | None = None
    """Hour, minute, and whether it can only be meant on a clock of 24 hours."""
    part: Part = ""
    zone: str = ""

    def __bool__(self) -> bool:
        return bool(self.after or self.repeat or self.date or self.clock or self.part)


_ENGLISH = tuple(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "  # noqa: SIM905
    "sixteen seventeen eighteen nineteen twenty".split()
)
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}
_ZH_ORDINALS = {"一": 1, "二": 2, "三": 3, "四": 4, "最后一": -1}
_UNITS = {"minute": "MINUTELY", "hour": "HOURLY", "day": "DAILY", "week": "WEEKLY"} | {
    "month": "MONTHLY",
    "year": "YEARLY",
}
_ZH_UNITS = {"分": "minute", "小": "hour", "钟": "hour", "天": "day", "日": "day"} | {
    "周": "week",
    "星": "week",
    "礼": "week",
    "月": "month",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LEAST_MINUTES = 10

_NUMBER = rf"(?:\d{{1,4}}|{'|'.join(_ENGLISH[1:])}|an?)"
_DAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_SHORT = rf"(?:{_DAY}|mon|tues?|wed|thu(?:rs?)?|fri|sat|sun)"
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_ZH_NUMBER = r"(?:\d{1,4}|[零一二两三四五六七八九十]{1,3})"
_WEEK = r"(?:周|星期|礼拜)"
_ZH_DAY = "[一二三四五六日天]"
_ZH_PART: dict[str, Part] = {
    **dict.fromkeys(("凌晨", "半夜", "深夜"), "night"),
    **dict.fromkeys(("清晨", "早上", "早晨", "上午", "早"), "morning"),
    "中午": "noon",
    **dict.fromkeys(("下午", "午后"), "afternoon"),
    **dict.fromkeys(("傍晚", "晚上", "晚间", "夜里", "晚"), "evening"),
}
_PART = {"morning": "morning", "afternoon": "afternoon", "evening": "evening", "night": "evening"}

Take = Callable[[Match, Pieces], None]
PIECES: list[tuple[re.Pattern[str], Take]] = []
"""Every piece, and what it says; where several fit, the longest counts."""


def _piece(pattern: str) -> Callable[[Take], Take]:
    english = not re.search("[\u4e00-\u9fff]", pattern)
    whole = rf"(?<![^\W\d_])(?:{pattern})(?![^\W_])" if english else pattern

    def add(take: Take) -> Take:
        PIECES.append((re.compile(whole, re.IGNORECASE), take))
        return take

    return add


def number(text: str) -> int:
    """Return what a number is, in digits or in words of either language."""
    word = text.strip().casefold()
    if word.isdecimal():
        return int(word)
    if word in ("a", "an"):
        return 1
    if word in _ENGLISH:
        return _ENGLISH.index(word)
    tens, ten, ones = word.replace("两", "二").rpartition("十")
    digits = "零一二三四五六七八九"
    if any(each not in digits for each in tens + ones) or max(len(tens), len(ones)) > 1:
        raise Unclear("when_number", given=text)
    return (digits.index(tens or "一") * 10 if ten else 0) + (digits.index(ones) if ones else 0)


def weekday(text: str) -> int:
    """Return the number of a day of the week, from 0 for Monday."""
    if text[-1] in "一二三四五六日天":
        return "一二三四五六日".index(text[-1].replace("天", "日"))
    short = text.casefold()[:2]
    return ("mo", "tu", "we", "th", "fr", "sa", "su").index(short)


def _repeat(pieces: Pieces, freq: str, interval: int = 1, **more: str) -> None:
    if freq == "MINUTELY" and interval < _LEAST_MINUTES:
        raise Unclear("when_too_often", minutes=_LEAST_MINUTES)
    if interval < 1:
        raise Unclear("when_number", given=interval)
    every = {"INTERVAL": str(interval)} if interval > 1 else {}
    pieces.repeat = {"FREQ": freq, **every, **more}


def _span(count: int, unit: str) -> timedelta:
    if unit == "month":  # months differ: a date says it
        raise Unclear("when_month")
    return timedelta(**{f"{unit}s": count})


# In so long


@_piece(
    rf"in\s+(?:(?P<half>half\s+an\s+hour)|(?P<n>{_NUMBER})\s*"
    r"(?P<unit>minute|min|hour|hr|day|week|month)s?"
    r"(?:\s*(?:and\s+)?(?P<more>\d{1,2})\s*min(?:ute)?s?)?)"
)
def _in(found: Match, pieces: Pieces) -> None:
    if found["half"]:
        pieces.after = timedelta(minutes=30)
        return
    unit = {"min": "minute", "hr": "hour"}.get(found["unit"].casefold(), found["unit"].casefold())
    pieces.after = _span(number(found["n"]), unit) + timedelta(minutes=int(found["more"] or 0))


@_piece(
    rf"(?:再?过)?(?:(?P<half>半)个?(?:小时|钟头)|(?P<n>{_ZH_NUMBER})\s*个?(?P<more>半)?"
    rf"(?P<unit>分钟?|小时|钟头|天|{_WEEK}|月))(?:之|以)?后"
)
def _hou(found: Match, pieces: Pieces) -> None:
    if found["half"]:
        pieces.after = timedelta(minutes=30)
        return
    span = _span(1, _ZH_UNITS[found["unit"][0]])
    pieces.after = number(found["n"]) * span + (span / 2 if found["more"] else timedelta())


# Again and again


@_piece(
    rf"(?:every|each)\s+(?:(?P<other>other|second)\s+|(?P<n>{_NUMBER})\s+)?"
    r"(?P<unit>minute|hour|day|week|month|year)s?"
)
def _every(found: Match, pieces: Pieces) -> None:
    count = 2 if found["other"] else number(found["n"] or "1")
    freq = _UNITS[found["unit"].casefold()]
    day = {"DAY": ""} if freq in ("WEEKLY", "MONTHLY", "YEARLY") else {}
    _repeat(pieces, freq, count, **day)


@_piece(r"(?P<how>hourly|daily|weekly|monthly|yearly)")
def _ly(found: Match, pieces: Pieces) -> None:
    freq = found["how"].upper()
    day = {"DAY": ""} if freq not in ("HOURLY", "DAILY") else {}
    _repeat(pieces, freq, 1, **day)


@_piece(r"(?:every|each)\s+(?:weekday|work(?:ing)?\s?day|business\s+day)|(?:on\s+)?weekdays")
@_piece(r"每个?工作日")
def _weekdays(found: Match, pieces: Pieces) -> None:
    _repeat(pieces, "WEEKLY", BYDAY=",".join(DAYS[:5]))


@_piece(r"(?:every|each)\s+weekend|(?:on|at)\s+weekends")
@_piece(r"每个?周末")
def _weekends(found: Match, pieces: Pieces) -> None:
    _repeat(pieces, "WEEKLY", BYDAY="SA,SU")


@_piece(
    rf"(?:every|each)\s+(?P<other>(?:other|second)\s+)?"
    rf"(?P<days>{_SHORT}(?:\s*(?:,|and|&)+\s*(?:and\s+)?{_SHORT})*)"
    rf"|(?:on\s+)?(?P<plural>{_DAY}s(?:\s*(?:,|and|&)\s*{_DAY}s)*)"
)
def _every_day(found: Match, pieces: Pieces) -> None:
    named = re.findall(_SHORT, found["days"] or found["plural"], re.IGNORECASE)
    by = ",".join(dict.fromkeys(DAYS[weekday(name)] for name in named))
    _repeat(pieces, "WEEKLY", 2 if found["other"] else 1, BYDAY=by)


@_piece(
    rf"(?P<other>每两个?|每隔一个?|隔|每二)?(?(other)|每个?){_WEEK}"
    rf"(?P<days>{_ZH_DAY}(?:\s*(?:[、,，和及与]|(?P<to>[到至~-]))?\s*{_WEEK}?{_ZH_DAY})*)"
)
def _mei_zhou_ji(found: Match, pieces: Pieces) -> None:
    days = [weekday(each) for each in re.findall(_ZH_DAY, found["days"])]
    if found["to"]:
        if len(days) != 2 or days[0] > days[1]:
            raise Unclear("when_unclear", given=found[0])
        days = list(range(days[0], days[1] + 1))
    by = ",".join(dict.fromkeys(DAYS[day] for day in days))
    _repeat(pieces, "WEEKLY", 2 if found["other"] else 1, BYDAY=by)


@_piece(r"(?:每一?[天日]|天天)")
def _mei_tian(found: Match, pieces: Pieces) -> None:
    _repeat(pieces, "DAILY")


@_piece(rf"每隔?(?P<n>{_ZH_NUMBER})?\s*个?(?P<unit>分钟|小时|钟头|天|{_WEEK}(?!{_ZH_DAY}))")
def _mei_ji(found: Match, pieces: Pieces) -> None:
    unit = _ZH_UNITS[found["unit"][0]]
    day = {"DAY": ""} if unit == "week" else {}
    _repeat(pieces, _UNITS[unit], number(found["n"] or "1"), **day)


@_piece(
    r"(?:on\s+)?the\s+(?:(?P<last>last\s+day)|(?P<nth>first|second|third|fourth|last)\s+"
    rf"(?P<day>{_DAY})|(?P<n>\d{{1,2}})(?:st|nd|rd|th)|(?P<one>first)(?:\s+day)?)"
    r"\s+of\s+(?:every|each|the)\s+month"
    rf"|(?:every|each)\s+(?:(?P<nth2>first|third|fourth|last)\s+(?P<day2>{_DAY})"
    r"(?:\s+of\s+the\s+month)?|(?P<n2>\d{1,2})(?:st|nd|rd|th))"
)
def _of_month(found: Match, pieces: Pieces) -> None:
    if nth := found["nth"] or found["nth2"]:
        day = DAYS[weekday(found["day"] or found["day2"])]
        _repeat(pieces, "MONTHLY", BYDAY=f"{_ORDINALS[nth.casefold()]}{day}")
        return
    if found["last"]:
        _repeat(pieces, "MONTHLY", BYMONTHDAY="-1")
        return
    _monthly(pieces, number(found["n"] or found["n2"] or "1"))


@_piece(
    rf"每个?月的?(?:(?P<last>最后一天|底)|第?(?P<nth>[一二三四]|最后一)个{_WEEK}(?P<day>{_ZH_DAY})"
    rf"|(?P<n>{_ZH_NUMBER})[号日])"
)
def _mei_yue(found: Match, pieces: Pieces) -> None:
    if found["nth"]:
        day = DAYS[weekday(found["day"])]
        _repeat(pieces, "MONTHLY", BYDAY=f"{_ZH_ORDINALS[found['nth']]}{day}")
    elif found["last"]:
        _repeat(pieces, "MONTHLY", BYMONTHDAY="-1")
    else:
        _monthly(pieces, number(found["n"]))


def _monthly(pieces: Pieces, day: int) -> None:
    if not 1 <= day <= 31:
        raise Unclear("when_no_date", given=day)
    _repeat(pieces, "MONTHLY", BYMONTHDAY=str(day))


@_piece(rf"每年(?P<m>{_ZH_NUMBER})月(?P<d>{_ZH_NUMBER})[号日]?")
def _mei_nian(found: Match, pieces: Pieces) -> None:
    _repeat(pieces, "YEARLY", DAY="")
    pieces.date = ("date", None, number(found["m"]), number(found["d"]))


# On a day


@_piece(
    r"(?P<after>the\s+day\s+after\s+tomorrow)|(?P<tomorrow>tomorrow)|(?P<tonight>tonight)|today"
)
def _day(found: Match, pieces: Pieces) -> None:
    pieces.date = ("days", 2 if found["after"] else 1 if found["tomorrow"] else 0)
    if found["tonight"]:
        pieces.part = "evening"


@_piece(r"(?P<day>[今明][天日]|大?后天)|(?P<short>[今明])(?P<part>早上?|晚上?)")
def _tian(found: Match, pieces: Pieces) -> None:
    ahead = {"今": 0, "明": 1, "后": 2, "大": 3}
    pieces.date = ("days", ahead[(found["day"] or found["short"])[0]])
    if found["part"]:
        pieces.part = _ZH_PART[found["part"][0]]


@_piece(rf"(?:(?:on\s+)?(?P<which>this|next|coming)\s+|on\s+)(?P<short>{_SHORT})|(?P<day>{_DAY})")
def _weekday(found: Match, pieces: Pieces) -> None:
    which = (found["which"] or "").casefold().replace("coming", "")
    pieces.date = ("weekday", weekday(found["short"] or found["day"]), which)


@_piece(rf"(?P<which>下下|下|这|本)?个?{_WEEK}(?P<day>{_ZH_DAY})")
def _xingqi(found: Match, pieces: Pieces) -> None:
    which = {"下下": "week+2", "下": "week+1", "这": "week+0", "本": "week+0"}
    pieces.date = ("weekday", weekday(found["day"]), which.get(found["which"] or "", ""))


@_piece(
    rf"(?:on\s+)?(?:the\s+)?(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<m>{_MONTH})"
    r"(?:,?\s+(?P<y>\d{4}))?"
    rf"|(?:on\s+)?(?P<m2>{_MONTH})\s+(?:the\s+)?(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?(?!:)"
    r"(?:,?\s+(?P<y2>\d{4}))?"
)
def _date(found: Match, pieces: Pieces) -> None:
    month = _MONTHS.index((found["m"] or found["m2"]).casefold()[:3]) + 1
    year = found["y"] or found["y2"]
    pieces.date = ("date", int(year) if year else None, month, int(found["d"] or found["d2"]))


@_piece(r"(?:on\s+)?(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})(?:T(?=\d))?")
def _iso(found: Match, pieces: Pieces) -> None:
    pieces.date = ("date", int(found["y"]), int(found["m"]), int(found["d"]))


@_piece(rf"(?:(?P<y>\d{{4}})年)?(?P<m>{_ZH_NUMBER})月(?P<d>{_ZH_NUMBER})[号日]?")
def _riqi(found: Match, pieces: Pieces) -> None:
    year = int(found["y"]) if found["y"] else None
    pieces.date = ("date", year, number(found["m"]), number(found["d"]))


@_piece(r"on\s+the\s+(?P<n>\d{1,2})(?:st|nd|rd|th)")
@_piece(rf"(?P<next>下个?月)?(?:本月|这个月)?(?P<n>{_ZH_NUMBER})[号日]")
def _monthday(found: Match, pieces: Pieces) -> None:
    months = 1 if found.groupdict().get("next") else 0
    pieces.date = ("monthday", number(found["n"]), months)


@_piece(r"(?:on\s+)?\d{1,2}/\d{1,2}(?:/\d{2,4})?")
def _slashes(found: Match, pieces: Pieces) -> None:
    raise Unclear("when_slashes", given=found[0])


# At a time


@_piece(
    r"(?P<at>(?:at|@)\s*)?(?P<h>\d{1,2})(?::(?P<m>[0-5]\d))?(?!:\d)(?:\s*(?P<ap>[ap])\.?m\.?"
    r"|\s*(?P<oclock>o['’]?clock))?(?(at)|(?:(?<=[mMkK.])|(?<=:\d\d)))"
    rf"|at\s+(?P<word>{'|'.join(_ENGLISH[1:13])})(?:\s+o['’]?clock)?"
)
def _at(found: Match, pieces: Pieces) -> None:
    hour = number(found["h"] or found["word"])
    if found["ap"]:
        if not 1 <= hour <= 12:
            raise Unclear("when_no_time", given=found[0])
        hour = hour % 12 + (12 if found["ap"].casefold() == "p" else 0)
    written = found["h"] or ""
    sure = bool(found["ap"]) or hour > 12 or hour == 0 or written.startswith("0")
    pieces.clock = (hour, int(found["m"] or 0), sure)


@_piece(r"(?:at\s+)?(?P<noon>noon|midday)|(?:at\s+)?midnight")
def _noon(found: Match, pieces: Pieces) -> None:
    if not found["noon"]:
        raise Unclear("when_midnight")
    pieces.clock = (12, 0, True)


@_piece(r"(?:in\s+the\s+|at\s+)?(?P<part>morning|afternoon|evening|night)")
def _part(found: Match, pieces: Pieces) -> None:
    pieces.part = _PART[found["part"].casefold()]  # type: ignore[assignment]


@_piece(
    rf"(?P<part>{'|'.join(_ZH_PART)})?\s*(?P<h>{_ZH_NUMBER})\s*"
    rf"(?:[点時时]钟?|[:：](?=\d))(?:(?P<half>半)|(?P<q>[一三])刻|(?P<m>{_ZH_NUMBER})分?)?"
    rf"|(?P<alone>{'|'.join(_ZH_PART)})"
)
def _dian(found: Match, pieces: Pieces) -> None:
    if part := found["part"] or found["alone"]:
        pieces.part = _ZH_PART[part]
    if found["alone"]:
        if found["alone"] == "中午":
            pieces.clock = (12, 0, True)
        return
    quarters = {"一": 15, "三": 45}
    minute = 30 if found["half"] else quarters[found["q"]] if found["q"] else 0
    hour = number(found["h"])
    sure = hour > 12 or hour == 0 or found["h"].startswith("0")
    pieces.clock = (hour, minute or number(found["m"] or "0"), sure)


# In a place


@_piece(r"(?P<zone>UTC|GMT|[A-Z][a-z]+/[A-Z][A-Za-z_]+(?:/[A-Z][A-Za-z_]+)?)(?:\s+time)?")
@_piece(r"(?P<zone>北京时间|中国时间)")
def _zone(found: Match, pieces: Pieces) -> None:
    given = found["zone"]
    pieces.zone = "Asia/Shanghai" if given.endswith("时间") else given.replace("GMT", "UTC")
