import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import event

from rag.audience import Audience
from rag.errors import DocumentCode, ModelMissing, StoreUnavailable
from rag.ingest.lessons import Lesson
from rag.records import DocumentUnknown
from tests.rag.ingest.conftest import EVERYONE, Bench

CHANNEL = "slack:E1:T1:C1"
MEMBERS = Audience.of({"public", CHANNEL})


def test_a_file_is_learned_and_found_with_its_place(bench: Bench) -> None:
    learned = bench.upload("trip.txt", "# Rules\nBook trains early.\n\fMeals up to 30 euros.\n")
    assert (learned.state, learned.pages, learned.passages, learned.version) == ("ready", 2, 2, 1)
    assert bench.answers("meals euros")[0] == "Meals up to 30 euros."
    assert learned.document_id is not None
    first, second = bench.records.passages_of(learned.document_id, EVERYONE)
    assert (first.page, first.section, first.document) == (1, "Rules", "trip.txt")
    text = bench.records.text_of(learned.document_id, EVERYONE)
    assert text[second.start : second.end] == second.text
    bench.check()


def test_a_heading_is_embedded_with_its_passage_but_not_quoted(bench: Bench) -> None:
    bench.upload("a.txt", "# Holidays\nThirty days a year.\n")
    assert bench.embeddings.embedded == ["Holidays\nThirty days a year."]
    assert bench.answers("holidays") == ["Thirty days a year."]


def test_progress_counts_the_passages_of_a_file(bench: Bench) -> None:
    heard: list[tuple[int, int]] = []
    text = "".join(f"line number {n}\n" for n in range(20))
    bench.upload("a.txt", text, progress=lambda done, total: heard.append((done, total)))
    assert heard[0] == (0, 20)
    assert heard[-1] == (20, 20)
    assert heard == sorted(heard)


def test_a_document_that_is_being_read_says_how_far_it_is(bench: Bench) -> None:
    seen: list[tuple[str, int | None, int | None]] = []

    def look(_: list[str]) -> None:
        (record,) = bench.records.sources(EVERYONE)
        seen.append((record.state, record.done, record.total))

    bench.embeddings.before = look
    bench.upload("a.txt", "".join(f"line number {n}\n" for n in range(12)))
    assert seen == [("reading", 0, 12), ("reading", 8, 12)]
    (record,) = bench.records.sources(EVERYONE)
    assert (record.state, record.chunks, record.done) == ("ready", 12, None)


class TestTheSameBytes:
    def test_again_at_the_same_address_are_known(self, bench: Bench) -> None:
        first = bench.upload("a.txt", "one\ntwo\n")
        again = bench.upload("a.txt", "one\ntwo\n")
        assert (again.state, again.document_id, again.passages) == ("known", first.document_id, 2)
        assert bench.parser.parsed == [f"{(again.blob or '')[2:]}"]
        assert len(bench.embeddings.embedded) == 2

    def test_elsewhere_are_another_document_without_parsing_or_embedding(
        self, bench: Bench
    ) -> None:
        bench.upload("a.txt", "one\ntwo\n")
        other = bench.upload("a.txt", "one\ntwo\n", scope=CHANNEL)
        assert other.state == "ready"
        assert len(bench.parser.parsed) == 1
        assert len(bench.embeddings.embedded) == 2
        assert len([file for file in bench.blobs.rglob("*") if file.is_file()]) == 1
        assert bench.answers("one") == ["one", "two"]
        assert sorted(bench.answers("one", MEMBERS)) == ["one", "one", "two", "two"]
        bench.check()

    def test_forgotten_in_one_place_stay_known_in_the_other(self, bench: Bench) -> None:
        here = bench.upload("a.txt", "one\ntwo\n")
        bench.upload("a.txt", "one\ntwo\n", scope=CHANNEL)
        assert here.document_id is not None
        assert bench.indexer.forget(here.document_id, EVERYONE).verified
        assert bench.answers("one") == []
        assert bench.answers("one", MEMBERS) == ["one", "two"]
        bench.check()

    def test_with_another_extension_are_read_anew(self, bench: Bench) -> None:
        bench.upload("a.txt", "one\n")
        bench.upload("a.md", "one\n")
        assert len(bench.parser.parsed) == 2
        assert len(bench.embeddings.embedded) == 1

    def test_in_one_batch_are_parsed_once(self, bench: Bench) -> None:
        files = [bench.write(f"{n}.txt", "one\n") for n in range(3)]
        lessons = [Lesson(file, "public", "path:x", file.name) for file in files]
        assert [learned.state for learned in bench.indexer.learn_many(lessons)] == ["ready"] * 3
        assert len(bench.parser.parsed) == 1
        bench.check()


