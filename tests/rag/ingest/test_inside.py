"""Pictures inside texts are handed on in their place, and never a reason to refuse the text."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import docx
import pptx
import pytest
from pptx.util import Inches

from rag.errors import DocumentCode, DocumentError
from rag.ingest.loaders import Reading, limits
from rag.ingest.ocr import Ocr
from rag.ingest.parsed import Parsed, Raster, Segment
from rag.ingest.sandbox import Sandbox
from tests.rag.ingest.files import make_epub, make_picture, make_zip

PICTURE = make_picture("Gate 42", "PNG")


class Reads(Ocr):
    """Reads every picture as the same words, or fails as it is told to."""

    available = True

    def __init__(self, error: DocumentError | None = None) -> None:
        self.error = error
        self.asked = 0

    def read(self, raster: Raster) -> str:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return "Gate 42"


def as_docx(pictures: tuple[bytes, ...]) -> bytes:
    file = docx.Document()
    file.add_heading("Doors", 1)
    file.add_paragraph("Before.")
    for picture in pictures:
        file.add_picture(io.BytesIO(picture))
    file.add_paragraph("After.")
    return _saved(file)


def as_pptx(pictures: tuple[bytes, ...]) -> bytes:
    file = pptx.Presentation()
    slide = file.slides.add_slide(file.slide_layouts[5])
    slide.shapes.title.text = "Doors"
    for picture in pictures:
        slide.shapes.add_picture(io.BytesIO(picture), Inches(1), Inches(2))
    slide.notes_slide.notes_text_frame.text = "After."
    return _saved(file)


def as_html(pictures: tuple[bytes, ...]) -> bytes:
    images = "".join(
        f'<img src="data:image/png;base64,{b64encode(picture).decode()}">' for picture in pictures
    )
    return f"<html><body><h1>Doors</h1><p>Before.</p>{images}<p>After.</p>".encode()


def as_epub(pictures: tuple[bytes, ...]) -> bytes:
    files = {f"OEBPS/images/{number}.png": data for number, data in enumerate(pictures)}
    images = "".join(f'<img src="images/{number}.png"/>' for number in range(len(pictures)))
    return make_epub([f"<h1>Doors</h1><p>Before.</p>{images}<p>After.</p>"], files)


def as_odt(pictures: tuple[bytes, ...]) -> bytes:
    files = {f"Pictures/{number}.png": data for number, data in enumerate(pictures)}
    images = "".join(
        f'<d:image l:href="Pictures/{number}.png"/>' for number in range(len(pictures))
    )
    spaces = " ".join(
        f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for short, name in (("o", "office"), ("x", "text"), ("d", "drawing"))
    )
    content = (
        f'<o:document-content {spaces} xmlns:l="http://www.w3.org/1999/xlink"><o:body><o:text>'
        f'<x:h x:outline-level="1">Doors</x:h><x:p>Before.{images}</x:p><x:p>After.</x:p>'
        "</o:text></o:body></o:document-content>"
    )
    kind = {"mimetype": b"application/vnd.oasis.opendocument.text"}
    return make_zip({**kind, "content.xml": content.encode(), **files})


MAKERS: dict[str, Callable[[tuple[bytes, ...]], bytes]] = {
    "docx": as_docx,
    "pptx": as_pptx,
    "html": as_html,
    "epub": as_epub,
    "odt": as_odt,
}


def _saved(file: object) -> bytes:
    out = io.BytesIO()
    file.save(out)  # type: ignore[attr-defined]
    return out.getvalue()


def parsed(data: bytes, folder: Path, suffix: str, ocr: Ocr) -> Parsed:
    file = folder / f"doors.{suffix}"
    file.write_bytes(data)
    (outcome,) = Sandbox(ocr=ocr).parse([file])
    assert isinstance(outcome, Parsed)
    return outcome


@pytest.mark.parametrize("suffix", MAKERS)
def test_picture_has_its_text_in_its_place_and_under_its_heading(
    suffix: str, tmp_path: Path
) -> None:
    found = parsed(MAKERS[suffix]((PICTURE,)), tmp_path, suffix, Reads())
    before, after = found.text.split("Gate 42")
    assert before.startswith("Doors")
    assert after.strip() == "After."
    assert {part.section for part in found.segments} == {"Doors"}


def test_same_picture_is_read_once_and_an_icon_never() -> None:
    icon = make_picture("", "PNG", size=(40, 40))
    for make in (as_docx, as_pptx):
        parts = list(Reading(make((PICTURE, icon, PICTURE)), "a"))
        assert sum(isinstance(part, Raster) for part in parts) == 1


@pytest.mark.parametrize("suffix", ["html", "epub", "odt"])
def test_damaged_pictures_are_passed_over(suffix: str) -> None:
    parts = list(Reading(MAKERS[suffix]((PICTURE[:60], b"", b"GIF89a")), f"a.{suffix}"))
    assert all(isinstance(part, Segment) for part in parts)


def test_more_pictures_than_are_read_leave_the_text_whole() -> None:
    many = tuple(make_picture(f"Gate {number}", "PNG") for number in range(limits.MAX_INSIDE + 5))
    parts = list(Reading(as_html(many), "a.html"))
    assert sum(isinstance(part, Raster) for part in parts) == limits.MAX_INSIDE
    assert isinstance(parts[-1], Segment)
    assert parts[-1].text == "After."


def test_picture_that_cannot_be_read_costs_neither_the_text_nor_more_time(tmp_path: Path) -> None:
    ocr = Reads(DocumentError(DocumentCode.TIMEOUT, "too long"))
    others = (PICTURE, make_picture("Gate 43", "PNG"), make_picture("Gate 44", "PNG"))
    found = parsed(as_docx(others), tmp_path, "docx", ocr)
    assert found.text == "Doors\n\nBefore.\n\nAfter."
    assert ocr.asked == 1
