"""Office files, books and archives are zip files: what is in one, and is it safe to open."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator

from rag.errors import DocumentCode, DocumentError
from rag.ingest.loaders.limits import MAX_ENTRIES, MAX_EXPANDED_BYTES, MAX_EXPANSION

_SMALL = 2 * 1024 * 1024  # a ratio says nothing about a few pages of repetitive XML
_BLOCK = 1024 * 1024
_CONTENT_TYPES = "[Content_Types].xml"
_MAIN_PARTS = (
    (rb"wordprocessingml\.(document|template)\.main\+xml", "docx"),
    (rb"ms-word\.(document|template)\.macroEnabled(Template)?\.main\+xml", "docx"),
    (rb"presentationml\.(presentation|slideshow|template)\.main\+xml", "pptx"),
    (rb"ms-powerpoint\.(presentation|slideshow|template)\.macroEnabled\.main\+xml", "pptx"),
    (rb"spreadsheetml\.(sheet|template)\.main\+xml", "xlsx"),
    (rb"ms-excel\.(sheet|template)\.macroEnabled\.main\+xml", "xlsx"),
    (rb"ms-excel\.sheet\.binary\.macroEnabled\.main", "xlsb"),
)
_MIMETYPES = {
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.oasis.opendocument.text-template": "odt",
    "application/vnd.oasis.opendocument.presentation": "odp",
    "application/vnd.oasis.opendocument.presentation-template": "odp",
    "application/vnd.oasis.opendocument.spreadsheet": "ods",
    "application/vnd.oasis.opendocument.spreadsheet-template": "ods",
    "application/epub+zip": "epub",
}
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError)


class Budget:
    """How much a file may still unpack to, with all the archives inside it."""

    def __init__(self, packed: int) -> None:
        self._bytes = min(MAX_EXPANDED_BYTES, max(_SMALL, MAX_EXPANSION * packed))
        self._entries = MAX_ENTRIES

    def spend(self, *, size: int = 0, entries: int = 0) -> None:
        """Count what was unpacked; raise `DocumentError(TOO_LARGE)` when nothing is left."""
        self._bytes -= size
        self._entries -= entries
        if self._bytes < 0:
            raise DocumentError(DocumentCode.TOO_LARGE, "expands too far")
        if self._entries < 0:
            raise DocumentError(DocumentCode.TOO_LARGE, f"more than {MAX_ENTRIES} entries")


def kind_of(data: bytes) -> str:
    """Return the format of a zip file: "docx", …, or "zip" for one that just holds files."""
    with opened(data) as package:
        names = set(package.namelist())
        if _CONTENT_TYPES in names:
            types = b"".join(_blocks(package, package.getinfo(_CONTENT_TYPES), most=_BLOCK))
            for pattern, kind in _MAIN_PARTS:
                if re.search(pattern, types):
                    return kind
        if "mimetype" in names:
            head = b"".join(_blocks(package, package.getinfo("mimetype"), most=200))
            return _MIMETYPES.get(head.decode("ascii", "replace").strip(), "zip")
        if "META-INF/container.xml" in names:
            return "epub"
        return "zip"


def check(data: bytes, budget: Budget | None = None) -> None:
    """Unpack a package to nowhere, counting real bytes; raise `DocumentError` past a limit."""
    budget = budget or Budget(len(data))
    with opened(data) as package:
        entries = package.infolist()
        budget.spend(entries=len(entries))
        for entry in entries:
            for block in _blocks(package, entry):
                budget.spend(size=len(block))


def opened(data: bytes) -> zipfile.ZipFile:
    """Open a zip file in memory; raise `DocumentError(CORRUPT)` if it isn't whole."""
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except _DAMAGE as error:
        raise DocumentError(DocumentCode.CORRUPT, str(error)) from error


def member(package: zipfile.ZipFile, name: str | zipfile.ZipInfo, budget: Budget) -> bytes:
    """Return what an entry unpacks to; raise `DocumentError`, CORRUPT if there is none."""
    blocks = []
    try:
        entry = package.getinfo(name) if isinstance(name, str) else name
    except KeyError as error:
        raise DocumentError(DocumentCode.CORRUPT, str(error)) from error
    for block in _blocks(package, entry):
        budget.spend(size=len(block))
        blocks.append(block)
    return b"".join(blocks)


def _blocks(
    package: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int | None = None
) -> Iterator[bytes]:
    try:
        with package.open(entry) as part:
            if most is not None:
                yield part.read(most)
                return
            while block := part.read(_BLOCK):
                yield block
    except _DAMAGE as error:
        raise DocumentError(DocumentCode.CORRUPT, str(error)) from error
    except RuntimeError as error:  # how zipfile says "password"
        raise DocumentError(DocumentCode.ENCRYPTED, str(error)) from error
