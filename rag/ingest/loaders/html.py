"""HTML: what a person reads of a page, by heading; tables as rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from langchain_core.document_loaders.base import BaseBlobParser
from langchain_core.documents import Document
from langchain_core.documents.base import Blob
from lxml import etree, html

from rag.errors import DocumentCode, DocumentError
from rag.ingest.loaders.encodings import decode
from rag.ingest.loaders.inside import Inside
from rag.ingest.loaders.outline import Caption, Cell, Outline, clean, flow
from rag.ingest.loaders.tables import lines

_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?\s*([\w:.-]+)""", re.IGNORECASE)
_XML_ENCODING = re.compile(rb"""<\?xml[^>]{0,200}encoding\s*=\s*["']([\w:.-]+)""")
_DROPPED = {
    "script",
    "style",
    "noscript",
    "template",
    "head",
    "nav",
    "footer",
    "iframe",
    "object",
    "embed",
    "svg",
    "math",
    "canvas",
    "audio",
    "video",
    "select",
    "button",
    "input",
    "textarea",
    "option",
    "datalist",
    "map",
    "area",
    "base",
    "link",
    "meta",
}
_BLOCKS = {
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "caption",
    "center",
    "dd",
    "details",
    "dialog",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "form",
    "header",
    "hgroup",
    "hr",
    "html",
    "legend",
    "li",
    "main",
    "menu",
    "ol",
    "p",
    "pre",
    "section",
    "summary",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "ul",
}
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_MAX_SPAN = 50
_BREAK = "\v"

Element: TypeAlias = Any  # lxml comes without types
Pictures: TypeAlias = Callable[[str, Outline], Iterator[Document]]
"""Yields what an outline has gathered and the picture at an address, if that can be had."""


class HtmlParser(BaseBlobParser):
    """Yields a Document for each heading of the page's main content with what follows it."""

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Yield the sections in order; raise `DocumentError` CORRUPT if no page can be made out."""
        outline = Outline()
        yield from page_sections(blob.as_bytes(), outline, Inside().embedded)
        yield from outline.close()


def page_sections(data: bytes, outline: Outline, pictures: Pictures) -> Iterator[Document]:
    """Yield the sections that headings close; the outline keeps the last, and the page's title."""
    declared = _CHARSET.search(data[:4096]) or _XML_ENCODING.match(data)
    tree = _tree(clean(decode(data, declared[1].decode() if declared else None)))
    if tree is None:
        return
    title = tree.findtext(".//title")
    outline.title = flow(title)[:120] or None if title else None
    yield from _Walk(outline, pictures).run(_main(tree))


def fragment(markup: str, outline: Outline) -> Iterator[Document]:
    """Yield the sections that headings close in a piece of HTML, as Markdown and mail have it."""
    tree = _tree(markup)
    if tree is not None:
        yield from _Walk(outline, Inside().embedded).run(tree)


def _tree(text: str) -> Element | None:
    parser = html.HTMLParser(
        encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True
    )
    try:
        return html.document_fromstring(text.encode(), parser=parser, ensure_head_body=True)
    except etree.ParserError:  # nothing but comments and white space
        return None
    except etree.LxmlError as error:
        raise DocumentError(DocumentCode.CORRUPT, str(error)) from error


def _main(tree: Element) -> Element:
    """Return the element that the page itself calls its main content, if that has text."""
    for path in (".//main", ".//*[@role='main']"):
        for element in tree.iterfind(path):
            if "".join(element.itertext()).strip():
                return element
    return tree


