"""What all our child processes have in common: no secrets at the start, and nothing left after."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

MEBIBYTE = 1024 * 1024
ROOT = Path(__file__).resolve().parents[2]
"""The folder of our packages: `python -I` keeps the working folder and PYTHON* variables out."""

ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "PATH": os.defpath,
    "MALLOC_ARENA_MAX": "2",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


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
