"""Hostile files, made on the spot: bombs, locked files, and files that ask for other files."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping

from PIL import Image

from tests.rag.ingest.files import make_docx, make_epub, make_pdf, make_pptx, make_xlsx, make_zip

MEGA = 1024 * 1024


def entity_bomb() -> str:
    """Return a document type whose entity `z` is ten to the ninth characters long."""
    entities = ['<!ENTITY a "lollollollol">']
    for before, name in zip("abcdefgh", "bcdefghz", strict=True):
        entities.append(f'<!ENTITY {name} "{f"&{before};" * 10}">')
    return f"<!DOCTYPE bomb [{''.join(entities)}]>"


def with_part(package: bytes, part: str, change: Callable[[bytes], bytes]) -> bytes:
    """Return an office file with one part changed."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(package)) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, change(data) if name == part else data)
    return out.getvalue()


def with_doctype(doctype: str, reference: str) -> Callable[[bytes], bytes]:
    """Return a change that puts a document type on top and a reference into the first text."""

    def change(data: bytes) -> bytes:
        text = data.decode()
        head, _, rest = text.partition("?>") if text.startswith("<?xml") else ("", "", text)
        for mark in ("</w:t>", "</a:t>", "</t>", "</text:p>", "</p>", "</v>"):
            rest = rest.replace(mark, reference + mark, 1)
        return f"{head + '?>' if head else ''}{doctype}{rest}".encode()

    return change


def odt(body: str, doctype: str = "", kind: str = "text") -> bytes:
    """Return an OpenDocument file with this content."""
    office = "urn:oasis:names:tc:opendocument:xmlns:"
    content = (
        f'<?xml version="1.0"?>{doctype}<office:document-content xmlns:office="{office}office:1.0"'
        f' xmlns:text="{office}text:1.0" xmlns:table="{office}table:1.0"'
        f' xmlns:draw="{office}drawing:1.0"><office:body><office:{kind}>{body}</office:{kind}>'
        "</office:body></office:document-content>"
    )
    mimetype = f"application/vnd.oasis.opendocument.{kind}"
    manifest = (
        f'<m:manifest xmlns:m="{office}manifest:1.0">'
        f'<m:file-entry m:full-path="/" m:media-type="{mimetype}"/></m:manifest>'
    )
    return make_zip(
        {
            "mimetype": mimetype.encode(),
            "META-INF/manifest.xml": manifest.encode(),
            "content.xml": content.encode(),
        }
    )


