"""Remember a thread that somebody marks: it becomes a document of its channel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.handlers.naming import title_name
from bot.handlers.upload import Upload, taught_by
from bot.messages import Attachment, Request
from rag.ingest.blobs import THREAD
from rag.ingest.indexer import Learned


class Remember(Upload):
    """Handles `remember`: each attachment is a thread, its bytes a `bot.transcript`.

    The attachment's `name` is the thread's title and its `reference` what the platform knows it by:
    the same thread marked again is a new version of the same document.
    """

    command = "remember"

    def _named(self, attachment: Attachment) -> str:
        return title_name(attachment.name, attachment.reference)

    async def _take(
        self, request: Request, attachment: Attachment, progress: Callable[[int, int], None]
    ) -> Learned:
        source = f"{THREAD}{request.platform}:{attachment.reference}"
        with TemporaryDirectory(prefix="teamglm-") as folder:
            file = Path(folder) / "thread"
            await self._downloads[request.platform](attachment, file, self._max_bytes)

            def learn() -> Learned:
                self._indexer.retitle(request.scope, source, attachment.name)
                return self._indexer.learn(
                    file,
                    scope=request.scope,
                    source=source,
                    name=attachment.name,
                    taught_by=taught_by(request),
                    read_as="thread.txt",
                    progress=progress,
                )

            return await asyncio.to_thread(learn)
