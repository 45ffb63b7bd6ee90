"""Parses files in child processes: what a file breaks there breaks nothing here."""

from __future__ import annotations

import json
import os
import select
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rag.errors import DocumentCode, DocumentError
from rag.ingest.child import OUT_OF_MEMORY
from rag.ingest.parsed import Parsed, Segment

MEBIBYTE = 1024 * 1024
_ROOT = Path(__file__).resolve().parents[2]
# -I keeps the working folder and PYTHON* variables out, so the package's own folder goes back in.
PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from rag.ingest.child import main; main()"
"""What the child runs, with the folder of our packages as its argument."""

_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "PATH": os.defpath,
    "MALLOC_ARENA_MAX": "2",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
_MAX_ANSWER = 64 * MEBIBYTE
_BLOCK = 256 * 1024
_HEAVY = 0.6
# How often a working child's memory is looked at.
_GLANCE_SECONDS = 0.05

Outcome = Parsed | DocumentError


class Sandbox:
    """Turns files into text in children with limits on memory, CPU and wall time a file.

    Small files share a child, big ones get a fresh one each. Which paths may be read is the
    caller's to decide: links are followed.
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
        program: str = PROGRAM,
    ) -> None:
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
            child = _Child(job, self._program, memory=self._memory, cpu=self._cpu, wall=self._wall)
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
        *,
        memory: int,
        cpu: int,
        wall: float,
    ) -> None:
        job = {"memory": memory, "cpu": cpu, "files": files}
        self._memory = memory
        self._wall = wall
        self._buffer = bytearray()
        self._verdict: DocumentError | None = None
        self._peak = 0
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
            [sys.executable, "-I", "-B", "-c", program, str(_ROOT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=[descriptor for descriptor, _ in files],
            env=_ENVIRONMENT,
            cwd="/",
            start_new_session=True,
        )
        assert self._process.stdin is not None  # noqa: S101 - we asked for a pipe
        with suppress(BrokenPipeError), self._process.stdin as stdin:
            stdin.write(json.dumps(job).encode())

    def answer(self) -> Outcome | None:
        """Return the next file's outcome; None if the child ended or overstayed first."""
        line = self._line()
        if line is None:
            return None
        try:
            return _outcome(json.loads(line))
        except (ValueError, TypeError, KeyError) as error:
            return DocumentError(
                DocumentCode.CORRUPT, f"the parser's answer makes no sense: {error}"
            )

    def _line(self) -> bytes | None:
        assert self._process.stdout is not None  # noqa: S101 - we asked for a pipe
        pipe = self._process.stdout.fileno()
        deadline = time.monotonic() + self._wall
        start = 0
        while (end := self._buffer.find(b"\n", start)) < 0:
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
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def failure(self) -> DocumentError:
        """Return why there was no answer."""
        if self._verdict is not None:
            return self._verdict
        status = self._reap()
        if status in {-signal.SIGXCPU, -signal.SIGKILL}:
            return DocumentError(DocumentCode.TIMEOUT, "took too much processor time")
        if status == OUT_OF_MEMORY or self._peak > _HEAVY * self._memory:
            return DocumentError(DocumentCode.TOO_LARGE, "took too much memory")
        return DocumentError(DocumentCode.CORRUPT, f"the parser ended with status {status}")

    def end(self) -> None:
        """Kill the child and all it may have started; harmless if it is gone."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._reap()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _reap(self) -> int:
        """Wait for the child's end and return its status as Popen has it."""
        return self._process.wait()


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


def _outcome(answer: Any) -> Outcome:
    if "code" in answer:
        return DocumentError(DocumentCode(answer["code"]), str(answer["detail"]))
    pages = answer["pages"]
    segments = tuple(_segment(*part) for part in answer["segments"])
    if not segments or not (pages is None or isinstance(pages, int)):
        raise ValueError("no text")
    return Parsed(segments, pages)


def _segment(text: object, page: object, section: object) -> Segment:
    if not isinstance(text, str) or not isinstance(page, int | None):
        raise TypeError("not a segment")
    if not isinstance(section, str | None):
        raise TypeError("not a section")
    return Segment(text, page, section)
