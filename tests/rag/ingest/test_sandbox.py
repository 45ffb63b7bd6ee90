"""What a file breaks in a child breaks nothing here, and harms no other file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from rag.errors import DocumentCode, DocumentError
from rag.ingest.ocr import Ocr
from rag.ingest.parsed import Parsed, Raster
from rag.ingest.sandbox import Sandbox
from tests.rag.ingest.files import SHARED, make_docx, make_pdf

# A child whose parser does what the file's name says.
MISBEHAVING = """
import os, signal, socket, subprocess, sys, time
sys.path.insert(0, sys.argv[1])
from rag.ingest import child, loaders
from rag.ingest.parsed import Raster, Segment
kept = []

def read(data, name):
    if name == "crash":
        signal.raise_signal(signal.SIGSEGV)
    if name == "crash-if-second" and kept:
        os.abort()
    if name == "network":
        socket.create_connection(("127.0.0.1", int(os.environ.get("PORT", 9))))
    if name == "program":
        subprocess.run(["/bin/true"])
    if name == "picture":
        yield Segment("above", 1, None)
        yield Raster(2, "seen", 3, 2, bytes(range(6)))
    if name == "hang":
        time.sleep(600)
    if name == "spin":
        while True:
            pass
    if name == "eat":
        b"x" * (1 << 40)
    if name == "write":
        os.write(os.open(os.path.join(folder, "stolen"), os.O_WRONLY | os.O_CREAT), b"x")
    if name == "chatter":
        os.write(1, b"not an answer")
    kept.append(name)
    told = {"environment": sorted(os.environ), "modules": sorted(sys.modules)}
    told["niceness"] = os.nice(0)
    text = repr(told[name]) if name in told else data.decode()
    yield Segment(text, None, None)

class Reading:
    pages = None
    def __init__(self, data, name):
        self.parts = read(data, name)
    def __iter__(self):
        return self.parts

