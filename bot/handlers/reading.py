"""What a request wants read: documents that are known here, an address, files that come along."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.handlers.naming import document_name, title_name
from bot.handlers.said import by_message, is_transcript
from bot.handlers.seeing import audience_of
from bot.messages import Attachment, Download, Request
from rag.fetch import is_address, page_name
from rag.ingest.pages import Page, Pages
from rag.records import DocumentUnknown, Passage, Records
from rag.summaries import Text

_BETWEEN = re.compile(r"\s*[\n;；、]\s*")


class Reading:
    """Reads for one request; what isn't known is read once, and nothing of it is kept."""

    def __init__(
        self,
        records: Records,
        read: Callable[[Path, str], list[Passage]],
        downloads: Mapping[str, Download],
        pages: Pages,
        *,
        max_bytes: int,
    ) -> None:
        self._records = records
        self._read = read
        """Parses and splits a file that isn't indexed; blocking, raises `DocumentError`."""
        self._downloads = downloads
        self._pages = pages
        self._max_bytes = max_bytes

    async def texts(self, request: Request, named: str) -> list[Text]:
        """Return the files of a request and what a text names: documents, addresses.

        Raise `DocumentUnknown`, or why something can't be read.
        """
        texts = [await self.attached(request, each) for each in request.attachments]
        return texts + await self.named(request, named)

    async def named(self, request: Request, text: str) -> list[Text]:
        """Return the documents and addresses that a text names; raise as `texts` does."""
        if not text.strip():
            return []
        try:
            return [await self._named(request, text.strip())]
        except DocumentUnknown:
            names = [name for name in _BETWEEN.split(text) if name]
            if len(names) < 2:
                raise
        return [await self._named(request, name) for name in names]

    async def attached(self, request: Request, attachment: Attachment) -> Text:
        """Return what an attachment says; of what people said, a passage is of one message."""
        said = is_transcript(attachment.reference)
        name = title_name(attachment.name, "#") if said else document_name(attachment.name)
        async with self.fetched(request, attachment) as file:
            passages = await asyncio.to_thread(self._read, file, "thread.txt" if said else name)
        if said:
            passages = [replace(each, document=name) for each in by_message(passages)]
        return Text(name, passages)

    @asynccontextmanager
    async def fetched(self, request: Request, attachment: Attachment) -> AsyncIterator[Path]:
        """Yield a file with an attachment's bytes; it is gone afterwards."""
        with TemporaryDirectory(prefix="teamglm-") as folder:
            file = Path(folder) / "attachment"
            await self._downloads[request.platform](attachment, file, self._max_bytes)
            yield file

    async def _named(self, request: Request, name: str) -> Text:
        """Return a document, or a page that isn't known."""
        audience = audience_of(request)
        page = page_name(name, private=True) if is_address(name) else None
        try:
            record = await asyncio.to_thread(self._records.find_document, page or name, audience)
            passages = await asyncio.to_thread(self._records.passages_of, record.id, audience)
            return Text(record.document, passages)
        except DocumentUnknown:
            if page is None:
                raise
        async with self._pages.fetched(Page(page, request.scope)) as got:
            passages = await asyncio.to_thread(self._read, got.file, got.read_as)
        return Text(page, [replace(passage, document=page) for passage in passages])
