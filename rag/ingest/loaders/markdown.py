"""Markdown: sections by heading, lists and code as lines, tables as rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from langchain_core.document_loaders.base import BaseBlobParser
from langchain_core.documents import Document
from langchain_core.documents.base import Blob
from markdown_it import MarkdownIt
from markdown_it.token import Token

from rag.ingest.loaders.encodings import decode
from rag.ingest.loaders.html import fragment
from rag.ingest.loaders.outline import Outline, clean, flow
from rag.ingest.loaders.tables import lines

_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n(?:---|\.\.\.)\n", re.DOTALL)


class MarkdownParser(BaseBlobParser):
    """Yields a Document for each heading with what follows it."""

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Yield the sections in order; raise `DocumentError(UNSUPPORTED)` for binary data."""
        text = clean(decode(blob.as_bytes()))
        outline = Outline()
        if front := _FRONT_MATTER.match(text):
            outline.block(front[1])
            text = text[front.end() :]
        tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
        yield from _sections(tokens, outline)


def _sections(tokens: Sequence[Token], outline: Outline) -> Iterator[Document]:
    marks: list[str] = []  # "- " or "1. " of the list item whose first paragraph is to come
    depth = 0
    heading = 0
    numbers: list[int | None] = []
    rows: list[list[str]] = []
    for token in tokens:
        match token.type:
            case "heading_open":
                heading = int(token.tag[1])
            case "heading_close":
                heading = 0
            case "bullet_list_open":
                numbers.append(None)
                depth += 1
            case "ordered_list_open":
                numbers.append(int(token.attrGet("start") or 1))
                depth += 1
            case "bullet_list_close" | "ordered_list_close":
                numbers.pop()
                depth -= 1
            case "list_item_open":
                number = numbers[-1]
                marks = ["- " if number is None else f"{number}. "]
                if number is not None:
                    numbers[-1] = number + 1
            case "table_open":
                rows = []
            case "tr_open":
                rows.append([])
            case "table_close":
                yield from outline.table(lines(rows, header=True))
                rows = []
            case "inline" if rows:
                rows[-1].append(_inline(token))
            case "inline" if heading:
                yield from outline.heading(heading, _inline(token))
            case "inline":
                outline.block("".join(marks) + _inline(token), tight=depth > 0)
                marks = []
            case "fence" | "code_block":
                outline.block(token.content)
            case "html_block":
                yield from fragment(token.content, outline)
    yield from outline.close()


def _inline(token: Token) -> str:
    """Return the text that a reader sees: no markup, no addresses behind links."""
    parts: list[str] = []
    for child in token.children or ():
        if child.type in {"text", "code_inline", "image"}:
            parts.append(child.content)
        elif child.type == "softbreak":
            parts.append(" \n")
        elif child.type == "hardbreak":
            parts.append("\v")
        elif child.type == "html_inline":
            parts.append("\v" if child.content.lower().startswith("<br") else "")
    return "\n".join(filter(None, map(flow, "".join(parts).split("\v"))))
