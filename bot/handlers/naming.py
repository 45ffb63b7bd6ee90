"""What a file that somebody sends is called as a document."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_LONGEST = 255
_TITLE = 80


def title_name(title: str, otherwise: str) -> str:
    """Return a thread's title on one line, in characters that can be shown."""
    shown = " ".join(_CONTROL.sub(" ", title).split()) or otherwise
    return shown if len(shown) <= _TITLE else f"{shown[: _TITLE - 1].rstrip()}…"


def document_name(sent: str) -> str:
    """Return the last part of a name that a platform tells, in characters that can be shown.

    Folders in it, or characters that turn the text around, would let a file pose as another.
    """
    name = re.split(r"[/\\]", _CONTROL.sub("", sent))[-1].strip()
    return name[-_LONGEST:] if name.strip(".") else "file"
