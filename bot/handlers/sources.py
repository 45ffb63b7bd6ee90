"""List the documents that are known here, and how far each is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from bot.handlers.explain import document_reason
from bot.messages import Language, Reply, ReplyEvent, Request
from bot.phrases import counted, say
from rag.audience import Audience
from rag.records import DocumentRecord, Records


class Sources:
    """Handles `sources`; needs no model."""

    command = "sources"

    def __init__(self, records: Records) -> None:
        self._records = records

    def uses_chat_model(self, request: Request) -> bool:
        """Return False."""
        return False

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield every document that `request.audience` may see."""
        audience = Audience.of(request.audience)
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
                "state": record.state,
                "message": document_reason(language, record.code) if record.code else None,
                "done": record.done,
                "total": record.total,
            }
            for record in known
        ]
        lines = [
            say(
                language,
                "sources_line",
                name=record.document,
                passages=counted(language, "passages", record.chunks),
                state=_state(record, language),
            )
            for record in known
        ]
        text = "\n".join(lines) or say(language, "sources_none")
        yield Reply("answer", text, language, data=data)


def _state(record: DocumentRecord, language: Language) -> str:
    reason = document_reason(language, record.code) if record.code else ""
    return say(language, f"state_{record.state}", reason=reason)
