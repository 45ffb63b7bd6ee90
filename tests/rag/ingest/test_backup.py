"""A backup is the records of one moment; restoring it brings them back, and nothing forgotten."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from rag.ingest.backup import Backup, BackupUnusable, _Restoring
from tests.rag.ingest.conftest import EVERYONE, Bench


def as_it_is(engine: Engine) -> None:
    """Take a database of this version."""


def restore(bench: Bench, file: Path, *, answering: bool = True) -> Backup:
    held = bench.indexer.backups.restore(file, as_it_is, answering=answering)
    bench.indexer.recover()
    bench.check()
    return held


def test_what_was_known_then_answers_again_without_parser_or_embedder(
    bench: Bench, tmp_path: Path
) -> None:
    bench.upload("a.txt", "one\ntwo\n", taught_by="U1")
    bench.upload("b.txt", "three\n")
    made = bench.indexer.backups.make(tmp_path / "backup")
    assert (made.documents, made.passages, made.files) == (2, 3, 2)
    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o600
    bench.upload("a.txt", "changed since\n")
    bench.upload("c.txt", "learned since\n")
    parsed, embedded = len(bench.parser.parsed), len(bench.embeddings.embedded)
    generation = bench.records.generation(EVERYONE)
    assert restore(bench, tmp_path / "backup").documents == 2
    assert bench.everything() == [("a.txt", ["one", "two"]), ("b.txt", ["three"])]
    assert sorted(bench.answers("one")) == ["one", "three", "two"]
    assert bench.records.generation(EVERYONE) > generation
    assert (len(bench.parser.parsed), len(bench.embeddings.embedded)) == (parsed, embedded)
    assert len([file for file in bench.blobs.rglob("*") if file.is_file()]) == 2
    assert bench.upload("b.txt", "three\n").state == "known"


def test_while_nothing_is_open_the_index_follows_at_the_next_start(
    bench: Bench, tmp_path: Path
) -> None:
    bench.upload("a.txt", "one\n")
    bench.indexer.backups.make(tmp_path / "backup")
    bench.upload("a.txt", "changed since\n")
    restore(bench, tmp_path / "backup", answering=False)
    assert bench.answers("one") == ["one"]


def test_what_was_forgotten_since_stays_forgotten(bench: Bench, tmp_path: Path) -> None:
    sent = bench.upload("sent.txt", "the canary sings\n", taught_by="U1")
    file = bench.write("watched.txt", "a watched canary\n")
    watched = bench.indexer.learn(file, scope="public", source="folder:x", name="watched.txt")
    bench.upload("kept.txt", "something else\n")
    bench.indexer.backups.make(tmp_path / "backup")
    for learned in (sent, watched):
        assert learned.document_id
        assert bench.indexer.forget(learned.document_id, EVERYONE).verified
    restore(bench, tmp_path / "backup")
    assert bench.everything() == [("kept.txt", ["something else"])]
    again = bench.indexer.learn(file, scope="public", source="folder:x", name="watched.txt")
    assert (again.state, again.document_id) == ("known", None)
    outside = bench.folder, tmp_path / "backup"
    left = [f for f in tmp_path.rglob("*") if f.is_file() and bench.folder not in f.parents]
    assert not [f for f in left if f not in outside and b"canary" in f.read_bytes()]


def test_a_backup_holds_nothing_but_what_is_known(bench: Bench, tmp_path: Path) -> None:
    gone = bench.upload("gone.txt", "deleted canary\n")
    assert gone.document_id
    bench.indexer.forget(gone.document_id, EVERYONE)
    with bench.records.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE said (words TEXT)")
        connection.exec_driver_sql("INSERT INTO said VALUES ('whispered canary')")
    bench.upload("a.txt", "one\n")
    bench.indexer.backups.make(tmp_path / "backup")
    with zipfile.ZipFile(tmp_path / "backup") as archive:
        assert len(archive.namelist()) == 3
        assert not any(b"canary" in archive.read(name) for name in archive.namelist())
    restore(bench, tmp_path / "backup")
    with bench.records.engine.connect() as connection:
        kept = connection.exec_driver_sql("SELECT words FROM said").scalars().all()
    assert kept == ["whispered canary"]


@pytest.mark.parametrize("damage", ["absent", "empty", "cut", "changed", "foreign name"])
def test_a_damaged_backup_changes_nothing(bench: Bench, tmp_path: Path, damage: str) -> None:
    bench.upload("a.txt", "one\n")
    file = tmp_path / "backup"
    bench.indexer.backups.make(file)
    whole = file.read_bytes()
    if damage == "absent":
        file.unlink()
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "cut":
        file.write_bytes(whole[: len(whole) // 2])
    elif damage == "changed":
        middle = len(whole) // 3
        file.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    else:
        with zipfile.ZipFile(file) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        parts["manifest.json"] = parts["manifest.json"].replace(b'"blobs/', b'"../blobs/')
        with zipfile.ZipFile(file, "w") as archive:
            for name, data in parts.items():
                archive.writestr(name, data)
    bench.upload("b.txt", "two\n")
    with pytest.raises(BackupUnusable):
        restore(bench, file)
    assert [name for name, _ in bench.everything()] == ["a.txt", "b.txt"]
    assert not list(tmp_path.glob(".restoring-*"))
    bench.check()


def test_a_backup_of_another_model_is_for_a_bot_that_is_stopped(
    bench: Bench, tmp_path: Path
) -> None:
    bench.upload("a.txt", "one\n")
    bench.indexer.backups.make(tmp_path / "backup")
    bench.restart(embedder_key="other")
    with pytest.raises(BackupUnusable, match="stop the bot"):
        restore(bench, tmp_path / "backup")
    assert bench.everything() == [("a.txt", ["one"])]


def test_a_place_that_cannot_be_written_is_one_clear_sentence(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(BackupUnusable, match="can't be written"):
        bench.indexer.backups.make(tmp_path / "no such folder" / "backup")


def test_what_is_forgotten_while_a_backup_comes_back_stays_forgotten(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    doomed = bench.upload("sent.txt", "the canary sings\n")
    bench.upload("kept.txt", "something else\n")
    bench.indexer.backups.make(tmp_path / "backup")
    put = _Restoring.put_records

    def forget_first(restoring: _Restoring, target: Engine, beside: Any) -> None:
        assert doomed.document_id
        bench.indexer.ledger.hide(doomed.document_id, bury=False, for_good=True)
        put(restoring, target, beside)

    monkeypatch.setattr(_Restoring, "put_records", forget_first)
    restore(bench, tmp_path / "backup")
    assert bench.everything() == [("kept.txt", ["something else"])]
    assert bench.records.passage_count(EVERYONE) == 1


def test_an_interrupted_backup_leaves_nothing(bench: Bench) -> None:
    left = bench.blobs.parent / ".backup-left"
    left.mkdir(parents=True)
    (left / "records.db").write_text("canary")
    bench.indexer.recover()
    assert not left.exists()


def test_a_folder_whose_scope_was_changed_since_is_not_brought_back_to_everybody(
    bench: Bench, tmp_path: Path
) -> None:
    file = bench.write("pay.txt", "salaries\n")
    bench.indexer.learn(file, scope="public", source="folder:x", name="pay.txt")
    bench.indexer.backups.make(tmp_path / "backup")
    bench.restart(belongs=lambda standing: standing.address.scope == "folder:x")
    bench.indexer.recover()
    assert bench.everything() == []
    restore(bench, tmp_path / "backup")
    assert bench.everything() == []
