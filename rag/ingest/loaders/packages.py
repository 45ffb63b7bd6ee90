"""Office files are zip packages: what is in one, and whether it is safe to open."""

from __future__ import annotations

import io
import re
import zipfile
import zlib

from rag.errors import DocumentCode, DocumentError
from rag.ingest.loaders.limits import MAX_ENTRIES, MAX_EXPANDED_BYTES, MAX_EXPANSION

_SMALL = 2 * 1024 * 1024  # a ratio says nothing about a few pages of repetitive XML
_BLOCK = 1024 * 1024
_CONTENT_TYPES = "[Content_Types].xml"
_MAIN_PARTS = (
    (re.compile(rb"wordprocessingml\.(document|template)\.main\+xml"), "docx"),
    (re.compile(rb"presentationml\.(presentation|slideshow|template)\.main\+xml"), "pptx"),
    (re.compile(rb"spreadsheetml\.(sheet|template)\.main\+xml"), "xlsx"),
)
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError)
_OLE_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_OLD_POWERPOINT_ENCRYPTED = b"\xdf\xc4\xd1\xf3"


def kind_of(data: bytes) -> str | None:
    """Return "docx", "pptx" or "xlsx" for such a package, None for any other zip file."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            if _CONTENT_TYPES not in package.namelist():
                return None
            with package.open(_CONTENT_TYPES) as part:
                types = part.read(_BLOCK)
    except _DAMAGE as error:
        raise DocumentError(DocumentCode.CORRUPT, str(error)) from error
    except RuntimeError as error:  # how zipfile says "password"
        raise DocumentError(DocumentCode.ENCRYPTED, str(error)) from error
    return next((kind for pattern, kind in _MAIN_PARTS if pattern.search(types)), None)


def check(data: bytes) -> None:
    """Unpack a package to nowhere, counting real bytes; raise `DocumentError` past a limit."""
    limit = min(MAX_EXPANDED_BYTES, max(_SMALL, MAX_EXPANSION * len(data)))
    expanded = 0
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            entries = package.infolist()
            if len(entries) > MAX_ENTRIES:
                raise DocumentError(DocumentCode.TOO_LARGE, f"{len(entries)} entries")
            for entry in entries:
                with package.open(entry) as part:
                    while block := part.read(_BLOCK):
                        expanded += len(block)
                        if expanded > limit:
                            raise DocumentError(DocumentCode.TOO_LARGE, "expands too far")
    except _DAMAGE as error:
        raise DocumentError(DocumentCode.CORRUPT, str(error)) from error
    except RuntimeError as error:
        raise DocumentError(DocumentCode.ENCRYPTED, str(error)) from error


def is_encrypted_ole(data: bytes) -> bool:
    """Tell whether an OLE container holds a password-protected document."""
    if _OLE_ENCRYPTED in data:
        return True
    for start in range(512, len(data) - 12, 512):  # streams begin on sectors
        head = data[start : start + 16]
        if head[:2] == b"\xec\xa5" and head[11] & 1:  # Word: the FIB's fEncrypted
            return True
        if head[:4] == b"\x09\x08\x10\x00" and _has_filepass(data[start : start + 512]):
            return True
    return _OLD_POWERPOINT_ENCRYPTED in data


def _has_filepass(stream: bytes) -> bool:
    """Tell whether FILEPASS is among the first records of an old Excel workbook."""
    at = 0
    while at + 4 <= len(stream):
        if stream[at : at + 2] == b"\x2f\x00":
            return True
        at += 4 + int.from_bytes(stream[at + 2 : at + 4], "little")
    return False
