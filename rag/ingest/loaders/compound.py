"""Files of Office before 2007 are OLE containers: what is in one, and whether it has a password."""

from __future__ import annotations

import io

import olefile

from rag.errors import DocumentCode, DocumentError

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
_ENCRYPTED_SLIDES = b"\xdf\xc4\xd1\xf3"
_SHEETS = {"workbook", "book"}
_OLD = {
    "worddocument": "an old Word file: save it as .docx",
    "powerpoint document": "an old PowerPoint file: save it as .pptx",
}


def kind_of(data: bytes) -> str:
    """Return "xls" or "msg"; raise `DocumentError` for a password or for what isn't read."""
    if _is_encrypted(data):
        raise DocumentError(DocumentCode.ENCRYPTED, "an office file with a password")
    for stream in _streams(data):
        if stream in _SHEETS:
            return "xls"
        if stream == "__properties_version1.0":
            return "msg"
        if stream in _OLD:
            raise DocumentError(DocumentCode.UNSUPPORTED, _OLD[stream])
    raise DocumentError(DocumentCode.UNSUPPORTED, "an office file of the old format")


def _streams(data: bytes) -> list[str]:
    """Return the names of the streams at the top, in lower case; damaged containers have some."""
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as file:
            return [path[0].lower() for path in file.listdir() if len(path) == 1]
    except Exception as error:  # olefile throws what it meets
        for name in ("WordDocument", "PowerPoint Document"):
            if name.encode("utf-16-le") in data:
                return [name.lower()]
        raise DocumentError(DocumentCode.CORRUPT, f"a damaged office file: {error}") from error


def _is_encrypted(data: bytes) -> bool:
    """Tell whether the container holds a password-protected document."""
    if _ENCRYPTED_PACKAGE in data:
        return True
    for start in range(512, len(data) - 12, 512):  # streams begin on sectors
        head = data[start : start + 16]
        if head[:2] == b"\xec\xa5" and head[11] & 1:  # Word: the FIB's fEncrypted
            return True
        if head[:4] == b"\x09\x08\x10\x00" and _has_filepass(data[start : start + 512]):
            return True
    return _ENCRYPTED_SLIDES in data


def _has_filepass(stream: bytes) -> bool:
    """Tell whether FILEPASS is among the first records of an old Excel workbook."""
    at = 0
    while at + 4 <= len(stream):
        if stream[at : at + 2] == b"\x2f\x00":
            return True
        at += 4 + int.from_bytes(stream[at + 2 : at + 4], "little")
    return False
