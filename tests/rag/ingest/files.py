"""Small files of every format, made on the spot."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import docx
import openpyxl
import pptx
from PIL import Image, ImageDraw, ImageFont
from pptx.util import Inches

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
"""Public documents beside the repository; tests that read them skip where they are absent."""


FORMATS = Path(__file__).resolve().parents[2] / "data" / "formats"
"""What an office suite made of the files of `make_docx`, `make_pptx` and `make_xlsx`."""


def make_pdf(pages: Sequence[Sequence[str]], *, encrypted: bool = False) -> bytes:
    """Return a PDF with these lines on its pages."""
    shown = (" ".join(f"({line}) Tj 0 -14 Td" for line in lines) for lines in pages)
    return draw_pdf([f"BT /F1 11 Tf 50 750 Td {page} ET" for page in shown], encrypted=encrypted)


def draw_pdf(pages: Sequence[str], *, encrypted: bool = False) -> bytes:
    """Return a PDF whose pages are drawn by these commands; the font is /F1."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    kids = []
    for page in pages:
        stream = page.encode()
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R"
            b" /Resources << /Font << /F1 3 0 R >> >> >>" % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), len(kids))
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    lock = b"/ID [<00> <00>] /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >>"
    extra = lock % (b"ab" * 32, b"cd" * 32) if encrypted else b""
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return (
        out
        + b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table)
        + b"trailer << /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF" % (size, extra, len(out))
    )


def make_docx() -> bytes:
    """Return a Word file with headings, a list and a table."""
    file = docx.Document()
    file.add_paragraph("Before any heading.")
    file.add_heading("Leave", 1)
    file.add_heading("Annual leave", 2)
    file.add_paragraph("Everyone has 25 days.")
    file.add_paragraph("Ask a week ahead", style="List Bullet")
    file.add_paragraph("Tell the team", style="List Bullet")
    file.add_heading("Offices", 1)
    table = file.add_table(rows=3, cols=3)
    for row, values in zip(
        table.rows,
        (("City", "Floor", "Phone"), ("Berlin", "3", "030"), ("Xiamen", "12", "0592")),
        strict=True,
    ):
        for cell, value in zip(row.cells, values, strict=True):
            cell.text = value
    return _saved(file)


def make_pptx() -> bytes:
    """Return two slides: bullets with notes, and a table."""
    file = pptx.Presentation()
    slide = file.slides.add_slide(file.slide_layouts[1])
    slide.shapes.title.text = "Roadmap"
    slide.placeholders[1].text = "First step\nSecond step"
    slide.notes_slide.notes_text_frame.text = "Say why."
    slide = file.slides.add_slide(file.slide_layouts[5])
    slide.shapes.title.text = "Prices"
    table = slide.shapes.add_table(2, 2, Inches(1), Inches(2), Inches(4), Inches(1)).table
    for i, value in enumerate(("Item", "Price", "Tea", "3 EUR")):
        table.cell(i // 2, i % 2).text = value
    return _saved(file)


def make_xlsx() -> bytes:
    """Return a workbook of two visible sheets and a hidden one."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "预算"
    for row in (
        ["2026 年预算"],
        [],
        ["部门", "金额", "占比"],
        ["研发", 1200.0, 0.25],
        ["市场", 800.5, 0.5],
    ):
        sheet.append(row)
    sheet["C4"].number_format = sheet["C5"].number_format = "0%"
    hidden = book.create_sheet("secret")
    hidden.append(["nobody", "sees"])
    hidden.sheet_state = "hidden"
    book.create_sheet("Notes").append(["just one line"])
    return _saved(book)


def make_epub(chapters: Sequence[str], others: Mapping[str, bytes] | None = None) -> bytes:
    """Return a book of these chapters, each the body of a page, and other files."""
    names = [f"c{number}.xhtml" for number in range(len(chapters))]
    items = "".join(
        f'<item id="i{name}" href="{name}" media-type="application/xhtml+xml"/>' for name in names
    )
    spine = "".join(f'<itemref idref="i{name}"/>' for name in names)
    files = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container><rootfiles><rootfile full-path="OEBPS/b.opf"/>'
        "</rootfiles></container>",
        "OEBPS/b.opf": f"<package><manifest>{items}</manifest><spine>{spine}</spine></package>",
    }
    for name, body in zip(names, chapters, strict=True):
        files[f"OEBPS/{name}"] = f"<html><head><title>Book</title></head><body>{body}</body></html>"
    return make_zip({**{name: text.encode() for name, text in files.items()}, **(others or {})})


def make_zip(files: Mapping[str, bytes]) -> bytes:
    """Return an archive of these files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def make_picture(
    text: str, kind: str, *, frames: int = 1, size: tuple[int, int] = (420, 80)
) -> bytes:
    """Return a picture of a text; a file of several frames has it on each."""
    image = Image.new("RGB", size, "white")
    font = ImageFont.load_default(28)
    ImageDraw.Draw(image).text((20, 20), text, fill="black", font=font)
    out = io.BytesIO()
    more = {"save_all": True, "append_images": [image] * (frames - 1)} if frames > 1 else {}
    image.save(out, kind, **more)
    return out.getvalue()


def make_zip_bomb(size: int) -> bytes:
    """Return a Word file whose main part unpacks to `size` zeros."""
    source = zipfile.ZipFile(io.BytesIO(make_docx()))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
        target.writestr("word/media/image.bin", b"\0" * size)
    return out.getvalue()


def _saved(file: object) -> bytes:
    out = io.BytesIO()
    file.save(out)  # type: ignore[attr-defined]
    return out.getvalue()
