"""What people say of when something shall be done, taken apart by a grammar."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from bot.when.words import PIECES, Pieces, Unclear

_MOST = 1000
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
