"""Watched folders: what is new, changed, renamed or gone there becomes so in the index."""

from __future__ import annotations

import os
import stat
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from rag.audience import PUBLIC
from rag.errors import DocumentCode, DocumentError
from rag.ingest.flow import Progress
from rag.ingest.indexer import Indexer, Learned
from rag.ingest.ledger import Standing
from rag.ingest.lessons import Lesson
from rag.ingest.sightings import Sighting, Sightings, stamp
from rag.records import Records

# Hidden files, and what editors, offices, browsers and systems leave about.
_PASSING = (
    ".*", "~$*", "*~", "#*#", "*.swp", "*.swx", "*.part", "*.partial", "*.crdownload", "*.tmp",
    "Thumbs.db", "desktop.ini", "__MACOSX",
)  # fmt: skip
_ROOT = ""


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


@dataclass
class _Found:
    files: list[_File] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)

    def may_hide(self, name: str) -> bool:
        return any(name.startswith(f"{folder}/") for folder, _ in self.unreadable)


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
        self._before = self._sightings.of(source)
        self._started_ns = started_ns
        self._report = ScanReport()
        self._noted: dict[str, Sighting] = {}

    def file(self, path: Path, progress: Progress | None) -> ScanReport:
        try:
            status = path.lstat()
        except OSError as error:
            self._report.failed.append((path.name, DocumentCode.UNREADABLE, str(error)))
            return self._report
        self._learn(self._changed([_File(_name(path.name), path, path.parent, status)]), progress)
        return self._done()

    def folder(
        self, folder: Folder, progress: Progress | None, *, removing: bool = True
    ) -> ScanReport:
        try:
            root = folder.path.resolve(strict=True)
            identity = _identity(root)
            found = _walk(root, folder)
            self._refuse_unmounted(found, identity)
        except OSError as error:
            self._report.failed.append((folder.name, DocumentCode.UNREADABLE, str(error)))
            return self._report
        self._noted[_ROOT] = Sighting(identity, self._started_ns, "")
        for name, reason in found.unreadable:
            self._report.failed.append((name, DocumentCode.UNREADABLE, reason))
        names = {file.name for file in found.files}
        gone = [
            standing
            for standing in self._standings().values()
            if standing.address.name not in names and not found.may_hide(standing.address.name)
        ]
        changed = self._renamed(list(self._changed(found.files)), gone)
        if removing:
            for standing in gone:
                self._indexer.drop(standing.id)
            self._report.removed = len(gone)
        hidden = {name for name in self._before if found.may_hide(name)}
        self._sightings.drop(self._source, self._before.keys() - names - hidden - {_ROOT})
        self._learn(changed, progress)
        return self._done()

    def _standings(self) -> dict[str, Standing]:
        standings = {}
        for standing in self._indexer.ledger.standings(self._source):
            if standing.address.scope == self._scope:
                standings[standing.address.name] = standing
            else:  # the folder's scope was changed: nobody else may see it any longer
                self._indexer.drop(standing.id)
        return standings

    def _refuse_unmounted(self, found: _Found, identity: str) -> None:
        mounted = self._before.get(_ROOT)
        if not found.files and mounted and mounted.stamp != identity and len(self._before) > 1:
            raise OSError("the folder is empty and not the one it was: is it mounted?")

    def _changed(self, files: Sequence[_File]) -> Iterator[tuple[_File, str | None]]:
        """Yield the files that must be learned, with their blob where they could be read."""
        standings = self._standings()
        for file in files:
            sighting, standing = self._before.get(file.name), standings.get(file.name)
            if sighting is None or not sighting.still_holds(file.status):
                try:
                    blob = self._indexer.fingerprint(file.path, file.name, file.root).blob
                except DocumentError:
                    yield file, None  # learning it says why
                    continue
                sighting = Sighting(stamp(file.status), self._started_ns, blob)
            if standing and self._indexer.is_current(standing, sighting.blob):
                self._report.unchanged += 1
                self._noted[file.name] = sighting
            elif standing and self._indexer.is_hopeless(standing, sighting.blob):
                self._fail(file.name, standing.code, standing.message)
                self._noted[file.name] = sighting
            else:
                yield file, sighting.blob

    def _renamed(
        self, changed: list[tuple[_File, str | None]], gone: list[Standing]
    ) -> list[tuple[_File, str | None]]:
        """Give documents whose file has another name that name; return what is left to learn."""
        left = []
        known = self._standings()
        for file, blob in changed:
            same = (s for s in gone if blob and s.content and s.content[:64] == blob[:64])
            standing = None if file.name in known else next(same, None)
            if standing is None:
                left.append((file, blob))
                continue
            gone.remove(standing)
            self._indexer.ledger.rename(standing.id, file.name)
            if blob and self._indexer.is_current(standing, blob):
                self._report.renamed += 1
                self._noted[file.name] = Sighting(stamp(file.status), self._started_ns, blob)
            else:  # another extension makes another text of the same bytes
                left.append((file, blob))
        return left

    def _learn(
        self,
        changed: Sequence[tuple[_File, str | None]] | Iterator[tuple[_File, str | None]],
        progress: Progress | None,
    ) -> None:
        waiting = list(changed)
        had = self._standings()
        activity = self._indexer.activity
        lessons = [
            Lesson(f.path, self._scope, self._source, f.name, root=f.root) for f, _ in waiting
        ]
        outcomes = self._indexer.learn_many(lessons, between=activity.wait)
        weight, total = 0, sum(_weight(file) for file, _ in waiting)
        with activity.working("reading"):
            for done, ((file, blob), learned) in enumerate(zip(waiting, outcomes, strict=True)):
                had_version = file.name in had and had[file.name].version is not None
                self._count(learned, answered=had_version)
                if blob is not None and learned.blob == blob:
                    self._noted[file.name] = Sighting(stamp(file.status), self._started_ns, blob)
                weight += _weight(file)
                activity.advance(weight / total)
                if progress:
                    progress(done + 1, len(waiting))

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
        self._sightings.note(self._source, self._noted)
        self._report.chunks = sum(standing.chunks for standing in self._standings().values())
        return self._report


def _walk(root: Path, folder: Folder) -> _Found:
    """Find a folder's files; raise `OSError` if the folder itself cannot be listed."""
    found = _Found()
    waiting = [root]
    while waiting:
        here = waiting.pop()
        try:
            with os.scandir(here) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            if here == root:
                raise
            found.unreadable.append((_name(here.relative_to(root).as_posix()), str(error)))
            continue
        for entry in entries:
            if is_passing(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))
                continue
            file = _file(entry, root)
            if file is not None and _is_wanted(file.name, folder):
                found.files.append(file)
    return found


def is_passing(name: str) -> bool:
    """Tell whether a file or folder of this name is never a document."""
    return any(fnmatchcase(name, pattern) for pattern in _PASSING)


def _weight(file: _File) -> int:
    """Return about how long a file takes to learn, beside others: its size, and some for itself."""
    return file.status.st_size + 1000


def _file(entry: os.DirEntry[str], root: Path) -> _File | None:
    """Return a regular file, or what a link to one within the root leads to."""
    try:
        path = Path(entry.path).resolve(strict=True) if entry.is_symlink() else Path(entry.path)
        status = path.stat(follow_symlinks=False)
    except (OSError, RuntimeError):  # gone already, or a link to itself
        return None
    if not stat.S_ISREG(status.st_mode) or not path.is_relative_to(root):
        return None
    return _File(_name(Path(entry.path).relative_to(root).as_posix()), path, root, status)


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
