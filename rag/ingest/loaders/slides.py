"""PPTX: the text, tables, pictures and notes of each slide."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from langchain_core.document_loaders.base import BaseBlobParser
from langchain_core.documents import Document
from langchain_core.documents.base import Blob
from pptx.package import Package
from pptx.parts.presentation import PresentationPart

from rag.errors import DocumentCode, DocumentError
from rag.ingest.loaders import packages
from rag.ingest.loaders.inside import Inside
from rag.ingest.loaders.limits import MAX_PAGES
from rag.ingest.loaders.outline import Outline, flow, placed
from rag.ingest.loaders.tables import lines


class PptxParser(BaseBlobParser):
    """Yields what is on each slide, its pictures among the text, with its title as the section."""

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Yield the slides; raise `DocumentError` CORRUPT or TOO_LARGE."""
        data = blob.as_bytes()
        packages.check(data)
        slides = _opened(data).slides
        if len(slides) > MAX_PAGES:
            raise DocumentError(DocumentCode.TOO_LARGE, f"{len(slides)} slides")
        inside = Inside()
        for number, slide in enumerate(slides, 1):
            yield from placed(_parts(slide, inside), page=number, pages=len(slides))


def _opened(data: bytes) -> Any:
    """Open a presentation, a show or a template, with macros or without."""
    part = Package.open(io.BytesIO(data)).main_document_part
    if not isinstance(part, PresentationPart):
        raise DocumentError(DocumentCode.CORRUPT, f"no presentation: {part.content_type}")
    return part.presentation


def _parts(slide: Any, inside: Inside) -> Iterator[Document]:
    """Yield the shapes' text in the order of the slide, groups opened; then the notes."""
    outline = Outline()
    title = slide.shapes.title
    heading = flow(title.text_frame.text) if title is not None else ""
    outline.title = heading[:120] or None
    outline.block(heading)
    stack = [shape for shape in slide.shapes if shape != title][::-1]
    while stack:
        shape = stack.pop()
        if hasattr(shape, "shapes"):
            stack.extend(list(shape.shapes)[::-1])
            continue
        if getattr(shape, "has_table", False):
            table = shape.table
            rows = ([cell.text for cell in row.cells] for row in table.rows)
            yield from outline.table(lines(rows, header=table.first_row or None))
        elif shape.has_text_frame:
            outline.block(_paragraphs(shape.text_frame))
        for relation in shape._element.xpath(".//a:blip/@r:embed"):
            yield from inside.related(slide.part, relation, outline)
    if slide.has_notes_slide and (notes := slide.notes_slide.notes_text_frame) is not None:
        outline.block(_paragraphs(notes))
    yield from outline.close()


def _paragraphs(frame: Any) -> str:
    """Return a text frame's paragraphs, one a line."""
    lines_ = (flow(p) for paragraph in frame.paragraphs for p in paragraph.text.split("\v"))
    return "\n".join(filter(None, lines_))