class TestANewVersion:
    def test_embeds_only_what_changed_and_leaves_nothing_of_the_old(self, bench: Bench) -> None:
        first = bench.upload("a.txt", "one\ntwo\nthree\n")
        before = bench.index.ids()
        second = bench.upload("a.txt", "one\n2\nthree\n")
        assert (second.document_id, second.version) == (first.document_id, 2)
        assert bench.embeddings.embedded[3:] == ["2"]
        assert bench.everything() == [("a.txt", ["one", "2", "three"])]
        assert len(before & bench.index.ids()) == 2
        assert len([file for file in bench.blobs.rglob("*") if file.is_file()]) == 1
        bench.check()

    def test_answers_all_at_once_to_whoever_asks_meanwhile(self, bench: Bench) -> None:
        old = [f"old line {n}" for n in range(30)]
        new = [f"new line {n}" for n in range(30)]
        bench.upload("a.txt", "\n".join(old))
        wrong: list[list[str]] = []
        done = threading.Event()

        def ask() -> None:
            while not done.is_set():
                generation = bench.records.generation(EVERYONE)
                answers = sorted(bench.answers("line"))
                # A question that a flip overtook is asked again.
                settled = bench.records.generation(EVERYONE) == generation
                if settled and answers not in (sorted(old), sorted(new)):
                    wrong.append(answers)

        reader = threading.Thread(target=ask)
        reader.start()
        try:
            for lines in (new, old, new):
                bench.upload("a.txt", "\n".join(lines))
        finally:
            done.set()
            reader.join()
        assert wrong == []
        bench.check()

    def test_that_fails_leaves_the_old_one_answering(self, bench: Bench) -> None:
        bench.upload("a.txt", "one\n")
        failed = bench.upload("a.txt", "!corrupt")
        assert (failed.state, failed.code) == ("failed", DocumentCode.CORRUPT)
        assert bench.answers("one") == ["one"]
        (record,) = bench.records.sources(EVERYONE)
        assert (record.state, record.code) == ("failed", DocumentCode.CORRUPT)
        assert record.message
        assert bench.upload("a.txt", "one\n").state == "known"
        (record,) = bench.records.sources(EVERYONE)
        assert (record.state, record.code) == ("ready", None)


class TestAFileThatCannotBeLearned:
    def test_is_told_apart_before_it_is_parsed(self, bench: Bench) -> None:
        bench.restart(max_bytes=10)
        assert bench.upload("a.txt", "").code is DocumentCode.EMPTY
        assert bench.upload("b.txt", "x" * 11).code is DocumentCode.TOO_LARGE
        assert bench.parser.parsed == []
        assert [file for file in bench.blobs.rglob("*") if file.is_file()] == []

    def test_because_it_changed_while_it_was_read(self, bench: Bench) -> None:
        file = bench.write("a.txt", "one\n")

        def change(_: Path) -> None:
            bench.write("a.txt", "two\n")

        bench.parser.before = change
        learned = bench.indexer.learn(file, scope="public", source="folder:x", name="a.txt")
        assert learned.code is DocumentCode.CHANGED
        bench.parser.before = lambda path: None
        learned = bench.indexer.learn(file, scope="public", source="folder:x", name="a.txt")
        assert learned.state == "ready"
        assert bench.everything() == [("a.txt", ["two"])]

    def test_leaves_the_others_of_its_batch_alone(self, bench: Bench) -> None:
        texts = {"a": "one\n", "b": "!encrypted", "c": "", "d": "two\n"}
        lessons = [
            Lesson(bench.write(name, text), "public", "folder:x", name)
            for name, text in texts.items()
        ]
        lessons.append(Lesson(bench.folder / "gone", "public", "folder:x", "gone"))
        states = [(o.state, o.code) for o in bench.indexer.learn_many(lessons)]
        assert states == [
            ("ready", None),
            ("failed", DocumentCode.ENCRYPTED),
            ("failed", DocumentCode.EMPTY),
            ("ready", None),
            ("failed", DocumentCode.CHANGED),
        ]
        bench.check()

    def test_has_characters_that_no_database_keeps(self, bench: Bench) -> None:
        file = bench.write("a.txt", "nul \0 here\n")
        learned = bench.indexer.learn(file, scope="public", source="upload", name="a\0\ud800.txt")
        assert learned.state == "ready"
        assert bench.everything() == [("a\ufffd\ufffd.txt", ["nul \ufffd here"])]


