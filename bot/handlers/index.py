"""Bring the index up to date: the watched folders, or one path; pause that, and let it go on."""

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
from bot.handlers.working import time_left
from bot.loading import Loading
from bot.messages import Language, Reply, ReplyEvent, Request, Status
from bot.phrases import say
from rag.errors import DocumentCode
from rag.ingest.flow import Progress
from rag.ingest.folders import Folder, ScanReport, index_path, scan
from rag.ingest.indexer import Indexer
from rag.records import Records


class _StoppedError(Exception):
    """Whoever asked is gone."""


class Index:
    """Handles `index`: `options["path"]` names one path, `options["rebuild"]` makes all anew.

    `options["pause"]` lets all reading wait, also what folders bring by themselves, until
    `options["resume"]`; admins may do so on any platform. `change_model` has another embedding
    model take over where one is wanted.
    """

    command = "index"

    def __init__(
        self,
        indexer: Indexer,
        records: Records,
        folders: Sequence[Folder],
        *,
        change_model: Callable[[Progress], object],
        needs: Sequence[Loading],
    ) -> None:
        self._change_model = change_model
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
        activity = self._indexer.activity
        switch = bool(request.options.get("pause") or request.options.get("resume"))
        # Else it reads any path, and names files of every scope.
        if request.platform != OPERATOR and not (switch and request.is_admin):
            yield Reply("error", say(language, "unknown_command", command=self.command), language)
            return
        if switch:
            paused = bool(request.options.get("pause"))
            (activity.pause if paused else activity.resume)()
            text = say(language, "paused" if paused else "resumed")
            yield Reply("answer", text, language, data={"paused": paused})
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
            now = activity.now()
            left = time_left(language, now.seconds_left if now else None)
            status = Status(say(language, "indexing", done=done, total=total) + left, done, total)
            loop.call_soon_threadsafe(updates.put_nowait, status)

        async def work() -> list[ScanReport]:
            try:
                return await asyncio.to_thread(self._work, request.options, progress)
            finally:
                updates.put_nowait(None)

        if activity.paused:
            yield Status(say(language, "paused"))
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
        failures = sum(report.failures for report in reports)
        lines = [say(language, "indexed", **{**data, "failed": failures})]
        lines += [
            say(language, "not_learned", name=row["document"], reason=row["message"])
            for row in failed
        ]
        if failures > len(failed):
            lines.append(say(language, "more_not_learned", n=failures - len(failed)))
        yield Reply("answer", "\n".join(lines), language, data=data)

    def _work(
        self, options: Mapping[str, Any], progress: Callable[[int, int], None]
    ) -> list[ScanReport]:
        if path := options.get("path"):
            place = Path(path)
            return [index_path(place, self._indexer, self._records, self._folders, progress)]
        self._change_model(progress)
        reports = [scan(folder, self._indexer, self._records, progress) for folder in self._folders]
        if options.get("rebuild"):
            self._indexer.rebuild(progress)
        return reports


def _failures(report: ScanReport, language: Language) -> list[tuple[str, DocumentCode | None, str]]:
    return [
        (name, code, document_reason(language, code) if code else message)
        for name, code, message in report.failed
    ]
