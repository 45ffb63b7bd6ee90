"""Put errors in words for the person who asked."""

from __future__ import annotations

import errno

from bot.messages import AttachmentError, Language
from bot.phrases import PHRASES, say
from rag.errors import (
    DocumentCode,
    DocumentError,
    ModelBusy,
    ModelFailed,
    ModelMissing,
    StoreUnavailable,
    TeamglmError,
)
from rag.extraction import NotExtracted
from rag.fetch import FetchError
from rag.ingest.backup import BackupUnusable
from rag.pipeline import QuestionTooLong
from rag.records import DocumentAmbiguous, DocumentUnknown
from rag.writing import AnswerTimeout

# Their texts are English sentences that say what to do; a Chinese reader is told so in Chinese,
# with the paths and commands of the original behind it.
_KINDS = (
    (ModelMissing, "model_missing"),
    (ModelFailed, "model_failed"),
    (StoreUnavailable, "store_unavailable"),
    (BackupUnusable, "backup_unusable"),
)
_DISK = {errno.EROFS, errno.ENOSPC, errno.EACCES, errno.EPERM, errno.EDQUOT}


def explain(error: Exception, language: Language) -> str | None:
    """Return a sentence that says what is wrong and what to do; None for an error of our own."""
    if isinstance(error, DocumentUnknown | DocumentAmbiguous):
        ambiguous = isinstance(error, DocumentAmbiguous)
        return say(
            language,
            "ambiguous_document" if ambiguous else "unknown_document",
            name=error.reference,
        )
    if isinstance(error, NotExtracted):
        return say(language, "not_extracted")
    if isinstance(error, AnswerTimeout):
        return say(language, "took_too_long")
    if isinstance(error, ModelBusy):
        return say(language, "busy")
    if isinstance(error, QuestionTooLong):
        return say(language, "question_too_long")
    if isinstance(error, FetchError) and f"fetch_{error.trouble}" in PHRASES:
        return say(language, f"fetch_{error.trouble}")
    if isinstance(error, DocumentError):
        return document_reason(language, error.code.value)
    if isinstance(error, AttachmentError):
        if error.code in ("not_in_channel", "nothing_said"):
            return say(language, error.code)
        return document_reason(language, error.code)
    if isinstance(error, ModelFailed) and error.trouble is not None:
        return say(language, f"model_{error.trouble}", where=error.where)
    for kind, key in _KINDS:
        if isinstance(error, kind):
            return say(language, key, detail=str(error))
    if isinstance(error, OSError) and error.errno in _DISK:
        return say(language, "read_only", reason=error.strerror)
    if isinstance(error, TeamglmError):
        return str(error)
    return None


def document_reason(language: Language, code: str) -> str:
    """Return why a document can't be learned, and what to do, by the error's code."""
    return say(language, code if code in {*DocumentCode} else "unreadable")
