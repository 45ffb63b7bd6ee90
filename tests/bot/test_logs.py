"""The log tells what happened and where, and nothing that people wrote."""

from __future__ import annotations

import io
import logging
import sys

from bot.logs import Discreet, kind
from bot.messages import AttachmentError, PlatformError
from rag.errors import (
    DocumentCode,
    DocumentError,
    ModelFailed,
    ModelTrouble,
    StoreUnavailable,
)


def record(name: str, message: object, *arguments: object, error: bool = False) -> str:
    made = logging.LogRecord(
        name, logging.ERROR, "file.py", 7, message, arguments, sys.exc_info() if error else None
    )
    return Discreet(["s3cret"]).format(made)


def test_our_records_are_shown_and_errors_by_their_kind() -> None:
    assert record("bot.dispatch", "request %s: %s", "e1", ValueError("w0rds")).endswith(
        "ERROR bot.dispatch: request e1: ValueError"
    )


def test_others_records_are_shown_as_they_were_written() -> None:
    assert record("discord.http", "retry in %s", "w0rds").endswith("retry in %s (file:7)")
    assert record("slack_bolt", "w0rds").endswith("slack_bolt: file:7")


def test_what_an_error_passed_is_shown_without_its_words() -> None:
    try:
        try:
            raise KeyError("w0rds")
        except KeyError as error:
            raise StoreUnavailable("The disk is full.") from error
    except StoreUnavailable:
        text = record("bot", "it failed", error=True)
    assert "w0rds" not in text
    assert text.splitlines()[1] == "KeyError in"
    assert "The disk is full. in" in text
    assert __file__ in text


def test_a_kind_has_the_codes_that_are_no_words() -> None:
    assert kind(DocumentError(DocumentCode.TOO_LARGE, "w0rds")) == "DocumentError (too_large)"
    assert kind(AttachmentError("some w0rds", "w0rds")) == "AttachmentError"
    assert kind(OSError(28, "w0rds")) == "OSError (28)"
    assert kind(PlatformError("Copy the token again.")) == "Copy the token again."


def test_secrets_are_blotted_out() -> None:
    assert "s3cret" not in record("bot", "the token is %s", "s3cret")
    assert "the token is …" in record("bot", "the token is %s", "s3cret")


def test_it_works_as_a_handlers_formatter() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Discreet())
    handler.emit(logging.LogRecord("bot", logging.INFO, "f.py", 1, "ready", (), None))
    assert stream.getvalue().endswith("INFO bot: ready\n")


def test_a_model_s_trouble_is_told_unless_it_may_quote_somebody() -> None:
    ours = ModelFailed("The server at S can't be reached.", ModelTrouble.UNREACHABLE)
    assert kind(ours) == str(ours)
    for theirs in (ModelFailed("my secret"), ModelFailed("my secret", ModelTrouble.ANSWERING)):
        assert kind(theirs) == "ModelFailed"
