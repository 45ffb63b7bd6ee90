"""Compare documents: what they share, and where they differ."""

from __future__ import annotations

from bot.handlers.summarise import Summarise


class Compare(Summarise):
    """Handles `compare`: `request.text` names documents, files may come along; two at least."""

    command = "compare"
    least = 2
