"""What all our child processes have in common: no secrets at the start, and nothing left after."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

MEBIBYTE = 1024 * 1024
_BLOCK = 256 * 1024
# The folder of our packages: `python -I` keeps the working folder and PYTHON* variables out.
_ROOT = Path(__file__).resolve().parents[2]
_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "PATH": os.defpath,
    "MALLOC_ARENA_MAX": "2",
    "OPENBLAS_NUM_THREADS": "1",
}


def program_of(module: str) -> str:
    """Return what a child runs to be `main` of one of our modules."""
    return f"import sys; sys.path.insert(0, sys.argv[1]); from {module} import main; main()"


def start(program: str, *, files: Sequence[int] = (), threads: int = 1) -> subprocess.Popen[bytes]:
    """Start a child that has pipes at its stdin and stdout, open `files`, and nothing else of us.

    `program` is Python, with the folder of our packages as its argument.
    """
    return subprocess.Popen(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-I", "-B", "-c", program, str(_ROOT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=files,
        env={**_ENVIRONMENT, "OMP_NUM_THREADS": str(threads)},
        cwd="/",
        start_new_session=True,
    )


def end(process: subprocess.Popen[bytes]) -> int:
    """Kill a child and all it may have started, and return its status; harmless if it is gone."""
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    status = process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    return status


def answer_line(pipe: int, seconds: float, most: int) -> bytes | None:
    """Return a child's line of at most so many bytes, b"" if it ended or wrote more, None if late.

    It reads on from the pipe: what comes after the line must not be there yet.
    """
    deadline = time.monotonic() + seconds
    buffer = bytearray()
    while not buffer.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            return None
        block = os.read(pipe, _BLOCK)
        if not block or len(buffer) > most:
            return b""
        buffer += block
    return bytes(buffer)
