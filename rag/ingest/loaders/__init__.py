"""One parser a format, chosen by what a file contains and only then by its name."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import PurePath

from langchain_core.document_loaders.base import BaseBlobParser
from langchain_core.documents.base import Blob

from rag.errors import DocumentCode, DocumentError
from rag.ingest.loaders import packages
from rag.ingest.loaders.limits import MAX_CHARACTERS
from rag.ingest.loaders.outline import clean
from rag.ingest.parsed import Parsed, Segment

# Named, not imported: a parser's library is opened only for a file that needs it.
_PARSERS = {
    "text": ("rag.ingest.loaders.text", "TextParser"),
    "csv": ("rag.ingest.loaders.text", "CsvParser"),
    "markdown": ("rag.ingest.loaders.markdown", "MarkdownParser"),
    "html": ("rag.ingest.loaders.html", "HtmlParser"),
    "pdf": ("rag.ingest.loaders.pdf", "PdfParser"),
    "docx": ("rag.ingest.loaders.word", "DocxParser"),
    "pptx": ("rag.ingest.loaders.slides", "PptxParser"),
    "xlsx": ("rag.ingest.loaders.sheets", "XlsxParser"),
}
_SUFFIXES = {
    "": "text",
    ".txt": "text",
    ".text": "text",
    ".log": "text",
    ".rst": "text",
    ".srt": "text",
    ".md": "markdown",
    ".markdown": "markdown",
    ".csv": "csv",
    ".tsv": "csv",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
    ".docx": "docx",
    ".pptx": "pptx",
    ".xlsx": "xlsx",
}
SUFFIXES = frozenset(_SUFFIXES)
"""The endings of file names, in lower case, that a parser stands ready for."""

_READABLE = frozenset({"text", "csv", "markdown", "html"})
_MAGIC = re.compile(
    rb"\{\\rtf|\x89PNG|\xff\xd8\xff|GIF8|II\*\0|MM\0\*|\x1f\x8b|BZh|7z\xbc\xaf|Rar!|\xfd7zXZ"
    rb"|\x7fELF|MZ|RIFF|OggS|ID3|SQLite format 3"
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PAGE = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*|<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.I | re.S
)


def parse(data: bytes, name: str, *, max_characters: int = MAX_CHARACTERS) -> Parsed:
    """Return a file's text; raise `DocumentError` with the code that says why there is none."""
    kind = kind_of(data, name)
    segments: list[Segment] = []
    pages: int | None = None
    characters = 0
    for document in parser_for(kind).lazy_parse(Blob(data=data, path=name)):
        pages = document.metadata["total_pages"]
        if text := clean(document.page_content).strip():
            characters += len(text)
            if characters > max_characters:
                raise DocumentError(DocumentCode.TOO_LARGE, "more text than a document may have")
            meta = document.metadata
            segments.append(Segment(text, meta["page"], clean(meta["section"] or "") or None))
    if not segments:
        raise DocumentError(
            DocumentCode.EMPTY if kind in _READABLE | {"xlsx"} else DocumentCode.NO_TEXT
        )
    return Parsed(tuple(segments), pages)


def parser_for(kind: str) -> BaseBlobParser:
    """Return the parser of a format that `kind_of` names."""
    module, name = _PARSERS[kind]
    parser = getattr(import_module(module), name)()
    assert isinstance(parser, BaseBlobParser)  # noqa: S101 - narrows what a name leads to
    return parser


def kind_of(data: bytes, name: str) -> str:
    """Return the format of a file; raise `DocumentError` for one that no parser here reads."""
    if not data:
        raise DocumentError(DocumentCode.EMPTY)
    if b"%PDF-" in data[:1024]:
        return "pdf"
    named = _SUFFIXES.get(PurePath(name).suffix.lower())
    if data.startswith(b"PK\x03\x04"):
        kind = packages.kind_of(data)
        if kind is None:
            raise DocumentError(DocumentCode.UNSUPPORTED, "a zip file of another kind")
        return kind
    if data.startswith(_OLE):
        if packages.is_encrypted_ole(data):
            raise DocumentError(DocumentCode.ENCRYPTED, "an office file with a password")
        raise DocumentError(DocumentCode.UNSUPPORTED, "an office file of the old format")
    if named and named not in _READABLE:
        raise DocumentError(DocumentCode.CORRUPT, f"named {named}, but it isn't one")
    if _MAGIC.match(data) or named is None:
        raise DocumentError(DocumentCode.UNSUPPORTED, "no parser for this kind of file")
    return "html" if _PAGE.match(data[:4096]) else named
