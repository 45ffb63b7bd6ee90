"""Learn the files that come with a request, each with a receipt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bot.handlers.explain import document_reason, explain
from bot.handlers.naming import document_name
from bot.handlers.opening import opening
from bot.loading import Loading
from bot.messages import Attachment, Download, Language, Reply, ReplyEvent, Request, Status
from bot.phrases import counted, say
from rag.audience import check_scope
from rag.ingest.blobs import UPLOAD
from rag.ingest.indexer import Indexer, Learned


class Upload:
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
        self._indexer = indexer
        self._downloads = downloads
        """How each platform's attachments are fetched."""
        self._max_bytes = max_bytes
        self._needs = needs

    def uses_chat_model(self, request: Request) -> bool:
        """Return False."""
        return False

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield progress, and a receipt for each file: ready, already known, or why not."""
        if not request.attachments:
            yield Reply("error", say(language, "no_attachment"), language)
            return
        check_scope(request.scope)
        async for loading in opening(self._needs, language):
            yield loading
        lines: list[str] = []
        data: list[dict[str, Any]] = []
        for attachment in request.attachments:
            attachment = replace(attachment, name=self._named(attachment))
            yield Status(say(language, "reading", name=attachment.name))
            updates: asyncio.Queue[Status | None] = asyncio.Queue()
            learning = asyncio.create_task(self._learn(request, attachment, language, updates))
            try:
                while (status := await updates.get()) is not None:
                    yield status
                line, row = await learning
            finally:
                # A stopped upload is finished anyway: half a document is nobody's wish.
                await asyncio.wait([learning])
            lines.append(line)
            data.append(row)
        learned = any(row["state"] != "failed" for row in data)
        yield Reply("answer" if learned else "error", "\n".join(lines), language, data=data)

    async def _learn(
        self,
        request: Request,
        attachment: Attachment,
        language: Language,
        updates: asyncio.Queue[Status | None],
    ) -> tuple[str, dict[str, Any]]:
        """Fetch and learn one file; return its receipt as a line and as data."""
        loop = asyncio.get_running_loop()
        name = attachment.name

        def progress(done: int, total: int) -> None:
            text = say(language, "embedding", name=name, done=done, total=total)
            loop.call_soon_threadsafe(updates.put_nowait, Status(text, done, total))

        try:
            return self._receipt(await self._take(request, attachment, progress), language)
        except Exception as error:
            # One file's trouble is in its receipt; the others go on.
            reason = explain(error, language)
            if reason is None:
                raise
            return self._failed(name, getattr(error, "code", None), reason, language)
        finally:
            updates.put_nowait(None)

    def _named(self, attachment: Attachment) -> str:
        """Return what the document is called."""
        return document_name(attachment.name)

    async def _take(
        self, request: Request, attachment: Attachment, progress: Callable[[int, int], None]
    ) -> Learned:
        """Fetch an attachment and make it a document; raise what `explain` can put in words."""
        with TemporaryDirectory(prefix="teamglm-") as folder:
            file = Path(folder) / "attachment"
            await self._downloads[request.platform](attachment, file, self._max_bytes)
            return await asyncio.to_thread(
                self._indexer.learn,
                file,
                scope=request.scope,
                source=UPLOAD,
                name=attachment.name,
                taught_by=taught_by(request),
                progress=progress,
            )

    def _receipt(self, learned: Learned, language: Language) -> tuple[str, dict[str, Any]]:
        if learned.state == "failed":
            reason = (
                document_reason(language, learned.code)
                if learned.code
                else learned.message or say(language, "unreadable")
            )
            return self._failed(learned.name, learned.code, reason, language)
        size = counted(language, "passages", learned.passages)
        if learned.pages:
            pages = counted(language, "pages", learned.pages)
            size = say(language, "size", pages=pages, passages=size)
        key = "learned" if learned.state == "ready" else "known"
        line = say(language, key, name=learned.name, size=size)
        return line, {
            "document": learned.document_id,
            "name": learned.name,
            "state": learned.state,
            "pages": learned.pages,
            "passages": learned.passages,
            "code": None,
            "message": line,
        }

    def _failed(
        self, name: str, code: str | None, reason: str, language: Language
    ) -> tuple[str, dict[str, Any]]:
        line = say(language, "not_learned", name=name, reason=reason)
        return line, {
            "document": None,
            "name": name,
            "state": "failed",
            "pages": None,
            "passages": 0,
            "code": code and str(code),
            "message": reason,
        }


def taught_by(request: Request) -> str:
    """Return whom a document is from."""
    return f"{request.platform}:{request.user}"
