"""EPUB: the chapters of a book in reading order."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import unquote

from langchain_core.document_loaders.base import BaseBlobParser
from langchain_core.documents import Document
from langchain_core.documents.base import Blob
from lxml import etree

from rag.errors import DocumentCode, DocumentError
from rag.ingest.loaders import packages
from rag.ingest.loaders.html import page_sections
from rag.ingest.loaders.inside import Inside
from rag.ingest.loaders.outline import Outline
from rag.ingest.loaders.xml import parse_xml

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_FONTS = ("http://ns.adobe.com/pdf/enc#RC", "http://www.idpf.org/2008/embedding")
_CHAPTERS = {"application/xhtml+xml", "text/html", "application/x-dtbook+xml"}


class EpubParser(BaseBlobParser):
    """Yields a Document for each heading of each chapter with what follows it."""

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Yield the sections in order; raise `DocumentError` ENCRYPTED, CORRUPT or TOO_LARGE."""
        data = blob.as_bytes()
        packages.check(data)
        budget = packages.Budget(len(data))
        with packages.opened(data) as book:
            if _is_locked(book, budget):
                raise DocumentError(DocumentCode.ENCRYPTED, "a book with copy protection")
            outline, inside = Outline(), Inside()
            for chapter in _chapters(book, budget):
                try:
                    page = packages.member(book, chapter, budget)
                except DocumentError as error:
                    if error.code is DocumentCode.CORRUPT:  # a chapter that isn't there
                        continue
                    raise
                pictures = partial(_picture, inside, book, posixpath.dirname(chapter))
                yield from page_sections(page, outline, pictures)
            yield from outline.close()


def _picture(
    inside: Inside, book: zipfile.ZipFile, folder: str, address: str, outline: Outline
) -> Iterator[Document]:
    """Yield the picture that a chapter in this folder of the book refers to."""
    if address.startswith("data:"):
        yield from inside.embedded(address, outline)
        return
    name = posixpath.normpath(posixpath.join(folder, unquote(address)))
    yield from inside.read(name, lambda: book.read(name), outline)


def _chapters(book: zipfile.ZipFile, budget: packages.Budget) -> Iterator[str]:
    """Yield the names of the chapters in the order of the spine."""
    container = parse_xml(packages.member(book, _CONTAINER, budget))
    root = _first(container, "rootfile")
    if root is None or not root.get("full-path"):
        raise DocumentError(DocumentCode.CORRUPT, "a book without a table of its parts")
    path = root.get("full-path")
    package = parse_xml(packages.member(book, path, budget))
    items = {item.get("id"): item for item in _all(package, "item")}
    for reference in _all(package, "itemref"):
        item = items.get(reference.get("idref"))
        if item is None or "nav" in (item.get("properties") or "").split():
            continue
        if item.get("media-type") in _CHAPTERS and item.get("href"):
            yield posixpath.normpath(
                posixpath.join(posixpath.dirname(path), unquote(item.get("href")))
            )


def _is_locked(book: zipfile.ZipFile, budget: packages.Budget) -> bool:
    """Tell whether more than fonts is encrypted."""
    if _ENCRYPTION not in book.namelist():
        return False
    methods = _all(parse_xml(packages.member(book, _ENCRYPTION, budget)), "EncryptionMethod")
    return any(method.get("Algorithm") not in _FONTS for method in methods)


def _first(tree: Any, name: str) -> Any:
    return next(_all(tree, name), None)


def _all(tree: Any, name: str) -> Iterator[Any]:
    return (e for e in tree.iter("*") if etree.QName(e).localname == name)
