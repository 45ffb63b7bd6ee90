"""Summarise a document that is known here, a file that comes along, or a web page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.conversations import Conversations, Said
from bot.handlers.citing import replies
from bot.handlers.naming import document_name
from bot.handlers.opening import opening
from bot.loading import Loading
from bot.messages import Download, Language, Reply, ReplyEvent, Request
from bot.phrases import say
from rag.audience import Audience
from rag.fetch import is_address, page_name
from rag.ingest.pages import Page, Pages
from rag.pipeline import RagPipeline
from rag.records import DocumentUnknown, Passage, Records


class Summarise:
    """Handles `summarise`: `request.text` names a document or an address, or a file comes along.

    What isn't known is read for this once; only the summary is kept, as every answer is.
    """

    command = "summarise"

    def __init__(
        self,
        pipeline: RagPipeline,
        records: Records,
        read: Callable[[Path, str], list[Passage]],
        downloads: Mapping[str, Download],
        pages: Pages,
        conversations: Conversations,
        *,
        model: str,
        max_bytes: int,
        needs: Sequence[Loading],
    ) -> None:
        self._pipeline = pipeline
        self._records = records
        self._read = read
        """Parses and splits a file that isn't indexed; blocking, raises `DocumentError`."""
        self._downloads = downloads
        self._pages = pages
        self._conversations = conversations
        self._model = model
        self._max_bytes = max_bytes
        self._needs = needs

    def uses_chat_model(self, request: Request) -> bool:
        """Return True."""
        return True

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield progress, the summary's sentences with their passages, and the reply."""
        reference = request.text.strip()
        if not reference and not request.attachments:
            yield Reply("error", say(language, "no_name"), language)
            return
        async for status in opening(self._needs, language):
            yield status
        if request.attachments:
            name = document_name(request.attachments[0].name)
            passages = await self._passages_of_attachment(request, name)
        else:
            name, passages = await self._passages_of_text(request, reference)
        if request.language is None:
            # Nobody said which language to write in, so the document's own is the best guess.
            chinese = sum(passage.language == "zh" for passage in passages)
            language = "zh" if 2 * chinese > len(passages) else "en"
        audience = Audience.of(request.audience)
        stream = self._pipeline.summarise(name, passages, audience, language)
        async with aclosing(replies(stream, language, self._model)) as events:
            async for event in events:
                if isinstance(event, Reply):
                    await self._keep(request, name, event)
                    yield replace(event, data=_data(event))
                else:
                    yield event

    async def _keep(self, request: Request, name: str, reply: Reply) -> None:
        """Keep a summary for who rates or shares it: with its document, if that is known here."""
        audience = Audience.of(request.audience)
        known = await asyncio.to_thread(self._records.known, frozenset({name}), audience)
        said = Said(
            name,
            reply.text,
            reply.outcome,
            reply.model,
            reply.citations if known else (),
            frozenset(known),
            self.command,
        )
        await self._conversations.remember(request, said, reply=reply)

    async def _passages_of_text(
        self, request: Request, reference: str
    ) -> tuple[str, list[Passage]]:
        """Return the passages of what a text names: a document, or a page that isn't known."""
        audience = Audience.of(request.audience)
        page = page_name(reference, private=True) if is_address(reference) else None
        try:
            record = await asyncio.to_thread(
                self._records.find_document, page or reference, audience
            )
            return record.document, await asyncio.to_thread(
                self._records.passages_of, record.id, audience
            )
        except DocumentUnknown:
            if page is None:
                raise
        async with self._pages.fetched(Page(page, request.scope)) as got:
            passages = await asyncio.to_thread(self._read, got.file, got.read_as)
        return page, [replace(passage, document=page) for passage in passages]

    async def _passages_of_attachment(self, request: Request, name: str) -> list[Passage]:
        attachment = request.attachments[0]
        with TemporaryDirectory(prefix="teamglm-") as folder:
            file = Path(folder) / "attachment"
            await self._downloads[request.platform](attachment, file, self._max_bytes)
            return await asyncio.to_thread(self._read, file, name)


def _data(reply: Reply) -> dict[str, object]:
    citations = [asdict(citation) for citation in reply.citations]
    return {"text": reply.text, "citations": citations, "timings_ms": dict(reply.timings_ms)}
