from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, text

from rag.audience import Audience
from rag.errors import StoreUnavailable
from rag.ingest.ledger import Ledger
from rag.ingest.parsed import Parsed, Segment
from rag.ingest.staging import Draft, Extract, StagedChunk, Staging
from rag.ingest.standing import Address
from rag.ingest.vectors import Vectors
from rag.keywords import term_id
from rag.language import language_of
from rag.records import DocumentAmbiguous, DocumentUnknown, Records
from rag.schema import metadata, open_engine, reading

EVERYONE = Audience.of({"public"})
CHANNEL = "discord:G1:C1"
MEMBERS = Audience.of({"public", CHANNEL})
NOBODY = Audience.of(())


def now() -> datetime:
    return datetime.fromisoformat("2026-11-23T06:00:00+00:00")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path / 'records.db'}")
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def records(engine: Engine) -> Records:
    return Records(engine)


def stage(engine: Engine, name: str, *lines: str, scope: str = "public") -> tuple[str, str]:
    """Stage a version with a passage a line and return the document's id and the version's."""
    ledger, staging = Ledger(engine, now), Staging(engine, now)
    document_id = ledger.admit([(Address(scope, "upload", name), None)])[0].id
    parsed = Parsed(tuple(Segment(line, None, None) for line in lines), None)
    chunks, at = [], 0
    for ordinal, line in enumerate(lines):
        chunks.append(
            StagedChunk(
                row_id=f"{document_id}-{line}",
                ordinal=ordinal,
                start=at,
                end=at + len(line),
                page=None,
                section=None,
                language=language_of(line),
                text=line,
                text_hash=line,
            )
        )
        at += len(line) + 2
        vector = np.full(2, len(line), np.float32).tobytes()
        Vectors(engine).keep({line: vector}, "fake")
    key = "/".join(lines)
    extract = Extract(f"{key}#1", key, 10 * len(lines), parsed)
    draft = Draft(document_id, extract, chunks)
    (version,) = staging.stage([draft], splitter="line", embedder="fake")
    assert version
    return document_id, version


def learn(engine: Engine, name: str, *lines: str, scope: str = "public") -> str:
    document_id, version = stage(engine, name, *lines, scope=scope)
    ledger = Ledger(engine, now)
    assert ledger.publish([version]) == {version}
    Staging(engine, now).discard(Staging(engine, now).others([version])[version])
    return document_id


def test_only_live_and_visible_passages_are_told(engine: Engine, records: Records) -> None:
    mine = learn(engine, "a.txt", "one", "two")
    theirs = learn(engine, "b.txt", "three", scope=CHANNEL)
    stage(engine, "c.txt", "four")
    rows = [f"{mine}-one", f"{mine}-two", f"{theirs}-three", "nonsense", "' OR 1=1 --"]
    assert [p.text for p in records.passages(rows, EVERYONE).values()] == ["one", "two"]
    assert set(records.passages(rows, MEMBERS)) == set(rows[:3])
    assert records.passages(rows, NOBODY) == {}
    assert records.passages([], EVERYONE) == {}


def test_a_passage_says_where_it_is(engine: Engine, records: Records) -> None:
    document_id = learn(engine, "a.txt", "one", "二")
    one, two = records.passages_of(document_id, EVERYONE)
    assert (one.document, one.document_id, one.scope, one.ordinal) == (
        "a.txt",
        document_id,
        "public",
        0,
    )
    assert (two.start, two.end, two.language) == (5, 6, "zh")
    assert records.text_of(document_id, EVERYONE)[two.start : two.end] == "二"


def test_a_new_version_answers_only_once_it_is_published(engine: Engine, records: Records) -> None:
    document_id = learn(engine, "a.txt", "one", "two")
    generation = records.generation(EVERYONE)
    _, version = stage(engine, "a.txt", "one", "three")
    assert [p.text for p in records.passages_of(document_id, EVERYONE)] == ["one", "two"]
    assert records.generation(EVERYONE) == generation
    assert Ledger(engine, now).publish([version])
    assert [p.text for p in records.passages_of(document_id, EVERYONE)] == ["one", "three"]
    assert records.generation(EVERYONE) > generation
    assert records.passage_count(EVERYONE) == 2
    (record,) = records.sources(EVERYONE)
    assert (record.version, record.chunks, record.bytes) == (2, 2, 20)
    assert record.indexed_at == "2026-11-23T06:00:00+00:00"


def test_what_is_not_visible_looks_like_what_is_not_there(engine: Engine, records: Records) -> None:
    hidden = learn(engine, "a.txt", "one", scope=CHANNEL)
    for reference in (hidden, "a.txt", "nothing"):
        with pytest.raises(DocumentUnknown):
            records.find_document(reference, EVERYONE)
    for document_id in (hidden, "nothing"):
        with pytest.raises(DocumentUnknown):
            records.text_of(document_id, EVERYONE)
        with pytest.raises(DocumentUnknown):
            records.passages_of(document_id, EVERYONE)
    assert records.sources(EVERYONE) == []


def test_documents_are_found_by_id_name_or_file_name(engine: Engine, records: Records) -> None:
    first = learn(engine, "rules/trips.txt", "one")
    learn(engine, "rules/a.txt", "two")
    second = learn(engine, "old/a.txt", "three")
    for reference in (first, "rules/trips.txt", "trips.txt"):
        assert records.find_document(reference, EVERYONE).id == first
    assert records.find_document("old/a.txt", EVERYONE).id == second
    with pytest.raises(DocumentAmbiguous, match=second):
        records.find_document("a.txt", EVERYONE)


