"""Blocks under headings, gathered into one Document a section; the text itself made clean."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from langchain_core.documents import Document

from rag.language import HAN

# Line breaks keep their meaning; other controls, lone surrogates, zero-width marks and pdfium's
# hyphen marks have none. Zero-width joiners stay: emoji and some scripts need them.
_BREAK = re.compile(r"\r\n?|[\v\f\x85\u2028\u2029]")
_NOISE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u200b\u2060\ufeff\ufffe\uffff\ud800-\udfff]")
# Written so that neither a million spaces nor a million single ones take long.
_BLANKS = re.compile(r"(?<=\S)(?:[^\S\n ][^\S\n]*+| [^\S\n]++)")
_TAIL = re.compile(r"(?<![^\S\n])[^\S\n]++(?=\n|\Z)")
_EMPTY_LINES = re.compile(r"\n{3,}")
_HEADING_CHARACTERS = 120
_WRAP = re.compile(rf"(?<=[{HAN}，。、；：？！（）《》“”])\s+(?=[{HAN}，。、；：？！（）《》“”])")


@dataclass(frozen=True, slots=True)
class Cell:
    """A table's cell that is too long to stand in its row's line."""

    name: str
    """What each part of it needs to be understood: "First: value; Column"."""
    text: str
    """The same with the cell's text behind it."""


@dataclass(frozen=True, slots=True)
class Caption:
    """What stands above a table's names and concerns all that is below: a unit, a period."""

    text: str


def clean(text: str) -> str:
    """Drop what nobody reads and fold white space; a line keeps its indentation."""
    text = _NOISE.sub("", _BREAK.sub("\n", text)).replace("\t", "    ")
    text = _TAIL.sub("", _BLANKS.sub(" ", text))
    return _EMPTY_LINES.sub("\n\n", text).strip("\n")


def flow(text: str) -> str:
    """Return a paragraph as one line: white space folds to a space, within Chinese to nothing."""
    return " ".join(_WRAP.sub("", text).split())


def document(
    text: str, *, page: int | None = None, section: str | None = None, pages: int | None = None
) -> Document:
    """Return a LangChain Document with the metadata that every parser here yields."""
    return Document(text, metadata={"page": page, "section": section, "total_pages": pages})


def picture(
    raster: tuple[int, int, bytes],
    *,
    page: int | None = None,
    section: str | None = None,
    pages: int | None = None,
    inside: bool = False,
    instead: str = "",
) -> Document:
    """Return a Document for a picture to be read: its width, its height and its grey values.

    `inside` says that it stands in a text that is worth having without it, `instead` is what
    somebody read from it before.
    """
    made = document("", page=page, section=section, pages=pages)
    made.metadata |= {"raster": raster, "inside": inside, "instead": instead}
    return made


def placed(parts: Iterable[Document], *, page: int, pages: int) -> Iterator[Document]:
    """Yield the parts of a page, slide or sheet, which it is of how many told in each."""
    for part in parts:
        part.metadata.update(page=page, total_pages=pages)
        yield part


class Outline:
    """Gathers blocks of text and yields one Document for each heading and what follows it."""

    def __init__(self) -> None:
        self.title: str | None = None
        """The section of what stands above every heading."""
        self._path: list[tuple[int, str]] = []
        self._caption: str | None = None
        self._parts: list[str] = []
        self._tight = False

    @property
    def section(self) -> str | None:
        """The heading path of what is being gathered."""
        path = " > ".join(name for _, name in self._path) or self.title
        return " > ".join(filter(None, [path, self._caption])) or None

    def heading(self, level: int, text: str) -> Iterator[Document]:
        """Close the section before this heading and open the heading's own."""
        text = flow(text)
        if not text:
            return
        yield from self.close()
        self._path = [(depth, name) for depth, name in self._path if depth < level]
        self._path.append((level, text[:_HEADING_CHARACTERS]))
        self.block(text)

    def block(self, text: str, *, tight: bool = False) -> None:
        """Add a paragraph; two neighbouring tight ones (list items, table rows) share a block."""
        text = text.rstrip()
        if not text.strip():
            return
        if self._parts:
            self._parts.append("\n" if tight and self._tight else "\n\n")
        self._parts.append(text)
        self._tight = tight

    def table(self, lines: Iterable[str | Cell | Caption]) -> Iterator[Document]:
        """Add a table's lines as a block; captions and long cells begin sections of their own."""
        block: list[str] = []
        for line in lines:
            if isinstance(line, str):
                block.append(line)
                continue
            self.block("\n".join(block))
            block = []
            yield from self.close()
            if isinstance(line, Caption):
                self._caption = line.text[:_HEADING_CHARACTERS]
                block.append(line.text)
                continue
            section = self.section
            yield document(line.text, section=f"{section} > {line.name}" if section else line.name)
        self.block("\n".join(block))
        if self._caption:
            yield from self.close()
            self._caption = None

    def drop(self) -> None:
        """Forget what has been gathered, but not the headings."""
        self._parts = []
        self._tight = False

    def close(self) -> Iterator[Document]:
        """Yield what has been gathered, if anything."""
        if self._parts:
            yield document("".join(self._parts), section=self.section)
        self.drop()
