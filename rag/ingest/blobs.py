"""The bytes of documents: their hash, and where those that people sent are kept."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import uuid
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from io import FileIO
from pathlib import Path

from rag.errors import DocumentCode, DocumentError, StoreUnavailable

UPLOAD = "upload"
"""The source of files that people sent."""
WEB = "web"
"""The source of web pages."""
THREAD = "thread:"
"""What the source of a thread begins with."""

_BLOCK = 1024 * 1024
_KIND = re.compile(r"\.[a-z0-9]{1,10}")
_NEW = ".new"
# A FIFO would wait for its other end, a link may lead anywhere.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


def is_kept(source: str) -> bool:
    """Tell whether the bytes of a source's documents are kept: those of watched files aren't."""
    return source in (UPLOAD, WEB) or source.startswith(THREAD)


def is_watched(source: str) -> bool:
    """Tell whether a source's documents are read again by themselves: only a tombstone stops it."""
    return source == WEB or source.startswith("folder:")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a file's bytes are: `blob` is their SHA-256 with the file's extension."""

    blob: str
    size: int

    @property
    def sha256(self) -> str:
        """Return the hash alone."""
        return self.blob[:64]


@contextmanager
def opened(file: Path, root: Path | None = None) -> Iterator[int]:
    """Open a regular file for reading, through no link below `root`; raise `DocumentError`."""
    within = file.relative_to(root).parts if root else (str(file),)
    folder: int | None = None
    try:
        if root:
            folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for part in within[:-1]:
            above, folder = folder, os.open(part, _FLAGS | os.O_DIRECTORY, dir_fd=folder)
            if above is not None:
                os.close(above)
        source = os.open(within[-1], _FLAGS, dir_fd=folder)
    except FileNotFoundError as error:
        raise DocumentError(DocumentCode.CHANGED, "the file is gone") from error
    except (OSError, ValueError) as error:
        raise DocumentError(DocumentCode.UNREADABLE, str(error)) from error
    finally:
        if folder is not None:
            os.close(folder)
    try:
        if not stat.S_ISREG(os.fstat(source).st_mode):
            raise DocumentError(DocumentCode.UNREADABLE, "not a regular file")
        yield source
    finally:
        os.close(source)


def fingerprint(
    source: int, name: str, max_bytes: int, keep: Callable[[bytes], None] = lambda block: None
) -> Fingerprint:
    """Hash an open file from its start, while `keep` gets its bytes; raise `DocumentError`.

    The extension is that of `name`: the same bytes are another text as Markdown than as CSV.
    """
    digest, size = hashlib.sha256(), 0
    os.lseek(source, 0, os.SEEK_SET)
    known = os.fstat(source).st_size
    if known > max_bytes:
        raise DocumentError(DocumentCode.TOO_LARGE, f"{known} bytes")
    while block := _read(source):
        size += len(block)
        if size > max_bytes:
            raise DocumentError(DocumentCode.TOO_LARGE, f"more than {max_bytes} bytes")
        digest.update(block)
        keep(block)
    os.lseek(source, 0, os.SEEK_SET)
    if not size:
        raise DocumentError(DocumentCode.EMPTY)
    kind = _KIND.fullmatch(Path(name).suffix.lower())
    return Fingerprint(digest.hexdigest() + (kind.group() if kind else ""), size)


class Blobs:
    """Files that were sent, each kept once under the hash of its bytes."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self._max_bytes = max_bytes

    def take(self, file: Path, name: str) -> Fingerprint:
        """Copy a file in; raise `DocumentError`, or `StoreUnavailable` if it cannot be kept."""
        new = self.folder / f"{uuid.uuid4().hex}{_NEW}"
        try:
            with self._writable():
                self.folder.mkdir(parents=True, exist_ok=True)
                copy = new.open("xb", buffering=0)
            with copy, opened(file) as source:
                taken = fingerprint(source, name, self._max_bytes, partial(self._write, copy))
                with self._writable():
                    os.fsync(copy.fileno())
            kept = self.path(taken.blob)
            with self._writable():
                kept.parent.mkdir(exist_ok=True)
                new.replace(kept)
        finally:
            with suppress(OSError):
                new.unlink(missing_ok=True)
        return taken

    def put(self, file: Path, blob: str) -> None:
        """Move a file in that is known to be this blob."""
        with self._writable():
            kept = self.path(blob)
            kept.parent.mkdir(parents=True, exist_ok=True)
            file.replace(kept)

    def path(self, blob: str) -> Path:
        """Return where a blob is, or would be."""
        return self.folder / blob[:2] / blob[2:]

    def drop(self, blob: str) -> bool:
        """Delete a blob; False if there was none."""
        with self._writable():
            try:
                self.path(blob).unlink()
            except FileNotFoundError:
                return False
        return True

    def keep_only(self, needed: Set[str]) -> None:
        """Delete every blob that is not needed, and copies that were never finished."""
        with self._writable():
            for unfinished in self.folder.glob(f"*{_NEW}"):
                unfinished.unlink(missing_ok=True)
            for kept in self.folder.glob("*/*"):
                if kept.parent.name + kept.name not in needed:
                    kept.unlink(missing_ok=True)

    def _write(self, copy: FileIO, block: bytes) -> None:
        view = memoryview(block)
        with self._writable():
            while view:
                view = view[copy.write(view) :]

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreUnavailable(
                f"{self.folder} cannot be written ({error.strerror}): "
                "check its permissions and its space."
            ) from error


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _BLOCK)
    except OSError as error:
        raise DocumentError(DocumentCode.UNREADABLE, str(error)) from error
