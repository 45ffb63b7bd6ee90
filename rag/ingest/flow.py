"""The one flow of a document: parse -> split -> embed -> stage -> publish.

It runs on a group of documents at a time, so that small files share a parser's child, a batch of
the embedder and a flush of the index. Everything is in the database before it is in the index,
and the old version of a document answers until the new one is complete.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import numpy as np
from langchain_core.embeddings import Embeddings

from rag.errors import (
    DocumentCode,
    DocumentError,
    ModelFailed,
    ModelMissing,
    StoreUnavailable,
    TeamglmError,
)
from rag.ingest.blobs import Fingerprint, fingerprint
from rag.ingest.ledger import Ledger
from rag.ingest.parsed import Chunk, Parsed, Segment
from rag.ingest.staging import Draft, Extract, IndexedChunk, StagedChunk, Staging
from rag.ingest.standing import Standing
from rag.ingest.vectors import Vectors
from rag.keywords import passage_weights
from rag.language import language_of
from rag.records import embedded_text
from rag.store import PassageIndex, PassageRow

Progress = Callable[[int, int], None]

# A question waits for no more than one batch.
_EMBED_TEXTS = 8
# What a database cannot keep as text: NUL, and halves of a surrogate pair.
_UNKEEPABLE = re.compile("[\0\ud800-\udfff]")


class Parser(Protocol):
    """Turns files into text, one outcome for each in order; `Sandbox` is one."""

    def parse(self, files: Sequence[Path]) -> Iterator[Parsed | DocumentError]:
        """Yield each file's text or why there is none."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The versions of what makes a passage: when one changes, documents are indexed again."""

    parser: str
    splitter: str
    embedder: str


@dataclass
class Job:
    """A document on its way through the flow."""

    standing: Standing
    bytes: Fingerprint
    key: str
    """The content that it will have: its bytes, their kind and the parser's version."""
    path: Path
    """Where the bytes are; not there where their text is known already."""
    source: int | None = None
    """The open file, where it isn't ours and another might take its place."""
    taught_by: str | None = None
    extract: Extract | None = None
    chunks: list[StagedChunk] = field(default_factory=list)
    version: str = ""
    error: Exception | None = None