class TestTrouble:
    def test_with_the_embedder_keeps_the_old_version_and_the_passages_done(
        self, bench: Bench
    ) -> None:
        bench.upload("a.txt", "old\n")
        calls: list[int] = []

        def fail_later(texts: list[str]) -> None:
            calls.append(len(texts))
            if len(calls) > 1:
                raise RuntimeError("out of memory")

        bench.embeddings.before = fail_later
        text = "".join(f"line number {n}\n" for n in range(16))
        failed = bench.upload("a.txt", text)
        assert (failed.state, failed.code) == ("failed", None)
        assert "out of memory" in (failed.message or "")
        assert bench.answers("old") == ["old"]
        (record,) = bench.records.sources(EVERYONE)
        assert record.state == "waiting"

        bench.embeddings.before = lambda texts: None
        done = len(bench.embeddings.embedded)
        bench.restart().recover()
        (learned,) = bench.indexer.catch_up()
        assert learned.state == "ready"
        assert len(bench.embeddings.embedded) - done == 8
        assert bench.everything() == [("a.txt", text.splitlines())]
        bench.check()

    def test_with_a_missing_model_is_told_at_once(self, bench: Bench) -> None:
        def missing(_: list[str]) -> None:
            raise ModelMissing("get it")

        bench.embeddings.before = missing
        with pytest.raises(ModelMissing):
            bench.upload("a.txt", "one\n")
        (record,) = bench.records.sources(EVERYONE)
        assert (record.state, record.message) == ("waiting", "get it")
        bench.embeddings.before = lambda texts: None
        assert [learned.state for learned in bench.indexer.catch_up()] == ["ready"]

    def test_with_numbers_that_are_none_indexes_nothing(self, bench: Bench) -> None:
        bench.embeddings.embed_documents = (  # type: ignore[method-assign]
            lambda texts: [[float("nan")] * bench.embeddings.dimension for _ in texts]
        )
        assert bench.upload("a.txt", "one\n").state == "failed"
        assert bench.index.count() == 0

    def test_with_the_index_keeps_the_old_version(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bench.upload("a.txt", "old\n")
        with monkeypatch.context() as patch:
            patch.setattr(
                bench.index, "_upsert", lambda *_: (_ for _ in ()).throw(OSError(28, "no space"))
            )
            with pytest.raises(StoreUnavailable, match="no space"):
                bench.upload("a.txt", "new\n")
            assert bench.answers("old") == ["old"]
        assert [learned.state for learned in bench.indexer.catch_up()] == ["ready"]
        assert bench.everything() == [("a.txt", ["new"])]
        bench.check()

    def test_with_a_database_that_cannot_be_written_keeps_the_old_version(
        self, bench: Bench
    ) -> None:
        def refuse(connection: sqlite3.Connection, _: object) -> None:
            connection.execute("PRAGMA query_only=ON")

        bench.upload("a.txt", "old\n")
        engine = bench.records.engine
        event.listen(engine, "connect", refuse)
        engine.dispose()
        with pytest.raises(StoreUnavailable, match="can be written"):
            bench.upload("a.txt", "new\n")
        assert bench.answers("old") == ["old"]
        event.remove(engine, "connect", refuse)
        engine.dispose()
        assert bench.upload("a.txt", "new\n").state == "ready"
        bench.check()

    def test_with_the_blobs_is_one_clear_sentence(self, bench: Bench) -> None:
        bench.blobs.parent.mkdir(exist_ok=True)
        bench.blobs.write_text("a file where a folder should be")
        with pytest.raises(StoreUnavailable, match="cannot be written"):
            bench.upload("a.txt", "one\n")


class TestForgetting:
    def test_leaves_no_trace_and_says_so(self, bench: Bench) -> None:
        learned = bench.upload("secret.txt", "the canary sings\n", taught_by="U1")
        bench.upload("other.txt", "something else\n")
        assert learned.document_id is not None
        receipt = bench.indexer.forget(learned.document_id, EVERYONE)
        assert (receipt.document, receipt.versions, receipt.chunks) == ("secret.txt", 1, 1)
        assert receipt.verified
        assert bench.everything() == [("other.txt", ["something else"])]
        kept = [file for file in bench.folder.parent.rglob("*") if file.is_file()]
        kept = [file for file in kept if bench.folder not in file.parents]
        assert kept
        assert not any(b"canary" in file.read_bytes() for file in kept)
        bench.check()

    def test_what_nobody_here_may_see_is_unknown(self, bench: Bench) -> None:
        learned = bench.upload("a.txt", "one\n", scope=CHANNEL)
        assert learned.document_id is not None
        with pytest.raises(DocumentUnknown):
            bench.indexer.forget(learned.document_id, EVERYONE)
        assert bench.answers("one", MEMBERS) == ["one"]

    def test_a_person_forgets_what_they_taught(self, bench: Bench) -> None:
        bench.upload("a.txt", "one\n", taught_by="U1")
        bench.upload("b.txt", "two\n", scope=CHANNEL, taught_by="U1")
        bench.upload("c.txt", "three\n", taught_by="U2")
        assert [r.document for r in bench.indexer.forget_user("U1")] == ["a.txt", "b.txt"]
        assert bench.everything(MEMBERS) == [("c.txt", ["three"])]

    def test_a_document_while_it_is_read(self, bench: Bench) -> None:
        def forget(_: list[str]) -> None:
            (record,) = bench.records.sources(EVERYONE)
            assert bench.indexer.forget(record.id, EVERYONE).verified

        bench.embeddings.before = forget
        assert bench.upload("a.txt", "one\n").code is DocumentCode.CHANGED
        bench.embeddings.before = lambda texts: None
        bench.restart().recover()
        assert bench.records.sources(EVERYONE) == []
        assert bench.index.count() == 0
        bench.check()


class TestRecovery:
    def test_fills_an_index_that_was_lost_without_the_embedder(self, bench: Bench) -> None:
        bench.upload("a.txt", "one\ntwo\n")
        bench.index.delete(bench.index.ids())
        done = len(bench.embeddings.embedded)
        bench.restart().recover()
        assert bench.answers("one") == ["one", "two"]
        assert len(bench.embeddings.embedded) == done
        bench.check()

    def test_rebuilding_needs_no_embedder(self, bench: Bench) -> None:
        bench.upload("a.txt", "one\ntwo\n")
        done = len(bench.embeddings.embedded)
        heard: list[tuple[int, int]] = []
        assert bench.indexer.rebuild(lambda *now: heard.append(now)) == 2
        assert heard == [(2, 2)]
        assert bench.answers("one") == ["one", "two"]
        assert len(bench.embeddings.embedded) == done
        bench.check()

    def test_another_splitter_cuts_what_is_known_again(self, bench: Bench) -> None:
        from rag.ingest.parsed import Chunk

        bench.upload("a.txt", "one\ntwo\n")
        bench.restart(
            splitter_key="whole", split=lambda parsed: [Chunk(0, len(parsed.text), None, None)]
        )
        assert [learned.state for learned in bench.indexer.catch_up()] == ["ready"]
        assert bench.everything() == [("a.txt", ["one\n\ntwo"])]
        assert len(bench.parser.parsed) == 1
        assert list(bench.indexer.catch_up()) == []
        bench.check()

    def test_a_newer_parser_reads_uploads_again(self, bench: Bench) -> None:
        bench.upload("a.txt", "one\n")
        bench.restart(parser_key="2")
        assert [learned.state for learned in bench.indexer.catch_up()] == ["ready"]
        assert len(bench.parser.parsed) == 2
        assert len(bench.embeddings.embedded) == 1
        bench.check()


def test_a_crash_while_a_version_is_removed_leaves_no_text_of_it(bench: Bench) -> None:
    bench.upload("a.txt", "one\ntwo\n")
    with bench.records.engine.begin() as connection:  # as far as a killed process came
        for table in ("passage", "version", "document"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    bench.restart().recover()
    with bench.records.engine.connect() as connection:
        for table in ("content", "chunk", "vector"):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 0


def test_an_upload_that_a_crash_interrupted_is_as_it_would_have_been(bench: Bench) -> None:
    bench.upload("a.txt", "one\n")

    def crash(_: object) -> None:
        raise KeyboardInterrupt

    bench.parser.before = crash
    with pytest.raises(KeyboardInterrupt):
        bench.upload("a.txt", "two\nthree\n")
    bench.parser.before = lambda _: None
    indexer = bench.restart()
    indexer.recover()
    assert [learned.state for learned in indexer.catch_up()] == ["ready"]
    (record,) = bench.records.sources(EVERYONE)
    assert (record.version, record.bytes) == (2, len("two\nthree\n"))
    assert len([path for path in bench.blobs.rglob("*") if path.is_file()]) == 1
