"""Tokens as text, as they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_UNFINISHED = "\ufffd"


class TextStream:
    """Turns tokens into text as they come: never half a character, nothing from a stop text on, and
    no white space before the first word."""

    def __init__(self, decode: Callable[[Sequence[int]], str], stops: Sequence[str]) -> None:
        self._decode = decode
        self._stops = [stop for stop in stops if stop]
        self._tokens: list[int] = []
        self._start = 0  # tokens before this one can no longer change how the next ones read
        self._read = 0  # tokens before this one have been turned into text
        self._held = ""
        self._begun = False
        self.stopped = False
        """Whether a stop text has come: what is added later is dropped."""

    def add(self, token: int) -> str:
        """Return the text that is certain now that `token` has come."""
        self._tokens.append(token)
        known = self._decode(self._tokens[self._start : self._read])
        text = self._decode(self._tokens[self._start :])
        if text.endswith(_UNFINISHED):
            return ""
        self._start, self._read = self._read, len(self._tokens)
        return self._release(text[len(known) :])

    def finish(self) -> str:
        """Return the text that was held back, when no more tokens come."""
        known = self._decode(self._tokens[self._start : self._read])
        rest = self._decode(self._tokens[self._start :])[len(known) :]
        text = self._release(rest)
        if self.stopped:
            return text
        text, self._held = text + self._held, ""
        return text

    def _release(self, text: str) -> str:
        if self.stopped:
            return ""
        self._held += text
        if not self._begun:
            self._held = self._held.lstrip()
            self._begun = bool(self._held)
        found = [at for at in map(self._held.find, self._stops) if at >= 0]
        if found:
            self.stopped = True
            return self._held[: min(found)]
        keep = max((_overlap(self._held, stop) for stop in self._stops), default=0)
        ready = self._held[: len(self._held) - keep]
        self._held = self._held[len(ready) :]
        return ready


def _overlap(text: str, stop: str) -> int:
    """Return how many of the last characters of `text` may be the beginning of `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