loaders.Reading = Reading
child.main()
"""


def made(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).write_text(name)
    return [folder / name for name in names]


def seen(sandbox: Sandbox, files: Sequence[Path]) -> list[str]:
    return [
        outcome.text if isinstance(outcome, Parsed) else str(outcome.code)
        for outcome in sandbox.parse(files)
    ]


def test_files_come_back_in_order_with_their_errors_in_place(tmp_path: Path) -> None:
    contents = {
        "a.txt": "第一份".encode(),
        "b.pdf": make_pdf([["Page one"], ["Page two"]]),
        "empty.md": b"",
        "c.docx": make_docx(),
        "bad.pdf": b"%PDF-1.4 broken",
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    outcomes = list(Sandbox(small_bytes=2_000).parse([tmp_path / name for name in contents]))
    text, pdf, empty, word, bad = outcomes
    assert isinstance(text, Parsed)
    assert text.text == "第一份"
    assert isinstance(pdf, Parsed)
    assert [(part.text, part.page) for part in pdf.segments] == [("Page one", 1), ("Page two", 2)]
    assert pdf.pages == 2
    assert isinstance(empty, DocumentError)
    assert empty.code is DocumentCode.EMPTY
    assert isinstance(word, Parsed)
    assert word.segments[1].section == "Leave"
    assert isinstance(bad, DocumentError)
    assert bad.code is DocumentCode.CORRUPT


def test_crash_harms_no_other_file(tmp_path: Path) -> None:
    files = made(tmp_path, "a", "crash", "b", "crash-if-second", "c")
    assert seen(Sandbox(program=MISBEHAVING), files) == [
        "a",
        "corrupt",
        "b",
        "crash-if-second",
        "c",
    ]


def test_hanging_file_times_out_alone(tmp_path: Path) -> None:
    files = made(tmp_path, "a", "hang", "b")
    assert seen(Sandbox(program=MISBEHAVING, wall_seconds=6), files) == ["a", "timeout", "b"]


def test_file_that_burns_processor_time_times_out_alone(tmp_path: Path) -> None:
    files = made(tmp_path, "spin", "a")
    assert seen(Sandbox(program=MISBEHAVING, cpu_seconds=1), files) == ["timeout", "a"]


def test_file_that_eats_memory_is_too_large(tmp_path: Path) -> None:
    files = made(tmp_path, "a", "eat", "b")
    assert seen(Sandbox(program=MISBEHAVING), files) == ["a", "too_large", "b"]


def test_child_cannot_write_files(tmp_path: Path) -> None:
    program = f"folder = {str(tmp_path)!r}\n{MISBEHAVING}"
    assert seen(Sandbox(program=program), made(tmp_path, "write", "a")) == ["corrupt", "a"]
    assert not (tmp_path / "stolen").read_bytes()


def test_child_has_no_network_and_starts_nothing(tmp_path: Path) -> None:
    files = made(tmp_path, "network", "program", "a")
    sandbox = Sandbox(program=MISBEHAVING)
    if not any("seccomp" in layer for layer in sandbox.layers()):
        pytest.skip("this system has no seccomp")
    network, program, text = sandbox.parse(files)
    for outcome in (network, program):
        assert isinstance(outcome, DocumentError)
        assert "PermissionError" in outcome.detail
    assert isinstance(text, Parsed)


def test_pictures_are_read_where_they_stand(tmp_path: Path) -> None:
    class Reader(Ocr):
        available = True

        def read(self, raster: Raster) -> str:
            return f"{raster.width} x {raster.height}: {list(raster.pixels)}"

    sandbox = Sandbox(program=MISBEHAVING, ocr=Reader(Path("none"), 0))
    (outcome,) = sandbox.parse(made(tmp_path, "picture"))
    assert isinstance(outcome, Parsed)
    assert [(part.text, part.page, part.section) for part in outcome.segments] == [
        ("above", 1, None),
        ("3 x 2: [0, 1, 2, 3, 4, 5]", 2, "seen"),
        ("picture", None, None),
    ]


def test_what_a_library_prints_is_no_answer(tmp_path: Path) -> None:
    assert seen(Sandbox(program=MISBEHAVING), made(tmp_path, "chatter")) == ["chatter"]


def test_child_knows_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "made-up")
    environment, modules = seen(
        Sandbox(program=MISBEHAVING), made(tmp_path, "environment", "modules")
    )
    assert "SLACK" not in environment
    assert not {"'torch'", "'pymilvus'", "'bot'"} & set(modules.strip("[]").split(", "))


def test_nonsense_from_a_child_is_an_error(tmp_path: Path) -> None:
    nonsense = "import os; os.write(1, b'{\"segments\": 3}\\n')"
    assert seen(Sandbox(program=nonsense), made(tmp_path, "a")) == ["corrupt"]
    endless = "import os\nwhile True: os.write(1, b'x' * 65536)"
    assert seen(Sandbox(program=endless), made(tmp_path, "a")) == ["too_large"]


def test_what_is_no_regular_file_is_unreadable_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "loop.txt").symlink_to("loop.txt")
    names = ["pipe.txt", "folder.txt", "loop.txt", "vanished.txt"]
    paths = [*(tmp_path / name for name in names), Path("/dev/zero")]
    assert seen(Sandbox(), paths) == ["unreadable"] * 5


def test_file_over_the_limit_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "big.txt").write_bytes(b"x" * 3_000)
    assert seen(Sandbox(max_bytes=2_000), [tmp_path / "big.txt"]) == ["too_large"]


def test_stopping_early_leaves_nothing_open(tmp_path: Path) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    outcomes = Sandbox(program=MISBEHAVING).parse(made(tmp_path, "a", "hang"))
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]
    assert set(Path("/proc/self/fd").iterdir()) == before


def test_whoever_answers_people_comes_before_the_child(tmp_path: Path) -> None:
    [niceness] = seen(Sandbox(program=MISBEHAVING), made(tmp_path, "niceness"))
    assert int(niceness) == min(os.nice(0) + 5, 19)


@pytest.mark.skipif(not (SHARED / "hostile").is_dir(), reason="the hostile corpus is absent")
@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("synthetic_bombs/sparse_XFD.xlsx", {"too_large"}),
        ("office/poi_fuzz/poc-xmlbomb.xlsx", {"too_large"}),
        ("pdf/pdfjs/bomb_giant.pdf", {"too_large", "no_text", "ok"}),
        ("pdf/pdfminer/rc4-40.pdf", {"encrypted"}),
        ("office/poi_protected/PasswordProtected.doc", {"encrypted"}),
        ("office/poi_protected/Password_Protected-hello.ppt", {"encrypted"}),
        ("office/poi_protected/xor-encryption-abc.xls", {"encrypted"}),
        ("office/poi_fuzz/xlsx-corrupted.xlsx", {"ok", "corrupt", "unsupported"}),
        ("pdf/control_good/habibi.pdf", {"ok"}),
        ("xml/defusedxml/xmlbomb.xml", {"ok"}),
        ("archive/tika/droste.zip", {"no_text"}),
    ],
)
def test_hostile_files_end_in_one_clear_outcome(name: str, codes: set[str]) -> None:
    (outcome,) = Sandbox().parse([SHARED / "hostile" / name])
    assert (str(outcome.code) if isinstance(outcome, DocumentError) else "ok") in codes
