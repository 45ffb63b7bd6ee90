"""OpenDocument text and slides: sections by heading, tables as rows, notes in place."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Any

from langchain_core.document_loaders.base import BaseBlobParser
from langchain_core.documents import Document
from langchain_core.documents.base import Blob
from lxml import etree

from rag.errors import DocumentCode, DocumentError
from rag.ingest.loaders import packages
from rag.ingest.loaders.inside import Inside
from rag.ingest.loaders.limits import MAX_PAGES
from rag.ingest.loaders.outline import Outline, flow, placed
from rag.ingest.loaders.tables import lines
from rag.ingest.loaders.xml import parse_xml

Pictures = Callable[[Any, Outline], Iterator[Document]]

_MAX_REPEATS = 50
# What is not the text itself: old versions, lists that headings are repeated in, their numbers.
_SKIPPED = {
    "tracked-changes",
    "table-of-content",
    "alphabetical-index",
    "illustration-index",
    "note-citation",
    "page-number",
    "forms",
    "sequence-decls",
    "date",
    "creator",
}
_ENCRYPTED = re.compile(rb"<(?:\w+:)?encryption-data")


class OpenDocumentParser(BaseBlobParser):
    """Yields a Document for each heading of a text, or for each slide."""

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Yield the parts in order; raise `DocumentError` ENCRYPTED, CORRUPT or TOO_LARGE."""
        data = blob.as_bytes()
        budget = packages.Budget(len(data))
        packages.check(data)
        check_password(data)
        with packages.opened(data) as package:
            root = parse_xml(packages.member(package, "content.xml", budget))
            body = next((e for e in root if _name(e) == "body"), None)
            content = None if body is None else next(iter(body), None)
            if content is None:
                raise DocumentError(DocumentCode.CORRUPT, "an OpenDocument file without content")
            pictures = partial(_pictures, package, Inside())
            if _name(content) == "presentation":
                yield from _slides(content, pictures)
                return
            outline = Outline()
            yield from _sections(content, outline, pictures)
            yield from outline.close()


def check_password(data: bytes) -> None:
    """Raise `DocumentError(ENCRYPTED)` if the package's parts are."""
    with packages.opened(data) as package:
        if "META-INF/manifest.xml" in package.namelist():
            manifest = packages.member(package, "META-INF/manifest.xml", packages.Budget(len(data)))
            if _ENCRYPTED.search(manifest):
                raise DocumentError(DocumentCode.ENCRYPTED, "an OpenDocument file with a password")


def _pictures(
    package: zipfile.ZipFile, inside: Inside, element: Any, outline: Outline
) -> Iterator[Document]:
    """Yield the pictures in an element."""
    for image in element.iter("{*}image"):
        name = _attribute(image, "href") or ""
        yield from inside.read(name, partial(package.read, name), outline)


def _slides(content: Any, pictures: Pictures) -> Iterator[Document]:
    pages = [page for page in content if _name(page) == "page"]
    if len(pages) > MAX_PAGES:
        raise DocumentError(DocumentCode.TOO_LARGE, f"{len(pages)} slides")
    for number, page in enumerate(pages, 1):
        title = next((e for e in page.iter("*") if _attribute(e, "class") == "title"), None)
        section = flow(_text(title)) if title is not None else ""
        outline = Outline()
        outline.title = section[:120] or None
        parts = chain(_sections(page, outline, pictures), outline.close())
        yield from placed(parts, page=number, pages=len(pages))


def _sections(content: Any, outline: Outline, pictures: Pictures) -> Iterator[Document]:
    """Yield what each heading closes; a stack of our own, since files may nest deep."""
    stack: list[tuple[Any, int]] = [(e, 0) for e in reversed(content)]
    while stack:
        element, depth = stack.pop()
        name = _name(element)
        if name == "h":
            level = _attribute(element, "outline-level") or "1"
            number = int(level) if level.isascii() and level.isdigit() else 1
            yield from outline.heading(min(max(number, 1), 9), _text(element))
        elif name == "p":
            text = _text(element)
            outline.block(f"- {text}" if depth and text else text, tight=depth > 0)
            yield from pictures(element, outline)
        elif name == "image":
            yield from pictures(element, outline)
        elif name == "table":
            yield from outline.table(lines(_rows(element)))
            yield from pictures(element, outline)
        elif name not in _SKIPPED:
            inner = depth + (name == "list")
            stack.extend((child, inner) for child in reversed(element))


def _text(element: Any) -> str:
    """Return a paragraph as it reads; notes, comments and text boxes stand where they hang."""
    parts: list[str] = []
    skip: Any = None
    for event, node in etree.iterwalk(element, events=("start", "end")):
        name = _name(node)
        if event == "start" and skip is None:
            if name in _SKIPPED:
                skip = node
                continue
            if name == "s":
                parts.append(" ")
            elif name in {"tab", "line-break"} or (name in {"p", "h"} and node is not element):
                parts.append(" " if name == "tab" else "\v")
            parts.append(node.text or "")
        elif event == "end":
            if skip is None and name in {"p", "h"} and node is not element:
                parts.append("\v")
            if skip is node:
                skip = None
            if skip is None and node is not element:
                parts.append(node.tail or "")
    return "\n".join(filter(None, map(flow, "".join(parts).split("\v"))))


def _rows(table: Any) -> Iterator[list[str]]:
    """Yield the rows with merged cells repeated, so that each stands alone."""
    above: list[str] = []
    for row in table.iter("{*}table-row"):
        if next(row.iterancestors("{*}table")) is not table:
            continue  # a table inside a cell is that cell's text
        cells: list[str] = []
        for cell in row:
            name = _name(cell)
            if name == "table-cell":
                text = flow(" ".join(_text(part) for part in cell))
            elif name == "covered-table-cell":
                place = len(cells)
                text = cells[-1] if cells and not _is_below(above, place) else ""
                text = text or (above[place] if place < len(above) else "")
            else:
                continue
            cells += [text] * _repeats(cell)
        above = cells
        yield cells


def _is_below(above: list[str], place: int) -> bool:
    return place < len(above) and bool(above[place])


def _repeats(cell: Any) -> int:
    value = _attribute(cell, "number-columns-repeated") or "1"
    return min(max(int(value), 1), _MAX_REPEATS) if value.isascii() and value.isdigit() else 1


def _name(element: Any) -> str:
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def _attribute(element: Any, name: str) -> str | None:
    return next((v for k, v in element.attrib.items() if k.rpartition("}")[2] == name), None)
