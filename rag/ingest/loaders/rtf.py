"""RTF: sections by outline level, tables as rows."""

from __future__ import annotations

import re
from collections.abc import Iterator

from langchain_core.document_loaders.base import BaseBlobParser
from langchain_core.documents import Document
from langchain_core.documents.base import Blob
from striprtf.striprtf import rtf_to_text

from rag.ingest.loaders.outline import Outline, clean
from rag.ingest.loaders.tables import lines

# A paragraph's outline level and its style are properties that the library drops: a private
# character carries the level.
_LEVEL = re.compile(r"\\outlinelevel([0-8])(?![0-9]) ?")
_STYLE = re.compile(r"\\s([0-9]{1,5})(?![0-9]) ?")
_HEADING_STYLE = re.compile(r"\\s([0-9]{1,5})\b[^{};]{0,500}\bheading ([1-9]);", re.IGNORECASE)
_MARK = "\ue000"
_HEADING = re.compile(f"{_MARK}([0-8])")
_BULLETS = {ord(symbol): "-" for symbol in "\uf0b7\uf0a7\uf0d8•·"}  # as Word's symbol font has them
_CODE_PAGE = re.compile(r"\\ansicpg(\d+)")


class RtfParser(BaseBlobParser):
    """Yields a Document for each heading with what follows it."""

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Yield the sections in order."""
        source = blob.as_bytes().decode("latin-1")
        page = _CODE_PAGE.search(source[:2000])
        levels = {style: int(level) - 1 for style, level in _HEADING_STYLE.findall(source)}
        marked = _LEVEL.sub(lambda level: _marked(int(level[1])), source)
        marked = _STYLE.sub(
            lambda style: _marked(levels[style[1]]) if style[1] in levels else style[0], marked
        )
        text = rtf_to_text(marked, encoding=f"cp{page[1] if page else 1252}", errors="replace")
        outline = Outline()
        rows: list[list[str]] = []
        for line in text.split("\n"):
            if line.rstrip().endswith("|"):
                cells = line.rstrip()[:-1].split("|")
                rows.append([_HEADING.sub("", cell).strip() for cell in cells])
                continue
            if rows:
                yield from outline.table(lines(rows))
                rows = []
            level = _HEADING.search(line)
            plain = clean(_HEADING.sub("", line)).translate(_BULLETS).strip()
            if level and plain:
                yield from outline.heading(int(level[1]) + 1, plain)
            else:
                outline.block(plain, tight=plain.startswith(("•", "-", "·")))
        if rows:
            yield from outline.table(lines(rows))
        yield from outline.close()


def _marked(level: int) -> str:
    return rf"\u{ord(_MARK)}?{level} "
