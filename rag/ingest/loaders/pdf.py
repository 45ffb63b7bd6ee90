"""PDF: the text of each page in the order that pdfium gives, its forms, and its scans."""

from __future__ import annotations

import ctypes
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as raw
from langchain_core.document_loaders.base import BaseBlobParser
from langchain_core.documents import Document
from langchain_core.documents.base import Blob

from rag.errors import DocumentCode, DocumentError
from rag.ingest.legible import is_doubtful
from rag.ingest.loaders.archives import Attachments
from rag.ingest.loaders.limits import MAX_PAGES
from rag.ingest.loaders.outline import Outline, clean, flow, picture, placed
from rag.ingest.loaders.paragraphs import unwrap
from rag.ingest.loaders.pictures import Grey, grey
from rag.ingest.loaders.ruled import Ruled, read
from rag.ingest.loaders.tables import columns, lines

_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
)
_FEW = 24  # characters: a scan's page number or stamp is no text layer
_UNKNOWN = re.compile("[\ufffd\ue000-\uf8ff]")
_MAX_UNKNOWN_SHARE = 0.3
_SCANNED_SHARE = 0.3
_WHOLE_SHARE = 0.8
_SCAN_DPI = 200
_SCAN_SIDE = 3_300
_SAME_LINE = 3.0  # points between the lines of a table that goes on
_RUNNING = 100  # letters at most of a running title
_MAX_ATTACHED = 50 * 1024 * 1024
_COMMENTS = {
    raw.FPDF_ANNOT_TEXT,
    raw.FPDF_ANNOT_FREETEXT,
    raw.FPDF_ANNOT_HIGHLIGHT,
    raw.FPDF_ANNOT_UNDERLINE,
    raw.FPDF_ANNOT_STRIKEOUT,
}


class PdfParser(BaseBlobParser):
    """Yields a Document for each page that has text, cut at the headings of its bookmarks.

    A page that is a picture is yielded as one to be read; attached files come last.
    """

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Yield the pages; raise `DocumentError` ENCRYPTED, CORRUPT or TOO_LARGE."""
        pdf = _open(blob.as_bytes())
        try:
            pages = len(pdf)
            if not pages:
                raise DocumentError(DocumentCode.CORRUPT, "a PDF without pages")
            if pages > MAX_PAGES:
                raise DocumentError(DocumentCode.TOO_LARGE, f"{pages} pages")
            marks = _bookmarks(pdf)
            if pdf.get_formtype():
                pdf.init_forms()
            forms = pdf.formenv.raw if pdf.formenv is not None else None
            outline = Outline()
            above = _Above()
            for number in range(pages):
                yield from _page(pdf, number, marks[number], outline, forms, above)
            for name, data in _attachments(pdf):
                yield from Attachments(blob).read(data, name)
        finally:
            pdf.close()


class _Above:
    """The last table, which may go on below the next page's top."""

    def __init__(self) -> None:
        self._lines: list[float] = []
        self._names: list[str] = []
        self._page = -1

    def rows(self, table: Ruled, page: int, *, first: bool) -> tuple[list[list[str]], bool | None]:
        """Return a table's rows, with the names from the page before where it goes on from there.

        Also whether the first row names the columns; None where that shows.
        """
        rows = [[flow(clean(text.translate(_LIGATURES))) for text in row] for row in table.rows]
        same = len(table.lines) == len(self._lines) and all(
            abs(a - b) <= _SAME_LINE for a, b in zip(table.lines, self._lines, strict=True)
        )
        goes_on = first and same and self._page == page - 1
        self._lines, self._page = table.lines, page
        if goes_on and self._names:
            return [self._names, *(row for row in rows if row != self._names)], True
        self._names = columns(rows)
        return rows, None


def _open(data: bytes) -> pdfium.PdfDocument:
    try:
        return pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if getattr(error, "err_code", None) in {raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY}:
            raise DocumentError(DocumentCode.ENCRYPTED, "a PDF with a password") from error
        raise DocumentError(DocumentCode.CORRUPT, str(error)) from error


def _page(
    pdf: pdfium.PdfDocument,
    number: int,
    marks: list[tuple[int, str]],
    outline: Outline,
    forms: Any,
    above: _Above,
) -> Iterator[Document]:
    """Yield what stands on a page; an unreadable page of a readable file has nothing."""
    try:
        page = pdf[number]
    except pdfium.PdfiumError:
        return
    try:
        pieces = _pieces(page)
        text = "\n".join(_plain(piece) for piece in pieces)
        extra = _fields(page, forms) if forms else []
        extra += _comments(page)
        scan = _scan(page, text)
    except pdfium.PdfiumError:
        return
    finally:
        page.close()
    parts: list[Document] = []
    if scan is not None:
        again = is_doubtful(text)
        parts.append(
            picture(scan, section=outline.section, inside=again, instead=text if again else "")
        )
        pieces = pieces if _is_known(text) and not again else []
    waiting = [(level, title) for level, title in marks if title]
    first = True
    for piece in pieces:
        if isinstance(piece, Ruled):
            rows, header = above.rows(piece, number, first=first)
            parts += outline.table(lines(rows, header=header))
            first = False
            continue
        first = first and _letter_count(piece) <= _RUNNING
        block: list[str] = []
        for line in piece.split("\n"):
            if found := _heading(line, waiting):
                outline.block("\n".join(block))
                block = []
                del waiting[: waiting.index(found) + 1]
                parts += outline.heading(*found)
            else:
                block.append(line)
        outline.block("\n".join(block).strip("\n"))
    outline.block("\n".join(extra))
    parts += outline.close()
    yield from placed(parts, page=number + 1, pages=len(pdf))
    for level, title in waiting:  # not found on the page, but the next ones belong to it
        list(outline.heading(level, title))
        outline.drop()


