"""PPTX: the text, tables and notes of each slide."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

from langchain_core.document_loaders.base import BaseBlobParser
from langchain_core.documents import Document
from langchain_core.documents.base import Blob
from pptx.package import Package
from pptx.parts.presentation import PresentationPart

from rag.errors import DocumentCode, DocumentError
from rag.ingest.loaders import packages
from rag.ingest.loaders.limits import MAX_PAGES
from rag.ingest.loaders.outline import document, flow
from rag.ingest.loaders.tables import lines


class PptxParser(BaseBlobParser):
    """Yields a Document for each slide that has text, with its title as the section."""

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Yield the slides; raise `DocumentError` CORRUPT or TOO_LARGE."""
        data = blob.as_bytes()
        packages.check(data)
        slides = _opened(data).slides
        if len(slides) > MAX_PAGES:
            raise DocumentError(DocumentCode.TOO_LARGE, f"{len(slides)} slides")
        for number, slide in enumerate(slides, 1):
            title = slide.shapes.title
            section = flow(title.text_frame.text) if title is not None else ""
            blocks = [section, *_blocks(s for s in slide.shapes if s != title)]
            if slide.has_notes_slide and (notes := slide.notes_slide.notes_text_frame) is not None:
                blocks.append(_paragraphs(notes))
            yield document(
                "\n\n".join(filter(None, blocks)),
                page=number,
                section=section[:120] or None,
                pages=len(slides),
            )


def _opened(data: bytes) -> Any:
    """Open a presentation, a show or a template, with macros or without."""
    part = Package.open(io.BytesIO(data)).main_document_part
    if not isinstance(part, PresentationPart):
        raise DocumentError(DocumentCode.CORRUPT, f"no presentation: {part.content_type}")
    return part.presentation


def _blocks(shapes: Iterable[Any]) -> Iterator[str]:
    """Yield the text of the shapes in the order of the slide, groups opened."""
    stack = list(shapes)[::-1]
    while stack:
        shape = stack.pop()
        if hasattr(shape, "shapes"):
            stack.extend(list(shape.shapes)[::-1])
        elif getattr(shape, "has_table", False):
            table = shape.table
            rows = ([cell.text for cell in row.cells] for row in table.rows)
            yield "\n".join(lines(rows, header=table.first_row or None))
        elif shape.has_text_frame:
            yield _paragraphs(shape.text_frame)


def _paragraphs(frame: Any) -> str:
    """Return a text frame's paragraphs, one a line."""
    lines_ = (flow(p) for paragraph in frame.paragraphs for p in paragraph.text.split("\v"))
    return "\n".join(filter(None, lines_))
