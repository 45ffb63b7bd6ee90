"""The regression file: answers that were no good, as questions that `teamglm eval` asks again."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Case:
    """A line of the file; the first five fields are those of every question file."""

    id: str
    question: str
    answers: tuple[str, ...]
    """What people said is right."""
    document: str
    """Where the answer stands; empty while nobody said."""
    answerable: bool
    read: tuple[str, ...]
    """The documents that may have words in it."""
    people: tuple[str, ...]
    """Who asked and who corrected, named as `slack:U012`."""


class Regression:
    """Keeps cases in a file that people may edit; what isn't a case of ours stays as it is."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()

    async def add(self, case: Case) -> None:
        """Write a case, instead of an earlier one of the same answer."""
        line = json.dumps(asdict(case), ensure_ascii=False)
        await self._rewrite(lambda known: known.get("id") != case.id, line)

    async def forget_person(self, person: str) -> None:
        """Delete the cases that have words of a person."""
        await self._rewrite(lambda known: person not in known.get("people", ()))

    async def forget_document(self, name: str) -> None:
        """Delete the cases that may have words of a document."""
        await self._rewrite(
            lambda known: name != known.get("document") and name not in known.get("read", ())
        )

    async def _rewrite(self, keeps: Callable[[dict[str, Any]], bool], *more: str) -> None:
        await asyncio.to_thread(self._rewrite_now, keeps, more)

    def _rewrite_now(self, keeps: Callable[[dict[str, Any]], bool], more: tuple[str, ...]) -> None:
        with self._lock:
            before = _lines(self._file)
            lines = [line for line in before if keeps(_parsed(line))] + list(more)
            if lines == before:
                return
            written = self._file.with_suffix(".new")
            with written.open("w", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in lines)
                file.flush()
                os.fsync(file.fileno())
            written.replace(self._file)


def _lines(file: Path) -> list[str]:
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    return [line for line in text.split("\n") if line.strip()]


def _parsed(line: str) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}