def _heading(line: str, waiting: list[tuple[int, str]]) -> tuple[int, str] | None:
    """Return the bookmark whose title is this line, numbered or not."""
    plain = _letters(line)
    if not plain:
        return None
    for level, title in waiting:
        whole = _letters(title)
        if plain in {whole, whole.lstrip("0123456789")}:
            return level, title
    return None


def _letters(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


def _bookmarks(pdf: pdfium.PdfDocument) -> dict[int, list[tuple[int, str]]]:
    """Return the bookmarks of each page, counted from 0: their level and title."""
    marks: dict[int, list[tuple[int, str]]] = defaultdict(list)
    try:
        for mark in pdf.get_toc(max_depth=6):
            target = mark.get_dest()
            index = target.get_index() if target is not None else None
            if index is not None:
                marks[index].append((mark.level + 1, flow(clean(mark.get_title()))))
    except pdfium.PdfiumError:
        pass  # a damaged outline costs the headings alone
    return marks


def _pieces(page: pdfium.PdfPage) -> list[str | Ruled]:
    """Return the page's paragraphs, and its tables among them."""
    text_page = page.get_textpage()
    try:
        pieces = read(page, text_page)
    finally:
        text_page.close()
    return [_paragraphs(piece) if isinstance(piece, str) else piece for piece in pieces]


def _paragraphs(text: str) -> str:
    lines = clean(text.translate(_LIGATURES)).split("\n")
    return unwrap([line.strip() for line in lines]).strip()


def _plain(piece: str | Ruled) -> str:
    if isinstance(piece, str):
        return piece
    return "\n".join(" ".join(row) for row in piece.rows)


def _is_known(text: str) -> bool:
    """Tell whether a text layer is of characters that mean something."""
    unknown = len(_UNKNOWN.findall(text))
    return unknown <= _MAX_UNKNOWN_SHARE * (_letter_count(text) + unknown)


def _letter_count(text: str) -> int:
    return sum(1 for character in text if character.isalnum())


def _scan(page: pdfium.PdfPage, text: str) -> Grey | None:
    """Return the page as a picture if that shows what its text layer lacks."""
    letters = _letter_count(text)
    width, height = page.get_size()
    if min(width, height) < 1:
        return None
    if letters >= _FEW and _is_known(text):
        # Who made a searchable file of a scan may have misread it.
        if not is_doubtful(text) or _pictured(page) < _WHOLE_SHARE * width * height:
            return None
    elif letters and _is_known(text) and _pictured(page) < _SCANNED_SHARE * width * height:
        return None
    scale = min(_SCAN_DPI / 72, _SCAN_SIDE / max(width, height))
    bitmap = page.render(scale=scale, grayscale=True)
    try:
        return grey(bitmap.to_pil())
    finally:
        bitmap.close()


def _pictured(page: pdfium.PdfPage) -> float:
    """Return the area that pictures cover."""
    area = 0.0
    for item in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=2):
        left, bottom, right, top = item.get_bounds()
        area += max(0.0, right - left) * max(0.0, top - bottom)
    return area


def _fields(page: pdfium.PdfPage, forms: Any) -> list[str]:
    """Return what a form's fields are called and hold, a line each."""
    found: dict[str, str] = {}
    for annotation in _annotations(page):
        if raw.FPDFAnnot_GetSubtype(annotation) != raw.FPDF_ANNOT_WIDGET:
            continue
        name = _string(raw.FPDFAnnot_GetFormFieldAlternateName, forms, annotation) or _string(
            raw.FPDFAnnot_GetFormFieldName, forms, annotation
        )
        value = _string(raw.FPDFAnnot_GetFormFieldValue, forms, annotation)
        if raw.FPDFAnnot_GetFormFieldType(forms, annotation) == raw.FPDF_FORMFIELD_PUSHBUTTON:
            value = ""
        if name and (value not in {"", "Off"} or name not in found):
            found[name] = value if value != "Off" else ""
    return [f"{name}: {value}" if value else name for name, value in found.items()]


def _comments(page: pdfium.PdfPage) -> list[str]:
    """Return what readers have written on the page."""
    notes = []
    for annotation in _annotations(page):
        if raw.FPDFAnnot_GetSubtype(annotation) in _COMMENTS:
            notes.append(_string(raw.FPDFAnnot_GetStringValue, annotation, b"Contents"))
    return [note for note in map(flow, notes) if note]


def _annotations(page: pdfium.PdfPage) -> Iterator[Any]:
    for index in range(min(raw.FPDFPage_GetAnnotCount(page), 2_000)):
        annotation = raw.FPDFPage_GetAnnot(page, index)
        if annotation:
            try:
                yield annotation
            finally:
                raw.FPDFPage_CloseAnnot(annotation)


def _string(function: Any, *arguments: Any) -> str:
    """Return what one of pdfium's functions writes to a buffer as UTF-16."""
    size = function(*arguments, None, 0)
    if not 2 < size < 1_000_000:
        return ""
    buffer = ctypes.create_string_buffer(size)
    pointer = ctypes.cast(buffer, ctypes.POINTER(raw.FPDF_WCHAR))
    function(*arguments, pointer, size)
    return clean(buffer.raw[: size - 2].decode("utf-16-le", "replace"))


def _attachments(pdf: pdfium.PdfDocument) -> Iterator[tuple[str, bytes]]:
    """Yield the files attached to the document."""
    for index in range(min(pdf.count_attachments(), 50)):
        try:
            attachment = pdf.get_attachment(index)
            data = bytes(attachment.get_data())
            name = attachment.get_name()
        except pdfium.PdfiumError:
            continue
        if 0 < len(data) <= _MAX_ATTACHED:
            yield name, data
