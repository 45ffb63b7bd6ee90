"""Files to learn, how many of them at a time, and what became of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rag.errors import DocumentCode
from rag.ingest.flow import keepable

_GROUP_FILES = 32
_GROUP_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Lesson:
    """A file to learn, and the address of the document that it becomes."""

    file: Path
    scope: str
    source: str
    """`upload`, `web`, `thread:PLACE`, `folder:NAME` or `path:PATH`."""
    name: str
    taught_by: str | None = None
    read_as: str | None = None
    """A file name whose ending says what the bytes are, where `name` doesn't."""
    root: Path | None = None
    """A folder that the file is in: no link below it is followed."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What became of a file; `document_id` is None where it had been forgotten on purpose."""

    name: str
    document_id: str | None
    state: Literal["ready", "known", "failed"]
    pages: int | None = None
    passages: int = 0
    version: int | None = None
    code: DocumentCode | None = None
    """Why a file failed; None if it wasn't the file's fault, and it will be tried again."""
    message: str | None = None
    blob: str | None = None
    """The bytes that were read, by SHA-256 and extension; None if they couldn't be."""


def groups(lessons: Iterable[Lesson]) -> Iterator[list[Lesson]]:
    """Cut lessons into groups that are done in seconds; a big file is one of its own.

    A document is in a group but once.
    """
    group: list[Lesson] = []
    names: set[tuple[str, str, str]] = set()
    total = 0
    for lesson in lessons:
        size = 0
        with suppress(OSError, ValueError):
            size = lesson.file.stat().st_size
        name = lesson.scope, lesson.source, keepable(lesson.name)
        full = len(group) == _GROUP_FILES or total + size > _GROUP_BYTES
        if group and (full or name in names):
            yield group
            group, names, total = [], set(), 0
        group.append(lesson)
        names.add(name)
        total += size
    if group:
        yield group
