"""Remember a thread that somebody marks: it becomes a document of its channel."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.handlers.naming import title_name
from bot.handlers.teach import Progress, taught_by
from bot.handlers.upload import Upload
from bot.messages import Attachment, Request
from rag.ingest.blobs import THREAD
from rag.ingest.lessons import Learned


class Remember(Upload):
    """Handles `remember`: each attachment is a thread, its bytes a `bot.transcript`.

    The attachment's `name` is the thread's title and its `reference` what the platform knows it by:
    the same thread marked again is a new version of the same document.
    """

    command = "remember"

    def lessons(self, request: Request) -> list[Attachment]:
        """Return the threads, under their titles."""
        return [
            replace(each, name=title_name(each.name, each.reference))
            for each in request.attachments
        ]

    async def take(self, request: Request, lesson: Attachment, progress: Progress) -> Learned:
        """Have the platform write a thread down, and learn it."""
        source = f"{THREAD}{request.platform}:{lesson.reference}"
        with TemporaryDirectory(prefix="teamglm-") as folder:
            file = Path(folder) / "thread"
            await self._downloads[request.platform](lesson, file, self._max_bytes)

            def learn() -> Learned:
                self._indexer.retitle(request.scope, source, lesson.name)
                return self._indexer.learn(
                    file,
                    scope=request.scope,
                    source=source,
                    name=lesson.name,
                    taught_by=taught_by(request),
                    read_as="thread.txt",
                    progress=progress,
                )

            return await asyncio.to_thread(learn)
