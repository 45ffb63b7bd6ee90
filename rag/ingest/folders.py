"""Watched folders: what is new, changed, renamed or gone there becomes so in the index."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import TypeVar

from rag.audience import PUBLIC
from rag.errors import DocumentCode, DocumentError
from rag.ingest.flow import Progress
from rag.ingest.indexer import Indexer
from rag.ingest.lessons import Learned, Lesson
from rag.ingest.listing import Changed, Listing
from rag.ingest.sightings import Sighting, Sightings, stamp
from rag.ingest.standing import Address, Standing
from rag.ingest.walking import File, kept_name, walk
from rag.records import Records

_ROOT = ""
_BATCH = 500
_KEPT_FAILURES = 1000
# Of what its metadata says is unchanged a scan hashes so much all the same, and that was hashed
# longest ago: not every file system tells of every change.
_HASHED_FILES, _HASHED_BYTES = 1000, 256 << 20
_HASHED_AGAIN_NS = 24 * 3600 * 10**9

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Folder:
    """A watched folder; patterns are matched against POSIX paths below it."""

    name: str
    path: Path
    scope: str = PUBLIC
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """Return what its documents have as their source."""
        return f"folder:{self.name}"

    def wants(self, name: str) -> bool:
        """Tell whether a file is one of those that are to be read."""
        return any(fnmatchcase(name, pattern) for pattern in self.include) and not any(
            fnmatchcase(name, pattern) for pattern in self.exclude
        )


@dataclass
class ScanReport:
    """What a scan did, in documents; `chunks` are the passages that now answer from the source."""

    added: int = 0
    updated: int = 0
    renamed: int = 0
    unchanged: int = 0
    removed: int = 0
    chunks: int = 0
    failures: int = 0
    failed: list[tuple[str, DocumentCode | None, str]] = field(default_factory=list)
    """Name, code (None: not the file's fault, tried again next time) and reason of the first
    thousand; the records know them all."""

    def fail(self, name: str, code: DocumentCode | None, message: str | None) -> None:
        """Note that a file, or what is in a folder, was not learned."""
        self.failures += 1
        if len(self.failed) < _KEPT_FAILURES:
            self.failed.append((name, code, message or (code.value if code else "")))

    def counts(self) -> str:
        """Return what a log may say: how many, but not which."""
        return (
            f"{self.added} added, {self.updated} updated, {self.renamed} renamed, "
            f"{self.unchanged} unchanged, {self.removed} removed, {self.failures} failed"
        )


def scan(
    folder: Folder,
    indexer: Indexer,
    records: Records,
    progress: Progress | None = None,
    *,
    now_ns: Callable[[], int] = time.time_ns,
) -> ScanReport:
    """Bring the index up to date with a folder; `progress` counts files that must be read.

    A folder that is absent, cannot be listed, or is empty where it was mounted before, changes
    nothing and is reported as failed.
    """
    with indexer.scanning:
        here = _Scan(folder.source, folder.scope, indexer, records, now_ns())
        return here.folder(folder, progress)


def index_path(
    path: Path,
    indexer: Indexer,
    records: Records,
    folders: Sequence[Folder] = (),
    progress: Progress | None = None,
    *,
    now_ns: Callable[[], int] = time.time_ns,
) -> ScanReport:
    """Learn a file or folder for everyone to see, once; a path in a watched folder scans that.

    Nothing is removed for being gone.
    """
    path = path.resolve()
    for folder in folders:
        if path.is_relative_to(folder.path.resolve()):
            return scan(folder, indexer, records, progress, now_ns=now_ns)
    root = path if path.is_dir() else path.parent
    with indexer.scanning:
        once = _Scan(f"path:{kept_name(root.as_posix())}", PUBLIC, indexer, records, now_ns())
        if path.is_dir():
            return once.folder(Folder(path.name, path), progress, removing=False)
        return once.file(path, progress)


class _Scan:
    def __init__(
        self, source: str, scope: str, indexer: Indexer, records: Records, started_ns: int
    ) -> None:
        self._source = source
        self._scope = scope
        self._indexer = indexer
        self._sightings = Sightings(records.engine)
        self._started_ns = started_ns
        self._report = ScanReport()
        self._noted: dict[str, Sighting] = {}
        self._unsure: set[str] = set()
        self._unsure_bytes = _HASHED_BYTES

    def file(self, path: Path, progress: Progress | None) -> ScanReport:
        try:
            status = path.lstat()
        except OSError as error:
            self._report.fail(path.name, DocumentCode.UNREADABLE, str(error))
            return self._report
        with closing(Listing()) as listing:
            self._sort([File(kept_name(path.name), str(path), status)], path.parent, listing)
            self._learn(listing, path.parent, progress)
        return self._done()

    def folder(
        self, folder: Folder, progress: Progress | None, *, removing: bool = True
    ) -> ScanReport:
        unreadable: list[tuple[str, str]] = []
        hashed_before = self._started_ns - _HASHED_AGAIN_NS
        self._unsure = self._sightings.oldest(self._source, hashed_before, _HASHED_FILES)
        with closing(Listing()) as listing:
            try:
                root = folder.path.resolve(strict=True)
                identity = _identity(root)
                for files in walk(root, folder.wants, unreadable):
                    self._sort(files, root, listing)
                self._refuse_unmounted(listing, identity)
            except OSError as error:
                self._report.fail(folder.name, DocumentCode.UNREADABLE, str(error))
                self._report.unchanged = 0
                return self._report
            self._note({_ROOT: Sighting(identity, self._started_ns, "")})
            for name, reason in unreadable:
                self._report.fail(name, DocumentCode.UNREADABLE, reason)
            hidden = tuple(f"{name}/" for name, _ in unreadable)
            self._miss(listing, hidden)
            self._rename(listing)
            if removing:
                for document in listing.lost():
                    self._indexer.drop(document)
                    self._report.removed += 1
            self._learn(listing, root, progress)
        return self._done()

    def _refuse_unmounted(self, listing: Listing, identity: str) -> None:
        mounted = self._sightings.of(self._source, [_ROOT]).get(_ROOT)
        elsewhere = mounted is not None and mounted.stamp != identity
        if elsewhere and listing.is_empty() and any(self._sightings.paths(self._source)):
            raise OSError("the folder is empty and not the one it was: is it mounted?")

    def _sort(self, files: Sequence[File], root: Path, listing: Listing) -> None:
        """Note which files are there, and which of them must be learned."""
        names = [file.name for file in files]
        listing.found(names)
        seen = self._sightings.of(self._source, names)
        answering = self._indexer.admission.answering(self._scope, self._source, names)
        doubtful: list[File] = []
        for file in files:
            sighting = seen.get(file.name)
            if sighting is None or not self._holds(sighting, file):
                seen.pop(file.name, None)
                doubtful.append(file)
            elif answering.get(file.name) == sighting.blob:
                self._report.unchanged += 1
            else:
                doubtful.append(file)
        if doubtful:
            self._look_closer(doubtful, seen, root, listing)

    def _holds(self, sighting: Sighting, file: File) -> bool:
        """Tell whether a file's bytes may be taken for those that were seen."""
        if not sighting.still_holds(file.status):
            return False
        if file.name in self._unsure and self._unsure_bytes > 0:
            self._unsure_bytes -= file.status.st_size
            return False
        return True

    def _look_closer(
        self, files: Sequence[File], seen: Mapping[str, Sighting], root: Path, listing: Listing
    ) -> None:
        """Note which files must be learned, of those that may have to; `seen` are the same yet."""
        standings = self._standings([file.name for file in files])
        changed: list[Changed] = []
        for file in files:
            sighting, standing, blob = seen.get(file.name), standings.get(file.name), None
            path, mark = Path(file.path), stamp(file.status)
            fresh = None
            if sighting is not None:
                blob = sighting.blob
            else:
                with suppress(DocumentError):  # learning it says why
                    blob = self._indexer.admission.fingerprint(path, file.name, root).blob
                    fresh = Sighting(mark, self._started_ns, blob)
            if blob and standing and self._indexer.admission.is_current(standing, blob):
                self._report.unchanged += 1
            elif blob and standing and self._indexer.admission.is_hopeless(standing, blob):
                self._report.fail(file.name, standing.code, standing.message)
            else:
                answered = standing is not None and standing.version is not None
                weight = file.status.st_size + 1000  # each takes a little time for itself
                changed.append(Changed(file.name, path, mark, weight, blob, answered))
                continue
            if fresh:
                self._note({file.name: fresh})
        listing.change(changed)

    def _miss(self, listing: Listing, hidden: tuple[str, ...]) -> None:
        """Note the documents whose file is gone; where one is hidden now, nobody knows."""
        for known in _runs(self._indexer.ledger.known(self._source)):
            missing = listing.missing({document.name for document in known})
            for document in known:
                if document.scope != self._scope:
                    # The folder's scope was changed: nobody else may see it any longer.
                    self._indexer.drop(document.id)
                elif document.name in missing and not document.name.startswith(hidden):
                    listing.lose([(document.id, (document.content or "")[:64])])
        for paths in self._sightings.paths(self._source):
            gone = {p for p in listing.missing(paths) if not p.startswith(hidden)}
            self._sightings.drop(self._source, gone)

    def _standings(self, names: Sequence[str]) -> dict[str, Standing]:
        places = [Address(self._scope, self._source, name) for name in names]
        return {place.name: s for place, s in self._indexer.ledger.at(places).items()}

    def _rename(self, listing: Listing) -> None:
        """Give documents whose file has another name that name."""
        for file in listing.changes():
            if file.blob is None or file.answered or self._standings([file.name]):
                continue
            document = listing.regain(file.blob[:64])
            if document is None:
                continue
            ledger = self._indexer.ledger
            ledger.rename(document, file.name)
            standing = ledger.standing(document)
            if standing and self._indexer.admission.is_current(standing, file.blob):
                self._report.renamed += 1
                self._note({file.name: Sighting(file.stamp, self._started_ns, file.blob)})
                listing.learned(file.name)
            else:  # another extension makes another text of the same bytes
                listing.change([replace(file, answered=True)])

    def _learn(self, listing: Listing, root: Path, progress: Progress | None) -> None:
        activity = self._indexer.activity
        count, total = listing.amount()
        handed: deque[Changed] = deque()

        def lessons() -> Iterator[Lesson]:
            for file in listing.changes():
                handed.append(file)
                yield Lesson(file.path, self._scope, self._source, file.name, root=root)

        weight = 0
        with activity.working("reading"):
            outcomes = self._indexer.learn_many(lessons(), between=activity.wait)
            for done, learned in enumerate(outcomes, 1):
                file = handed.popleft()
                self._count(learned, answered=file.answered)
                if file.blob is not None and learned.blob == file.blob:
                    self._note({file.name: Sighting(file.stamp, self._started_ns, file.blob)})
                weight += file.weight
                activity.advance(weight / total)
                if progress:
                    progress(done, count)

    def _note(self, sightings: Mapping[str, Sighting], at_once: bool = False) -> None:
        """Remember files as they were seen, many at a time."""
        self._noted.update(sightings)
        if len(self._noted) >= _BATCH or at_once:
            self._sightings.note(self._source, self._noted)
            self._noted.clear()

    def _count(self, learned: Learned, *, answered: bool) -> None:
        if learned.state == "failed":
            self._report.fail(learned.name, learned.code, learned.message)
        elif learned.state == "known":
            self._report.unchanged += 1
        elif answered:
            self._report.updated += 1
        else:
            self._report.added += 1

    def _done(self) -> ScanReport:
        self._note({}, at_once=True)
        self._report.chunks = self._indexer.ledger.passages(self._source, self._scope)
        return self._report


def _runs(items: Iterable[_T]) -> Iterator[list[_T]]:
    them = iter(items)
    while run := list(islice(them, _BATCH)):
        yield run


def _identity(root: Path) -> str:
    status = root.stat()
    return f"{status.st_dev}:{status.st_ino}"
