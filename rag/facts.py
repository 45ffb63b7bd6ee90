"""What a text states that must not be changed: numbers with their units, names, and negation.

Numbers compare however they are written: 三百 is 300, "thirty" is 30, 30,000 is 3万, and 3 March
is 3月3日.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from rag.language import HAN


@dataclass(frozen=True, slots=True)
class Number:
    """A value as decimal digits, and the unit that it is told in, if it is a known one."""

    value: str
    unit: str | None = None

    def agrees(self, other: Number) -> bool:
        """Tell whether two texts that say this may mean the same."""
        return self.value == other.value and (
            self.unit is None or other.unit is None or self.unit == other.unit
        )


def _words(text: str) -> list[str]:
    return text.split()


_HAN_DIGITS = {character: value for value, character in enumerate("〇一二三四五六七八九")}
_HAN_DIGITS |= {"零": 0, "两": 2, "兩": 2}
_HAN_TENS = {"十": 10, "百": 100, "千": 1000}
_HAN_SCALES = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
_NUMERALS = "".join([*_HAN_DIGITS, *_HAN_TENS, *_HAN_SCALES])
# Runs of numerals that count nothing, or are a unit's own.
_NO_NUMERALS = re.compile(r"十分(?!之|钟|鐘)|[万萬](?:一|分)|千[万萬](?!\d)|千(?=[克米瓦])|一一")

_ONES = {
    word: value
    for value, word in enumerate(
        _words(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
            "fifteen sixteen seventeen eighteen nineteen"
        )
    )
}
_TENS = {
    word: 10 * value
    for value, word in enumerate(_words("twenty thirty forty fifty sixty seventy eighty ninety"), 2)
}
# "First" and "second" are no numbers often enough.
_ORDINALS = {
    word: value
    for value, word in enumerate(
        _words("third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"),
        3,
    )
}
_SMALL = {**_ONES, **_TENS, **_ORDINALS}
_SCALES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9}

_MONTHS = _words(
    "jan(?:uary)? feb(?:ruary)? mar(?:ch)? apr(?:il)? may june? july? aug(?:ust)? "
    "sept?(?:ember)? oct(?:ober)? nov(?:ember)? dec(?:ember)?"
)
_DAYS = _words("mon tues wednes thurs fri satur sun")
_HAN_DAYS = "一二三四五六日"

_UNITS = {
    "%": r"%|per ?cent\b|percent\b",
    "minute": r"minutes?\b|mins?\b|分钟|分鐘",
    "hour": r"(?:个|個)?(?:小时|小時|钟头)|hours?\b|hrs?\b|h\b",
    "clock": r"点|點|时(?!间|候)|時(?!間|候)|o['’]clock\b",
    "day": r"days?\b|天|日|号(?!码)|號(?!碼)",
    "week": r"weeks?\b|(?:个|個)?(?:星期|礼拜|週|周)(?!年)",
    "month": r"months?\b|(?:个|個)月",
    "calendar month": r"月",
    "year": r"years?\b|年",
    "second": r"seconds?\b|secs?\b|秒",
    "euro": r"eur(?:os?)?\b|€|欧元|歐元",
    "dollar": r"usd\b|dollars?\b|\$|美元|美金",
    "pound": r"gbp\b|pounds?\b|£|英镑|英鎊",
    "yuan": r"cny\b|rmb\b|yuan\b|¥|元|人民币|人民幣|块钱",
    "km": r"km\b|kilomet(?:re|er)s?\b|公里|千米",
    "cm": r"cm\b|centimet(?:re|er)s?\b|厘米|公分",
    "mm": r"mm\b|millimet(?:re|er)s?\b|毫米",
    "m": r"m\b|met(?:re|er)s?\b|米|公尺",
    "kg": r"kg\b|kilograms?\b|kilos?\b|公斤|千克",
    "g": r"g\b|grams?\b|克",
    "GB": r"gb\b|gigabytes?\b",
    "MB": r"mb\b|megabytes?\b",
    "TB": r"tb\b|terabytes?\b",
    "°C": r"°c\b|degrees? celsius\b|摄氏度|攝氏度",
}
_UNIT = re.compile(
    r"[ \-]?(?:"
    + "|".join(f"(?P<u{at}>{unit})" for at, unit in enumerate(_UNITS.values())).replace(
        r"\b",
        "(?![a-z])",  # a Han character may follow a Latin word, and is one for \b
    )
    + ")"
)
_UNIT_NAMES = tuple(_UNITS)
_BEFORE = re.compile(r"(?:(eur|€)|(usd|us\$|\$)|(gbp|£)|(cny|rmb|¥))\s?$")
_BEFORE_UNITS = ("euro", "dollar", "pound", "yuan")

_MONTH = "|".join(f"(?:{month})" for month in _MONTHS)
_ENGLISH = "|".join([*_SMALL, *_SCALES])
_FOUND = re.compile(
    rf"""
    (?P<iso>(?<!\d)\d{{4}}-\d\d?-\d\d?(?!\d))
    |(?P<time>(?<!\d)\d{{1,2}}:\d\d(?!\d))
    |(?P<digits>(?<![\d.])\d+(?:,\d{{3}})+(?:\.\d+)?(?!\d)|\d+(?:\.\d+)*)
        (?P<scale>\s?(?:thousand|million|billion)\b|[万萬亿億千百]+(?![克米瓦]))?
        (?P<half>\s?[ap]\.?m\b)?
    |(?P<percent>百分之)?(?P<han>[{_NUMERALS}]+(?:点[{"".join(_HAN_DIGITS)}]+)?)
    |\b(?P<words>(?:{_ENGLISH})(?:(?:[\s-]|\s?and\s)(?:{_ENGLISH}))*)\b
    |\b(?P<month>{_MONTH})\b\.?
    |\b(?P<day>{"|".join(_DAYS)})day\b
    |(?:星期|礼拜|禮拜|週|周)(?P<handay>[{_HAN_DAYS}天])
    """,
    re.VERBOSE,
)
# A code, such as K-77 or PP-OCRv6: its digits are part of a name.
_CODE = re.compile(
    r"(?<![A-Za-z0-9_])(?=[A-Za-z_./-]+\d)[A-Za-z][A-Za-z0-9_]*(?:[-_/.][A-Za-z0-9_]+)*"
)
_MAY = re.compile(r"(?:\d(?:st|nd|rd|th)?|\b(?:in|since|until|till|by|of|from|to|before|after)) $")


def numbers(text: str, *, certain: bool = False) -> list[Number]:
    """Return the numbers that a text tells, dates and times in their parts.

    With `certain`, what may be a figure of speech, as "one of them" or 一样, is left out.
    """
    folded = _CODE.sub(lambda code: " " * len(code.group()), unicodedata.normalize("NFKC", text))
    folded = folded.casefold()
    return list(_numbers(folded, certain))


def _numbers(text: str, certain: bool) -> Iterator[Number]:
    silent = {at for match in _NO_NUMERALS.finditer(text) for at in range(*match.span())}
    for match in _FOUND.finditer(text):
        kind = match.lastgroup
        if match["iso"]:
            parts = match["iso"].split("-")
            for part, told_in in zip(parts, ("year", "calendar month", "day"), strict=True):
                yield Number(str(int(part)), told_in)
        elif match["time"]:
            hour, minute = match["time"].split(":")
            yield Number(str(int(hour) % 12), "clock")
            if int(minute):
                yield Number(str(int(minute)), "minute")
        elif match["digits"]:
            yield from _written(match, text)
        elif run := match["han"]:
            value = _han(run)
            unit = "%" if match["percent"] else _unit(text, match)
            figure = silent.issuperset(range(*match.span("han")))
            alone = value == "1" or (unit is None and len(run) == 1)
            if not (certain and (figure or alone)):
                yield Number(value, unit)
        elif match["words"]:
            value = str(_english(match["words"]))
            if not (certain and value == "1"):
                yield Number(value, _unit(text, match))
        elif kind == "month":
            at = [n for n, name in enumerate(_MONTHS, 1) if re.fullmatch(name, match["month"])]
            after = text[match.end() : match.end() + 2].strip()
            if at[0] != 5 or _MAY.search(text[: match.start()]) or after[:1].isdigit():
                yield Number(str(at[0]), "calendar month")
        elif kind == "day":
            yield Number(str(_DAYS.index(match["day"]) + 1), "weekday")
        else:
            yield Number(str(_HAN_DAYS.index(match["handay"].replace("天", "日")) + 1), "weekday")


def _written(match: re.Match[str], text: str) -> Iterator[Number]:
    digits = match["digits"].replace(",", "")
    if (scale := (match["scale"] or "").strip()) and digits.count(".") <= 1:
        digits = f"{float(digits) * (_SCALES.get(scale) or _product(scale)):.0f}"
    if match["half"]:
        yield Number(str(int(float(digits)) % 12), "clock")
        return
    if "." not in digits:
        digits = digits.lstrip("0") or "0"
    unit = _unit(text, match)
    if unit == "clock" and digits.isdigit():
        digits = str(int(digits) % 12)
    yield Number(digits, unit)


def _product(scale: str) -> int:
    product = 1
    for character in scale:
        product *= (_HAN_TENS | _HAN_SCALES)[character]
    return product


def _unit(text: str, match: re.Match[str]) -> str | None:
    if unit := _UNIT.match(text, match.end()):
        return _UNIT_NAMES[int((unit.lastgroup or "u0")[1:])]
    if before := _BEFORE.search(text, 0, match.start()):
        return _BEFORE_UNITS[(before.lastindex or 1) - 1]
    return None


def _han(run: str) -> str:
    """Return the value of Chinese numerals: by their places, or as a row of digits."""
    run, _, fraction = run.partition("点")
    if not any(character in _HAN_TENS or character in _HAN_SCALES for character in run):
        whole = "".join(str(_HAN_DIGITS[character]) for character in run).lstrip("0") or "0"
    else:
        total = part = digit = 0
        for character in run:
            if character in _HAN_DIGITS:
                digit = _HAN_DIGITS[character]
            elif character in _HAN_TENS:
                part += (digit or 1) * _HAN_TENS[character]
                digit = 0
            else:
                total = (total + part + digit or 1) * _HAN_SCALES[character]
                part = digit = 0
        whole = str(total + part + digit)
    return f"{whole}.{''.join(str(_HAN_DIGITS[each]) for each in fraction)}" if fraction else whole


def _english(words: str) -> int:
    total = part = 0
    for word in re.findall(r"[a-z]+", words):
        if word == "hundred":
            part = (part or 1) * 100
        elif word in _SCALES:
            total += (part or 1) * _SCALES[word]
            part = 0
        elif word != "and":
            part += _SMALL[word]
    return total + part


def counts(term: str) -> bool:
    """Tell whether a term, as `keywords.terms` makes them, is a number or a piece of one."""
    return term.isdigit() or term in _SMALL or term in _SCALES or any(c in _NUMERALS for c in term)


# Words that begin with a capital though they name nothing.
_NO_NAMES = frozenset(
    _words(
        "i yes no the a an this that these those it its he she they we you there here in on at by "
        "for from to of and or but if when while as with according based note however also please "
        "what who where which how why january february march april may june july august september "
        "october november december monday tuesday wednesday thursday friday saturday sunday"
    )
)
_NAME = re.compile(rf"[A-Z][^\W_{HAN}]*(?:['’.&-][^\W_{HAN}]+)*")
_SENTENCE_START = re.compile(r"(?:^|[.!?:。！？：;；\n]\s*)[\"'“‘(（「*-]*\s*$")


def names(text: str) -> set[str]:
    """Return what a text calls by name, in lower case: capitalised words, codes, abbreviations."""
    plain = unicodedata.normalize("NFKC", text)
    found = {match.group().casefold() for match in _CODE.finditer(plain)}
    for match in _NAME.finditer(plain):
        word = re.sub(r"['’]s$", "", match.group())
        first = _SENTENCE_START.search(plain[: match.start()]) is not None
        # The first word of a sentence has a capital anyway; an abbreviation has more than one.
        if first and sum(map(str.isupper, word)) < 2:
            continue
        if len(word) > 1 and word.casefold() not in _NO_NAMES:
            found.add(word.casefold())
    return found


_HARMLESS = re.compile(
    r"not only|no (?:more|less|fewer|later|earlier|longer) than|not (?:more|less|exceed)\w*"
    r"|no\.? ?\d|不仅|不僅|不但|不只|不超过|不超過|不得超过|不得超過|不少于|不少於|不低于"
    r"|不高于|不晚于|不多于|不同|不断|不斷|不久|不过|不過|不管|不论|不論|无论|無論|无线|無線|非常|非洲|未来|未來"
    r"|差别|特别|特別|个别|级别|区别|區別|性别|性別|类别|別墅|别墅|分别|分別|告别|沉没|淹没"
)
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nobody|nothing|neither|nor|without|cannot|unable|prohibit\w*|forbid\w*"
    r"|forbad\w*|fail\w*|refus\w*|lack\w*|unless|except)\b|n['’]t\b"
    r"|[不没沒无無未非别別勿]|禁止|拒绝|拒絕|严禁|嚴禁|除了|除非"
)


def negated(text: str) -> bool:
    """Tell whether a text says that something isn't so."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _NEGATION.search(_HARMLESS.sub(" ", folded)) is not None
