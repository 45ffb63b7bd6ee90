"""Requests and replies as JSON values: for the local API, and for what is kept of them."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import asdict
from typing import Any

from bot.messages import (
    Attachment,
    Citation,
    File,
    Reply,
    ReplyChunk,
    ReplyEvent,
    Request,
    Sources,
    Status,
    Turn,
)

_KINDS = {kind.__name__: kind for kind in (Status, Sources, ReplyChunk, Reply)}


def request_to_json(request: Request) -> dict[str, Any]:
    """Return a request as plain JSON values."""
    values = {**asdict(request), "audience": sorted(request.audience)}
    del values["channel"]  # it counts when the request is handled
    return values


def request_from_json(values: dict[str, Any]) -> Request:
    """Return the request of `request_to_json`'s values."""
    values = dict(values)
    values["audience"] = frozenset(values["audience"])
    values["attachments"] = tuple(Attachment(**file) for file in values["attachments"])
    if values["history"] is not None:
        values["history"] = tuple(Turn(**turn) for turn in values["history"])
    return Request(**values)


def event_to_json(event: ReplyEvent) -> dict[str, Any]:
    """Return an event of a reply as plain JSON values."""
    values = {"event": type(event).__name__, **asdict(event)}
    for file in values.get("files", ()):
        file["content"] = b64encode(file["content"]).decode()
    return values


def event_from_json(values: dict[str, Any]) -> ReplyEvent:
    """Return the event of `event_to_json`'s values."""
    values = dict(values)
    kind = _KINDS[values.pop("event")]
    for field in ("citations", "nearest"):
        if field in values:
            values[field] = tuple(Citation(**citation) for citation in values[field])
    if "chunks" in values:
        values["chunks"] = tuple(
            ReplyChunk(chunk["text"], tuple(Citation(**c) for c in chunk["citations"]))
            for chunk in values["chunks"]
        )
    if "files" in values:
        values["files"] = tuple(
            File(**{**file, "content": b64decode(file["content"])}) for file in values["files"]
        )
    event: ReplyEvent = kind(**values)
    return event
