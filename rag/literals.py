"""What a question wants found to the letter: codes, names, quoted words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rag.language import HAN, simplified

# A passage with the question's very words goes before those that are only like it.
LITERAL = 0.7
# Up to so many words or Han characters that ask nothing are words to look up.
_LOOKED_UP = 4
_LOOKED_UP_HAN = 8

# An error code, a version, an address, a name with an underscore: letters and digits, or joined.
_CODE = re.compile(r"[a-z0-9]+(?:[-_./:@#][a-z0-9]+)*")
_QUOTED = re.compile(r"[“\"「『《‘]([^”\"」』》’]{2,80})[”\"」』》’]")
_ASKS = re.compile(r"[?？]|吗|呢|什么|谁|哪|怎么|如何|多少|几")


def literals(question: str) -> list[str]:
    """Return what a question wants found exactly: codes, what is quoted, and words to look up."""
    text = folded(question)
    found = [quoted.strip() for quoted in _QUOTED.findall(text)]
    found += [code for code in _CODE.findall(text) if _is_code(code)]
    words, han = len(text.split()), len(re.findall(f"[{HAN}]", text))
    if words <= _LOOKED_UP and han <= _LOOKED_UP_HAN and not _ASKS.search(text):
        found.append(text)
    return list(dict.fromkeys(each for each in found if len(each) > 1))


def literal_scores(wanted: Sequence[str], texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return what each text gains by the literals in it; one that few texts have tells more."""
    if not wanted:
        return np.zeros(len(texts))
    stands = np.array(
        [
            [each in text and has_literal(text, each) for each in wanted]
            for text in map(folded, texts)
        ],
        np.float64,
    ).reshape(len(texts), len(wanted))
    shares = stands / np.maximum(stands.sum(axis=0), 1)
    return np.asarray(LITERAL * shares.mean(axis=1))


def _is_code(word: str) -> bool:
    digits = any(character.isdigit() for character in word)
    letters = any(character.isalpha() for character in word)
    joined = bool(re.search(r"[_/@:#]|\w\.\w", word)) and letters
    return (digits and letters) or joined


def folded(text: str) -> str:
    """Return a text as literals are compared: one width, one case, simplified, single spaces."""
    plain = simplified(unicodedata.normalize("NFKC", text)).casefold()
    return " ".join(plain.split())


def has_literal(text: str, literal: str) -> bool:
    """Tell whether a folded text has a folded literal that isn't part of a longer word."""
    before = r"(?<![a-z0-9])" if literal[:1].isascii() else ""
    after = r"(?![a-z0-9])" if literal[-1:].isascii() else ""
    return bool(re.search(f"{before}{re.escape(literal)}{after}", text))
