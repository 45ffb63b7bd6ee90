"""Stand-ins for models and parsers: fast, deterministic, through the real interfaces."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from langchain_core.embeddings import Embeddings

from rag.errors import DocumentCode, DocumentError
from rag.ingest.parsed import Chunk, Parsed, Segment
from rag.keywords import terms

DIMENSION = 16


class HashEmbeddings(Embeddings):
    """Texts with common words are near each other; counts what it was asked to embed."""

    def __init__(self, dimension: int = DIMENSION) -> None:
        self.dimension = dimension
        self.embedded: list[str] = []
        self.before: Callable[[list[str]], None] = lambda texts: None
        """Called before each batch: a test's place to fail, to wait or to look."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed passages."""
        self.before(texts)
        self.embedded.extend(texts)
        return [self.embed_query(text) for text in texts]

    def embed_queries(self, texts: list[str]) -> list[list[float]]:
        """Embed questions."""
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """Embed a question."""
        vector = np.full(self.dimension, 1e-3)
        for term in terms(text):
            seed = int.from_bytes(hashlib.blake2b(term.encode(), digest_size=8).digest())
            vector += np.random.default_rng(seed).normal(size=self.dimension)
        return [float(number) for number in vector / np.linalg.norm(vector)]


class LineParser:
    """Reads text files: a line is a segment, "# x" begins the section x, a form feed a page.

    A file that holds `!code` fails with that code. Counts what it was asked to parse.
    """

    key = "1"

    def __init__(self) -> None:
        self.parsed: list[str] = []
        self.before: Callable[[Path], None] = lambda file: None
        """Called before each file is read."""

    def parse(self, files: Sequence[Path]) -> Iterator[Parsed | DocumentError]:
        """Yield each file's text or why there is none."""
        for file in files:
            self.before(file)
            self.parsed.append(file.name)
            yield self._parse(file)

    def _parse(self, file: Path) -> Parsed | DocumentError:
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as error:
            return DocumentError(DocumentCode.UNREADABLE, str(error))
        if text.startswith("!"):
            return DocumentError(DocumentCode(text[1:].strip()), "as the file says")
        pages = text.split("\f")
        segments, section = [], None
        for number, page in enumerate(pages, 1):
            for line in page.splitlines():
                if line.startswith("# "):
                    section = line[2:]
                elif line:
                    segments.append(Segment(line, number if len(pages) > 1 else None, section))
        if not segments:
            return DocumentError(DocumentCode.NO_TEXT)
        return Parsed(tuple(segments), len(pages) if len(pages) > 1 else None)


def split_by_segment(parsed: Parsed) -> list[Chunk]:
    """Make a chunk of every segment."""
    chunks, at = [], 0
    for segment in parsed.segments:
        end = at + len(segment.text)
        chunks.append(Chunk(at, end, segment.page, segment.section))
        at = end + 2
    return chunks
