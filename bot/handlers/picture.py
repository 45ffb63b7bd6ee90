"""Show a citation on a picture of its page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from bot.handlers.passage import passage_at
from bot.handlers.seeing import audience_of
from bot.messages import File, Language, Reply, ReplyEvent, Request
from bot.phrases import say
from rag.errors import DocumentError
from rag.ingest.page_pictures import PagePictures
from rag.records import Records


class ShowPage:
    """Handles `picture`: asked as `open` is, answered with a page in WebP where there are pages."""

    command = "picture"

    def __init__(self, records: Records, pictures: PagePictures) -> None:
        self._records = records
        self._pictures = pictures

    def uses_chat_model(self, request: Request) -> bool:
        """Return False."""
        return False

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield the picture as the reply's file, for what the audience sees now."""
        audience = audience_of(request)
        record = await asyncio.to_thread(self._records.find_document, request.text, audience)
        start, end = int(request.options["start"]), int(request.options["end"])
        passage = await asyncio.to_thread(
            passage_at, self._records, record.id, start, end, audience
        )
        if passage is None:
            yield Reply("refusal", say(language, "passage_gone", name=record.document), language)
            return
        text = await asyncio.to_thread(self._records.text_of, record.id, audience)
        try:
            picture = await asyncio.to_thread(
                self._pictures.draw, record.id, passage.page, text[start:end], audience
            )
        except DocumentError:
            yield Reply("refusal", say(language, "no_picture", name=record.document), language)
            return
        file = File("page.webp", picture, record.document)
        yield Reply("answer", record.document, language, files=(file,))
