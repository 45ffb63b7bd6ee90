"""I2, I4, I7: what files may do to ingestion."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from rag.audience import Audience
from rag.errors import DocumentError
from rag.ingest.blobs import Fingerprint
from rag.ingest.folders import Folder, scan
from rag.ingest.indexer import Indexer
from rag.ingest.parsed import Parsed
from rag.ingest.sandbox import Sandbox
from tests.rag.ingest.conftest import Bench, bench, opened
from tests.reliability.rows import cases

__all__ = ["bench", "opened"]

SECRET = "the secret is far outside"
CHANNELS = [f"slack:E:T:C{number}" for number in range(4)]


def kept(bench: Bench) -> list[Path]:
    return [path for path in bench.blobs.rglob("*") if path.is_file()]


def test_i2_the_same_bytes_are_kept_parsed_and_embedded_once(bench: Bench) -> None:
    """Each channel has a grant of its own, whose end leaves the others'."""
    for case in cases("I2", "the same bytes elsewhere", full=500, sample=3):
        text = f"first of case {case.number}\nsecond of case {case.number}\n"
        places = [
            (case.chance.choice(CHANNELS), f"{case.chance.choice('abc')}{n}.txt") for n in range(4)
        ]
        ids = []
        bench.parser.parsed.clear()
        bench.embeddings.embedded.clear()
        for scope, name in places:
            learned = bench.upload(name, text, scope)
            assert learned.state == "ready"
            ids.append((learned.document_id or "", scope))
        assert len(kept(bench)) == len(bench.parser.parsed) == 1
        assert sorted(bench.embeddings.embedded) == sorted(text.splitlines())
        for number, (document, scope) in enumerate(ids):
            assert bench.upload(places[number][1], text, scope).state == "known"
            for channel in CHANNELS:
                granted = sum(scope == channel for _, scope in ids[number:])
                assert (
                    bench.answers("first", Audience.of({channel})).count(
                        f"first of case {case.number}"
                    )
                    == granted
                )
            bench.indexer.forget(document, Audience.of({scope}))
        assert not kept(bench)
        bench.check()


def test_i4_other_content_of_the_same_size_is_read(bench: Bench) -> None:
    bench.folder.mkdir()
    folder = Folder("team", bench.folder)
    for case in cases("I4", "same size, other content", full=100, sample=5):
        file = bench.folder / f"{case.number % 3}.txt"
        texts = [f"{case.chance.getrandbits(64):016x}" for _ in range(2)]
        for text in texts:
            way = case.chance.choice(["written", "replaced", "time put back"])
            before = file.stat() if file.exists() else None
            if way == "replaced":
                new = file.with_suffix(".part")
                new.write_text(f"{text}\n")
                new.replace(file)
            else:
                file.write_text(f"{text}\n")
            if way == "time put back" and before is not None:
                os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
            # By the first clock metadata alone may be trusted, by the other not yet.
            now_ns = case.chance.choice([lambda: 2 * 10**18, time.time_ns])
            scan(folder, bench.indexer, bench.records, now_ns=now_ns)
            assert dict(bench.everything())[file.name] == [text]
        bench.check()


class Mischief:
    """What somebody does to a watched file that is about to be read, or is being read."""

    def __init__(self, outside: Path) -> None:
        self._outside = outside
        outside.mkdir()
        for name in ("victim.txt", "other.txt"):
            (outside / name).write_text(f"{SECRET}\n")
        (outside / "sub").mkdir()
        (outside / "sub" / "victim.txt").write_text(f"{SECRET}\n")

    def changes(self, file: Path) -> None:
        file.write_text("other words\n")

    def grows(self, file: Path) -> None:
        with file.open("a") as more:
            more.write("more words\n")

    def vanishes(self, file: Path) -> None:
        file.unlink()

    def becomes_a_link(self, file: Path) -> None:
        file.unlink()
        file.symlink_to(self._outside / file.name)

    def is_a_link_for_a_moment(self, file: Path) -> None:
        file.rename(file.with_suffix(".aside"))
        file.symlink_to(self._outside / file.name)

    def becomes_a_fifo(self, file: Path) -> None:
        file.unlink()
        os.mkfifo(file)

    def becomes_a_folder(self, file: Path) -> None:
        file.unlink()
        file.mkdir()

    def its_folder_becomes_a_link(self, file: Path) -> None:
        shutil.rmtree(file.parent)
        file.parent.symlink_to(self._outside)

    def its_folder_vanishes(self, file: Path) -> None:
        shutil.rmtree(file.parent)

    def the_root_vanishes(self, file: Path) -> None:
        file.parents[1].rename(file.parents[1].with_name("away"))

    def the_root_is_unmounted(self, file: Path) -> None:
        self.the_root_vanishes(file)
        file.parents[1].mkdir()


