"""The web addresses that people write among their words."""

from __future__ import annotations

import re

# Of ASCII alone, as addresses are sent: Chinese often follows them without a space.
_LINK = re.compile(r"https?://[A-Za-z0-9\[][!#-;=?-~]*", re.IGNORECASE)
_BEHIND = ".,;:!?'`*|"
_CLOSING = {")": "(", "]": "[", "}": "{"}


def links(text: str) -> list[str]:
    """Return the addresses that a text names, each once, without the punctuation behind them."""
    return list(dict.fromkeys(_trimmed(found) for found in _LINK.findall(text)))


def without_links(text: str) -> str:
    """Return what a text says besides its addresses."""
    for link in sorted(links(text), key=len, reverse=True):
        text = text.replace(link, " ")
    return text.strip()


def _trimmed(link: str) -> str:
    while link[-1] in _BEHIND or _is_left_over(link):
        link = link[:-1]
    return link


def _is_left_over(link: str) -> bool:
    """Tell whether the last character closes a bracket that was opened before the address."""
    opening = _CLOSING.get(link[-1])
    return opening is not None and link.count(opening) < link.count(link[-1])
