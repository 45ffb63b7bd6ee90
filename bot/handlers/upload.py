"""Learn the files that come with a request, each with a receipt."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.handlers.naming import document_name
from bot.handlers.teach import Progress, Teach, taught_by
from bot.loading import Loading
from bot.messages import Attachment, Download, Request
from rag.ingest.blobs import UPLOAD
from rag.ingest.indexer import Indexer
from rag.ingest.lessons import Learned


class Upload(Teach):
    """Handles `upload`: every attachment becomes a document of `request.scope`."""

    command = "upload"

    def __init__(
        self,
        indexer: Indexer,
        downloads: Mapping[str, Download],
        *,
        max_bytes: int,
        needs: Sequence[Loading],
    ) -> None:
        super().__init__(needs)
        self._indexer = indexer
        self._downloads = downloads
        """How each platform's attachments are fetched."""
        self._max_bytes = max_bytes

    def lessons(self, request: Request) -> list[Attachment]:
        """Return the attachments, under names that can be shown."""
        return [replace(each, name=document_name(each.name)) for each in request.attachments]

    async def take(self, request: Request, lesson: Attachment, progress: Progress) -> Learned:
        """Download and learn a file."""
        with TemporaryDirectory(prefix="teamglm-") as folder:
            file = Path(folder) / "attachment"
            await self._downloads[request.platform](lesson, file, self._max_bytes)
            return await asyncio.to_thread(
                self._indexer.learn,
                file,
                scope=request.scope,
                source=UPLOAD,
                name=lesson.name,
                taught_by=taught_by(request),
                progress=progress,
            )