WAYS = [name for name in vars(Mischief) if not name.startswith("_")]
MOMENTS = ("before the scan", "while it is hashed", "while it is parsed", "when it was parsed")


def end_of(file: Path) -> None:
    """Put everything back, as it is when the mischief is over."""
    root, away = file.parents[1], file.parents[1].with_name("away")
    if away.exists():
        root.unlink() if root.is_symlink() else shutil.rmtree(root, ignore_errors=True)
        away.rename(root)
    if file.parent.is_symlink():
        file.parent.unlink()
    file.parent.mkdir(exist_ok=True)
    if file.is_dir():
        file.rmdir()
    file.unlink(missing_ok=True)
    file.with_suffix(".aside").unlink(missing_ok=True)
    file.write_text("at last\n")


class Acting:
    """Mischief that is done once; what is for a moment ends with that moment."""

    def __init__(self, act: Callable[[], None], file: Path) -> None:
        self._act: Callable[[], None] | None = act
        self._file = file

    def begin(self) -> None:
        if self._act is not None:
            self._act()
            self._act = None

    def end(self) -> None:
        aside = self._file.with_suffix(".aside")
        if aside.exists():
            aside.replace(self._file)


class Meddled:
    """The real parser, while somebody meddles before or after it reads."""

    def __init__(self, acting: Acting, moment: str) -> None:
        self._acting, self._moment = acting, moment
        self._sandbox = Sandbox()

    def parse(self, files: Sequence[Path]) -> Iterator[Parsed | DocumentError]:
        if self._moment == "while it is parsed":
            self._acting.begin()
        outcomes = list(self._sandbox.parse(files))
        self._acting.end()
        if self._moment == "when it was parsed":
            self._acting.begin()
        yield from outcomes


def meddle(indexer: Indexer, acting: Acting, now: bool) -> None:
    """Let the mischief begin, if now is its moment, when a file is hashed, and end after that."""
    hashed = indexer.admission.fingerprint

    def meddled(path: Path, name: str, root: Path) -> Fingerprint:
        if now and name == "sub/victim.txt":
            acting.begin()
        try:
            return hashed(path, name, root)
        finally:
            acting.end()

    vars(indexer.admission)["fingerprint"] = meddled


def test_i7_nothing_outside_a_folder_is_read_and_none_is_emptied(
    bench: Bench, tmp_path: Path
) -> None:
    mischief = Mischief(tmp_path / "outside")
    folder = Folder("team", bench.folder)
    for case in cases("I7", "mischief with files", full=300, sample=3):
        shutil.rmtree(bench.folder, ignore_errors=True)
        file = bench.write("sub/victim.txt", f"version {case.number}\n")
        bench.write("other.txt", "another\n")
        scan(folder, bench.indexer, bench.records)
        known = dict(bench.everything())
        assert known.keys() == {"other.txt", "sub/victim.txt"}
        file.write_text(f"new version {case.number}\n")

        way, moment = WAYS[case.number % len(WAYS)], case.chance.choice(MOMENTS)
        acting = Acting(partial(getattr(mischief, way), file), file)
        indexer = bench.restart(parser=Meddled(acting, moment))
        meddle(indexer, acting, moment == "while it is hashed")
        if moment == "before the scan":
            acting.begin()
        report = scan(folder, indexer, bench.records)
        assert SECRET not in str(bench.everything())
        if way.startswith("the_root"):
            assert report.removed == 0
            assert dict(bench.everything()).keys() == known.keys()

        end_of(file)
        scan(folder, bench.restart(), bench.records)
        assert bench.everything() == [("other.txt", ["another"]), ("sub/victim.txt", ["at last"])]
        bench.check()
