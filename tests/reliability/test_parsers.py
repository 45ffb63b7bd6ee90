"""F1, F3, F5: whatever file is sent, the bot stands, and says in one code what is wrong with it."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.errors import DocumentCode, DocumentError
from rag.ingest.parsed import Parsed
from rag.ingest.sandbox import Sandbox
from tests.rag.ingest.files import SHARED, make_pdf
from tests.reliability.hostile import BOMBS, HEAVY
from tests.reliability.rows import FULL, cases

HOSTILE = SHARED / "hostile"
SMALL = Path(__file__).parents[1] / "data" / "hostile"
GIBIBYTE = 1024 * 1024 * 1024
SECONDS = 60

LOCKED = (
    "hostile/office/poi_protected/PasswordProtected.doc",
    "hostile/office/poi_protected/Password_Protected-hello.ppt",
    "hostile/office/poi_protected/ppt_with_png_encrypted.ppt",
    "hostile/office/poi_protected/protected_passtika.xlsx",
    "hostile/office/poi_protected/protected_sha512.xlsx",
    "hostile/office/poi_protected/xor-encryption-abc.xls",
    "hostile/office/tika/protected_upper_case.docx",
    "hostile/office/tika/testEXCEL_protected_passtika_2.xlsx",
    "hostile/office/tika/testODTEncrypted.odt",
    "hostile/office/tika/testPPT_protected_passtika.ppt",
    "hostile/office/tika/testWORD_protected_drm.doc",
    "hostile/office/tika/testWORD_protected_passtika.docx",
    "hostile/pdf/pdfjs_issue/bug1782186.pdf",
    "hostile/pdf/pdfjs_issue/issue6010_2.pdf",
    "hostile/pdf/pdfminer/aes-128-m.pdf",
    "hostile/pdf/pdfminer/aes-256-m.pdf",
    "hostile/pdf/pdfminer/aes-256.pdf",
    "hostile/pdf/pdfminer/rc4-40.pdf",
    "hostile/pdf/tika/testUnicodePassword.pdf",
    "documents/pm__encryption__aes-256.pdf",
    "documents/u__password_protected.xlsx",
)


def corpus() -> list[Path]:
    """Return every hostile file there is: all of the public corpus, or the few kept here."""
    if not (FULL and HOSTILE.is_dir()):
        return sorted(SMALL.iterdir())
    lines = (HOSTILE / "MANIFEST.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return [HOSTILE / line.split("\t")[0] for line in lines]


def test_f1_every_hostile_file_is_indexed_or_refused_with_one_code() -> None:
    files = corpus()
    outcomes: Iterator[Parsed | DocumentError] | None = None
    for case in cases("F1", "hostile files", full=len(files), sample=len(files)):
        outcomes = outcomes or Sandbox().parse(files[case.number :])
        outcome = next(outcomes)
        if isinstance(outcome, Parsed):
            assert outcome.text.strip(), files[case.number]
            outcome.text.encode()  # what a database keeps
        else:
            assert isinstance(outcome, DocumentError)
            assert outcome.code in set(DocumentCode), files[case.number]


def test_f3_bombs_are_refused_as_too_large(tmp_path: Path) -> None:
    names = list(BOMBS)
    for case in cases("F3", "decompression and layout bombs", full=len(names), sample=2):
        name, data = BOMBS[names[case.number]]()
        outcome = timed(tmp_path / name, data)
        assert isinstance(outcome, DocumentError), names[case.number]
        assert outcome.code is DocumentCode.TOO_LARGE, (names[case.number], outcome.detail)


def test_f3_public_bombs_are_refused_as_too_large() -> None:
    if not HOSTILE.is_dir():
        pytest.skip("the public hostile files are absent")
    names = ("synthetic_bombs/sparse_XFD.xlsx", "office/poi_fuzz/poc-xmlbomb.xlsx")
    for case in cases("F3", "public bombs", full=len(names), sample=1):
        (outcome,) = Sandbox().parse([HOSTILE / names[case.number]])
        assert isinstance(outcome, DocumentError)
        assert outcome.code is DocumentCode.TOO_LARGE


def test_f3_heavy_files_are_read_or_refused_in_bounds(tmp_path: Path) -> None:
    names = list(HEAVY)
    for case in cases("F3", "heavy files", full=len(names), sample=1):
        name, data = HEAVY[names[case.number]]()
        outcome = timed(tmp_path / name, data)
        if isinstance(outcome, DocumentError):
            assert outcome.code is not DocumentCode.CORRUPT, (names[case.number], outcome.detail)


def timed(file: Path, data: bytes) -> Parsed | DocumentError:
    """Parse a file, and assert that it took no more time and memory than it may."""
    assert len(data) <= 50 * 1024 * 1024
    file.write_bytes(data)
    started = time.monotonic()
    (outcome,) = Sandbox().parse([file])
    assert time.monotonic() - started < SECONDS + 5
    # The largest of all children so far; their limit is on addresses, so this can only be less.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 <= GIBIBYTE
    return outcome


def test_f5_password_protected_files_are_told_so(tmp_path: Path) -> None:
    own = tmp_path / "locked.pdf"
    own.write_bytes(make_pdf([["x"]], encrypted=True))
    files = [*SMALL.glob("locked.*"), own]
    if FULL and HOSTILE.is_dir():
        files += [SHARED / name for name in LOCKED]
    outcomes: Iterator[Parsed | DocumentError] | None = None
    for case in cases("F5", "password-protected files", full=len(files), sample=len(files)):
        outcomes = outcomes or Sandbox().parse(files[case.number :])
        outcome = next(outcomes)
        assert isinstance(outcome, DocumentError), files[case.number]
        assert outcome.code is DocumentCode.ENCRYPTED, files[case.number]
