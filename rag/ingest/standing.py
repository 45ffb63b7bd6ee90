"""How a document stands: where it is, what is on its way in, and what answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from rag.errors import DocumentCode


@dataclass(frozen=True, slots=True)
class Address:
    """What names a document: the same address is the same document."""

    scope: str
    source: str
    name: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How a document stands: what is on its way in or failed, and what answers."""

    id: str
    address: Address
    state: str
    incoming: str | None
    code: DocumentCode | None
    message: str | None
    version: str | None
    number: int
    content: str | None
    splitter: str | None
    embedder: str | None
    chunks: int
    pages: int | None
    taught_by: str | None


class Known(NamedTuple):
    """What a scan compares with what it found."""

    id: str
    scope: str
    name: str
    content: str | None
    """Of the version that answers, if any does."""
