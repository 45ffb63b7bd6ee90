"""The files of a folder as they lie there, without what is no document or leads outside."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path

# Hidden files, and what editors, offices, browsers and systems leave about.
_PASSING = (
    ".*", "~$*", "*~", "#*#", "*.swp", "*.swx", "*.part", "*.partial", "*.crdownload", "*.tmp",
    "Thumbs.db", "desktop.ini", "__MACOSX",
)  # fmt: skip
_PASSING_NAME = re.compile("|".join(map(translate, _PASSING)))
_BATCH = 500


@dataclass(slots=True)
class File:
    """A file that was found; `name` is its path below the root, as it is kept."""

    name: str
    path: str
    status: os.stat_result


def walk(
    root: Path, wants: Callable[[str], bool], unreadable: list[tuple[str, str]]
) -> Iterator[list[File]]:
    """Yield the files below a folder whose name is wanted, some at a time.

    Folders below it that cannot be listed are added to `unreadable`, with the reason; raise
    `OSError` if it cannot be listed itself.
    """
    files: list[File] = []
    whole = os.fspath(root)
    below = len(whole.rstrip(os.sep) + os.sep)
    waiting = [whole]
    while waiting:
        here = waiting.pop()
        try:
            with os.scandir(here) as listing:
                for entry in listing:
                    if is_passing(entry.name):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                        continue
                    name = kept_name(entry.path[below:])
                    if wants(name) and (file := _file(entry, name, root)):
                        files.append(file)
                    if len(files) == _BATCH:
                        yield files
                        files = []
        except OSError as error:
            if here == whole:
                raise
            unreadable.append((kept_name(here[below:]), str(error)))
    yield files


def is_passing(name: str) -> bool:
    """Tell whether a file or folder of this name is never a document."""
    return _PASSING_NAME.match(name) is not None


def kept_name(path: str) -> str:
    """Return a path as text that can be kept and compared, also where its bytes are no text."""
    if path.isascii():
        return path
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", text)


def _file(entry: os.DirEntry[str], name: str, root: Path) -> File | None:
    """Return a regular file, or what a link to one within the root leads to."""
    try:
        if entry.is_symlink():
            target = Path(entry.path).resolve(strict=True)
            path, status = os.fspath(target), target.stat(follow_symlinks=False)
            if not target.is_relative_to(root):
                return None
        else:
            path, status = entry.path, entry.stat(follow_symlinks=False)
    except (OSError, RuntimeError):  # gone already, or a link to itself
        return None
    return File(name, path, status) if stat.S_ISREG(status.st_mode) else None
