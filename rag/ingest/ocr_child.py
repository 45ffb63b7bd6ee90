"""The child that reads pictures: it gets grey values, never files, and answers with lines.

Started by `rag.ingest.ocr` with `python -I`; it ends when nobody has asked for a while, so that
its memory is free again.
"""

from __future__ import annotations

import json
import os
import select
import sys
from pathlib import Path
from typing import Any, BinaryIO

from rag.ingest.confinement import confine, give_way, open_answers


def main() -> None:
    """Read the job from the first line of stdin, then a picture after each header line."""
    source, answers = sys.stdin.buffer, open_answers()
    job: dict[str, Any] = json.loads(source.readline())
    model = Path(job["model"]).read_bytes()
    give_way()
    confine(job["memory"], descriptors=256)
    import numpy as np

    from rag.ingest.ppocr import PaddleOcr

    ocr = PaddleOcr(model[: job["split"]], model[job["split"] :], threads=job["threads"])
    while _asked(source, job["idle"]):
        header = json.loads(source.readline() or b"null")
        if header is None:
            break
        width, height = header
        pixels = np.frombuffer(source.read(width * height), np.uint8).reshape(height, width)
        lines = [[*line.box, line.text, line.score] for line in ocr.read(pixels)]
        answers.write(json.dumps(lines, ensure_ascii=False).encode() + b"\n")
        answers.flush()
    os._exit(0)


def _asked(source: BinaryIO, seconds: float) -> bool:
    """Wait for a question; tell whether one came."""
    # Whole questions are read, so that nothing of the next can be in the buffer already.
    return bool(select.select([source], [], [], seconds)[0])
