"""List the documents that are known here, and how far each is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from bot.handlers.explain import document_reason
from bot.handlers.seeing import audience_of
from bot.handlers.teach import OPERATOR
from bot.handlers.working import working
from bot.messages import Language, Reply, ReplyEvent, Request
from bot.phrases import counted, say
from rag.ingest.activity import Activity
from rag.records import DocumentRecord, Records

_RUNNING = (OPERATOR, "web")
"""Platforms of people who run the bot."""


class Sources:
    """Handles `sources`; needs no model."""

    command = "sources"

    def __init__(self, records: Records, activity: Activity | None = None) -> None:
        self._records = records
        self._activity = activity

    def uses_chat_model(self, request: Request) -> bool:
        """Return False."""
        return False

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield every document that `request.audience` may see."""
        audience = audience_of(request)
        known = await asyncio.to_thread(self._records.sources, audience)
        data = [
            {
                "id": record.id,
                "document": record.document,
                "scope": record.scope,
                "version": record.version,
                "chunks": record.chunks,
                "bytes": record.bytes,
                "pages": record.pages,
                "indexed_at": record.indexed_at,
                "taught_by": record.taught_by,
                "taught_at": record.taught_at,
                "state": record.state,
                "message": document_reason(language, record.code) if record.code else None,
                "done": record.done,
                "total": record.total,
            }
            for record in known
        ]
        lines = [self._line(record, language) for record in known]
        text = "\n".join(lines) or say(language, "sources_none")
        # How far reading is tells of every folder, so only those hear it who run the bot.
        tells = self._activity if request.platform in _RUNNING else None
        now = working(tells, language) if tells else None
        yield Reply("answer", f"{now}\n\n{text}" if now else text, language, data=data)

    def _line(self, record: DocumentRecord, language: Language) -> str:
        """Say of a document how large it is, which version, who taught it when, how it stands."""
        parts = [record.document, counted(language, "passages", record.chunks)]
        if record.version is not None:
            parts.append(say(language, "version", number=record.version))
        day = (record.indexed_at or record.taught_at)[:10]
        teacher = record.taught_by
        parts.append(say(language, "taught", who=teacher, day=day) if teacher else day)
        parts.append(_state(record, language))
        return " · ".join(parts)


def _state(record: DocumentRecord, language: Language) -> str:
    reason = document_reason(language, record.code) if record.code else ""
    state = say(language, f"state_{record.state}", reason=reason)
    if record.total:
        state += f" {100 * (record.done or 0) // record.total} %"
    return state
