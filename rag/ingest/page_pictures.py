"""A page of a document as a picture, with the passage that was cited marked on it."""

from __future__ import annotations

import io
import json
import zlib
from base64 import b64decode
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

from PIL import Image

from rag.audience import Audience
from rag.errors import DocumentCode, DocumentError
from rag.ingest.originals import Originals
from rag.ingest.processes import MEBIBYTE, answer_line, end, program_of, start
from rag.records import Records

_PROGRAM = program_of("rag.ingest.page_child")
_DRAWN = frozenset({".pdf", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp"})
_SIDE = 1_500
_MAX_ANSWER = 16 * MEBIBYTE


class PagePictures:
    """Draws pages of the documents whose bytes are at hand; one at a time, safe from any thread."""

    def __init__(
        self,
        records: Records,
        originals: Originals,
        *,
        max_memory: int = 1024 * MEBIBYTE,
        seconds: int = 20,
    ) -> None:
        self._records = records
        self._originals = originals
        self._memory = max_memory
        self._seconds = seconds
        self._lock = Lock()

    def draw(self, document_id: str, page: int | None, quote: str, audience: Audience) -> bytes:
        """Return a page as WebP; blocking, takes a second.

        Raise `DocumentUnknown`, or `DocumentError`: UNSUPPORTED where there are no pages to draw,
        CHANGED where the file isn't what was read any more.
        """
        original = self._records.original(document_id, audience)
        if Path(original.blob).suffix not in _DRAWN:
            raise DocumentError(DocumentCode.UNSUPPORTED, "no format with pages to draw")
        with self._lock, self._originals.opened(original) as source:
            return _webp(self._drawn(source, page or 1, quote))

    def _drawn(self, source: int, page: int, quote: str) -> Any:
        """Return what a child of its own answers, which may be anything."""
        limits = {"memory": self._memory, "cpu": self._seconds}
        job = {"file": source, "page": page, "quote": quote, "side": _SIDE, **limits}
        child = start(_PROGRAM, files=[source])
        try:
            assert child.stdin is not None and child.stdout is not None  # noqa: S101, PT018
            with suppress(BrokenPipeError), child.stdin as stdin:
                stdin.write(json.dumps(job).encode())
            line = answer_line(child.stdout.fileno(), 2 * self._seconds, _MAX_ANSWER)
        finally:
            end(child)
        if line is None:
            raise DocumentError(DocumentCode.TIMEOUT, "the page took too long to draw")
        if not line:
            raise DocumentError(DocumentCode.TOO_LARGE, "the page took too much to draw")
        return json.loads(line)


def _webp(answer: Any) -> bytes:
    """Return the pixels that a child sent, if they are what it says; raise `DocumentError`."""
    if "code" in answer:
        raise DocumentError(DocumentCode(answer["code"]), str(answer["detail"]))
    try:
        width, height = int(answer["width"]), int(answer["height"])
        if not (0 < width <= _SIDE and 0 < height <= _SIDE):
            raise ValueError("a page of an impossible size")
        size = 3 * width * height
        pixels = zlib.decompressobj().decompress(b64decode(answer["pixels"], validate=True), size)
        picture = Image.frombytes("RGB", (width, height), pixels)
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise DocumentError(DocumentCode.CORRUPT, "the page makes no sense") from error
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=82)
    return file.getvalue()
