"""DOCX: sections by heading style, tables as rows, pictures in place, notes at the end."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from docx.opc.part import PartFactory
from docx.oxml import parse_xml
from docx.oxml.ns import qn
from docx.package import Package
from docx.parts.document import DocumentPart
from langchain_core.document_loaders.base import BaseBlobParser
from langchain_core.documents import Document
from langchain_core.documents.base import Blob

from rag.errors import DocumentCode, DocumentError
from rag.ingest.loaders import packages
from rag.ingest.loaders.inside import Inside
from rag.ingest.loaders.outline import Outline, flow
from rag.ingest.loaders.tables import lines

_HEADING = re.compile(r"(?:heading|标题|標題)\s*([1-9])", re.IGNORECASE)
_NOTES = ("/footnotes", "/endnotes", "/comments")
_P, _TBL, _TR, _TC, _SDT = (qn(f"w:{tag}") for tag in ("p", "tbl", "tr", "tc", "sdt"))
_TEXT = {
    qn("w:t"): None,
    qn("w:tab"): " ",
    qn("w:br"): "\v",
    qn("w:cr"): "\v",
    qn("w:noBreakHyphen"): "-",
}
_CONTAINERS = frozenset(
    qn(f"w:{tag}") for tag in ("sdt", "sdtContent", "customXml", "ins", "smartTag")
)
# The older twin of a drawing or text box.
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_SKIPPED = frozenset((qn("w:del"), qn("w:moveFrom"), qn("w:pPr"), qn("w:rPr"), _FALLBACK))
_PICTURES = (
    (qn("a:blip"), qn("r:embed")),
    ("{urn:schemas-microsoft-com:vml}imagedata", qn("r:id")),
)
_MAX_SPAN = 50
_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml"
_KINDS = (
    f"{_WORD}.template.main+xml",
    "application/vnd.ms-word.document.macroEnabled.main+xml",
    "application/vnd.ms-word.template.macroEnabledTemplate.main+xml",
)


class DocxParser(BaseBlobParser):
    """Yields a Document for each heading with what follows it."""

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Yield the sections in order; raise `DocumentError` CORRUPT or TOO_LARGE."""
        data = blob.as_bytes()
        packages.check(data)
        file = _opened(data)
        levels = _heading_levels(file)
        outline, inside = Outline(), Inside()
        for element in _children(file.element.body):
            if element.tag == _TBL:
                yield from outline.table(lines(_rows(element)))
            elif level := _level(element, levels):
                yield from outline.heading(level, _text(element))
            else:
                outline.block(_text(element), tight=_is_item(element))
            for relation in _pictures(element):
                yield from inside.related(file.part, relation, outline)
        for relation in file.part.rels.values():
            if relation.reltype.endswith(_NOTES) and not relation.is_external:
                for paragraph in parse_xml(relation.target_part.blob).iter(_P):
                    outline.block(_text(paragraph))
        yield from outline.close()


def _opened(data: bytes) -> Any:
    """Open a document, a template, or one with macros, which are left alone."""
    for kind in _KINDS:
        PartFactory.part_type_for.setdefault(kind, DocumentPart)
    part = Package.open(io.BytesIO(data)).main_document_part
    if not isinstance(part, DocumentPart):
        raise DocumentError(DocumentCode.CORRUPT, f"no Word document: {part.content_type}")
    return part.document


def _children(parent: Any) -> Iterator[Any]:
    """Yield the paragraphs and tables of a body, also those inside content controls."""
    for element in parent:
        if element.tag in {_P, _TBL}:
            yield element
        elif element.tag in _CONTAINERS:
            yield from _children(element)


def _text(element: Any) -> str:
    """Return the text of a paragraph or cell as it reads: insertions in, deletions out."""
    parts: list[str] = []
    stack = [element]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            parts.append(node)
        elif node.tag in _TEXT:
            parts.append(_TEXT[node.tag] or node.text or "")
        elif node.tag not in _SKIPPED:
            if node.tag == _P and node is not element:  # a text box, or a cell's paragraph
                parts.append("\v")
                stack.append("\v")
            stack.extend(reversed(node))
    return "\n".join(filter(None, map(flow, "".join(parts).split("\v"))))


def _pictures(element: Any) -> Iterator[str]:
    """Yield the relations of the pictures in a paragraph or table, new and old kind."""
    for tag, name in _PICTURES:
        for found in element.iter(tag):
            if relation := found.get(name):
                yield relation


def _heading_levels(file: Any) -> dict[str, int]:
    """Return the outline level of every heading style, by its id."""
    levels: dict[str, int] = {}
    styles = {style.style_id: style for style in file.styles if hasattr(style, "base_style")}
    for identifier, style in styles.items():
        base, seen = style, 0
        while base is not None and seen < 10:  # styles may be based on each other in a circle
            if level := _style_level(base):
                levels[identifier] = level
                break
            base, seen = base.base_style, seen + 1
    return levels


def _style_level(style: Any) -> int | None:
    name = style.name or ""
    if match := _HEADING.fullmatch(name.strip()):
        return int(match[1])
    if name.strip().lower() in {"title", "标题", "標題"}:
        return 1
    return _outline_level(style.element)


def _outline_level(element: Any) -> int | None:
    properties = element.find(qn("w:pPr"))
    level = None if properties is None else properties.find(qn("w:outlineLvl"))
    value = "9" if level is None else level.get(qn("w:val")) or "9"
    return int(value) + 1 if value in set("012345678") else None


def _level(paragraph: Any, levels: dict[str, int]) -> int | None:
    properties = paragraph.find(qn("w:pPr"))
    style = None if properties is None else properties.find(qn("w:pStyle"))
    named = None if style is None else levels.get(style.get(qn("w:val")) or "")
    return _outline_level(paragraph) or named


def _is_item(paragraph: Any) -> bool:
    properties = paragraph.find(qn("w:pPr"))
    if properties is None:
        return False
    style = properties.find(qn("w:pStyle"))
    name = "" if style is None else style.get(qn("w:val")) or ""
    return properties.find(qn("w:numPr")) is not None or name.startswith("List")


def _rows(table: Any) -> Iterator[list[str]]:
    """Yield the rows with merged cells repeated, so that each stands alone."""
    above: list[str] = []
    for row in table.iter(_TR):
        if next(row.iterancestors(_TBL)) is not table:
            continue  # a table inside a cell is that cell's text
        cells: list[str] = []
        for cell in row.iter(_TC):
            if next(cell.iterancestors(_TR)) is not row:
                continue
            properties = cell.find(qn("w:tcPr"))
            span, goes_on = _merge(properties)
            text = flow(_text(cell))
            if goes_on and not text and len(cells) < len(above):
                text = above[len(cells)]
            cells += [text] * span
        above = cells
        yield cells


def _merge(properties: Any) -> tuple[int, bool]:
    """Return how many columns a cell spans, and whether it goes on from the row above."""
    if properties is None:
        return 1, False
    grid = properties.find(qn("w:gridSpan"))
    value = "1" if grid is None else grid.get(qn("w:val")) or "1"
    down = properties.find(qn("w:vMerge"))
    span = min(max(int(value), 1), _MAX_SPAN) if value.isascii() and value.isdigit() else 1
    return span, down is not None and down.get(qn("w:val")) != "restart"
