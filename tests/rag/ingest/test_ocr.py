"""Pictures are read in a child that holds the model, ends when idle, and never hangs."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from rag.errors import DocumentCode, DocumentError
from rag.ingest.loaders.pictures import grey
from rag.ingest.ocr import Ocr
from rag.ingest.parsed import Raster
from rag.ingest.reading_order import page_text
from rag.models.manifest import default_cache, load_manifest, locate, target
from tests.rag.ingest.files import make_picture

ENTRY = load_manifest()["pp-ocrv6-small"]
# A child that answers as the picture's width says.
SCRIPTED = """
import json, os, sys, time
job = json.loads(sys.stdin.buffer.readline())
while True:
    width, height = json.loads(sys.stdin.buffer.readline())
    sys.stdin.buffer.read(width * height)
    if width == 1:
        time.sleep(600)
    if width == 2:
        os._exit(3)
    lines = [[0, 0, 10, 10, f"{width} x {height} from {os.getpid()}", 0.9]]
    print(json.dumps(lines), flush=True)
    if width == 3:
        os._exit(0)
"""


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[Ocr]:
    ocr = Ocr(tmp_path, 0, program=SCRIPTED, page_seconds=1, start_seconds=5)
    yield ocr
    ocr.close()


def raster(width: int, height: int = 2) -> Raster:
    return Raster(None, None, width, height, bytes(width * height))


def test_child_stays_for_the_next_picture(scripted: Ocr) -> None:
    first, second = scripted.read(raster(5)), scripted.read(raster(5))
    assert first.startswith("5 x 2 from ")
    assert first == second


def test_child_that_ended_is_started_again(scripted: Ocr) -> None:
    first = scripted.read(raster(3))
    assert scripted.read(raster(4)).split()[-1] != first.split()[-1]


def test_picture_that_takes_too_long_is_given_up_and_the_next_one_is_read(scripted: Ocr) -> None:
    scripted.read(raster(5))
    with pytest.raises(DocumentError) as caught:
        scripted.read(raster(1))
    assert caught.value.code is DocumentCode.TIMEOUT
    assert scripted.read(raster(6)).startswith("6 x 2")


def test_picture_that_ends_the_child_is_too_large(scripted: Ocr) -> None:
    with pytest.raises(DocumentError) as caught:
        scripted.read(raster(2))
    assert caught.value.code is DocumentCode.TOO_LARGE


def test_columns_are_read_one_after_the_other_and_rows_stay_together() -> None:
    left = [(0, 10 * i, 100, 10 * i + 8, f"left {i}") for i in range(4)]
    right = [(120, 10 * i, 220, 10 * i + 8, f"right {i}") for i in range(4)]
    text = page_text([*right, *left])
    assert text.index("left 3") < text.index("right 0")
    assert page_text([(0, 0, 30, 10, "Total"), (90, 1, 120, 11, "12 EUR")]) == "Total; 12 EUR"
    assert page_text([]) == ""


def test_blank_pages_and_specks_are_no_pictures() -> None:
    assert grey(Image.new("RGB", (600, 800), "white")) is None
    assert grey(Image.new("L", (8, 8), 0)) is None


def test_what_is_transparent_is_paper_and_the_camera_s_turn_is_undone() -> None:
    image = Image.new("RGBA", (100, 50), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 50, 50))
    found = grey(image)
    assert found is not None
    assert set(found[2][-5:]) == {255}
    turned, out = Image.new("L", (100, 50), 255), io.BytesIO()
    turned.paste(0, (0, 0, 50, 50))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(out, "JPEG", exif=exif)
    found = grey(Image.open(out))
    assert found is not None
    assert found[0] < found[1]


@pytest.mark.skipif(locate(ENTRY, default_cache()) is None, reason="needs `teamglm models pull`")
def test_embedded_model_reads_chinese_and_english() -> None:
    ocr = Ocr(target(ENTRY, default_cache()), ENTRY.parts[0].member_bytes)
    chinese = Path(__file__).parents[2] / "data" / "formats" / "notice.png"
    try:
        for data, expected in (
            (make_picture("Hello, team of 42", "PNG"), "Hello, team of 42"),
            (chinese.read_bytes(), "台风橙色预警"),
        ):
            found = grey(Image.open(io.BytesIO(data)))
            assert found is not None
            assert expected in ocr.read(Raster(None, None, *found))
    finally:
        ocr.close()
