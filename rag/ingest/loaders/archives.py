"""ZIP: every file in it that a parser here reads, each under its name."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath

from langchain_core.document_loaders.base import BaseBlobParser
from langchain_core.documents import Document
from langchain_core.documents.base import Blob

from rag.errors import DocumentCode, DocumentError
from rag.ingest.loaders import documents, packages
from rag.ingest.loaders.encodings import decode
from rag.ingest.loaders.trouble import is_memory, verdict

_MAX_DEPTH = 3
_UTF8 = 0x800
_FATAL = {DocumentCode.TOO_LARGE, DocumentCode.TIMEOUT}


class Attachments:
    """Reads files that stand inside another one: how deep, and how much in all."""

    def __init__(self, blob: Blob) -> None:
        self.budget: packages.Budget = blob.metadata.get("budget") or packages.Budget(
            len(blob.as_bytes())
        )
        self._depth: int = blob.metadata.get("depth", 0)
        self.refused: list[DocumentError] = []
        """Why files were passed over."""

    def read(self, data: bytes, name: str) -> Iterator[Document]:
        """Yield a file's documents under its name; one that can't be read is passed over.

        Raise `DocumentError(TOO_LARGE)` past the limits that all the files have together.
        """
        if self._depth >= _MAX_DEPTH:
            self.refused.append(DocumentError(DocumentCode.UNSUPPORTED, "archives nest too deep"))
            return
        metadata = {"depth": self._depth + 1, "budget": self.budget}
        try:
            for document in documents(data, name, metadata):
                section = document.metadata["section"]
                document.metadata["section"] = f"{name} > {section}" if section else name
                document.metadata["total_pages"] = None
                yield document
        except Exception as error:  # whatever a parser throws is a verdict on its file
            if is_memory(error):
                raise
            refusal = verdict(error)
            if refusal.code in _FATAL:
                raise
            self.refused.append(refusal)


class ZipParser(BaseBlobParser):
    """Yields the documents of every file in an archive; what nobody reads is passed over."""

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Yield the documents; raise `DocumentError` if there are none or it expands too far."""
        inside = Attachments(blob)
        found = False
        with packages.opened(blob.as_bytes()) as archive:
            entries = archive.infolist()
            inside.budget.spend(entries=len(entries))
            for entry in entries:
                name = _name(entry)
                if entry.is_dir() or _is_hidden(name):
                    continue
                try:
                    data = packages.member(archive, entry, inside.budget)
                except DocumentError as error:
                    if error.code in _FATAL | {DocumentCode.ENCRYPTED}:
                        raise
                    inside.refused.append(error)
                    continue
                for document in inside.read(data, name):
                    found = True
                    yield document
        if not found:
            raise inside.refused[0] if inside.refused else DocumentError(DocumentCode.EMPTY)


def _name(entry: zipfile.ZipInfo) -> str:
    """Return an entry's name; without a mark of its encoding it is in the packer's own."""
    if entry.flag_bits & _UTF8:
        return entry.filename
    try:
        return decode(entry.filename.encode("cp437"))
    except (DocumentError, UnicodeEncodeError):
        return entry.filename


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)
