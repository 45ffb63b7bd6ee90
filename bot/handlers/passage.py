"""Open a citation: the passage that it stands in, as far as it may still be seen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from bot.handlers.seeing import audience_of
from bot.messages import Language, Reply, ReplyEvent, Request
from bot.phrases import say
from rag.audience import Audience
from rag.records import Passage, Records


class OpenPassage:
    """Handles `open`: `request.text` names the document, `options` have the citation's `start`
    and `end`."""

    command = "open"

    def __init__(self, records: Records) -> None:
        self._records = records

    def uses_chat_model(self, request: Request) -> bool:
        """Return False."""
        return False

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield the passage with its place; it is read anew, for what the audience sees now."""
        audience = audience_of(request)
        start, end = int(request.options["start"]), int(request.options["end"])
        record = await asyncio.to_thread(self._records.find_document, request.text, audience)
        best = await asyncio.to_thread(passage_at, self._records, record.id, start, end, audience)
        if best is None:
            text = say(language, "passage_gone", name=record.document)
            yield Reply("refusal", text, language)
            return
        page = say(language, "page", page=best.page) if best.page is not None else ""
        section = f" · {best.section}" if best.section else ""
        quoted = best.text.strip().replace("\n", "\n> ")
        text = f"**{record.document}**{page}{section}\n\n> {quoted}"
        data = {
            "document": record.document,
            "page": best.page,
            "section": best.section,
            "text": best.text,
            "start": best.start,
            "end": best.end,
        }
        yield Reply("answer", text, language, data=data)


def passage_at(
    records: Records, document_id: str, start: int, end: int, audience: Audience
) -> Passage | None:
    """Return the passage that has most of a stretch of a document's text; None if it is gone."""
    passages = records.passages_of(document_id, audience)
    met = [each for each in passages if each.start < end and start < each.end]
    return max(met, key=lambda each: min(end, each.end) - max(start, each.start), default=None)
