"""A scan with a text layer that somebody misread is read again, and the better text is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.ingest.legible import better, is_doubtful, misread
from rag.ingest.loaders import Reading
from rag.ingest.ocr import Ocr
from rag.ingest.parsed import Parsed, Raster, Segment
from rag.ingest.sandbox import Sandbox
from tests.rag.ingest.files import draw_pdf

GOOD = (
    "Everyone at R&D has 25 days of leave (see 4.2), which is asked for two weeks ahead; "
    "travel costs of up to EUR 1,200.50 are paid, and questions go to ann@example.org."
)
BAD = (
    "Ev|ryon* at R&D bas 2S d^ys of l~ave (see 4.2), vhich is a|ked for tno weeks aheed; "
    "trav*l costs of up to EVR l,2OO.5O are p|id, and questions go to ann@exarnple org."
)
SCAN = "q 612 0 0 792 0 0 cm BI /W 1 /H 1 /CS /G /BPC 8 /F /AHx ID C0> EI Q"


def page(text: str, drawn: str = SCAN) -> bytes:
    lines = text.translate({ord("("): None, ord(")"): None}).split("; ")
    shown = " ".join(f"({line}) Tj 0 -14 Td" for line in lines)
    return draw_pdf([f"{drawn} BT /F1 11 Tf 50 700 Td {shown} ET"])


@pytest.mark.parametrize(
    "text", [GOOD, "每人每年有25天年假，须提前两周申请。" * 5, "TeamGLM 2.0", ""]
)
def test_what_people_write_is_not_doubtful(text: str) -> None:
    assert not is_doubtful(text)


def test_what_a_machine_misread_is() -> None:
    assert is_doubtful(BAD)
    assert misread(GOOD) < misread(BAD)


def test_the_better_reading_is_kept_unless_it_says_much_less() -> None:
    assert better(BAD, GOOD) == GOOD
    assert better(GOOD, BAD) == GOOD
    assert better(BAD, "Everyone") == BAD
    assert better(BAD, "") == BAD


def test_only_a_scan_whose_text_layer_is_doubtful_is_read_again() -> None:
    (again,) = Reading(page(BAD), "a.pdf")
    assert isinstance(again, Raster)
    assert again.instead.startswith("Ev|ryon*")
    for data in (page(GOOD), page(BAD, drawn="")):
        assert all(isinstance(part, Segment) for part in Reading(data, "a.pdf"))


@pytest.mark.parametrize(
    ("seen", "kept"), [(GOOD, "Everyone"), ("", "Ev|ryon*"), (None, "Ev|ryon*")]
)
def test_the_text_layer_stays_where_nobody_reads_better(
    tmp_path: Path, seen: str | None, kept: str
) -> None:
    class Reader(Ocr):
        available = seen is not None

        def read(self, raster: Raster) -> str:
            return seen or ""

    file = tmp_path / "a.pdf"
    file.write_bytes(page(BAD))
    (outcome,) = Sandbox(ocr=Reader(Path("none"), 0)).parse([file])
    assert isinstance(outcome, Parsed)
    assert outcome.text.startswith(kept)
