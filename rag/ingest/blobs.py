"""The bytes of documents: their hash, and where those of uploads are kept."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import uuid
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

from rag.errors import DocumentCode, DocumentError, StoreUnavailable

_BLOCK = 1024 * 1024
_KIND = re.compile(r"\.[a-z0-9]{1,10}")
_NEW = ".new"
# A FIFO would wait for its other end, a link may lead anywhere.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a file's bytes are: `blob` is their SHA-256 with the file's extension."""

    blob: str
    size: int

    @property
    def sha256(self) -> str:
        """Return the hash alone."""
        return self.blob[:64]


def fingerprint(file: Path, name: str, max_bytes: int, copy: Path | None = None) -> Fingerprint:
    """Hash a regular file, no link, and copy it where `copy` says; raise `DocumentError`.

    The extension is that of `name`: the same bytes are another text as Markdown than as CSV.
    """
    digest, size = hashlib.sha256(), 0
    try:
        source = os.fdopen(os.open(file, _FLAGS), "rb", buffering=0)
    except FileNotFoundError as error:
        raise DocumentError(DocumentCode.CHANGED, "the file is gone") from error
    except (OSError, ValueError) as error:
        raise DocumentError(DocumentCode.UNREADABLE, str(error)) from error
    with source:
        status = os.fstat(source.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise DocumentError(DocumentCode.UNREADABLE, "not a regular file")
        if status.st_size > max_bytes:
            raise DocumentError(DocumentCode.TOO_LARGE, f"{status.st_size} bytes")
        target = _create(copy) if copy else None
        try:
            while block := _read(source.fileno()):
                size += len(block)
                if size > max_bytes:
                    raise DocumentError(DocumentCode.TOO_LARGE, f"more than {max_bytes} bytes")
                digest.update(block)
                if target is not None:
                    _write(target, block)
            if target is not None:
                os.fsync(target)
        finally:
            if target is not None:
                os.close(target)
    if not size:
        raise DocumentError(DocumentCode.EMPTY)
    kind = _KIND.fullmatch(Path(name).suffix.lower())
    return Fingerprint(digest.hexdigest() + (kind.group() if kind else ""), size)


class Blobs:
    """Uploaded files, each kept once under the hash of its bytes."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    def take(self, file: Path, name: str) -> Fingerprint:
        """Copy a file in; raise `DocumentError`, or `StoreUnavailable` if it cannot be kept."""
        new = self._folder / f"{uuid.uuid4().hex}{_NEW}"
        try:
            taken = fingerprint(file, name, self._max_bytes, new)
            kept = self.path(taken.blob)
            try:
                kept.parent.mkdir(exist_ok=True)
                new.replace(kept)
            except OSError as error:
                raise _unwritable(kept, error) from error
        finally:
            new.unlink(missing_ok=True)
        return taken

    def path(self, blob: str) -> Path:
        """Return where a blob is, or would be."""
        return self._folder / blob[:2] / blob[2:]

    def drop(self, blob: str) -> None:
        """Delete a blob; one that isn't there is no error."""
        self.path(blob).unlink(missing_ok=True)

    def keep_only(self, needed: Set[str]) -> None:
        """Delete every blob that is not needed, and copies that were never finished."""
        for folder in self._folder.glob("*"):
            if folder.name.endswith(_NEW):
                folder.unlink(missing_ok=True)
            elif folder.is_dir():
                for kept in folder.iterdir():
                    if folder.name + kept.name not in needed:
                        kept.unlink(missing_ok=True)


def _create(copy: Path) -> int:
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        return os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise _unwritable(copy, error) from error


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _BLOCK)
    except OSError as error:
        raise DocumentError(DocumentCode.UNREADABLE, str(error)) from error


def _write(descriptor: int, block: bytes) -> None:
    try:
        view = memoryview(block)
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError as error:
        raise StoreUnavailable(f"The file cannot be kept ({error}): is there space?") from error


def _unwritable(path: Path, error: OSError) -> StoreUnavailable:
    return StoreUnavailable(
        f"{path.parent} cannot be written ({error.strerror}): check its permissions and its space."
    )
