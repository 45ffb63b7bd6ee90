"""One parser a format, chosen by what a file contains and only then by its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from langchain_core.document_loaders.base import BaseBlobParser
from langchain_core.documents import Document
from langchain_core.documents.base import Blob

from rag.errors import DocumentCode, DocumentError
from rag.ingest.loaders.kinds import READABLE, SUFFIXES, kind_of
from rag.ingest.loaders.limits import MAX_CHARACTERS, MAX_SCANS
from rag.ingest.loaders.outline import clean
from rag.ingest.parsed import Parsed, Raster, Segment

__all__ = ["SUFFIXES", "Reading", "documents", "kind_of", "parse", "parser_for"]

# Named, not imported: a parser's library is opened only for a file that needs it.
_PARSERS = {
    "text": ("text", "TextParser"),
    "csv": ("text", "CsvParser"),
    "markdown": ("markdown", "MarkdownParser"),
    "html": ("html", "HtmlParser"),
    "json": ("data", "JsonParser"),
    "code": ("code", "CodeParser"),
    "notebook": ("notebooks", "NotebookParser"),
    "email": ("mail", "MailParser"),
    "msg": ("mail", "OutlookParser"),
    "pdf": ("pdf", "PdfParser"),
    "docx": ("word", "DocxParser"),
    "pptx": ("slides", "PptxParser"),
    "xlsx": ("sheets", "XlsxParser"),
    "xlsb": ("sheets", "CalamineParser"),
    "xls": ("sheets", "CalamineParser"),
    "ods": ("sheets", "CalamineParser"),
    "odt": ("opendocument", "OpenDocumentParser"),
    "odp": ("opendocument", "OpenDocumentParser"),
    "rtf": ("rtf", "RtfParser"),
    "epub": ("books", "EpubParser"),
    "picture": ("pictures", "PictureParser"),
    "zip": ("archives", "ZipParser"),
}
_EMPTY_WITHOUT_TEXT = READABLE | {"xlsx", "xls", "xlsb", "ods", "email", "msg"}


class Reading:
    """A file as it is being read: iterate it once, then `pages` is known."""

    def __init__(self, data: bytes, name: str, *, max_characters: int = MAX_CHARACTERS) -> None:
        self._data = data
        self._name = name
        self._max_characters = max_characters
        self.pages: int | None = None

    def __iter__(self) -> Iterator[Segment | Raster]:
        """Yield the text, and the pictures to be read, in order.

        Raise `DocumentError` with the code that says why there is nothing.
        """
        characters = scans = inside = 0
        found = False
        for document in documents(self._data, self._name, {}):
            meta = document.metadata
            self.pages = meta["total_pages"] or self.pages
            section = clean(meta["section"] or "") or None
            if (raster := meta.get("raster")) is not None:
                if meta["inside"]:
                    inside += 1
                    if inside > MAX_SCANS:
                        if meta["instead"]:
                            yield Segment(meta["instead"], meta["page"], section)
                        continue
                else:
                    scans += 1
                if scans > MAX_SCANS:
                    raise DocumentError(DocumentCode.TOO_LARGE, f"more than {MAX_SCANS} scans")
                found = True
                width, height, pixels = raster
                told = meta["inside"], meta["instead"]
                yield Raster(meta["page"], section, width, height, pixels, *told)
            elif text := clean(document.page_content).strip():
                characters += len(text)
                if characters > self._max_characters:
                    raise DocumentError(DocumentCode.TOO_LARGE, "more text than allowed")
                found = True
                yield Segment(text, meta["page"], section)
        if not found:
            empty = kind_of(self._data, self._name) in _EMPTY_WITHOUT_TEXT
            raise DocumentError(DocumentCode.EMPTY if empty else DocumentCode.NO_TEXT)


def parse(data: bytes, name: str, *, max_characters: int = MAX_CHARACTERS) -> Parsed:
    """Return the text that a file has without reading its pictures; raise `DocumentError`."""
    reading = Reading(data, name, max_characters=max_characters)
    parts = (
        part if isinstance(part, Segment) else Segment(part.instead, part.page, part.section)
        for part in reading
    )
    segments = tuple(part for part in parts if part.text)
    if not segments:
        raise DocumentError(DocumentCode.NO_TEXT, "nothing but pictures")
    return Parsed(segments, reading.pages)


def documents(data: bytes, name: str, metadata: Mapping[str, Any]) -> Iterator[Document]:
    """Yield what the parser of this file yields; `metadata` is for parsers of files inside."""
    blob = Blob(data=data, path=name, metadata=dict(metadata))
    yield from parser_for(kind_of(data, name)).lazy_parse(blob)


def parser_for(kind: str) -> BaseBlobParser:
    """Return the parser of a format that `kind_of` names."""
    module, name = _PARSERS[kind]
    parser = getattr(import_module(f"{__name__}.{module}"), name)()
    assert isinstance(parser, BaseBlobParser)  # noqa: S101 - narrows what a name leads to
    return parser
