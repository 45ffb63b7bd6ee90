"""The errors that people hear about: each has a code and a sentence that says what to do."""

from __future__ import annotations

from enum import StrEnum


class DocumentCode(StrEnum):
    """Why a document cannot be learned."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    ENCRYPTED = "encrypted"
    CORRUPT = "corrupt"
    UNSUPPORTED = "unsupported"
    NO_TEXT = "no_text"
    TIMEOUT = "timeout"
    CHANGED = "changed"
    UNREADABLE = "unreadable"


class TeamglmError(Exception):
    """An error whose text is one sentence for the person who asked, saying what to do."""

    discreet = False
    """The text holds nothing that people wrote, so that it may be in the log."""


class DocumentError(TeamglmError):
    """A document that cannot be learned; `code` is stable, the text is for the log."""

    def __init__(self, code: DocumentCode, detail: str = "") -> None:
        super().__init__(detail or code.value)
        self.code = code
        self.detail = detail


class ModelMissing(TeamglmError):
    """A model's files are not on this machine; the text names the command that gets them."""

    discreet = True


class ModelTrouble(StrEnum):
    """What went wrong with a model that has answered before, or could."""

    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed_out"
    BROKEN_OFF = "broken_off"
    KEY = "key"
    OVERLOADED = "overloaded"
    SERVER = "server"
    CLOSED = "closed"
    TOO_LONG = "too_long"
    ANSWERING = "answering"


class ModelFailed(TeamglmError):
    """A model could not be loaded or broke while it was answering.

    With a `trouble` people are told that in their language, and `where` it is; the text is for
    whoever runs the bot.
    """

    def __init__(self, text: str, trouble: ModelTrouble | None = None, *, where: str = "") -> None:
        super().__init__(text)
        self.trouble = trouble
        self.where = where
        # A server's own words, or an exception's, may quote what people wrote.
        self.discreet = trouble not in {None, ModelTrouble.SERVER, ModelTrouble.ANSWERING}


class ModelBusy(TeamglmError):
    """Too many requests wait for the model."""


class StoreUnavailable(TeamglmError):
    """The data folder cannot be opened or written; the text says which and why."""

    discreet = True
