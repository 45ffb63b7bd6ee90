"""Pages as pictures: what a citation quotes is marked, and only what was read is shown."""

from __future__ import annotations

import io
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rag.audience import Audience
from rag.errors import DocumentCode, DocumentError
from rag.ingest.blobs import Blobs, fingerprint, opened
from rag.ingest.originals import Originals
from rag.ingest.page_pictures import PagePictures
from rag.records import Original

ROOT = Path(__file__).parents[3]
HANDBOOK = ROOT / "knowledge" / "team-handbook.pdf"
HOURS = "A full-time week is 38 hours."
EVERYONE = Audience.of({"public"})
MAX_BYTES = 1 << 24


@dataclass
class Read:
    """The one document that was read, from `file`, as `source`."""

    file: Path
    source: str = "folder:knowledge"

    def original(self, document_id: str, audience: Audience) -> Original:
        with opened(self.file) as source:
            blob = fingerprint(source, self.file.name, MAX_BYTES).blob
        return Original(document_id, self.source, self.file.name, blob)


def pictures_of(read: Read, folder: Path) -> PagePictures:
    """Return the pictures of what was read from a watched folder, or kept in its `blobs`."""
    blobs = Blobs(folder / "blobs", MAX_BYTES)
    originals = Originals(blobs, {"folder:knowledge": folder}, max_bytes=MAX_BYTES)
    return PagePictures(read, originals)  # type: ignore[arg-type]


def drawn(file: Path, page: int | None, quote: str) -> Image.Image:
    """Return the picture of a page of a file in a watched folder."""
    pictures = pictures_of(Read(file), file.parent)
    return Image.open(io.BytesIO(pictures.draw("id", page, quote, EVERYONE))).convert("RGB")


def marked(picture: Image.Image) -> float:
    """Return the share of the picture that has the marker's colour."""
    red, green, blue = np.moveaxis(np.asarray(picture), 2, 0)
    return float(np.mean((red > 220) & (green > 200) & (blue < 170)))


def test_a_quotation_is_marked_on_its_page() -> None:
    page = drawn(HANDBOOK, 1, HOURS)
    assert max(page.size) == 1500
    assert marked(page) > 0
    # Broken and spaced in another way it is the same quotation.
    assert marked(drawn(HANDBOOK, 1, HOURS.replace(" ", "\n"))) == pytest.approx(marked(page))
    assert marked(drawn(HANDBOOK, 1, f"{HOURS} Core hours are from 10:00")) > marked(page)


def test_what_stands_elsewhere_is_not_marked() -> None:
    assert marked(drawn(HANDBOOK, 2, HOURS)) == 0
    assert marked(drawn(HANDBOOK, 1, "")) == 0


def test_across_a_gap_its_sentences_are_marked() -> None:
    apart = f"{HOURS} There are no meetings on Friday after 13:00."
    assert marked(drawn(HANDBOOK, 1, apart)) > marked(drawn(HANDBOOK, 1, HOURS))


@pytest.mark.parametrize("name", ["notice.png", "photo-zh.jpg", "scan-en.tif", "scan-zh.pdf"])
def test_pictures_and_scans_are_shown_as_they_are(name: str) -> None:
    page = drawn(ROOT / "tests" / "data" / "formats" / name, None, "什么")
    assert 0 < max(page.size) <= 1500


def refused(file: Path, read: Read, page: int = 1) -> DocumentCode:
    with pytest.raises(DocumentError) as error:
        pictures_of(read, file.parent).draw("id", page, HOURS, EVERYONE)
    return error.value.code


def test_only_what_was_read_is_shown(tmp_path: Path) -> None:
    file = tmp_path / HANDBOOK.name
    read = Read(HANDBOOK)
    assert refused(file, read) is DocumentCode.CHANGED  # it is gone
    file.write_bytes(HANDBOOK.read_bytes() + b"\n")
    assert refused(file, read) is DocumentCode.CHANGED
    file.unlink()
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.copy(HANDBOOK, outside)
    (tmp_path / "watched").mkdir()
    link = tmp_path / "watched" / HANDBOOK.name
    link.symlink_to(outside / HANDBOOK.name)
    assert refused(link, read) is DocumentCode.CHANGED


def test_what_has_no_pages_or_is_broken_is_said(tmp_path: Path) -> None:
    text = tmp_path / "notes.md"
    text.write_text(HOURS)
    assert refused(text, Read(text)) is DocumentCode.UNSUPPORTED
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7 and no more")
    assert refused(broken, Read(broken)) is DocumentCode.CORRUPT
    short = tmp_path / "short.pdf"
    shutil.copy(HANDBOOK, short)
    assert refused(short, Read(short), page=99) is DocumentCode.CORRUPT


def test_what_was_sent_is_found_where_it_is_kept(tmp_path: Path) -> None:
    Blobs(tmp_path / "blobs", MAX_BYTES).take(HANDBOOK, HANDBOOK.name)
    pictures = pictures_of(Read(HANDBOOK, "upload"), tmp_path)
    picture = Image.open(io.BytesIO(pictures.draw("id", 1, HOURS, EVERYONE)))
    assert picture.format == "WEBP"
