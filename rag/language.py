"""Which language a text is in, by its script: Chinese and English are told apart by their letters."""

from __future__ import annotations

import re
from typing import Literal

Language = Literal["en", "zh"]

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_WORD = re.compile(r"[^\W\d_\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")
# A Han character says about as much as half an English word: "TeamGLM 怎么安装" is Chinese.
_HAN_WORDS = 0.5


def language_of(text: str) -> Language:
    """Return "zh" if Han characters carry at least a third of the text's words, else "en"."""
    han = len(_HAN.findall(text)) * _HAN_WORDS
    return "zh" if han and han >= (han + len(_WORD.findall(text))) / 3 else "en"
