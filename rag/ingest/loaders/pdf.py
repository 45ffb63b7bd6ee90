"""PDF: the text of each page in the order that pdfium gives."""

from __future__ import annotations

from collections.abc import Iterator

import pypdfium2 as pdfium
from langchain_core.document_loaders.base import BaseBlobParser
from langchain_core.documents import Document
from langchain_core.documents.base import Blob
from pypdfium2.raw import FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY

from rag.errors import DocumentCode, DocumentError
from rag.ingest.loaders.limits import MAX_PAGES
from rag.ingest.loaders.outline import clean, document
from rag.ingest.loaders.paragraphs import unwrap

_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
)


class PdfParser(BaseBlobParser):
    """Yields a Document for each page that has text."""

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Yield the pages; raise `DocumentError` ENCRYPTED, CORRUPT or TOO_LARGE."""
        pdf = _open(blob.as_bytes())
        try:
            pages = len(pdf)
            if not pages:
                raise DocumentError(DocumentCode.CORRUPT, "a PDF without pages")
            if pages > MAX_PAGES:
                raise DocumentError(DocumentCode.TOO_LARGE, f"{pages} pages")
            for number in range(pages):
                if text := _text(pdf, number):
                    yield document(text, page=number + 1, pages=pages)
        finally:
            pdf.close()


def _open(data: bytes) -> pdfium.PdfDocument:
    try:
        return pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if getattr(error, "err_code", None) in {FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY}:
            raise DocumentError(DocumentCode.ENCRYPTED, "a PDF with a password") from error
        raise DocumentError(DocumentCode.CORRUPT, str(error)) from error


def _text(pdf: pdfium.PdfDocument, number: int) -> str:
    """Return a page's text; an unreadable page of a readable file has none."""
    try:
        page = pdf[number]
    except pdfium.PdfiumError:
        return ""
    try:
        text_page = page.get_textpage()
        try:
            raw = text_page.get_text_range()
        finally:
            text_page.close()
    except pdfium.PdfiumError:
        return ""
    finally:
        page.close()
    lines = clean(raw.translate(_LIGATURES)).split("\n")
    return unwrap([line.strip() for line in lines]).strip()