class _Walk:
    """Walks a page in reading order and tells the outline of its blocks."""

    def __init__(self, outline: Outline, pictures: Pictures) -> None:
        self._outline = outline
        self._pictures = pictures
        self._inline: list[str] = []
        self._items: dict[Element, int] = {}

    def run(self, root: Element) -> Iterator[Document]:
        """Yield the sections that a heading closes."""
        # A stack of our own: pages nest deeper than Python calls may.
        stack: list[tuple[Element, bool]] = [(root, False)]
        while stack:
            element, left = stack.pop()
            if left:
                if element.tag in _BLOCKS:
                    self._flush(tight=element.tag in {"li", "dt", "dd", "td", "th", "tr"})
                if element is not root:
                    self._inline.append(element.tail or "")
                continue
            if not isinstance(element.tag, str) or _is_dropped(element):
                self._inline.append(element.tail or "")
                continue
            if element.tag in _HEADINGS:
                self._flush()
                yield from self._outline.heading(_HEADINGS[element.tag], _text(element))
                self._inline.append(element.tail or "")
                continue
            if element.tag == "table" and _is_data(element):
                self._flush()
                yield from self._outline.table(_table_lines(element))
                for image in element.iter("img"):
                    yield from self._pictures(image.get("src") or "", self._outline)
                self._inline.append(element.tail or "")
                continue
            if element.tag == "img":
                yield from self._pictures(element.get("src") or "", self._outline)
            if element.tag == "pre":
                self._flush()
                self._outline.block(clean(_text(element)))
                self._inline.append(element.tail or "")
                continue
            self._enter(element)
            stack.append((element, True))
            stack.extend((child, False) for child in reversed(element))

    def _enter(self, element: Element) -> None:
        if element.tag in _BLOCKS:
            self._flush()
        if element.tag == "br":
            self._inline.append(_BREAK)
        if element.tag == "li":
            self._inline.append(self._item_mark(element))
        self._inline.append(element.text or "")

    def _item_mark(self, element: Element) -> str:
        parent = element.getparent()
        if parent is None or parent.tag != "ol":
            return "- "
        self._items[parent] = self._items.get(parent, 0) + 1
        return f"{self._items[parent]}. "

    def _flush(self, *, tight: bool = False) -> None:
        parts = [flow(part) for part in "".join(self._inline).split(_BREAK)]
        self._inline = []
        text = "\n".join(filter(None, parts))
        if text.strip("-• "):
            self._outline.block(text, tight=tight)


def _is_dropped(element: Element) -> bool:
    return (
        element.tag in _DROPPED
        or element.get("hidden") is not None
        or element.get("aria-hidden") == "true"
        or element.get("role") in {"navigation", "search"}
        or "display:none" in (element.get("style") or "").replace(" ", "").lower()
    )


def _text(element: Element) -> str:
    """Return an element's text as it reads, line breaks included."""
    if not isinstance(element.tag, str) or (element.tag in _DROPPED):
        return ""
    parts = [element.text or ""]
    skip: Element | None = None
    for event, child in etree.iterwalk(element, events=("start", "end")):
        if child is element:
            continue
        if event == "start" and skip is None:
            if not isinstance(child.tag, str) or _is_dropped(child):
                skip = child
            else:
                parts += [
                    "\n" if child.tag == "br" or child.tag in _BLOCKS else "",
                    child.text or "",
                ]
        elif event == "end":
            if skip is None and child.tag in _BLOCKS:
                parts.append("\n")
            if skip is child:
                skip = None
            if skip is None:
                parts.append(child.tail or "")
    return "".join(parts)


def _is_data(table: Element) -> bool:
    """Tell a table of data from one that only lays out the page."""
    if table.find(".//table") is not None or table.get("role") == "presentation":
        return False
    if any(table.find(f".//{tag}") is not None for tag in ("h1", "h2", "h3", "ul", "ol", "p")):
        return table.find(".//th") is not None
    widths = [sum(1 for cell in row if cell.tag in {"td", "th"}) for row in table.iter("tr")]
    return len(widths) > 1 and max(widths) > 1


def _table_lines(table: Element) -> Iterator[str | Cell | Caption]:
    header = _has_header(table)
    if header is False:  # names stand at the left of their rows
        for row in _rows(table):
            pair = len(row) == 2 and all(row)
            yield from lines([[cell] for cell in row] if pair else [row], header=pair)
        return
    yield from lines(_rows(table), header=header)


def _has_header(table: Element) -> bool | None:
    first = next(table.iter("tr"), None)
    cells = [] if first is None else [cell.tag for cell in first if cell.tag in {"td", "th"}]
    if table.find("thead") is not None or (len(cells) > 1 and set(cells) == {"th"}):
        return True
    if table.find(".//th") is not None:
        return False
    return None


def _rows(table: Element) -> Iterator[list[str]]:
    """Yield the rows with merged cells repeated, so that each stands alone."""
    caption = table.find("caption")
    if caption is not None:
        yield [flow(_text(caption))]
    held: dict[int, tuple[int, str]] = {}  # column -> rows that a cell above still fills, its text
    for row in table.iter("tr"):
        cells: list[str] = []
        following: dict[int, tuple[int, str]] = {}
        waiting = [cell for cell in row if cell.tag in {"td", "th"}]
        while waiting or len(cells) in held:
            if len(cells) in held:
                down, value = held.pop(len(cells))
                down, across = down - 1, 1
            else:
                cell = waiting.pop(0)
                down, across = _span(cell, "rowspan") - 1, _span(cell, "colspan")
                value = flow(_text(cell))
            for _ in range(across):
                if down > 0:
                    following[len(cells)] = (down, value)
                cells.append(value)
        held = following
        yield cells


def _span(cell: Element, name: str) -> int:
    value = cell.get(name) or "1"
    return min(max(int(value), 1), _MAX_SPAN) if value.isascii() and value.isdigit() else 1
