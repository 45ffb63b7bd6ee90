import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from rag.audience import Audience
from rag.errors import DocumentCode
from rag.ingest.blobs import Fingerprint
from rag.ingest.folders import Folder, ScanReport, index_path, scan
from rag.ingest.sightings import Sightings, stamp
from tests.rag.ingest.conftest import EVERYONE, Bench

HOUR_NS = 3600 * 10**9
LATER = 10**18 * 3
"""A clock by which every file was written long ago, so that metadata alone may be trusted."""


@pytest.fixture
def folder(bench: Bench) -> Folder:
    bench.folder.mkdir()
    return Folder("team", bench.folder)


def rescan(bench: Bench, folder: Folder) -> ScanReport:
    report = scan(folder, bench.indexer, bench.records)
    bench.check()
    return report


def test_files_become_documents_named_by_their_path(bench: Bench, folder: Folder) -> None:
    bench.write("a.txt", "one\n")
    bench.write("rules/trips/b.txt", "two\nthree\n")
    heard: list[tuple[int, int]] = []
    report = scan(folder, bench.indexer, bench.records, lambda *now: heard.append(now))
    assert report == ScanReport(added=2, chunks=3)
    assert heard == [(1, 2), (2, 2)]
    assert bench.everything() == [("a.txt", ["one"]), ("rules/trips/b.txt", ["two", "three"])]
    assert not bench.blobs.exists()


def test_an_unchanged_folder_costs_nothing(bench: Bench, folder: Folder) -> None:
    bench.write("a.txt", "one\n")
    rescan(bench, folder)
    generation = bench.records.generation(EVERYONE)
    assert rescan(bench, folder) == ScanReport(unchanged=1, chunks=1)
    assert bench.records.generation(EVERYONE) == generation
    assert len(bench.parser.parsed) == 1


