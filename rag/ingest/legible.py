"""Whether a text reads as if people wrote it, or as if a machine misread a picture of it."""

from __future__ import annotations

import re

_EDGES = "\"'“”‘’«»()[]{}<>,.;:!?…—–-*•"
# What stands inside words, numbers, addresses and amounts.
_USUAL = re.compile(r"[\w'’.,:;/@&%+=#$€£¥°§©®™()\[\]-]*")
_TURNED = re.compile(r"[a-zß-ÿ][A-Z]")  # a capital letter after a small one
_ENOUGH = 20
_MAX_ODD_SHARE = 0.03


def misread(text: str) -> float:
    """Return the share of a text's words that look misread, from 0 to 1."""
    words = [word for word in (token.strip(_EDGES) for token in text.split()) if word]
    odd = sum(1 for word in words if not _USUAL.fullmatch(word) or _TURNED.search(word))
    return odd / len(words) if words else 0.0


def is_doubtful(text: str) -> bool:
    """Tell whether a text that somebody read from a picture had better be read again."""
    return len(text.split()) >= _ENOUGH and misread(text) > _MAX_ODD_SHARE


def better(text: str, other: str) -> str:
    """Return the reading of a picture that says enough and looks misread least."""
    if sum(map(str.isalnum, other)) < 0.7 * sum(map(str.isalnum, text)):
        return text
    return other if misread(other) < misread(text) else text
