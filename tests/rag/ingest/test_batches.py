"""How much a transaction takes: many small documents share one, a large one is cut into several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from rag.ingest.folders import Folder, scan
from tests.rag.ingest.conftest import EVERYONE, Bench

FILES = 2000
MOST_ROWS = 3200
"""What bench/ingest.py finds to take a third of the 50 ms that the inbox may have to wait."""


class Transactions:
    """Counts the rows that each transaction writes."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def begun(self, connection: Any) -> None:
        if not connection.get_execution_options().get("only_read"):
            self.rows.append(0)

    def executed(
        self, _c: Any, _cursor: Any, statement: str, parameters: Any, _x: Any, many: bool
    ) -> None:
        if statement.startswith(("INSERT", "UPDATE", "DELETE")):
            self.rows[-1] += len(parameters) if many else 1


@contextmanager
def counted(engine: Engine) -> Iterator[Transactions]:
    transactions = Transactions()
    event.listen(engine, "begin", transactions.begun)
    event.listen(engine, "after_cursor_execute", transactions.executed)
    yield transactions
    event.remove(engine, "begin", transactions.begun)
    event.remove(engine, "after_cursor_execute", transactions.executed)


def test_thousands_of_small_files_share_transactions(bench: Bench) -> None:
    for number in range(FILES):
        bench.write(f"{number % 20}/{number}.txt", f"file number {number}\n")
    folder = Folder("team", bench.folder)
    with counted(bench.records.engine) as transactions:
        assert scan(folder, bench.indexer, bench.records).added == FILES
    assert len(transactions.rows) < FILES / 2
    assert max(transactions.rows) <= MOST_ROWS
    with counted(bench.records.engine) as transactions:
        assert scan(folder, bench.indexer, bench.records).unchanged == FILES
    assert len(transactions.rows) < FILES / 100


@pytest.mark.parametrize("lines", [1, 499, 500, 501, 1700])
def test_a_large_document_is_cut_into_transactions_and_whole_again(
    bench: Bench, lines: int
) -> None:
    text = [f"line {number} says {number * 7919}" for number in range(lines)]
    with counted(bench.records.engine) as transactions:
        learned = bench.upload("a.txt", "\n".join(text))
        assert bench.everything() == [("a.txt", text)]
        bench.upload("a.txt", "\n".join(reversed(text)))
        assert bench.everything() == [("a.txt", text[::-1])]
        assert learned.document_id
        assert bench.indexer.forget(learned.document_id, EVERYONE).verified
    assert max(transactions.rows) <= MOST_ROWS
    bench.check()


def test_the_same_name_twice_in_one_go_is_two_versions(bench: Bench) -> None:
    from rag.ingest.lessons import Lesson

    lessons = [
        Lesson(bench.write(f"{n}.txt", f"text {n}\n"), "public", "path:x", "a.txt")
        for n in range(2)
    ]
    assert [learned.version for learned in bench.indexer.learn_many(lessons)] == [1, 2]
    assert bench.everything() == [("a.txt", ["text 1"])]
    bench.check()


def test_a_document_forgotten_among_others_leaves_those_alone(bench: Bench) -> None:
    from rag.ingest.lessons import Lesson

    doomed = bench.upload("b.txt", "to be forgotten\n")
    lessons = [
        Lesson(bench.write(name, f"new text of {name}\n"), "public", "upload", name)
        for name in ("a.txt", "b.txt", "c.txt")
    ]

    def forget(file: object) -> None:
        bench.parser.before = lambda file: None
        assert doomed.document_id
        bench.indexer.forget(doomed.document_id, EVERYONE)

    bench.parser.before = forget
    states = [learned.state for learned in bench.indexer.learn_many(lessons)]
    assert states == ["ready", "failed", "ready"]
    assert [name for name, _ in bench.everything()] == ["a.txt", "c.txt"]
    bench.check()


def test_who_taught_the_version_that_answers_is_known(bench: Bench) -> None:
    bench.upload("a.txt", "one\n", taught_by="U1")
    bench.upload("a.txt", "two\n", taught_by="U2")
    bench.upload("a.txt", "!corrupt", taught_by="U3")
    assert bench.indexer.forget_user("U1") == []
    assert [receipt.document for receipt in bench.indexer.forget_user("U2")] == ["a.txt"]
