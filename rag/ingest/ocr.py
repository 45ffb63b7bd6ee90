"""Reads pictures in a child of their own, which opens its models once and gets only pixels."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rag.errors import DocumentCode, DocumentError
from rag.ingest.parsed import Raster
from rag.ingest.processes import MEBIBYTE, answer_line, end, program_of, start
from rag.ingest.reading_order import page_text

_PROGRAM = program_of("rag.ingest.ocr_child")
_MAX_ANSWER = 4 * MEBIBYTE


class Ocr:
    """Reads one picture at a time; safe from any thread.

    `model` holds the detection model in its first `split` bytes, then the recognition model. The
    child starts with the first picture and ends when none has come for `idle_seconds`.
    """

    def __init__(
        self,
        model: Path,
        split: int,
        *,
        max_memory: int = 2560 * MEBIBYTE,
        page_seconds: float = 40,
        start_seconds: float = 60,
        idle_seconds: float = 120,
        threads: int = 2,
        pause: Callable[[], None] = lambda: None,
        program: str = _PROGRAM,
    ) -> None:
        self._job = {
            "model": str(model),
            "split": split,
            "memory": max_memory,
            "idle": idle_seconds,
            "threads": threads,
        }
        self._threads = threads
        self._model = model
        self._page_seconds = page_seconds
        self._start_seconds = start_seconds
        self._pause = pause
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    @property
    def available(self) -> bool:
        """Tell whether the model is there."""
        return self._model.is_file()

    def read(self, raster: Raster) -> str:
        """Return the text of a picture, "" for none; raise `DocumentError` TIMEOUT or TOO_LARGE."""
        self._pause()
        with self._lock:
            started = self._process is None or self._process.poll() is not None
            lines = self._ask(raster)
            if lines is None and not started:  # it had just ended, for want of work
                lines = self._ask(raster)
        if lines is None:
            raise DocumentError(DocumentCode.TOO_LARGE, "the picture took too much memory to read")
        return page_text([(*line[:4], line[4]) for line in lines])

    def close(self) -> None:
        """End the child; the next picture starts another."""
        with self._lock:
            self._end()

    def _ask(self, raster: Raster) -> list[Any] | None:
        """Return the lines of a picture, None if the child ended instead."""
        seconds = self._page_seconds
        if self._process is None or self._process.poll() is not None:
            self._start()
            seconds += self._start_seconds
        process = self._process
        assert process is not None and process.stdin and process.stdout  # noqa: S101, PT018
        header = json.dumps([raster.width, raster.height]).encode() + b"\n"
        try:
            process.stdin.write(header + raster.pixels)
            process.stdin.flush()
        except BrokenPipeError:
            self._end()
            return None
        answer = answer_line(process.stdout.fileno(), seconds, _MAX_ANSWER)
        if answer is None:
            self._end()
            raise DocumentError(DocumentCode.TIMEOUT, "a picture took too long to read")
        if not answer:
            self._end()
            return None
        lines = json.loads(answer)
        return lines if isinstance(lines, list) else []

    def _start(self) -> None:
        self._end()
        self._process = start(self._program, threads=self._threads)
        assert self._process.stdin is not None  # noqa: S101 - we asked for a pipe
        self._process.stdin.write(json.dumps(self._job).encode() + b"\n")

    def _end(self) -> None:
        if self._process is not None:
            end(self._process)
            self._process = None
