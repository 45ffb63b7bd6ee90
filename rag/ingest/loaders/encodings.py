"""Bytes to text: the encodings that Chinese and English files come in."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Callable

from rag.errors import DocumentCode, DocumentError
from rag.language import HAN

_MARKS = (  # UTF-32's little-endian mark begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_HAN = re.compile(f"[{HAN}]")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_SAMPLE = 20_000
_MAX_CONTROL_SHARE = 0.02
_MAX_CONTROLS = 3
_MIN_COMMON_SHARE = 0.75


def decode(data: bytes, declared: str | None = None) -> str:
    """Return the text of these bytes; raise `DocumentError(UNSUPPORTED)` if they are not text."""
    text = _decode(data, declared)
    sample = text[:_SAMPLE]
    if len(_CONTROL.findall(sample)) > max(_MAX_CONTROLS, _MAX_CONTROL_SHARE * len(sample)):
        raise DocumentError(DocumentCode.UNSUPPORTED, "not text")
    return text


def _decode(data: bytes, declared: str | None) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    if b"\0" not in data and (text := _utf8(data)) is not None:
        return text
    if wide := _wide(data):
        return wide
    if declared and (text := _strict(data, _superset(declared))) is not None:
        return text
    if (text := _chinese(data)) is not None:
        return text
    return _other(data)


def _utf8(data: bytes) -> str | None:
    """Return UTF-8 text, also with a stray damaged character."""
    text = data.decode("utf-8", "replace")
    damaged = text.count("\ufffd")
    if not damaged:
        return text
    return text if damaged <= 0.02 * sum(1 for c in text if not c.isascii()) else None


def _strict(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None


def _superset(encoding: str) -> str:
    """Return the encoding that browsers take for a declared one."""
    name = encoding.strip().lower()
    if name in {"gb2312", "gbk", "x-gbk", "gb_2312-80"}:
        return "gb18030"
    if name in {"big5", "big-5", "x-x-big5"}:
        return "big5hkscs"
    return "cp1252" if name in {"iso-8859-1", "latin1", "latin-1", "us-ascii", "ascii"} else name


def _wide(data: bytes) -> str | None:
    """Return the text of UTF-16 or UTF-32 without a mark, if it reads like text."""
    for encoding, unit in (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2)):
        if len(data) % unit or (text := _strict(data, encoding)) is None:
            continue
        sample = text[:_SAMPLE]
        if any(unicodedata.category(c) in {"Cn", "Co", "Cs"} for c in sample) or "\0" in sample:
            continue
        latin = sum(1 for c in sample if c.isascii()) / len(sample)
        if latin > _MIN_COMMON_SHARE or _common(sample, _is_common_han) > _MIN_COMMON_SHARE:
            return text
    return None


def _chinese(data: bytes) -> str | None:
    """Return GBK or Big5 text: either decodes almost any bytes, so common characters decide."""
    best, best_share = None, _MIN_COMMON_SHARE
    for encoding, common in (("gb18030", _is_simplified), ("big5hkscs", _is_traditional)):
        text = data.decode(encoding, "replace")
        if (share := _common(text[:_SAMPLE], common)) > best_share:
            best, best_share = text, share
    return best


def _common(text: str, is_common: Callable[[str], bool]) -> float:
    """Return the share of common characters and punctuation among those that are not ASCII."""
    foreign = [c for c in text if not c.isascii()]
    if not any(map(_HAN.match, foreign)):
        return 0.0
    usual = sum(1 for c in foreign if (is_common(c) if _HAN.match(c) else _is_mark(c)))
    return usual / len(foreign)


def _is_mark(character: str) -> bool:
    return (
        "\u2010" <= character <= "\u2027"
        or "\u3000" <= character <= "\u30ff"
        or character in "·×°"
        or "\uff01" <= character <= "\uff5e"
    )


def _is_simplified(character: str) -> bool:
    """Tell whether this is one of the 3,755 common characters that GB 2312 lists first."""
    code = character.encode("gb2312", "ignore")
    return bool(code) and 0xB0 <= code[0] <= 0xD7


def _is_traditional(character: str) -> bool:
    """Tell whether this is one of the 5,401 common characters that Big5 lists first."""
    code = character.encode("big5", "ignore")
    return bool(code) and 0xA4 <= code[0] <= 0xC6


def _is_common_han(character: str) -> bool:
    return _is_simplified(character) or _is_traditional(character)


def _other(data: bytes) -> str:
    """Return the text in the likeliest other encoding; Western European where it is a toss-up."""
    western = _strict(data, "cp1252")
    if western is not None and sum(1 for c in western[:_SAMPLE] if c in _WESTERN) >= 0.9 * sum(
        1 for c in western[:_SAMPLE] if not c.isascii()
    ):
        return western
    from charset_normalizer import from_bytes  # slow to import, and few files get here

    best = from_bytes(data[:_SAMPLE]).best()
    if best is not None and (text := _strict(data, best.encoding)) is not None:
        return text
    return western if western is not None else data.decode("latin-1")


_WESTERN = frozenset(
    "äöüÄÖÜßéèêëàâáãåæçíìîïñóòôõøúùûÿœŒÉÈÀÇÑÅØÆŠšŽž€‚„…†‡‰‹›‘’“”•–—™¡¢£¥§©«®°±²³´µ¶·¹º»¼½¾¿×÷\u00a0"
)
