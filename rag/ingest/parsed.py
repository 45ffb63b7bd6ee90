"""What a parser makes of a file, and what a splitter makes of that."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

GAP = "\n\n"
"""What stands between two segments in the text of a version."""


@dataclass(frozen=True)
class Segment:
    """A run of text under one heading of one page."""

    text: str
    page: int | None
    """The PDF page, slide or sheet, counted from 1; None where a format has none."""
    section: str | None
    """The heading path, "A > B"."""


@dataclass(frozen=True)
class Raster:
    """A picture whose text is still to be read: a scanned page, a photo."""

    page: int | None
    section: str | None
    width: int
    height: int
    pixels: bytes
    """Grey values, row by row: `width * height` of them."""
    inside: bool = False
    """Whether it stands in a text that is worth having without it."""
    instead: str = ""
    """What somebody read from it before, maybe badly: the better reading is taken."""


@dataclass(frozen=True)
class Parsed:
    """A file's text in reading order; never empty."""

    segments: tuple[Segment, ...]
    pages: int | None

    @cached_property
    def text(self) -> str:
        """Join the segments: the version's text, which every offset counts code points of."""
        return GAP.join(segment.text for segment in self.segments)


@dataclass(frozen=True, slots=True)
class Grid:
    """A sheet's cells, row by row, as people see them; a file of separated values is one sheet."""

    name: str
    number: int
    rows: list[list[str]]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage: `parsed.text[start:end]`, with the page and section where it starts."""

    start: int
    end: int
    page: int | None
    section: str | None