def test_a_file_that_cannot_have_changed_is_not_even_read(
    bench: Bench, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write("a.txt", "one\n")
    scan(folder, bench.indexer, bench.records, now_ns=lambda: LATER)
    monkeypatch.setattr(bench.indexer.admission, "fingerprint", None)
    report = scan(folder, bench.indexer, bench.records, now_ns=lambda: LATER)
    assert report == ScanReport(unchanged=1, chunks=1)


def test_a_changed_file_is_learned_again(bench: Bench, folder: Folder) -> None:
    bench.write("a.txt", "one\n")
    rescan(bench, folder)
    bench.write("a.txt", "another\n")
    assert rescan(bench, folder) == ScanReport(updated=1, chunks=1)
    assert bench.everything() == [("a.txt", ["another"])]


@pytest.mark.parametrize("now_ns", [None, LATER])
def test_another_content_of_the_same_size_and_time_is_noticed(
    bench: Bench, folder: Folder, now_ns: int | None
) -> None:
    clock = {"now_ns": lambda: now_ns} if now_ns else {}
    for number in range(10):
        file = bench.write("a.txt", f"number {number}\n")
        os.utime(file, ns=(10**18, 10**18))
        scan(folder, bench.indexer, bench.records, **clock)  # type: ignore[arg-type]
        assert bench.everything() == [("a.txt", [f"number {number}"])]


def test_what_no_metadata_tells_of_is_found_by_hashing_now_and_again(
    bench: Bench, folder: Folder
) -> None:
    names = [f"{number}.txt" for number in range(3)]
    for name in names:
        bench.write(name, "as it was\n")
    scan(folder, bench.indexer, bench.records, now_ns=lambda: LATER)
    sightings = Sightings(bench.records.engine)
    for name, seen in sightings.of(folder.source, names).items():
        file = bench.write(name, "otherwise\n")
        unnoticed = replace(seen, stamp=stamp(file.stat()))  # as if nothing told of it
        sightings.note(folder.source, {name: unnoticed})
    soon, after = LATER + HOUR_NS, LATER + 30 * HOUR_NS
    assert scan(folder, bench.indexer, bench.records, now_ns=lambda: soon).unchanged == 3
    assert scan(folder, bench.indexer, bench.records, now_ns=lambda: after).updated == 3
    assert bench.everything() == [(name, ["otherwise"]) for name in names]


def test_so_much_is_hashed_in_a_scan_that_it_stays_short(
    bench: Bench, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(9):
        bench.write(f"{number}.txt", f"number {number}\n")
    scan(folder, bench.indexer, bench.records, now_ns=lambda: LATER)
    monkeypatch.setattr("rag.ingest.folders._HASHED_FILES", 4)
    hashed: list[str] = []
    admission = bench.indexer.admission
    whole = admission.fingerprint

    def counted(file: Path, name: str, root: Path) -> Fingerprint:
        hashed.append(name)
        return whole(file, name, root)

    monkeypatch.setattr(admission, "fingerprint", counted)
    for day, count in ((2, 4), (3, 8), (4, 12)):  # those that weren't for longest
        now = LATER + day * 24 * HOUR_NS
        assert scan(folder, bench.indexer, bench.records, now_ns=lambda: now).unchanged == 9  # noqa: B023
        assert len(hashed) == count
    assert len(set(hashed)) == 9
    monkeypatch.setattr("rag.ingest.folders._HASHED_BYTES", 1)
    scan(folder, bench.indexer, bench.records, now_ns=lambda: LATER + 30 * 24 * HOUR_NS)
    assert len(hashed) == 13


def test_a_renamed_file_keeps_its_document(bench: Bench, folder: Folder) -> None:
    file = bench.write("a.txt", "one\n")
    bench.write("b.txt", "two\n")
    rescan(bench, folder)
    before = {record.document: record.id for record in bench.records.sources(EVERYONE)}
    (bench.folder / "sub").mkdir()
    file.rename(bench.folder / "sub" / "c.txt")
    assert rescan(bench, folder) == ScanReport(renamed=1, unchanged=1, chunks=2)
    after = {record.document: record.id for record in bench.records.sources(EVERYONE)}
    assert after == {"b.txt": before["b.txt"], "sub/c.txt": before["a.txt"]}
    assert len(bench.parser.parsed) == 2


def test_a_file_renamed_to_another_format_is_read_as_that(bench: Bench, folder: Folder) -> None:
    file = bench.write("a.txt", "one\n")
    rescan(bench, folder)
    (before,) = bench.records.sources(EVERYONE)
    file.rename(bench.folder / "a.md")
    assert rescan(bench, folder).updated == 1
    (after,) = bench.records.sources(EVERYONE)
    assert (after.id, after.document, after.version) == (before.id, "a.md", 2)
    assert len(bench.parser.parsed) == 2


def test_a_removed_file_is_forgotten_and_may_come_back(bench: Bench, folder: Folder) -> None:
    file = bench.write("a.txt", "one\n")
    bench.write("b.txt", "two\n")
    rescan(bench, folder)
    file.unlink()
    assert rescan(bench, folder) == ScanReport(removed=1, unchanged=1, chunks=1)
    assert bench.everything() == [("b.txt", ["two"])]
    bench.write("a.txt", "one\n")
    assert rescan(bench, folder) == ScanReport(added=1, unchanged=1, chunks=2)


def test_a_forgotten_file_stays_forgotten_until_it_changes(bench: Bench, folder: Folder) -> None:
    file = bench.write("a.txt", "one\n")
    rescan(bench, folder)
    (record,) = bench.records.sources(EVERYONE)
    assert bench.indexer.forget(record.id, EVERYONE).verified
    assert rescan(bench, folder) == ScanReport(unchanged=1)
    file.rename(bench.folder / "b.txt")
    assert rescan(bench, folder) == ScanReport(unchanged=1)
    bench.write("b.txt", "two\n")
    assert rescan(bench, folder) == ScanReport(added=1, chunks=1)


def test_a_folder_whose_scope_changes_is_seen_by_the_new_scope_only(
    bench: Bench, folder: Folder
) -> None:
    bench.write("a.txt", "one\n")
    rescan(bench, folder)
    closed = Folder("team", bench.folder, scope="folder:team")
    assert rescan(bench, closed).added == 1
    assert bench.everything() == []
    assert bench.everything(Audience.of({"folder:team"})) == [("a.txt", ["one"])]


def test_only_wanted_files_are_taken(bench: Bench, folder: Folder) -> None:
    bench.write("a.txt", "one\n")
    bench.write("drafts/b.txt", "two\n")
    bench.write("c.log", "three\n")
    for name in (".hidden", ".git/config", "~$a.docx", "a.txt.swp", "big.part", "Thumbs.db"):
        bench.write(name, "not a document\n")
    some = Folder("team", bench.folder, include=("*.txt",), exclude=("drafts/*",))
    assert rescan(bench, some) == ScanReport(added=1, chunks=1)


class TestNothingOutsideIsRead:
    def test_through_links(self, bench: Bench, folder: Folder, tmp_path: Path) -> None:
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside" / "secret.txt").write_text("secret\n")
        bench.write("a.txt", "one\n")
        (bench.folder / "file.txt").symlink_to(tmp_path / "outside" / "secret.txt")
        (bench.folder / "folder").symlink_to(tmp_path / "outside")
        (bench.folder / "loop.txt").symlink_to(bench.folder / "loop.txt")
        (bench.folder / "dangling.txt").symlink_to(bench.folder / "nothing.txt")
        assert rescan(bench, folder) == ScanReport(added=1, chunks=1)
        assert bench.everything() == [("a.txt", ["one"])]

    def test_but_links_within_are_followed(self, bench: Bench, folder: Folder) -> None:
        target = bench.write("a.txt", "one\n")
        (bench.folder / "b.txt").symlink_to(target)
        assert rescan(bench, folder).added == 2

    def test_through_a_link_put_in_a_files_place_meanwhile(
        self, bench: Bench, folder: Folder, tmp_path: Path
    ) -> None:
        secret = tmp_path / "secret.txt"
        secret.write_text("secret\n")
        file = bench.write("a.txt", "one\n")

        def swap(_: Path) -> None:
            file.unlink()
            file.symlink_to(secret)

        bench.parser.before = swap
        assert rescan(bench, folder).added == 1
        assert bench.everything() == [("a.txt", ["one"])]
        assert rescan(bench, folder).removed == 1

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no FIFOs")
    def test_nor_anything_that_would_hang(self, bench: Bench, folder: Folder) -> None:
        os.mkfifo(bench.folder / "pipe.txt")
        bench.write("a.txt", "one\n")
        assert rescan(bench, folder) == ScanReport(added=1, chunks=1)


class TestAFolderThatIsAway:
    @pytest.fixture(autouse=True)
    def known(self, bench: Bench, folder: Folder) -> None:
        bench.write("a.txt", "one\n")
        bench.write("sub/b.txt", "two\n")
        rescan(bench, folder)

    def test_altogether_leaves_its_documents(self, bench: Bench, folder: Folder) -> None:
        shutil.move(bench.folder, bench.folder.with_name("away"))
        report = rescan(bench, folder)
        assert [(name, code) for name, code, _ in report.failed] == [
            ("team", DocumentCode.UNREADABLE)
        ]
        assert report.removed == 0
        assert len(bench.everything()) == 2

    def test_with_an_empty_mount_point_in_its_place_leaves_them(
        self, bench: Bench, folder: Folder
    ) -> None:
        shutil.move(bench.folder, bench.folder.with_name("away"))
        bench.folder.mkdir()
        assert rescan(bench, folder).failed
        assert len(bench.everything()) == 2
        bench.folder.rmdir()
        shutil.move(bench.folder.with_name("away"), bench.folder)
        assert rescan(bench, folder) == ScanReport(unchanged=2, chunks=2)

    def test_in_part_leaves_that_part(
        self, bench: Bench, folder: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scandir = os.scandir

        def refuse(path: Path) -> object:
            if Path(path).name == "sub":
                raise PermissionError(13, "Permission denied")
            return scandir(path)

        (bench.folder / "a.txt").unlink()
        monkeypatch.setattr(os, "scandir", refuse)
        report = rescan(bench, folder)
        assert [(name, code) for name, code, _ in report.failed] == [
            ("sub", DocumentCode.UNREADABLE)
        ]
        assert bench.everything() == [("sub/b.txt", ["two"])]

    def test_is_not_one_that_was_emptied(self, bench: Bench, folder: Folder) -> None:
        (bench.folder / "a.txt").unlink()
        shutil.rmtree(bench.folder / "sub")
        assert rescan(bench, folder) == ScanReport(removed=2)
        assert bench.everything() == []


class TestAFileThatFails:
    def test_is_reported_each_time_but_parsed_once(self, bench: Bench, folder: Folder) -> None:
        bench.write("a.txt", "!corrupt")
        for _ in range(2):
            report = rescan(bench, folder)
            assert [(name, code) for name, code, _ in report.failed] == [
                ("a.txt", DocumentCode.CORRUPT)
            ]
        assert len(bench.parser.parsed) == 1
        bench.write("a.txt", "one\n")
        assert rescan(bench, folder) == ScanReport(added=1, chunks=1)

    def test_for_now_is_tried_again(self, bench: Bench, folder: Folder) -> None:
        def fail(_: list[str]) -> None:
            raise RuntimeError("no memory")

        bench.write("a.txt", "one\n")
        bench.embeddings.before = fail
        assert [(name, code) for name, code, _ in rescan(bench, folder).failed] == [("a.txt", None)]
        bench.embeddings.before = lambda texts: None
        assert rescan(bench, folder) == ScanReport(added=1, chunks=1)

    def test_does_not_keep_the_others_from_being_learned(
        self, bench: Bench, folder: Folder
    ) -> None:
        for number in range(40):
            bench.write(f"{number:02}.txt", "!timeout" if number == 20 else f"text {number}\n")
        report = rescan(bench, folder)
        assert (report.added, len(report.failed)) == (39, 1)

    def test_with_thousands_of_others_is_counted(
        self, bench: Bench, folder: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("rag.ingest.folders._KEPT_FAILURES", 3)
        for number in range(5):
            bench.write(f"{number}.txt", "!corrupt")
        report = rescan(bench, folder)
        assert (report.failures, len(report.failed)) == (5, 3)


class TestAPath:
    def test_is_learned_once_for_everyone(self, bench: Bench) -> None:
        bench.write("docs/a.txt", "one\n")
        bench.write("docs/sub/b.txt", "two\n")
        report = index_path(bench.folder / "docs", bench.indexer, bench.records)
        assert report == ScanReport(added=2, chunks=2)
        assert [name for name, _ in bench.everything()] == ["a.txt", "sub/b.txt"]

    def test_that_lost_a_file_still_answers_from_it(self, bench: Bench) -> None:
        bench.write("docs/a.txt", "one\n")
        gone = bench.write("docs/b.txt", "two\n")
        index_path(bench.folder / "docs", bench.indexer, bench.records)
        gone.unlink()
        report = index_path(bench.folder / "docs", bench.indexer, bench.records)
        assert report == ScanReport(unchanged=1, chunks=2)
        assert len(bench.everything()) == 2

    def test_to_a_file_is_that_file_alone(self, bench: Bench) -> None:
        file = bench.write("docs/a.txt", "one\n")
        bench.write("docs/b.txt", "two\n")
        assert index_path(file, bench.indexer, bench.records).added == 1
        assert bench.everything() == [("a.txt", ["one"])]

    def test_that_is_not_there_is_reported(self, bench: Bench) -> None:
        report = index_path(bench.folder / "nothing.txt", bench.indexer, bench.records)
        assert [(name, code) for name, code, _ in report.failed] == [
            ("nothing.txt", DocumentCode.UNREADABLE)
        ]

    def test_in_a_watched_folder_scans_that(self, bench: Bench, folder: Folder) -> None:
        file = bench.write("a.txt", "one\n")
        bench.write("b.txt", "two\n")
        assert index_path(file, bench.indexer, bench.records, [folder]).added == 2
        (first, _) = bench.records.sources(EVERYONE)
        assert first.source == "folder:team"
