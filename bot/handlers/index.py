"""Bring the index up to date: the watched folders, or one path that somebody names."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bot.handlers.explain import document_reason
from bot.handlers.opening import opening
from bot.handlers.teach import OPERATOR
from bot.loading import Loading
from bot.messages import Language, Reply, ReplyEvent, Request, Status
from bot.phrases import say
from rag.errors import DocumentCode
from rag.ingest.folders import Folder, ScanReport, index_path, scan
from rag.ingest.indexer import Indexer
from rag.records import Records


class _StoppedError(Exception):
    """Whoever asked is gone."""


class Index:
    """Handles `index`: `options["path"]` names one path, `options["rebuild"]` makes all anew."""

    command = "index"

    def __init__(
        self,
        indexer: Indexer,
        records: Records,
        folders: Sequence[Folder],
        *,
        needs: Sequence[Loading],
    ) -> None:
        self._indexer = indexer
        self._records = records
        self._folders = folders
        self._needs = needs

    def uses_chat_model(self, request: Request) -> bool:
        """Return False."""
        return False

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield progress, and what was added, updated, removed and refused."""
        if request.platform != OPERATOR:  # it reads any path, and names files of every scope
            yield Reply("error", say(language, "unknown_command", command=self.command), language)
            return
        async for loading in opening(self._needs, language):
            yield loading
        started = time.monotonic()
        loop = asyncio.get_running_loop()
        updates: asyncio.Queue[Status | None] = asyncio.Queue()
        stopped = threading.Event()

        def progress(done: int, total: int) -> None:
            if stopped.is_set():
                raise _StoppedError
            status = Status(say(language, "indexing", done=done, total=total), done, total)
            loop.call_soon_threadsafe(updates.put_nowait, status)

        async def work() -> list[ScanReport]:
            try:
                return await asyncio.to_thread(self._work, request.options, progress)
            finally:
                updates.put_nowait(None)

        working = asyncio.create_task(work())
        try:
            while (status := await updates.get()) is not None:
                yield status
            reports = await working
        finally:
            # Nobody waits for the rest; what was begun must be whole before the store closes.
            stopped.set()
            await asyncio.wait([working])
            if not working.cancelled():
                working.exception()
        failed = [
            {"document": name, "code": code and str(code), "message": message}
            for report in reports
            for name, code, message in _failures(report, language)
        ]
        data: dict[str, Any] = {
            "added": sum(report.added for report in reports),
            # A renamed file is the same document under another name.
            "updated": sum(report.updated + report.renamed for report in reports),
            "unchanged": sum(report.unchanged for report in reports),
            "removed": sum(report.removed for report in reports),
            "failed": failed,
            "chunks": sum(report.chunks for report in reports),
            "seconds": round(time.monotonic() - started, 3),
        }
        lines = [say(language, "indexed", **{**data, "failed": len(failed)})]
        lines += [
            say(language, "not_learned", name=row["document"], reason=row["message"])
            for row in failed
        ]
        yield Reply("answer", "\n".join(lines), language, data=data)

    def _work(
        self, options: Mapping[str, Any], progress: Callable[[int, int], None]
    ) -> list[ScanReport]:
        if path := options.get("path"):
            place = Path(path)
            return [index_path(place, self._indexer, self._records, self._folders, progress)]
        reports = [scan(folder, self._indexer, self._records, progress) for folder in self._folders]
        if options.get("rebuild"):
            self._indexer.rebuild(progress)
        return reports


def _failures(report: ScanReport, language: Language) -> list[tuple[str, DocumentCode | None, str]]:
    return [
        (name, code, document_reason(language, code) if code else message)
        for name, code, message in report.failed
    ]