class Flow:
    """Takes jobs through every stage; `tidy` is held while contents are staged or discarded."""

    def __init__(
        self,
        ledger: Ledger,
        staging: Staging,
        vectors: Vectors,
        index: PassageIndex,
        parser: Parser,
        split: Callable[[Parsed], list[Chunk]],
        embeddings: Embeddings,
        keys: Keys,
        *,
        pause: Callable[[], None],
        max_bytes: int,
        tidy: threading.Lock,
    ) -> None:
        self._ledger = ledger
        self._staging = staging
        self._vectors = vectors
        self._index = index
        self._parser = parser
        self._split = split
        self._embeddings = embeddings
        self._keys = keys
        self._pause = pause
        self._max_bytes = max_bytes
        self._tidy = tidy

    def run(self, jobs: Sequence[Job], progress: Progress | None) -> None:
        """Publish every job that can be, and leave in the others' `error` why not.

        Raises `ModelMissing` or `StoreUnavailable`; what isn't published then waits.
        """
        try:
            self._parse(_going(jobs))
            self._stage(_going(jobs))
            self._embed(_going(jobs), progress)
            self._fill_index(_going(jobs))
            self._publish(_going(jobs))
        except TeamglmError as error:
            for job in jobs:
                with suppress(StoreUnavailable):
                    self._ledger.note(job.standing.id, "waiting", job.key, message=str(error))
            raise

    def _parse(self, jobs: list[Job]) -> None:
        found: dict[str, Extract | Exception] = {
            **self._staging.extracts({job.key for job in jobs})
        }
        new = {job.key: job for job in jobs if job.key not in found}
        try:
            with TemporaryDirectory(prefix="teamglm-") as folder:
                files = [_readable(job, Path(folder)) for job in new.values()]
                for job, outcome in zip(new.values(), self._parser.parse(files), strict=True):
                    self._pause()
                    found[job.key] = self._extract(job, outcome)
        except Exception as error:  # the parser's own fault: no verdict on the files
            reason = TeamglmError(f"The file could not be read now ({error}): it is tried again.")
            found.update((key, reason) for key in new if key not in found)
        for job in jobs:
            result = found[job.key]
            if isinstance(result, Extract):
                job.extract = result
            else:
                job.error = result

    def _extract(self, job: Job, outcome: Parsed | DocumentError) -> Extract | DocumentError:
        if isinstance(outcome, DocumentError):
            return outcome
        if job.source is not None and self._has_changed(job, job.source):
            return DocumentError(DocumentCode.CHANGED, "it changed while it was being read")
        segments = tuple(
            Segment(keepable(part.text), part.page, part.section and keepable(part.section))
            for part in outcome.segments
        )
        return Extract(job.key, job.bytes.blob, job.bytes.size, Parsed(segments, outcome.pages))

    def _has_changed(self, job: Job, source: int) -> bool:
        try:
            now = fingerprint(source, job.standing.address.name, self._max_bytes)
        except DocumentError:
            return True
        return now.sha256 != job.bytes.sha256

    def _stage(self, jobs: list[Job]) -> None:
        keys = {job.key for job in jobs}
        spans = self._staging.spans(keys, self._keys.splitter)
        cuts = {key: [Chunk(*span) for span in found] for key, found in spans.items()}
        drafts: dict[str, tuple[Job, Draft]] = {}
        for job in jobs:
            assert job.extract is not None  # noqa: S101 - parsed
            try:
                if not cuts.get(job.key):  # the same bytes twice are cut once, and alike
                    cuts[job.key] = self._split(job.extract.parsed)
                job.chunks = self._chunks(job, cuts[job.key])
                if not job.chunks:
                    raise DocumentError(DocumentCode.NO_TEXT)
            except StoreUnavailable:
                raise
            except Exception as error:  # one document's: the others go on
                job.error = error
                continue
            draft = Draft(job.standing.id, job.extract, job.chunks, job.taught_by)
            drafts[job.standing.id] = (job, draft)
        with self._tidy:
            staged = self._staging.stage(
                [draft for _, draft in drafts.values()],
                splitter=self._keys.splitter,
                embedder=self._keys.embedder,
            )
        for (job, _), version in zip(drafts.values(), staged, strict=True):
            if version is None:
                job.error = _forgotten()
            else:
                job.version = version

    def _chunks(self, job: Job, cuts: list[Chunk]) -> list[StagedChunk]:
        assert job.extract is not None  # noqa: S101 - parsed
        staged: list[StagedChunk] = []
        equal: Counter[str] = Counter()
        for ordinal, cut in enumerate(cuts):
            text = job.extract.parsed.text[cut.start : cut.end]
            embedded = embedded_text(cut.section, text)
            identity = (
                job.standing.address.scope,
                job.standing.id,
                embedded,
                str(equal[embedded]),
                self._keys.splitter,
            )
            equal[embedded] += 1
            staged.append(
                StagedChunk(
                    row_id=_hash("\0".join(identity)),
                    ordinal=ordinal,
                    start=cut.start,
                    end=cut.end,
                    page=cut.page,
                    section=cut.section,
                    language=language_of(text),
                    text=text,
                    text_hash=_hash(embedded),
                )
            )
        return staged

    def _embed(self, jobs: list[Job], progress: Progress | None) -> None:
        texts = {c.text_hash: embedded_text(c.section, c.text) for job in jobs for c in job.chunks}
        known = self._vectors.known(texts.keys(), self._keys.embedder)
        missing = sorted(texts.keys() - known, key=lambda text_hash: len(texts[text_hash]))
        failed: dict[str, Exception] = {}
        for start in range(0, len(missing), _EMBED_TEXTS):
            if progress:
                progress(len(known) + start, len(texts))
            self._pause()
            batch = missing[start : start + _EMBED_TEXTS]
            try:
                vectors = as_vectors(self._embeddings, [texts[each] for each in batch])
            except ModelMissing:
                raise
            except Exception as error:  # these passages' fault or a moment's: the others go on
                failed.update(dict.fromkeys(batch, error))
                continue
            self._vectors.keep(dict(zip(batch, vectors, strict=True)), self._keys.embedder)
        if progress and missing:  # what is known already has nothing to tell of
            progress(len(texts) - len(failed), len(texts))
        for job in jobs:
            reasons = [failed[c.text_hash] for c in job.chunks if c.text_hash in failed]
            if reasons:
                job.error = ModelFailed(f"The embedding model failed ({reasons[0]}).")

    def _fill_index(self, jobs: list[Job]) -> None:
        wanted = {chunk.row_id for job in jobs for chunk in job.chunks}
        live = self._staging.row_ids([job.standing.version for job in jobs if job.standing.version])
        for batch in self._staging.indexed(wanted - live, self._keys.embedder):
            self._index.upsert([index_row(chunk) for chunk in batch])

    def _publish(self, jobs: list[Job]) -> None:
        published = self._ledger.publish([job.version for job in jobs])
        for job in jobs:
            if job.version not in published:
                job.error = _forgotten()
        stale = {chunk.row_id for job in jobs if job.error for chunk in job.chunks}
        others = self._staging.others(published)
        old = [version for versions in others.values() for version in versions]
        kept = {chunk.row_id for job in _going(jobs) for chunk in job.chunks}
        stale |= self._staging.row_ids(old) - kept
        self._index.delete(stale)
        with self._tidy:
            self._staging.discard(old)


def as_vectors(embeddings: Embeddings, texts: list[str]) -> list[bytes]:
    """Embed passages; raise `ValueError` where the model gives anything but finite numbers."""
    vectors = np.asarray(embeddings.embed_documents(texts), dtype=np.float32)
    if vectors.ndim != 2 or len(vectors) != len(texts) or not np.isfinite(vectors).all():
        raise ValueError(f"{len(texts)} texts gave an array of shape {vectors.shape}")
    return [vector.tobytes() for vector in vectors]


def index_row(chunk: IndexedChunk) -> PassageRow:
    """Return a chunk as the index holds it."""
    return PassageRow(
        id=chunk.row_id,
        document_id=chunk.document_id,
        scope=chunk.scope,
        language=chunk.language,
        ordinal=chunk.ordinal,
        dense=np.frombuffer(chunk.vector, np.float32).tolist(),
        sparse=passage_weights(chunk.embedded),
    )


def _readable(job: Job, folder: Path) -> Path:
    """Return a path to a job's file that stays this file's, with the name that it has."""
    if job.source is None:
        return job.path
    link = folder / str(job.source) / job.path.name
    link.parent.mkdir()
    link.symlink_to(f"/dev/fd/{job.source}")
    return link


def _going(jobs: Sequence[Job]) -> list[Job]:
    return [job for job in jobs if job.error is None]


def _forgotten() -> DocumentError:
    return DocumentError(DocumentCode.CHANGED, "it was forgotten while it was being read")


def keepable(text: str) -> str:
    """Return a text of the same length without the characters that a database refuses."""
    return _UNKEEPABLE.sub("\ufffd", text)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
