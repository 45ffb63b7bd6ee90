"""The child that parses: limits first, then one file after the other, JSON lines for each.

Started by `rag.ingest.sandbox` with `python -I`; it gets open files, never paths, and imports only
the parser that a file needs. A file's pictures leave before its answer, which has a hole for each.
"""

from __future__ import annotations

import base64
import json
import math
import os
import resource
import sys
import time
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from rag.ingest.confinement import confine, give_way, open_answers

OUT_OF_MEMORY = 3
"""The exit status of a child whose memory did not suffice for a file."""

_NEARLY = 0.75


def main() -> None:
    """Read the job from stdin, answer on stdout, and exit 0."""
    job: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    give_way()
    with open_answers() as answers:
        layers = confine(job["memory"])
        if "files" not in job:
            answers.write(_line({"layers": layers}))
            return
        # openpyxl would load numpy, with its threads and memory, only to know its number types.
        sys.modules["numpy"] = None  # type: ignore[assignment]
        hard = _cpu_used() + job["cpu"] * (len(job["files"]) + 1)
        for number, (descriptor, name) in enumerate(job["files"]):
            if number and _peak_memory() > job["memory"] // 2:
                break  # what is left over from earlier files must not be the next one's limit
            resource.setrlimit(resource.RLIMIT_CPU, (_cpu_used() + job["cpu"], hard))
            memory = job["memory"]
            if job.get("cells"):
                answer = _cells(descriptor, name, memory)
            else:
                answer = _answer(descriptor, name, memory, answers)
            answers.write(_line(answer))
            answers.flush()
    os._exit(0)  # nothing to tidy up, and a damaged heap may not survive tidying


def _cells(descriptor: int, name: str, memory: int) -> dict[str, Any]:
    """Return a file's sheets, cell by cell, or why there are none."""
    from rag.ingest.loaders.grids import grids

    try:
        data = _bytes(descriptor)
        return {"sheets": [[grid.name, grid.number, grid.rows] for grid in grids(data, name)]}
    except Exception as error:  # whatever a parser throws is a verdict on its file
        return _refusal(error, memory)


def _answer(descriptor: int, name: str, memory: int, answers: BinaryIO) -> dict[str, Any]:
    """Return a file's text, or why there is none; its pictures go to `answers` before."""
    from rag.ingest.loaders import Reading
    from rag.ingest.parsed import Segment

    parts: list[list[Any]] = []
    try:
        reading = Reading(_bytes(descriptor), name)
        for part in reading:
            if isinstance(part, Segment):
                parts.append([part.text, part.page, part.section])
                continue
            parts.append([None, part.page, part.section])
            pixels = base64.b64encode(zlib.compress(part.pixels, 1)).decode()
            told = {"width": part.width, "height": part.height, "pixels": pixels}
            told |= {"inside": part.inside, "instead": part.instead}
            answers.write(_line({"raster": told}))
            answers.flush()
    except Exception as error:
        return _refusal(error, memory)
    return {"pages": reading.pages, "segments": parts}


def _bytes(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        file.seek(0)  # an earlier child that died may have read it
        return file.read()


def _refusal(error: Exception, memory: int) -> dict[str, Any]:
    """Return the verdict on a file; without memory for one, end."""
    from rag.errors import DocumentError
    from rag.ingest.loaders.trouble import is_memory, verdict

    known = isinstance(error, DocumentError)
    if not known and (is_memory(error) or _peak_memory() > _NEARLY * memory):
        os._exit(OUT_OF_MEMORY)
    refusal = verdict(error)
    return {"code": refusal.code, "detail": refusal.detail}


def _line(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


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