def test_the_same_name_elsewhere_is_ambiguous_only_where_both_are_seen(
    engine: Engine, records: Records
) -> None:
    public = learn(engine, "a.txt", "one")
    learn(engine, "a.txt", "one", scope=CHANNEL)
    assert records.find_document("a.txt", EVERYONE).id == public
    with pytest.raises(DocumentAmbiguous):
        records.find_document("a.txt", MEMBERS)


def test_terms_are_counted_over_live_passages(engine: Engine, records: Records) -> None:
    apple, pear = term_id("appl"), term_id("pear")
    document_id = learn(engine, "a.txt", "apple apple", "apple pear")
    learn(engine, "b.txt", "pear")
    assert records.frequencies({apple, pear, 1}, EVERYONE) == {apple: 2, pear: 2}
    learn(engine, "a.txt", "apple pear")
    assert records.frequencies([apple, pear], EVERYONE) == {apple: 1, pear: 2}
    Ledger(engine, now).hide(document_id, bury=False)
    assert records.frequencies([apple, pear], EVERYONE) == {pear: 1}
    assert records.frequencies([], EVERYONE) == {}
    assert records.passage_count(EVERYONE) == 1


def test_what_others_may_see_weighs_nothing(engine: Engine, records: Records) -> None:
    apple = term_id("appl")
    learn(engine, "a.txt", "apple")
    generation = records.generation(EVERYONE)
    hidden = learn(engine, "b.txt", "apple", "apple pie", scope=CHANNEL)
    assert records.frequencies([apple], EVERYONE) == {apple: 1}
    assert records.frequencies([apple], MEMBERS) == {apple: 3}
    assert records.frequencies([apple], NOBODY) == {}
    assert [records.passage_count(who) for who in (EVERYONE, MEMBERS, NOBODY)] == [1, 3, 0]
    assert records.generation(EVERYONE) == generation
    before = records.generation(MEMBERS)
    Ledger(engine, now).hide(hidden, bury=False)
    assert records.generation(MEMBERS) > before
    assert records.generation(EVERYONE) == generation
    assert records.passage_count(MEMBERS) == 1


def test_many_terms_are_counted_right_even_after_a_crash(
    engine: Engine, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [f"word{n}" for n in range(5000)]
    lines = [" ".join(words[n : n + 100]) for n in range(0, 5000, 100)]
    _, version = stage(engine, "a.txt", *lines)
    ledger = Ledger(engine, now)
    with monkeypatch.context() as patch:
        patch.setattr(ledger._terms, "finish", lambda rest: None)
        assert ledger.publish([version]) == {version}
    terms = [term_id(word) for word in words]
    assert len(records.frequencies(terms, EVERYONE)) < 5000
    Ledger(engine, now).recover()
    assert set(records.frequencies(terms, EVERYONE).values()) == {1}
    assert len(records.frequencies(terms, EVERYONE)) == 5000
    generation = records.generation(EVERYONE)
    Ledger(engine, now).recover()
    assert records.generation(EVERYONE) == generation


def test_vectors_are_sampled_by_language_audience_and_seed(
    engine: Engine, records: Records
) -> None:
    learn(engine, "a.txt", *("x" * n for n in range(1, 30)))
    learn(engine, "b.txt", "中文的文字")
    learn(engine, "c.txt", "y" * 99, scope=CHANNEL)
    sample = records.sample_vectors(EVERYONE, "en", "fake", 10)
    assert sample.shape == (10, 2)
    assert sample.dtype == np.float32
    assert np.array_equal(sample, records.sample_vectors(EVERYONE, "en", "fake", 10))
    everything = records.sample_vectors(EVERYONE, "en", "fake", 100, seed=1)
    assert sorted(everything[:, 0]) == list(range(1, 30))
    assert len(records.sample_vectors(MEMBERS, "en", "fake", 100)) == 30
    assert records.sample_vectors(EVERYONE, "zh", "fake", 100).tolist() == [[5.0, 5.0]]
    assert len(records.sample_vectors(NOBODY, "en", "fake", 100)) == 0


def test_an_empty_database_knows_nothing(records: Records) -> None:
    assert records.passage_count(EVERYONE) == 0
    assert records.generation(EVERYONE) == 0
    assert records.sources(EVERYONE) == []


def test_a_database_that_cannot_be_opened_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"records\.db"):
        open_engine(f"sqlite:///{tmp_path / 'nowhere' / 'records.db'}")


def test_readers_do_not_wait_for_a_writer(engine: Engine, records: Records) -> None:
    learn(engine, "a.txt", "one")
    with engine.begin() as writer:
        writer.execute(text("UPDATE document SET name = 'b.txt'"))
        assert [record.document for record in records.sources(EVERYONE)] == ["a.txt"]
    assert [record.document for record in records.sources(EVERYONE)] == ["b.txt"]


def test_sqlite_survives_power_cuts_and_overwrites_what_is_deleted(engine: Engine) -> None:
    with reading(engine).connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
    full = 2
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": full,
        "foreign_keys": 1,
        "secure_delete": 1,
    }
