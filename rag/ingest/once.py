"""Read a file for one use, without learning it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from rag.errors import DocumentError
from rag.ingest.flow import Parser
from rag.ingest.parsed import Chunk, Parsed
from rag.language import language_of
from rag.records import Passage


def read_once(
    file: Path, name: str, parser: Parser, split: Callable[[Parsed], list[Chunk]]
) -> list[Passage]:
    """Return the passages of a file called `name`; raise `DocumentError`. Nothing is kept."""
    with TemporaryDirectory(prefix="teamglm-") as folder:
        # The parser goes by the name's extension where the bytes don't tell.
        link = Path(folder) / f"file{Path(name).suffix.lower()}"
        link.symlink_to(file.resolve())
        (parsed,) = parser.parse([link])
    if isinstance(parsed, DocumentError):
        raise parsed
    text = parsed.text
    return [
        Passage(
            row_id=str(ordinal),
            document_id="",
            document=name,
            scope="",
            ordinal=ordinal,
            text=text[chunk.start : chunk.end],
            start=chunk.start,
            end=chunk.end,
            page=chunk.page,
            section=chunk.section,
            language=language_of(text[chunk.start : chunk.end]),
        )
        for ordinal, chunk in enumerate(split(parsed))
    ]
