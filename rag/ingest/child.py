"""The child that parses: limits first, then one file after the other, one JSON line each.

Started by `rag.ingest.sandbox` with `python -I`; it gets open files, never paths, and imports only
the parser that a file needs.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

OUT_OF_MEMORY = 3
"""The exit status of a child whose memory did not suffice for a file."""

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_XML_ERR_NO_MEMORY = 2
_NEARLY = 0.75


def main() -> None:
    """Read the job from stdin, answer on stdout, and exit 0."""
    job: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    # Answers leave through a descriptor that no library prints to.
    with os.fdopen(os.dup(1), "wb") as answers:
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        _confine(job["memory"])
        hard = _cpu_used() + job["cpu"] * (len(job["files"]) + 1)
        for number, (descriptor, name) in enumerate(job["files"]):
            if number and _peak_memory() > job["memory"] // 2:
                break  # what is left over from earlier files must not be the next one's limit
            resource.setrlimit(resource.RLIMIT_CPU, (_cpu_used() + job["cpu"], hard))
            answers.write(_answer(descriptor, name, job["memory"]) + b"\n")
            answers.flush()
    os._exit(0)  # nothing to tidy up, and a damaged heap may not survive tidying


def _confine(memory: int) -> None:
    """Give up what parsing never needs: memory past the limit, writing files, new privileges."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # openpyxl would load numpy, with its threads and memory, only to know its number types.
    sys.modules["numpy"] = None  # type: ignore[assignment]


def _answer(descriptor: int, name: str, memory: int) -> bytes:
    from rag.errors import DocumentCode, DocumentError
    from rag.ingest.loaders import parse

    try:
        with os.fdopen(descriptor, "rb") as file:
            file.seek(0)  # an earlier child that died may have read it
            parsed = parse(file.read(), name)
        segments = [[part.text, part.page, part.section] for part in parsed.segments]
        return json.dumps(
            {"pages": parsed.pages, "segments": segments}, ensure_ascii=False
        ).encode()
    except DocumentError as error:
        code, detail = error.code, error.detail
    except RecursionError:
        code, detail = DocumentCode.TOO_LARGE, "nested too deep"
    except Exception as error:  # whatever a parser throws is a verdict on its file
        if _is_memory(error) or _peak_memory() > _NEARLY * memory:
            os._exit(OUT_OF_MEMORY)
        is_bomb = "amplification" in str(error)  # expat's word for entities that multiply
        code = DocumentCode.TOO_LARGE if is_bomb else DocumentCode.CORRUPT
        detail = f"{type(error).__name__}: {error}"[:500]
    return json.dumps({"code": code, "detail": detail}).encode()


def _is_memory(error: BaseException | None) -> bool:
    """Tell whether memory ran out, also where a library calls it a syntax error."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        text = str(error).lower()
        if isinstance(error, MemoryError) or "out of memory" in text:
            return True
        if getattr(error, "code", None) == _XML_ERR_NO_MEMORY or "memory allocation" in text:
            return True
        error = error.__cause__ or error.__context__
    return False


def _cpu_used() -> int:
    return math.ceil(time.process_time())


def _peak_memory() -> int:
    """Return the most address space this process ever had, in bytes; 0 where nothing tells."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    peak = next((line for line in status.splitlines() if line.startswith("VmPeak:")), "")
    return int(peak.split()[1]) * 1024 if peak else 0
