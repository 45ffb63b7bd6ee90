"""What the log says: what happened and where, never what people wrote, and no token.

The text of an exception may quote a message, a document or an address with a token in it. So the
log has the kinds of exceptions and the lines that they passed, and of other libraries' records only
what their authors wrote, without what was filled in.
"""

from __future__ import annotations

import enum
import logging
import re
import sys
import threading
import traceback
from collections.abc import Collection, Iterator
from types import TracebackType
from typing import Any, TextIO

OURS = ("bot", "rag", "__main__")
_CODE = re.compile(r"[a-z0-9_]{1,40}")

log = logging.getLogger(__name__)


class Discreet(logging.Formatter):
    """Formats records without what people wrote; `secrets` are blotted out wherever they are."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self.secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """Return a record in words, with the lines that an exception passed."""
        record.message = self._message(record)
        if self.usesTime():
            record.asctime = self.formatTime(record, self.datefmt)
        text = self.formatMessage(record)
        if record.exc_info and record.exc_info[1] is not None:
            text = "\n".join([text, *_passed(record.exc_info[1])])
        for secret in self.secrets:
            text = text.replace(secret, "…")
        return text

    def _message(self, record: logging.LogRecord) -> str:
        if record.name.partition(".")[0] in OURS:
            arguments = record.args
            if isinstance(arguments, tuple):
                arguments = tuple(map(_shown, arguments))
            return str(record.msg) % arguments if arguments else str(record.msg)
        where = f"{record.module}:{record.lineno}"
        # Without arguments, what was filled in can't be told from what wasn't.
        return f"{record.msg} ({where})" if record.args and isinstance(record.msg, str) else where


def install(*, running: bool, stream: TextIO | None = None) -> Discreet:
    """Send the log to stderr, and to the log whatever else would be printed there."""
    formatter = Discreet()
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter)
    # Who runs a bot reads its log; of any other verb the reply says what there is to say.
    logging.basicConfig(level=logging.WARNING if running else logging.ERROR, handlers=[handler])
    if not running:
        return formatter
    for ours in ("bot", "rag"):
        logging.getLogger(ours).setLevel(logging.INFO)
    logging.raiseExceptions = False
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = lambda failed: _uncaught(
        failed.exc_type, failed.exc_value, failed.exc_traceback
    )
    sys.unraisablehook = lambda failed: _uncaught(
        failed.exc_type, failed.exc_value, failed.exc_traceback
    )
    return formatter


def kind(error: BaseException) -> str:
    """Return what an exception is, with its code, and its text only where that is ours alone."""
    if getattr(error, "discreet", False) is True:
        return str(error)
    details = [
        str(value.value if isinstance(value, enum.Enum) else value)
        for value in (getattr(error, name, None) for name in ("errno", "status", "code"))
        if isinstance(value, int) or (isinstance(value, str) and _CODE.fullmatch(value))
    ]
    cause = [kind(error.__cause__)] if error.__cause__ is not None else []
    said = ", ".join(details + cause)
    return type(error).__name__ + (f" ({said})" if said else "")


def _shown(argument: Any) -> Any:
    return kind(argument) if isinstance(argument, BaseException) else argument


def _passed(error: BaseException, depth: int = 0) -> Iterator[str]:
    """Yield the lines that an exception and those behind it passed, the last one's end first."""
    if depth > 10:
        return
    behind = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if behind is not None:
        yield from _passed(behind, depth + 1)
    yield f"{kind(error)} in"
    for frame, line in traceback.walk_tb(error.__traceback__):
        yield f"  {frame.f_code.co_filename}:{line} {frame.f_code.co_name}"
    for one in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        yield from _passed(one, depth + 1)


def _uncaught(
    of: type[BaseException], error: BaseException | None, where: TracebackType | None
) -> None:
    if error is not None:
        log.critical("an error that nothing caught", exc_info=(of, error, where))
