"""The child that draws one page of a file, with a quotation marked on it.

Started by `rag.ingest.page_pictures` with `python -I`; it gets an open file and sends back pixels.
"""

from __future__ import annotations

import base64
import ctypes
import json
import os
import re
import resource
import sys
import unicodedata
import zlib
from collections.abc import Iterator
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as raw
from PIL import Image, ImageChops, ImageOps

from rag.errors import DocumentCode, DocumentError
from rag.ingest.confinement import confine, open_answers
from rag.ingest.loaders.pictures import opened
from rag.ingest.loaders.trouble import verdict

_MARKER = (255, 236, 130)
_MOST_SCALE = 3.0
# A part of a quotation that is shorter than this may stand anywhere on a page by chance.
_LEAST_PART = 6
_PARTS = re.compile(r"[\n.!?:;。！？：；]+")  # a row of a table is "Name: value; ..."


def main() -> None:
    """Read the job from stdin, answer with a line of JSON, and exit 0."""
    job: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    with open_answers() as answers:
        confine(job["memory"])
        resource.setrlimit(resource.RLIMIT_CPU, (job["cpu"], job["cpu"]))
        try:
            with os.fdopen(job["file"], "rb") as file:
                picture = _draw(file.read(), job["page"], job["quote"], job["side"])
            pixels = base64.b64encode(zlib.compress(picture.tobytes(), 1)).decode()
            answer = {"width": picture.width, "height": picture.height, "pixels": pixels}
        except Exception as error:  # whatever a library throws is a verdict on the file
            refusal = verdict(error)
            answer = {"code": refusal.code, "detail": refusal.detail}
        answers.write(json.dumps(answer).encode() + b"\n")
    os._exit(0)  # nothing to tidy up, and a damaged heap may not survive tidying


def _draw(data: bytes, page: int, quote: str, side: int) -> Image.Image:
    """Return a page of a PDF, or a picture, in colours and no larger than `side`."""
    if data.startswith(b"%PDF"):
        return _pdf_page(data, page, quote, side)
    with opened(data) as image:
        image.seek(page - 1)
        picture = ImageOps.exif_transpose(image).convert("RGB")
    picture.thumbnail((side, side))
    return picture


def _pdf_page(data: bytes, number: int, quote: str, side: int) -> Image.Image:
    pdf = pdfium.PdfDocument(data)
    if pdf.get_formtype():
        pdf.init_forms()
    page = pdf[number - 1]
    size = page.get_size()
    if min(size) < 1:
        raise DocumentError(DocumentCode.CORRUPT, "a page without a size")
    drawn = page.render(scale=min(_MOST_SCALE, side / max(size)))
    picture: Image.Image = drawn.to_pil().convert("RGB")
    for box in _boxes(page, quote, picture.size):
        marked = ImageChops.multiply(
            picture.crop(box), Image.new("RGB", (box[2] - box[0], box[3] - box[1]), _MARKER)
        )
        picture.paste(marked, box[:2])
    return picture


def _boxes(
    page: pdfium.PdfPage, quote: str, size: tuple[int, int]
) -> Iterator[tuple[int, int, int, int]]:
    """Yield where a quotation stands on the picture of its page, a box a line."""
    text = page.get_textpage()
    letters, places = [], []
    for place in range(text.count_chars()):
        for letter in _letters(chr(raw.FPDFText_GetUnicode(text, place))):
            letters.append(letter)
            places.append(place)
    written = "".join(letters)
    for part in _found(written, quote):
        start, end = places[part[0]], places[part[1] - 1] + 1
        for index in range(raw.FPDFText_CountRects(text, start, end - start)):
            edges = [ctypes.c_double() for _ in range(4)]
            raw.FPDFText_GetRect(text, index, *map(ctypes.byref, edges))
            left, top, right, bottom = (edge.value for edge in edges)
            corners = [_pixel(page, size, *corner) for corner in ((left, top), (right, bottom))]
            (x0, x1), (y0, y1) = (sorted(each) for each in zip(*corners, strict=True))
            x0, y0 = max(x0 - 1, 0), max(y0 - 1, 0)
            x1, y1 = min(x1 + 1, size[0]), min(y1 + 1, size[1])
            if x0 < x1 and y0 < y1:
                yield x0, y0, x1, y1


def _found(written: str, quote: str) -> Iterator[tuple[int, int]]:
    """Yield where the letters of a quotation stand, whole or, across a gap, its sentences."""
    whole = _letters(quote)
    if whole and (at := written.find(whole)) >= 0:
        yield at, at + len(whole)
        return
    at = 0
    for part in map(_letters, _PARTS.split(quote)):
        if len(part) >= _LEAST_PART and (found := written.find(part, at)) >= 0:
            at = found + len(part)
            yield found, at


def _letters(text: str) -> str:
    """Return what of a text doesn't depend on how it was broken and spaced."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(letter for letter in plain if letter.isalnum())


def _pixel(page: pdfium.PdfPage, size: tuple[int, int], x: float, y: float) -> tuple[int, int]:
    across, down = ctypes.c_int(), ctypes.c_int()
    raw.FPDF_PageToDevice(page, 0, 0, *size, 0, x, y, ctypes.byref(across), ctypes.byref(down))
    return across.value, down.value
