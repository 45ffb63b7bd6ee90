"""Plain text, and tables of separated values."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

from langchain_core.document_loaders.base import BaseBlobParser
from langchain_core.documents import Document
from langchain_core.documents.base import Blob

from rag.errors import DocumentCode, DocumentError
from rag.ingest.loaders.encodings import decode
from rag.ingest.loaders.outline import Outline, clean, document
from rag.ingest.loaders.paragraphs import unwrap
from rag.ingest.loaders.tables import lines

_MAX_FIELD = 1_000_000
_MIN_WRAP = 50
_MAX_WRAP = 120


class TextParser(BaseBlobParser):
    """Yields a plain text as one Document; hard-wrapped paragraphs become lines again."""

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Yield the text; raise `DocumentError(UNSUPPORTED)` for binary data."""
        text = clean(decode(blob.as_bytes()))
        paragraphs = (
            [line.strip() for line in paragraph.split("\n")]
            for paragraph in re.split(r"\n\s*\n", text)
        )
        yield document(
            "\n\n".join(
                unwrap(part) if _is_wrapped(part) else "\n".join(part) for part in paragraphs
            )
        )


def _is_wrapped(paragraph: list[str]) -> bool:
    """Tell whether every line but the last ends because a column did."""
    widths = [len(line) for line in paragraph[:-1]]
    return (
        len(widths) > 1
        and _MIN_WRAP <= max(widths) <= _MAX_WRAP
        and min(widths) >= 0.75 * max(widths)
        and len(paragraph[-1]) <= max(widths)
    )


class CsvParser(BaseBlobParser):
    """Yields a CSV or TSV table as one Document, a self-contained line for each row."""

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Yield the table; raise `DocumentError` TOO_LARGE or CORRUPT for a table out of bounds."""
        outline = Outline()
        yield from outline.table(lines(separated(blob.as_bytes())))
        yield from outline.close()


def separated(data: bytes) -> Iterator[list[str]]:
    """Yield the rows of a CSV or TSV file; raise `DocumentError(CORRUPT)`."""
    text = decode(data)
    csv.field_size_limit(_MAX_FIELD)
    try:
        yield from csv.reader(io.StringIO(text.replace("\0", ""), newline=""), _dialect(text))
    except csv.Error as error:
        raise DocumentError(DocumentCode.CORRUPT, str(error)) from error


def _dialect(text: str) -> type[csv.Dialect]:
    """Return Excel's dialect with the separator that the first lines agree on."""
    head = [line for line in text[:20_000].splitlines() if line.strip()][:20]

    class Separated(csv.excel):
        delimiter = max(",\t;|", key=lambda mark: _agreement(head, mark))

    return Separated


def _agreement(head: list[str], mark: str) -> tuple[int, int]:
    counts = [line.count(mark) for line in head]
    return sum(1 for count in counts if count and count == counts[0]), sum(counts)
