"""Watched folders: what is new, changed, renamed or gone there becomes so in the index."""

from __future__ import annotations

import os
import re
import stat
import time
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase, translate
from itertools import islice
from pathlib import Path

from rag.audience import PUBLIC
from rag.errors import DocumentCode, DocumentError
from rag.ingest.flow import Progress
from rag.ingest.indexer import Indexer, Learned
from rag.ingest.ledger import Address, Standing
from rag.ingest.lessons import Lesson
from rag.ingest.listing import Changed, Listing
from rag.ingest.sightings import Sighting, Sightings, stamp
from rag.records import Records

# Hidden files, and what editors, offices, browsers and systems leave about.
_PASSING = (
    ".*", "~$*", "*~", "#*#", "*.swp", "*.swx", "*.part", "*.partial", "*.crdownload", "*.tmp",
    "Thumbs.db", "desktop.ini", "__MACOSX",
)  # fmt: skip
_PASSING_NAME = re.compile("|".join(map(translate, _PASSING)))
_ROOT = ""
_BATCH = 500


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


@dataclass
class ScanReport:
    """What a scan did, in documents; `chunks` are the passages that now answer from the source."""

    added: int = 0
    updated: int = 0
    renamed: int = 0
    unchanged: int = 0
    removed: int = 0
    chunks: int = 0
    failed: list[tuple[str, DocumentCode | None, str]] = field(default_factory=list)
    """Name, code (None: not the file's fault, tried again next time) and reason."""

    def counts(self) -> str:
        """Return what a log may say: how many, but not which."""
        return (
            f"{self.added} added, {self.updated} updated, {self.renamed} renamed, "
            f"{self.unchanged} unchanged, {self.removed} removed, {len(self.failed)} failed"
        )


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    path: Path
    root: Path
    status: os.stat_result


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
        once = _Scan(f"path:{_name(root.as_posix())}", PUBLIC, indexer, records, now_ns())
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

    def file(self, path: Path, progress: Progress | None) -> ScanReport:
        try:
            status = path.lstat()
        except OSError as error:
            self._report.failed.append((path.name, DocumentCode.UNREADABLE, str(error)))
            return self._report
        with closing(Listing()) as listing:
            self._sort([_File(_name(path.name), path, path.parent, status)], listing)
            self._learn(listing, path.parent, progress)
        return self._done()

    def folder(
        self, folder: Folder, progress: Progress | None, *, removing: bool = True
    ) -> ScanReport:
        unreadable: list[tuple[str, str]] = []
        with closing(Listing()) as listing:
            try:
                root = folder.path.resolve(strict=True)
                identity = _identity(root)
                for files in _walk(root, folder, unreadable):
                    self._sort(files, listing)
                self._refuse_unmounted(listing, identity)
            except OSError as error:
                self._report.failed.append((folder.name, DocumentCode.UNREADABLE, str(error)))
                self._report.unchanged = 0
                return self._report
            self._note({_ROOT: Sighting(identity, self._started_ns, "")})
            for name, reason in unreadable:
                self._report.failed.append((name, DocumentCode.UNREADABLE, reason))
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

    def _sort(self, files: Sequence[_File], listing: Listing) -> None:
        """Note which files are there, and which of them must be learned."""
        names = [file.name for file in files]
        listing.found(names)
        seen = self._sightings.of(self._source, names)
        standings = self._standings(names)
        changed: list[Changed] = []
        for file in files:
            sighting, standing = seen.get(file.name), standings.get(file.name)
            blob = None
            if sighting is None or not sighting.still_holds(file.status):
                with suppress(DocumentError):  # learning it says why
                    blob = self._indexer.fingerprint(file.path, file.name, file.root).blob
                    sighting = Sighting(stamp(file.status), self._started_ns, blob)
                fresh = True
            else:
                blob, fresh = sighting.blob, False
            if blob and standing and self._indexer.is_current(standing, blob):
                self._report.unchanged += 1
            elif blob and standing and self._indexer.is_hopeless(standing, blob):
                self._fail(file.name, standing.code, standing.message)
            else:
                answered = standing is not None and standing.version is not None
                weight = file.status.st_size + 1000  # each takes a little time for itself
                mark = stamp(file.status)
                changed.append(Changed(file.name, file.path, mark, weight, blob, answered))
                continue
            if fresh and sighting:
                self._note({file.name: sighting})
        listing.change(changed)

    def _miss(self, listing: Listing, hidden: tuple[str, ...]) -> None:
        """Note the documents whose file is gone; where one is hidden now, nobody knows."""
        ledger = self._indexer.ledger
        for standings in _runs(ledger.standings(self._source)):
            missing = listing.missing({s.address.name for s in standings})
            for standing in standings:
                if standing.address.scope != self._scope:
                    # The folder's scope was changed: nobody else may see it any longer.
                    self._indexer.drop(standing.id)
                elif standing.address.name in missing and not standing.address.name.startswith(
                    hidden
                ):
                    listing.lose([(standing.id, (standing.content or "")[:64])])
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
            if standing and self._indexer.is_current(standing, file.blob):
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
            self._fail(learned.name, learned.code, learned.message)
        elif learned.state == "known":
            self._report.unchanged += 1
        elif answered:
            self._report.updated += 1
        else:
            self._report.added += 1

    def _fail(self, name: str, code: DocumentCode | None, message: str | None) -> None:
        self._report.failed.append((name, code, message or (code.value if code else "")))

    def _done(self) -> ScanReport:
        self._note({}, at_once=True)
        self._report.chunks = self._indexer.ledger.passages(self._source, self._scope)
        return self._report


def _walk(root: Path, folder: Folder, unreadable: list[tuple[str, str]]) -> Iterator[list[_File]]:
    """Yield a folder's files, some at a time; raise `OSError` if it cannot be listed itself."""
    files: list[_File] = []
    waiting = [root]
    while waiting:
        here = waiting.pop()
        try:
            with os.scandir(here) as listing:
                for entry in listing:
                    if is_passing(entry.name):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                        continue
                    file = _file(entry, root)
                    if file is not None and _is_wanted(file.name, folder):
                        files.append(file)
                    if len(files) == _BATCH:
                        yield files
                        files = []
        except OSError as error:
            if here == root:
                raise
            unreadable.append((_name(here.relative_to(root).as_posix()), str(error)))
    yield files


def _runs(standings: Iterable[Standing]) -> Iterator[list[Standing]]:
    them = iter(standings)
    while run := list(islice(them, _BATCH)):
        yield run


def is_passing(name: str) -> bool:
    """Tell whether a file or folder of this name is never a document."""
    return _PASSING_NAME.match(name) is not None


def _file(entry: os.DirEntry[str], root: Path) -> _File | None:
    """Return a regular file, or what a link to one within the root leads to."""
    try:
        if entry.is_symlink():
            path = Path(entry.path).resolve(strict=True)
            status = path.stat(follow_symlinks=False)
            if not path.is_relative_to(root):
                return None
        else:
            path, status = Path(entry.path), entry.stat(follow_symlinks=False)
    except (OSError, RuntimeError):  # gone already, or a link to itself
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return _File(_name(os.path.relpath(entry.path, root)), path, root, status)


def _is_wanted(name: str, folder: Folder) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in folder.include) and not any(
        fnmatchcase(name, pattern) for pattern in folder.exclude
    )


def _identity(root: Path) -> str:
    status = root.stat()
    return f"{status.st_dev}:{status.st_ino}"


def _name(path: str) -> str:
    """Return a path as text that can be kept and compared, also where its bytes are no text."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", text)
