"""Jupyter notebooks: their Markdown, their code and what it printed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from langchain_core.document_loaders.base import BaseBlobParser
from langchain_core.documents import Document
from langchain_core.documents.base import Blob

from rag.errors import DocumentCode, DocumentError
from rag.ingest.loaders.encodings import decode
from rag.ingest.loaders.markdown import MarkdownParser

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_FENCE = "`" * 12  # longer than any that people write


class NotebookParser(BaseBlobParser):
    """Yields a Document for each heading of the notebook with the cells below it."""

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Yield the sections in order; raise `DocumentError(CORRUPT)` if it isn't a notebook."""
        try:
            notebook = json.loads(decode(blob.as_bytes()))
            blocks = [block for cell in notebook["cells"] for block in _blocks(cell)]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DocumentError(DocumentCode.CORRUPT, f"not a notebook: {error}") from error
        markdown = "\n\n".join(blocks)
        yield from MarkdownParser().lazy_parse(Blob(data=markdown.encode("utf-8", "replace")))


def _blocks(cell: dict[str, Any]) -> Iterator[str]:
    source = _text(cell.get("source"))
    if cell.get("cell_type") == "markdown":
        yield source
        return
    yield _fenced(source)
    for output in cell.get("outputs", ()):
        data = output.get("data", {})
        # A plot's text is the name of its object: "<Figure size 640x480>".
        shown = _text(output.get("text") or data.get("text/plain"))
        if "text/html" in data:
            yield re.sub(r"\n\s*\n", "\n", _text(data["text/html"]))
        elif shown.strip() and not any(kind.startswith("image/") for kind in data):
            yield _fenced(_COLOUR.sub("", shown))


def _text(value: object) -> str:
    if isinstance(value, list):
        return "".join(map(str, value))
    return value if isinstance(value, str) else ""


def _fenced(text: str) -> str:
    return f"{_FENCE}\n{text}\n{_FENCE}"
