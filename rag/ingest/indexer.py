"""Learning and forgetting documents, and making things whole after a crash."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from langchain_core.embeddings import Embeddings

from rag.audience import Audience
from rag.ingest.activity import Activity
from rag.ingest.admission import Admission
from rag.ingest.backup import Backups
from rag.ingest.blobs import Blobs
from rag.ingest.flow import Flow, Job, Keys, Parser, Progress, index_row, keepable
from rag.ingest.forgetting import Forgetting, Receipt
from rag.ingest.ledger import Ledger
from rag.ingest.lessons import Learned, Lesson, groups
from rag.ingest.parsed import Chunk, Parsed
from rag.ingest.rebuilding import Rebuilding
from rag.ingest.staging import Staging
from rag.ingest.standing import Standing
from rag.ingest.vectors import Vectors
from rag.records import Records
from rag.store import PassageIndex

# Rows of an index that is written anew in about a second: nobody waits longer for a receipt.
_ERASED_AT_ONCE = 1000


class Indexer:
    """Learns and forgets documents; safe from any thread, one group of files at a time.

    `pause` is called before each file and between batches of embedding: it returns when nobody
    waits for an answer. The keys name the versions of embedder, splitter and parser. `belongs`
    tells whether a document may still be in its scope: its folder may have got another.
    """

    def __init__(
        self,
        records: Records,
        index: PassageIndex,
        parser: Parser,
        split: Callable[[Parsed], list[Chunk]],
        embeddings: Embeddings,
        *,
        embedder_key: str,
        splitter_key: str,
        parser_key: str = "1",
        blobs: Path,
        pause: Callable[[], None] = lambda: None,
        activity: Activity | None = None,
        max_bytes: int = 50 * 1024 * 1024,
        patience: float = 10.0,
        belongs: Callable[[Standing], bool] = lambda standing: True,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.activity = activity or Activity()
        """What long work is going on; it can be paused there."""
        self.ledger = Ledger(records.engine, clock)
        self._staging = Staging(records.engine, clock)
        self._vectors = Vectors(records.engine)
        self._parser = parser
        self._split = split
        self._blobs = Blobs(blobs, max_bytes)
        self._pause = pause
        self._max_bytes = max_bytes
        self._patience = patience
        self._owes_erasing = False
        self.erases_later: Callable[[], object] | None = None
        """Called where forgetting leaves a large index to be erased by whoever set this."""
        self._belongs = belongs
        # Held while contents are staged or discarded, so that neither pulls the other's rug.
        self._tidy = threading.Lock()
        self.scanning = threading.Lock()
        """Held by a scan: what one found gone another may just have renamed."""
        self._next = threading.Lock()
        self._busy = threading.Lock()
        self._rebuilding = Rebuilding(
            self._staging, self._vectors, self._alone, pause, self.activity
        )
        self._forgetting = Forgetting(
            self.ledger, self._staging, self._blobs, self._current, self._tidy, self._erase_soon
        )
        self.backups = Backups(records.engine, self._blobs, self._rebuilding, self._current)
        """Of all that was learned."""
        self.admission = Admission(
            self.ledger,
            self._staging,
            self._blobs,
            Keys(parser_key, splitter_key, embedder_key),
            pause=pause,
            max_bytes=max_bytes,
            tidy=self._tidy,
        )
        """Tells which files must be learned."""
        self._index = index
        self._flow = self._flow_of(embeddings)

    def learn(
        self,
        file: Path,
        *,
        scope: str,
        source: str,
        name: str,
        taught_by: str | None = None,
        read_as: str | None = None,
        progress: Progress | None = None,
    ) -> Learned:
        """Learn one file; `progress` hears how many of its passages are embedded."""
        lesson = Lesson(file, scope, source, name, taught_by, read_as)
        (learned,) = self.learn_many([lesson], progress)
        return learned

    def retitle(self, scope: str, source: str, name: str) -> None:
        """Give the one document of a source, such as a thread, the name that it has now."""
        for standing in self.ledger.standings(source):
            if standing.address.scope == scope and standing.address.name != keepable(name):
                self.ledger.rename(standing.id, keepable(name))

    def learn_many(
        self,
        lessons: Iterable[Lesson],
        progress: Progress | None = None,
        between: Callable[[], None] = lambda: None,
    ) -> Iterator[Learned]:
        """Learn files, group by group, and yield what became of each, in order.

        `between` is called before each group, when nothing is begun.

        Raises `ModelMissing` or `StoreUnavailable` where no file can be learned; those that were
        begun wait for the next `catch_up` or scan.
        """
        for group in groups(lessons):
            between()
            with self._turn(), ExitStack() as held:
                admitted = self.admission.admit(group, held)
                jobs = [job for job in admitted if isinstance(job, Job)]
                self._flow.run(jobs, progress)
                learned = [self.admission.report(o) if isinstance(o, Job) else o for o in admitted]
                for job in jobs:
                    self._forgetting.release(job.standing, job.key)
            if self._owes_erasing and self.erases_later is None:
                self.erase()
            yield from learned

    def catch_up(self, progress: Progress | None = None) -> Iterator[Learned]:
        """Learn the uploads that wait, and again what another splitter or embedder made.

        Watched files that changed are the scan's.
        """
        for listed in self.ledger.standings():
            self.activity.wait()
            with self._turn():
                self._pause()
                standing = self.ledger.standing(listed.id)
                job = self.admission.overdue(standing) if standing else None
                if job is None:
                    continue
                self.ledger.note(listed.id, "reading", job.key)
                self._flow.run([job], progress)
                learned = self.admission.report(job)
                self._forgetting.release(job.standing, job.key)
            yield learned

    def recover(self) -> None:
        """Make records and index whole after a crash, or after the index was lost."""
        with self._turn(), self._tidy:
            self.backups.sweep()
            self.ledger.recover()
            for document_id in self.ledger.forgotten():
                self._staging.discard(self.ledger.versions(document_id))
                self.ledger.remove(document_id)
            self._staging.discard(self._staging.unneeded())
            self._staging.sweep()
            self._vectors.prune()
            self._blobs.keep_only(self._staging.blobs())
            live = self._staging.live_row_ids(self.admission.keys.embedder)
            present = self._index.ids()
            self._index.delete(present - live)
            for batch in self._staging.indexed(live - present, self.admission.keys.embedder):
                self._index.upsert([index_row(chunk) for chunk in batch])
        for standing in self.ledger.standings():
            if not self._belongs(standing):
                self.drop(standing.id)

    def rebuild(self, progress: Progress | None = None) -> int:
        """Make the index anew from the records, without the embedder; return its passages.

        The old one answers meanwhile, and documents are learned and forgotten as ever.
        """
        count = self._rebuilding.again(self._current, progress)
        self.erase()
        return count

    def erase(self) -> bool:
        """Leave nothing of what was forgotten in the index's files; False if that comes later."""
        erased = self._rebuilding.erase(self._current, self.ledger, self._patience)
        self._owes_erasing = not erased
        return erased

    def _erase_soon(self) -> bool:
        if self.erases_later is None:
            return self.erase()
        erased = False
        try:
            erased = self._index.count() <= _ERASED_AT_ONCE and self.erase()
        finally:
            if not erased:
                self.erases_later()
        return erased

    def use(self, index: PassageIndex, embeddings: Embeddings, embedder_key: str) -> None:
        """Learn with another model, into its index; call it while nothing is being learned."""
        self._index = index
        self.admission.keys = replace(self.admission.keys, embedder=embedder_key)
        self._flow = self._flow_of(embeddings)

    def change_model(
        self,
        embeddings: Embeddings,
        embedder_key: str,
        index: PassageIndex,
        switch: Callable[[Callable[[], None]], bool],
        progress: Progress | None = None,
    ) -> bool:
        """Embed everything with another model, into an index beside the one that answers.

        `switch` is called once that is complete, with what must be done at the same moment as
        people's questions begin to go to the new index; it returns False if that cannot be now.
        """
        old = self._index

        def take_over(adopt: Callable[[], None]) -> None:
            adopt()
            self.use(index, embeddings, embedder_key)

        def at_once(adopt: Callable[[], None]) -> bool:
            return switch(lambda: take_over(adopt))

        switched = self._rebuilding.with_model(index, embeddings, embedder_key, at_once, progress)
        if switched:
            old.remove()
        self.erase()
        return switched

    def forget(self, document_id: str, audience: Audience) -> Receipt:
        """Delete a document and all that was made of it; raise `DocumentUnknown`.

        A watched file stays where it is, and stays forgotten until its bytes change.
        """
        return self._forgetting.forget(document_id, audience)

    def forget_user(self, user: str) -> list[Receipt]:
        """Delete every document that a person taught."""
        return self._forgetting.forget_user(user)

    def drop(self, document_id: str) -> None:
        """Delete a document whose file is gone; if the file comes back, it is learned again."""
        self._forgetting.drop(document_id)

    @contextmanager
    def _turn(self, patience: float = -1) -> Iterator[None]:
        # Whoever waits comes before whoever just had a turn: an upload passes a long scan.
        if not self._next.acquire(timeout=patience):
            raise TimeoutError
        try:
            if not self._busy.acquire(timeout=patience):
                raise TimeoutError
        finally:
            self._next.release()
        try:
            yield
        finally:
            self._busy.release()

    def _current(self) -> tuple[PassageIndex, str]:
        return self._index, self.admission.keys.embedder

    @contextmanager
    def _alone(self, patience: float) -> Iterator[None]:
        """Hold back whatever else changes records or index; raise `TimeoutError`."""
        with self._turn(patience), self._tidy:
            yield

    def _flow_of(self, embeddings: Embeddings) -> Flow:
        return Flow(
            self.ledger,
            self._staging,
            self._vectors,
            self._index,
            self._parser,
            self._split,
            embeddings,
            self.admission.keys,
            pause=self._pause,
            max_bytes=self._max_bytes,
            tidy=self._tidy,
        )