def huge_png(side: int) -> bytes:
    """Return a PNG of `side` by `side` pixels in a few kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(1 + (side + 7) // 8)
    rows = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def pdf_of(stream: bytes, filters: str = "", page: str = "") -> bytes:
    """Return a PDF whose one page has this content stream."""
    made = make_pdf([["x"]])
    start = made.index(b"<< /Length", made.index(b"4 0 obj"))
    end = made.index(b"endstream", start)
    body = b"<< /Length %d %s >>\nstream\n%s\n" % (len(stream), filters.encode(), stream)
    return (made[:start] + body + made[end:]).replace(b"/MediaBox", page.encode() + b" /MediaBox")


def _sheet(cells: str) -> bytes:
    return with_part(
        make_xlsx(),
        "xl/worksheets/sheet1.xml",
        lambda data: (
            b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
            b"<sheetData>" + cells.encode() + b"</sheetData></worksheet>"
        ),
    )


def _deflated_twice(size: int) -> bytes:
    return zlib.compress(zlib.compress(bytes(size), 9), 9)


def _nested(inner: bytes, depth: int, copies: int) -> bytes:
    for _ in range(depth):
        inner = make_zip({f"{number}.zip": inner for number in range(copies)})
    return inner


def _wide_table() -> str:
    cell = (
        '<table:table-cell table:number-columns-repeated="16384" office:value-type="string">'
        "<text:p>x</text:p></table:table-cell>"
    )
    row = f'<table:table-row table:number-rows-repeated="1048576">{cell}</table:table-row>'
    return f'<table:table table:name="t">{row}</table:table>'


BOMBS: Mapping[str, Callable[[], tuple[str, bytes]]] = {
    "too many entries": lambda: (
        "a.zip",
        make_zip({f"{number}.txt": b"x" for number in range(1_001)}),
    ),
    "entities in a Word file": lambda: (
        "a.docx",
        with_part(make_docx(), "word/document.xml", with_doctype(entity_bomb(), "&z;")),
    ),
    "zeros in a Word file": lambda: (
        "a.docx",
        make_zip(_parts(make_docx()) | {"word/media/a.bin": bytes(220 * MEGA)}),
    ),
    "zeros in an archive": lambda: ("a.zip", make_zip({"a.txt": bytes(64 * MEGA)})),
    "zeros in a book": lambda: ("a.epub", make_epub(["<p>" + "a" * 64 * MEGA + "</p>"])),
    "archives in archives": lambda: (
        "a.zip",
        _nested(make_zip({"a.txt": b"lol " * MEGA}), 2, 12),
    ),
    "entities in slides": lambda: (
        "a.pptx",
        with_part(make_pptx(), "ppt/slides/slide1.xml", with_doctype(entity_bomb(), "&z;")),
    ),
    "entities in a workbook": lambda: (
        "a.xlsx",
        with_part(make_xlsx(), "xl/worksheets/sheet1.xml", with_doctype(entity_bomb(), "&z;")),
    ),
    "a sheet of three million cells": lambda: (
        "a.xlsx",
        _sheet("".join(f'<row r="{n}"><c r="XFD{n}"><v>1</v></c></row>' for n in range(1, 200))),
    ),
    "a table of three million values": lambda: ("a.csv", b"1,2,3,4,5,6\n" * 500_000),
    "a sheet that repeats one cell": lambda: ("a.ods", odt(_wide_table(), "", "spreadsheet")),
    "more text than allowed": lambda: ("a.txt", b"all work and no play " * 600_000),
    "more pages than allowed": lambda: ("a.pdf", make_pdf([["x"]] * 2_001)),
    "a picture of a billion pixels": lambda: ("a.png", huge_png(32_000)),
    "a picture of four thousand million pixels": lambda: ("a.png", huge_png(65_000)),
    "JSON nested deep": lambda: ("a.json", b"[" * 200_000 + b"]" * 200_000),
    "a letter of a thousand letters": lambda: ("a.eml", _letters(1_100)),
    "a fax of a thousand pages": lambda: ("a.tif", _fax(1_000)),
}
"""What must be refused as too large; those that are made fast come first."""

HEAVY: Mapping[str, Callable[[], tuple[str, bytes]]] = {
    "HTML nested deep": lambda: ("a.html", b"<html>" + b"<div>" * 300_000 + b"words"),
    "a PDF whose stream unpacks twice to zeros": lambda: (
        "a.pdf",
        pdf_of(_deflated_twice(900 * MEGA), "/Filter [/FlateDecode /FlateDecode]"),
    ),
    "a PDF page as large as a country": lambda: (
        "a.pdf",
        make_pdf([["x"]]).replace(b"612 792", b"9999999 9999999"),
    ),
    "Markdown nested deep": lambda: ("a.md", b">" * 100_000 + b" words"),
    "RTF nested deep": lambda: ("a.rtf", b"{\\rtf1 " + b"{" * 300_000 + b"words" + b"}" * 300_000),
    "a table in a text that repeats one cell": lambda: ("a.odt", odt(_wide_table())),
    "entities in a text": lambda: ("a.odt", odt("<text:p>a&z;</text:p>", entity_bomb())),
}
"""What costs little, or is refused with a code that says why."""


def _parts(package: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(package)) as source:
        return {name: source.read(name) for name in source.namelist()}


def _letters(number: int) -> bytes:
    head = b'From: a@example.org\nDate: x\nContent-Type: multipart/mixed; boundary="b"\n\n'
    part = b'--b\nContent-Disposition: attachment; filename="a.txt"\n\nhello\n'
    return head + part * number + b"--b--\n"


def _fax(pages: int) -> bytes:
    out = io.BytesIO()
    page = Image.new("1", (64, 64))
    page.save(out, "TIFF", save_all=True, append_images=[page] * (pages - 1))
    return out.getvalue()
