"""Which files must be learned: their bytes are read, and compared with what is known."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from rag.errors import DocumentCode, DocumentError
from rag.ingest.blobs import Blobs, Fingerprint, fingerprint, is_kept, opened
from rag.ingest.flow import Job, Keys, keepable
from rag.ingest.ledger import Ledger
from rag.ingest.lessons import Learned, Lesson
from rag.ingest.staging import Staging
from rag.ingest.standing import Address, Standing

_WORTH_ANOTHER_TRY = {DocumentCode.CHANGED, DocumentCode.UNREADABLE, DocumentCode.TIMEOUT}


class Admission:
    """Makes jobs of what must be learned, and reports on all else, and on jobs that are done.

    `keys` are those that a document must have been made with; `tidy` is held while contents are
    staged or discarded.
    """

    def __init__(
        self,
        ledger: Ledger,
        staging: Staging,
        blobs: Blobs,
        keys: Keys,
        *,
        pause: Callable[[], None],
        max_bytes: int,
        tidy: threading.Lock,
    ) -> None:
        self.keys = keys
        self._ledger = ledger
        self._staging = staging
        self._blobs = blobs
        self._pause = pause
        self._max_bytes = max_bytes
        self._tidy = tidy

    def answering(self, scope: str, source: str, names: Sequence[str]) -> dict[str, str]:
        """Return the blobs that documents answer from, as they would be indexed now, by name."""
        contents = self._ledger.answering(
            scope, source, names, splitter=self.keys.splitter, embedder=self.keys.embedder
        )
        parts = ((name, key.partition("#")) for name, key in contents.items())
        return {name: blob for name, (blob, _, parser) in parts if parser == self.keys.parser}

    def is_current(self, standing: Standing, blob: str) -> bool:
        """Tell whether a document answers from these bytes as they would be indexed now."""
        key = f"{blob}#{self.keys.parser}"
        return standing.state == "ready" and standing.content == key and self._is_fresh(standing)

    def is_hopeless(self, standing: Standing, blob: str) -> bool:
        """Tell whether these bytes were tried and will fail again."""
        key = f"{blob}#{self.keys.parser}"
        return (
            standing.state == "failed"
            and standing.incoming == key
            and standing.code not in _WORTH_ANOTHER_TRY
        )

    def fingerprint(self, file: Path, name: str, root: Path) -> Fingerprint:
        """Return what the bytes of a file below `root` are; raise `DocumentError`."""
        with opened(file, root) as source:
            return fingerprint(source, name, self._max_bytes)

    def admit(self, lessons: Sequence[Lesson], held: ExitStack) -> list[Job | Learned]:
        """Read files' bytes; what need not or cannot be learned is reported at once.

        Files that aren't ours are `held` open, so that the same file is hashed and parsed.
        """
        with self._tidy:  # the blobs are needed from here on
            addresses = [Address(o.scope, o.source, keepable(o.name)) for o in lessons]
            read: list[Fingerprint | DocumentError] = []
            sources: list[int | None] = []
            for lesson in lessons:
                self._pause()
                sources.append(None)
                try:
                    if not is_kept(lesson.source):
                        sources[-1] = held.enter_context(opened(lesson.file, lesson.root))
                    read.append(self._read(lesson, sources[-1]))
                except DocumentError as error:
                    read.append(error)
            buried = self._ledger.graves.buried(
                [
                    (address, found.sha256)
                    for address, found in zip(addresses, read, strict=True)
                    if isinstance(found, Fingerprint) and not is_kept(address.source)
                ]
            )
            standings = {
                standing.address: standing
                for standing in self._ledger.admit(
                    [
                        (address, lesson.taught_by)
                        for address, lesson in zip(addresses, lessons, strict=True)
                        if address not in buried
                    ]
                )
            }
            admitted: list[Job | Learned] = []
            for lesson, address, found, source in zip(
                lessons, addresses, read, sources, strict=True
            ):
                if address in buried:
                    blob = found.blob if isinstance(found, Fingerprint) else None
                    admitted.append(Learned(address.name, None, "known", blob=blob))
                    continue
                standing = standings[address]
                if isinstance(found, DocumentError):
                    admitted.append(self._refuse(standing, found, None))
                    continue
                path = self._blobs.path(found.blob) if source is None else lesson.file
                job = self._job(standing, found, path, source, lesson.taught_by)
                if standing.content == job.key and self._is_fresh(standing):
                    if standing.state != "ready":
                        self._ledger.note(standing.id, "ready")
                    admitted.append(_known(standing, found.blob))
                else:
                    admitted.append(job)
            self._ledger.read(
                {job.standing.id: job.key for job in admitted if isinstance(job, Job)}
            )
            return admitted

    def _read(self, lesson: Lesson, source: int | None) -> Fingerprint:
        name = lesson.read_as or lesson.name
        if source is None:
            return self._blobs.take(lesson.file, name)
        return fingerprint(source, name, self._max_bytes)

    def _job(
        self,
        standing: Standing,
        read: Fingerprint,
        path: Path,
        source: int | None = None,
        taught_by: str | None = None,
    ) -> Job:
        return Job(standing, read, f"{read.blob}#{self.keys.parser}", path, source, taught_by)

    def _is_fresh(self, standing: Standing) -> bool:
        parser = (standing.content or "").partition("#")[2]
        return Keys(parser, standing.splitter or "", standing.embedder or "") == self.keys

    def overdue(self, standing: Standing) -> Job | None:
        """Return what is to be learned of a document that waits, or is of other keys."""
        if standing.state == "waiting" and standing.incoming:
            key = standing.incoming
        elif standing.content and not self._is_fresh(standing):
            key = standing.content
        else:
            return None
        blob = key.partition("#")[0]
        path = self._blobs.path(blob)
        kept = is_kept(standing.address.source) and path.exists()
        job = self._job(standing, Fingerprint(blob, path.stat().st_size if kept else 0), path)
        return job if kept or self._staging.extracts([job.key]) else None

    def report(self, job: Job) -> Learned:
        """Return what became of a job, and write it down where it failed."""
        if job.error is not None:
            return self._refuse(job.standing, job.error, job)
        return Learned(
            job.standing.address.name,
            job.standing.id,
            "ready",
            job.extract.parsed.pages if job.extract else None,
            len(job.chunks),
            job.standing.number + 1,
            blob=job.bytes.blob,
        )

    def _refuse(self, standing: Standing, error: Exception, job: Job | None) -> Learned:
        """Write down why a file wasn't learned; its document answers from what it had, if any."""
        kept = is_kept(standing.address.source)
        code = error.code if isinstance(error, DocumentError) else None
        key = job.key if job else None
        if code is None:
            self._ledger.note(standing.id, "waiting", key, message=str(error))
        else:  # what was sent and fails is not kept
            self._ledger.note(standing.id, "failed", None if kept else key, code, str(error))
        return Learned(
            standing.address.name,
            standing.id,
            "failed",
            code=code,
            message=str(error),
            blob=job.bytes.blob if job else None,
        )


def _known(standing: Standing, blob: str) -> Learned:
    return Learned(
        standing.address.name,
        standing.id,
        "known",
        standing.pages,
        standing.chunks,
        standing.number,
        blob=blob,
    )
