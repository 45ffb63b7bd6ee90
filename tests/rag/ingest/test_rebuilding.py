"""The index is made anew in the background: the old one answers, nothing that happens is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rag.store import PassageIndex
from tests.fakes import HashEmbeddings
from tests.rag.ingest.conftest import EVERYONE, Bench

OTHER = 24


@pytest.fixture
def index(tmp_path: Path) -> Iterator[PassageIndex]:
    """A store of its own, whose indexes come and go."""
    opened = PassageIndex(
        str(tmp_path / "index.db"),
        embedder_key="fake",
        dimension=lambda: HashEmbeddings().dimension,
    )
    opened.open()
    yield opened
    opened.close()


@pytest.fixture
def bench(bench: Bench, index: PassageIndex) -> Bench:
    bench.index = index
    bench.restart()
    return bench


def now(act: Callable[[], None]) -> bool:
    act()
    return True


def test_what_is_learned_and_forgotten_during_a_rebuild_is_so_afterwards(bench: Bench) -> None:
    doomed = bench.upload("doomed.txt", "soon gone\n")
    bench.upload("changed.txt", "old text\n")
    bench.upload("a.txt", "one\n")
    seen: list[list[str]] = []

    def meanwhile(done: int, total: int) -> None:
        bench.upload("new.txt", "just arrived\n")
        bench.upload("changed.txt", "new text\n")
        assert doomed.document_id
        assert bench.indexer.forget(doomed.document_id, EVERYONE).verified
        seen.append(sorted(bench.answers("one")))

    assert bench.indexer.rebuild(meanwhile) == 3
    assert seen == [["just arrived", "new text", "one"]]
    assert sorted(bench.answers("one")) == seen[0]
    bench.check()


def test_another_model_takes_over_once_everything_is_embedded(bench: Bench) -> None:
    bench.upload("a.txt", "one\ntwo\n")
    doomed = bench.upload("b.txt", "soon gone\n")
    other = HashEmbeddings(OTHER)
    beside = bench.index.beside("other", OTHER)
    old = bench.index
    asked: list[list[str]] = []

    def meanwhile(texts: list[str]) -> None:
        if len(asked) < 1:
            asked.append(sorted(bench.answers("one")))
            bench.upload("new.txt", "just arrived\n")
            assert doomed.document_id
            bench.indexer.forget(doomed.document_id, EVERYONE)

    other.before = meanwhile
    assert bench.indexer.change_model(other, "other", beside, now)
    assert asked == [["one", "soon gone", "two"]]
    bench.index, bench.embeddings = beside, other
    assert sorted(bench.answers("one")) == ["just arrived", "one", "two"]
    embedded = len(other.embedded)
    bench.upload("later.txt", "learned with the other model\n")
    assert len(other.embedded) == embedded + 1
    bench.check()
    with bench.records.engine.connect() as connection:
        kept = connection.exec_driver_sql("SELECT DISTINCT embedder FROM vector").scalars().all()
    assert kept == ["other"]
    assert old._serving() is None


def test_a_model_that_never_gets_a_quiet_moment_changes_nothing(bench: Bench) -> None:
    bench.upload("a.txt", "one\n")
    other = HashEmbeddings(OTHER)
    beside = bench.index.beside("other", OTHER)
    assert not bench.indexer.change_model(other, "other", beside, lambda act: False)
    assert bench.answers("one") == ["one"]
    bench.check()
    assert bench.indexer.change_model(other, "other", beside, now)
    assert other.embedded == ["one"]


def test_a_model_that_fails_midway_goes_on_where_it_was(bench: Bench) -> None:
    text = "".join(f"line number {n}\n" for n in range(20))
    bench.upload("a.txt", text)
    other = HashEmbeddings(OTHER)
    beside = bench.index.beside("other", OTHER)

    def fail(texts: list[str]) -> None:
        if other.embedded:
            raise RuntimeError("out of memory")

    other.before = fail
    with pytest.raises(RuntimeError):
        bench.indexer.change_model(other, "other", beside, now)
    assert sorted(bench.answers("line")) == sorted(text.splitlines())
    other.before = lambda texts: None
    bench.restart().recover()
    heard: list[tuple[int, int]] = []
    assert bench.indexer.change_model(other, "other", beside, now, lambda *n: heard.append(n))
    assert heard[0] == (8, 20)
    assert len(other.embedded) == 20
    bench.index, bench.embeddings = beside, other
    bench.check()
