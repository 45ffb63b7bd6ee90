"""Which language a text is in, told by its script."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from opencc import OpenCC

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")

HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""The Han characters, as the inside of a regular expression's brackets."""

_HAN_CHARACTER = re.compile(f"[{HAN}]")
_WORD = re.compile(rf"[^\W\d_{HAN}]+")
# A Han character says about as much as half an English word: "TeamGLM 怎么安装" is Chinese.
_HAN_WORDS = 0.5


def chinese_share(text: str) -> float:
    """Return the share of a text's words that Han characters carry, from 0 to 1."""
    if text.isascii():
        return 0.0
    han = len(_HAN_CHARACTER.findall(text)) * _HAN_WORDS
    return han / (han + len(_WORD.findall(text))) if han else 0.0


def language_of(text: str) -> Language:
    """Return "zh" if Han characters carry at least a third of the text's words, else "en"."""
    return "zh" if chinese_share(text) >= 1 / 3 else "en"


def simplified(text: str) -> str:
    """Return a text with simplified characters where it has traditional ones."""
    return _simplifier().convert(text) if _HAN_CHARACTER.search(text) else text


@cache
def _simplifier() -> OpenCC:
    from opencc import OpenCC  # reads its dictionaries: when a Chinese text comes

    return OpenCC("t2s")
