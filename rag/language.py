"""Which language a text is in, told by its script."""

from __future__ import annotations

import re
from typing import Literal

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")

HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""The Han characters, as the inside of a regular expression's brackets."""

_HAN_CHARACTER = re.compile(f"[{HAN}]")
_WORD = re.compile(rf"[^\W\d_{HAN}]+")
# A Han character says about as much as half an English word: "TeamGLM 怎么安装" is Chinese.
_HAN_WORDS = 0.5


def language_of(text: str) -> Language:
    """Return "zh" if Han characters carry at least a third of the text's words, else "en"."""
    han = len(_HAN_CHARACTER.findall(text)) * _HAN_WORDS
    return "zh" if han and han >= (han + len(_WORD.findall(text))) / 3 else "en"
