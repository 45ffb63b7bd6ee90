"""Parses files in child processes: what a file breaks there breaks nothing here."""

from __future__ import annotations

import json
import os
import select
import signal
import stat
import time
import zlib
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rag.errors import DocumentCode, DocumentError
from rag.ingest.child import OUT_OF_MEMORY
from rag.ingest.legible import better
from rag.ingest.loaders.kinds import VERSION
from rag.ingest.ocr import Ocr
from rag.ingest.parsed import Grid, Parsed, Raster, Segment
from rag.ingest.processes import MEBIBYTE, end, program_of, start

_PROGRAM = program_of("rag.ingest.child")

_MAX_ANSWER = 64 * MEBIBYTE
_BLOCK = 256 * 1024
_HEAVY = 0.6
_MAX_SIDE = 4_000
# How often a working child's memory is looked at.
_GLANCE_SECONDS = 0.05

Outcome = Parsed | DocumentError


class Sandbox:
    """Turns files into text in children with limits on memory, CPU and wall time a file.

    Small files share a child, big ones get a fresh one each. Which paths may be read is the
    caller's to decide: links are followed. Without `ocr`, pictures have no text.
    """

    def __init__(
        self,
        *,
        max_memory: int = 1024 * MEBIBYTE,
        cpu_seconds: int = 30,
        wall_seconds: float = 60,
        batch: int = 32,
        small_bytes: int = MEBIBYTE,
        max_bytes: int = 50 * MEBIBYTE,
        ocr: Ocr | None = None,
        program: str = _PROGRAM,
    ) -> None:
        self._ocr = ocr
        self._program = program
        self._memory = max_memory
        self._cpu = cpu_seconds
        self._wall = wall_seconds
        self._batch = batch
        self._small = small_bytes
        self._max_bytes = max_bytes

    def parse(self, files: Sequence[Path]) -> Iterator[Outcome]:
        """Yield, in the order of `files`, each one's text or the error that says why not."""
        batch: list[Path] = []
        for file in files:
            if self._is_small(file):
                batch.append(file)
                if len(batch) < self._batch:
                    continue
                yield from self._parse_batch(batch)
            else:
                yield from self._parse_batch(batch)
                yield from self._parse_batch([file])
            batch = []
        yield from self._parse_batch(batch)

    def grids(self, file: Path) -> list[Grid]:
        """Return the visible sheets of a file of cells; raise `DocumentError`."""
        descriptor = self._open(file)
        if isinstance(descriptor, DocumentError):
            raise descriptor
        try:
            job = [(descriptor, file.name)]
            child = _Child(job, self._program, self._read, limits=self._limits(), cells=True)
            try:
                return child.grids()
            finally:
                child.end()
        finally:
            os.close(descriptor)

    @property
    def key(self) -> str:
        """The version of what is made of files; scans are read again once somebody can."""
        can_see = self._ocr is not None and self._ocr.available
        return f"{VERSION}+ocr" if can_see else VERSION

    def layers(self) -> list[str]:
        """Return what confines a child on this machine, as a child itself finds it."""
        child = _Child([], self._program, self._read, limits=self._limits(), probe=True)
        try:
            return child.layers()
        finally:
            child.end()

    def _read(self, raster: Raster) -> str:
        return self._ocr.read(raster) if self._ocr is not None and self._ocr.available else ""

    def _limits(self) -> dict[str, float]:
        return {"memory": self._memory, "cpu": self._cpu, "wall": self._wall}

    def _is_small(self, file: Path) -> bool:
        with suppress(OSError, ValueError):
            return file.stat().st_size <= self._small
        return True

    def _parse_batch(self, files: Sequence[Path]) -> Iterator[Outcome]:
        """Parse files in one child; after a crash its file alone, the others in a fresh one."""
        opened = [self._open(file) for file in files]
        descriptors = [item for item in opened if isinstance(item, int)]
        try:
            waiting = [
                (item, file.name)
                for item, file in zip(opened, files, strict=True)
                if isinstance(item, int)
            ]
            answers = self._answers(waiting)
            for item in opened:
                yield next(answers) if isinstance(item, int) else item
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _open(self, file: Path) -> int | DocumentError:
        """Return a descriptor of a regular file; nothing else is opened, so nothing hangs."""
        try:
            if not stat.S_ISREG(file.stat().st_mode):
                return DocumentError(DocumentCode.UNREADABLE, "not a regular file")
            descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            return DocumentError(DocumentCode.UNREADABLE, str(error))
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and 0 < status.st_size <= self._max_bytes:
            return descriptor
        os.close(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return DocumentError(DocumentCode.UNREADABLE, "not a regular file")
        if not status.st_size:
            return DocumentError(DocumentCode.EMPTY)
        return DocumentError(DocumentCode.TOO_LARGE, f"{status.st_size} bytes")

    def _answers(self, waiting: list[tuple[int, str]]) -> Iterator[Outcome]:
        alone = False
        while waiting:
            job = waiting[:1] if alone else waiting
            child = _Child(job, self._program, self._read, limits=self._limits())
            done = 0
            try:
                while done < len(job) and (outcome := child.answer()) is not None:
                    done += 1
                    yield outcome
                alone = False
                if done < len(job):
                    failure = child.failure()
                    # Only what cannot be an earlier file's doing is this file's verdict.
                    if done == 0 or failure.code is DocumentCode.TIMEOUT:
                        done += 1
                        yield failure
                    else:
                        alone = True
            finally:
                child.end()
            waiting = waiting[done:]


class _Child:
    """One child process: reads its answers within bounds, tells why it ended."""

    def __init__(
        self,
        files: Sequence[tuple[int, str]],
        program: str,
        read: Callable[[Raster], str],
        *,
        limits: Mapping[str, float],
        probe: bool = False,
        cells: bool = False,
    ) -> None:
        job: dict[str, Any] = {"memory": limits["memory"], "cpu": limits["cpu"], "cells": cells}
        if not probe:
            job["files"] = files
        self._read = read
        self._memory = limits["memory"]
        self._wall = limits["wall"]
        self._buffer = bytearray()
        self._verdict: DocumentError | None = None
        self._peak = 0
        self._blind = False
        self._process = start(program, files=[descriptor for descriptor, _ in files])
        assert self._process.stdin is not None  # noqa: S101 - we asked for a pipe
        with suppress(BrokenPipeError), self._process.stdin as stdin:
            stdin.write(json.dumps(job).encode())

    def layers(self) -> list[str]:
        """Return the layers that a child which was only to tell them has told."""
        line = self._line(time.monotonic() + self._wall)
        return list(map(str, json.loads(line)["layers"])) if line else []

    def grids(self) -> list[Grid]:
        """Return the sheets of the file of a child that was to tell cells."""
        line = self._line(time.monotonic() + self._wall)
        if line is None:
            raise self.failure()
        try:
            told = json.loads(line)
            if "code" in told:
                raise DocumentError(DocumentCode(told["code"]), str(told["detail"]))
            return [_grid(*sheet) for sheet in told["sheets"]]
        except (ValueError, TypeError, KeyError) as error:
            raise _senseless(error) from error

    def answer(self) -> Outcome | None:
        """Return the next file's outcome; None if the child ended or overstayed first."""
        seen: list[str] = []
        self._blind = False
        deadline = time.monotonic() + self._wall
        while (line := self._line(deadline)) is not None:
            try:
                told = json.loads(line)
                if "raster" not in told:
                    return _outcome(told, seen)
                asked = time.monotonic()
                seen.append(self._look(_raster(told["raster"])))
                deadline += time.monotonic() - asked  # the file's own time is what is limited
            except DocumentError as error:  # the pictures' verdict is the file's
                self._verdict = error
                return None
            except (ValueError, TypeError, KeyError, zlib.error) as error:
                return _senseless(error)
        return None

    def _look(self, raster: Raster) -> str:
        """Return a picture's text; after one that can't be read, a text's others have none."""
        if raster.inside and self._blind:
            return raster.instead
        try:
            seen = self._read(raster)
            return better(raster.instead, seen) if raster.instead else seen
        except DocumentError:
            if not raster.inside:
                raise
            self._blind = True
            return raster.instead

    def _line(self, deadline: float) -> bytes | None:
        assert self._process.stdout is not None  # noqa: S101 - we asked for a pipe
        pipe = self._process.stdout.fileno()
        start = 0
        while (found := self._buffer.find(b"\n", start)) < 0:
            start = len(self._buffer)
            if start > _MAX_ANSWER:
                self._verdict = DocumentError(DocumentCode.TOO_LARGE, "the text is too long")
                return None
            left = deadline - time.monotonic()
            if left <= 0:
                self._verdict = DocumentError(DocumentCode.TIMEOUT, "took too long to read")
                return None
            ready = select.select([pipe], [], [], min(left, _GLANCE_SECONDS))[0]
            self._peak = max(self._peak, _memory_of(self._process.pid))
            if not ready:
                continue
            block = os.read(pipe, _BLOCK)
            if not block:
                return None
            self._buffer += block
        line = bytes(self._buffer[:found])
        del self._buffer[: found + 1]
        return line

    def failure(self) -> DocumentError:
        """Return why there was no answer."""
        if self._verdict is not None:
            return self._verdict
        status = self._process.wait()
        if status in {-signal.SIGXCPU, -signal.SIGKILL}:
            return DocumentError(DocumentCode.TIMEOUT, "took too much processor time")
        if status == OUT_OF_MEMORY or self._peak > _HEAVY * self._memory:
            return DocumentError(DocumentCode.TOO_LARGE, "took too much memory")
        return DocumentError(DocumentCode.CORRUPT, f"the parser ended with status {status}")

    def end(self) -> None:
        """Kill the child and all it may have started; harmless if it is gone."""
        end(self._process)


def _memory_of(pid: int) -> int:
    """Return the most bytes that a running process has held, or 0 where the system doesn't tell.

    What `wait4` tells of a child counts the memory of the process that started it.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    peaks = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(peaks[0]) * 1024 if peaks else 0


def _raster(told: Any) -> Raster:
    """Return a picture as the child sent it; raise `ValueError` if it lies about its size."""
    width, height = int(told["width"]), int(told["height"])
    if not (0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE):
        raise ValueError("a picture of an impossible size")
    opened = zlib.decompressobj()
    pixels = opened.decompress(b64decode(told["pixels"], validate=True), width * height)
    if len(pixels) != width * height:
        raise ValueError("a picture without its pixels")
    instead = str(told.get("instead", ""))
    return Raster(None, None, width, height, pixels, told["inside"] is True, instead)


def _outcome(answer: Any, seen: Sequence[str]) -> Outcome:
    """Return what a child answered, with the text of its pictures in the holes."""
    if "code" in answer:
        return DocumentError(DocumentCode(answer["code"]), str(answer["detail"]))
    pages = answer["pages"]
    if not (pages is None or isinstance(pages, int)):
        raise ValueError("no number of pages")
    pictures = iter(seen)
    parts = []
    for text, page, section in answer["segments"]:
        if segment := _segment(next(pictures, "") if text is None else text, page, section):
            parts.append(segment)
    if not parts:
        return DocumentError(DocumentCode.NO_TEXT, "nothing but pictures without text")
    return Parsed(tuple(parts), pages)


def _grid(name: object, number: object, rows: list[list[object]]) -> Grid:
    if not isinstance(name, str) or not isinstance(number, int):
        raise TypeError("not a sheet")
    return Grid(name, number, [[str(cell) for cell in row] for row in rows])


def _senseless(error: Exception) -> DocumentError:
    return DocumentError(DocumentCode.CORRUPT, f"the parser's answer makes no sense: {error}")


def _segment(text: object, page: object, section: object) -> Segment | None:
    if not isinstance(text, str) or not isinstance(page, int | None):
        raise TypeError("not a segment")
    if not isinstance(section, str | None):
        raise TypeError("not a section")
    return Segment(text, page, section) if text else None
