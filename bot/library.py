"""What the bot knows, kept up to date while it runs: folders read, another model taken over."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from pathlib import Path

from apscheduler.triggers.base import BaseTrigger

from bot.schedule import FolderSchedule
from bot.watching import watch
from rag import keywords
from rag.errors import TeamglmError
from rag.ingest.activity import Activity
from rag.ingest.flow import Parser, Progress
from rag.ingest.folders import Folder, ScanReport, scan
from rag.ingest.indexer import Indexer
from rag.ingest.parsed import Chunk, Parsed
from rag.ingest.splitters import Splitter, chunks, make_splitter
from rag.ingest.standing import Standing
from rag.models.embeddings import EmbeddingModel
from rag.priority import Priority
from rag.records import Records
from rag.retrieval import Reranker, Retriever
from rag.store import PassageIndex

log = logging.getLogger(__name__)

# After a time in which somebody always asked, before the next try to take another model over.
_RETRY_SECONDS = 60.0
# Who forgets one document often forgets more: a large index is written anew once for all.
_GATHER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Cut:
    """How documents become passages."""

    name: str
    max_tokens: int


class Library:
    """The records and the index, what learns into them and what finds in them.

    If what is known was embedded with another model than `wanted`, that one, got from `older`,
    answers and learns until everything is embedded anew; `followers` hear when it changes.
    """

    def __init__(
        self,
        records: Records,
        folder: Path,
        parser: Parser,
        wanted: EmbeddingModel,
        *,
        parser_key: str = "1",
        older: Callable[[str], EmbeddingModel | None],
        cut: Cut,
        priority: Priority,
        max_bytes: int,
        belongs: Callable[[Standing], bool],
        reranker: Reranker | None = None,
    ) -> None:
        self.records = records
        self._reranker = reranker
        self.model = wanted
        self.activity = Activity()
        self.followers: list[Callable[[EmbeddingModel], None]] = []
        self._wanted = wanted
        self._older = older
        self._cut = cut
        self._priority = priority
        self._store = str(folder / "passages.db")
        self._splitter: Splitter | None = None
        self._changing = threading.Lock()
        self.index = self._index_of(wanted)
        self.indexer = Indexer(
            records,
            self.index,
            parser,
            self.split,
            wanted,
            embedder_key=wanted.key,
            splitter_key=f"{cut.name}/{cut.max_tokens}/{keywords.VERSION}",
            parser_key=parser_key,
            blobs=folder / "blobs",
            pause=priority.give_way,
            activity=self.activity,
            max_bytes=max_bytes,
            belongs=belongs,
        )
        self.retriever = Retriever(
            records, self.index, wanted, embedder_key=wanted.key, reranker=reranker
        )

    def begin(self) -> None:
        """Let the model that serves open meanwhile, where it can."""
        if self.records.embedder() in (None, self.model.key):
            self.model.begin()

    def open(self) -> None:
        """Open the model and the index, and make whole what a crash left; blocking."""
        serving = self.records.embedder()
        if serving is not None and serving != self.model.key:
            self._stay_with(serving)
        self.model.load()
        if self._reranker is not None:
            self._reranker.load()
        self.index.open()
        self.indexer.recover()

    def close(self) -> None:
        """End what is being learned at the next whole step; close the models and the index."""
        self.activity.stop()
        if self._reranker is not None:
            self._reranker.close()
        self.model.close()
        self._wanted.close()
        self.index.close()

    @property
    def is_outdated(self) -> bool:
        """Tell whether another model answers than the one that is wanted."""
        return self.model is not self._wanted

    def split(self, parsed: Parsed) -> list[Chunk]:
        """Cut a text into passages that the model can embed."""
        if self._splitter is None:
            self._splitter = make_splitter(
                self._cut.name,
                self.model.count_tokens,
                embeddings=self.model,
                max_tokens=self._cut.max_tokens,
            )
        return chunks(parsed, self._splitter)

    def catch_up(self) -> None:
        """Learn what waits since the last time; blocking."""
        for _ in self.indexer.catch_up():
            pass
        self.indexer.erase()

    def change_model(self, progress: Progress | None = None) -> bool:
        """Embed everything with the wanted model, which answers from then on; blocking.

        False if somebody was always asking: then the old one goes on. Raise `ModelMissing`.
        """
        with self._changing:
            if not self.is_outdated:
                return True
            wanted = self._wanted
            wanted.load()
            beside = self.index.beside(wanted.key, wanted.dimension)

            def switch(adopt: Callable[[], None]) -> bool:
                def all_at_once() -> None:
                    adopt()
                    self._take(wanted, beside)

                return self._priority.when_quiet(all_at_once)

            before = self.model
            changed = self.indexer.change_model(wanted, wanted.key, beside, switch, progress)
            if changed:
                before.close()
            return changed

    async def keep_up(
        self,
        folders: Sequence[Folder],
        triggers: Mapping[str, BaseTrigger],
        elsewhere: Callable[[str], Awaitable[object]],
        *,
        gather_seconds: float = _GATHER_SECONDS,
    ) -> None:
        """Read folders at start, on schedule and when they change, until cancelled.

        `elsewhere` reads what has a trigger and is no folder.
        """
        await asyncio.to_thread(self.catch_up)
        named = {folder.name: folder for folder in folders}

        async def read(name: str) -> None:
            if name not in named:
                await elsewhere(name)
                return
            report = await asyncio.to_thread(scan, named[name], self.indexer, self.records)
            if report != ScanReport(unchanged=report.unchanged, chunks=report.chunks):
                log.info("folder %s: %s", name, report.counts())

        schedule = FolderSchedule(triggers, read)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(schedule.run())
            tasks.create_task(self._change_model())
            tasks.create_task(self._erase(gather_seconds))
            for folder in folders:
                tasks.create_task(watch(folder.path, partial(schedule.enqueue, folder.name)))

    async def _erase(self, gather_seconds: float) -> None:
        """Erase what was forgotten from a large index's files."""
        due = asyncio.Event()
        loop = asyncio.get_running_loop()
        self.indexer.erases_later = partial(loop.call_soon_threadsafe, due.set)
        try:
            while True:
                await due.wait()
                due.clear()
                await asyncio.sleep(gather_seconds)
                try:
                    if not await asyncio.to_thread(self.indexer.erase):
                        due.set()  # something else had the index, or a server takes its time
                except TeamglmError as error:  # at the next start at the latest
                    log.warning("what was forgotten is still in the index's files: %s", error)
        finally:
            self.indexer.erases_later = None

    async def _change_model(self) -> None:
        try:
            for delay in chain([0.0], repeat(_RETRY_SECONDS)):
                await asyncio.sleep(delay)
                if await asyncio.to_thread(self.change_model):
                    return
        except TeamglmError as error:
            log.warning("documents still answer with %s: %s", self.model.key, error)
        except Exception:
            log.exception("documents still answer with %s", self.model.key)

    def _stay_with(self, key: str) -> None:
        older = self._older(key)
        try:
            if older is not None:
                older.load()
        except TeamglmError as error:
            log.warning("the embedding model %s is gone: %s", key, error)
            older = None
        if older is None:
            log.warning("documents answer again one by one, as %s embeds them", self.model.key)
            return
        log.info("%s answers until %s has embedded everything", key, self.model.key)
        index = self._index_of(older)
        self.indexer.use(index, older, key)
        self._take(older, index)

    def _take(self, model: EmbeddingModel, index: PassageIndex) -> None:
        self.model, self.index, self._splitter = model, index, None
        self.retriever.use(index, model, model.key)
        for follow in self.followers:
            follow(model)

    def _index_of(self, model: EmbeddingModel) -> PassageIndex:
        return PassageIndex(self._store, embedder_key=model.key, dimension=lambda: model.dimension)
