"""Which format a file has, by what it contains and only then by its name."""

from __future__ import annotations

import re
from pathlib import PurePath

from rag.errors import DocumentCode, DocumentError
from rag.ingest.loaders import compound, packages

VERSION = "7"
"""Grows when files should be read again, because parsers find more in them."""

_NAMED = {
    "text": "txt text log rst srt vtt tex adoc org",
    "markdown": "md markdown mdx",
    "csv": "csv tsv tab",
    "html": "html htm xhtml",
    "email": "eml",
    "notebook": "ipynb",
    "json": "json jsonl ndjson geojson",
    "code": (
        "yaml yml toml ini cfg conf properties env py pyi js mjs cjs jsx ts tsx vue svelte java kt"
        " kts scala groovy gradle c h cc cpp cxx hpp cs go rs rb php pl pm lua r jl swift m mm dart"
        " ex exs erl hs ml clj sql sh bash zsh fish ps1 bat cmd tf proto graphql css scss less"
        " cmake mk dockerfile diff patch"
    ),
    "pdf": "pdf",
    "docx": "docx docm dotx",
    "pptx": "pptx pptm ppsx potx",
    "xlsx": "xlsx xlsm xltx",
    "xls": "xls",
    "ods": "ods ots",
    "odt": "odt ott",
    "odp": "odp otp",
    "rtf": "rtf",
    "epub": "epub",
    "msg": "msg",
    "picture": "png jpg jpeg tif tiff webp",
    "zip": "zip",
}
_KINDS = {f".{suffix}": kind for kind, names in _NAMED.items() for suffix in names.split()}
SUFFIXES = frozenset({"", *_KINDS})
"""The endings of file names, in lower case, that a parser stands ready for."""

_NAMES = {"dockerfile": "code", "makefile": "code"}
READABLE = frozenset({"text", "csv", "markdown", "html", "json", "code", "notebook"})
"""The formats that are text already, where the name says which."""

_PICTURE = re.compile(rb"\x89PNG\r\n|\xff\xd8\xff|II\*\0|MM\0\*|RIFF....WEBP", re.DOTALL)
_FOREIGN = re.compile(
    rb"GIF8|\x1f\x8b|\x1f\x9d|BZh|7z\xbc\xaf|Rar!|\xfd7zXZ|\x7fELF|MZ|RIFF|OggS|ID3|SQLite format 3"
)
_PAGE = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*|<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.I | re.S
)
_MAIL_FIRST = re.compile(
    rb"(?:From |Return-Path:|Received:|Delivered-To:|MIME-Version:|Message-ID:|From:|To:|Date:"
    rb"|Subject:|X-[A-Za-z-]+:|DKIM-Signature:)",
    re.IGNORECASE,
)
_MAIL_HEAD = re.compile(rb"^(?:From|Date|Message-ID|MIME-Version):\s*\S", re.I | re.M)
_NOTEBOOK = re.compile(rb'"nbformat"\s*:\s*\d')
_MAX_PREAMBLE = 1024


def kind_of(data: bytes, name: str) -> str:
    """Return the format of a file; raise `DocumentError` for one that no parser here reads."""
    if not data:
        raise DocumentError(DocumentCode.EMPTY)
    if b"%PDF-" in data[:_MAX_PREAMBLE]:
        return "pdf"
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return packages.kind_of(data)
    if data.startswith(compound.MAGIC):
        return compound.kind_of(data)
    if data[:64].lstrip().startswith(b"{\\rtf"):
        return "rtf"
    if _PICTURE.match(data):
        return "picture"
    path = PurePath(name)
    suffix = path.suffix.lower()
    named = _KINDS.get(suffix) or _NAMES.get(path.name.lower()) or (None if suffix else "text")
    if _is_mail(data):
        return "email"
    if named and named not in READABLE | {"email"}:
        raise DocumentError(DocumentCode.CORRUPT, f"named {named}, but it isn't one")
    if _FOREIGN.match(data):
        raise DocumentError(DocumentCode.UNSUPPORTED, "no parser for this kind of file")
    if _PAGE.match(data[:4096]):
        return "html"
    if data[:64].lstrip().startswith(b"{") and _NOTEBOOK.search(data) and b'"cells"' in data:
        return "notebook"
    if named == "notebook":
        return "json"
    return named or "code"  # whatever it is called: if it is text, it is kept as it stands


def _is_mail(data: bytes) -> bool:
    """Tell whether a file begins as e-mail does: known headers, two of which every letter has."""
    if not _MAIL_FIRST.match(data):
        return False
    head = re.split(rb"\r?\n\r?\n", data[:65_536], maxsplit=1)[0]
    lines = re.split(rb"\r?\n", head)
    headers = sum(1 for line in lines if re.match(rb"[A-Za-z][\w-]*:|[ \t]|From ", line))
    return headers == len(lines) and len({m[:4].lower() for m in _MAIL_HEAD.findall(head)}) >= 2
