"""I1, I3, I5: what a kill or a fault in the middle of ingestion leaves."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.reliability.ingesting import NEW, OLD, write
from tests.reliability.process import PATIENCE, Nursery
from tests.reliability.rows import cases


class Ingesting:
    """Data folders that processes ingest into, each a copy of one that knows the old files."""

    def __init__(self, nursery: Nursery, folder: Path) -> None:
        self._nursery = nursery
        self._folder = folder
        self._log = folder / "log.txt"
        self._old = folder / "old"
        write(self._old, new=False)
        self.whole("ingest", self._old)
        write(self._old, new=True)
        clean = self.fresh()
        self.whole("ingest", clean)
        self.clean: Any = read(clean)["state"]
        self.steps: int = read(clean)["steps"]

    def fresh(self) -> Path:
        """Return data that knows the old files, where the new ones lie."""
        data = self._folder / "data"
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(self._old, data)
        return data

    def begin(self, do: str, data: Path, **order: Any) -> int:
        """Let a process do something; return its exit code, negative for a signal's number."""
        arguments = [json.dumps({"do": do, "data": str(data), **order})]
        self._log.unlink(missing_ok=True)
        pid = self._nursery.begin(arguments, {}, self._log, "tests.reliability.ingesting")
        return self._nursery.ended(pid, PATIENCE)

    def whole(self, do: str, data: Path, **order: Any) -> None:
        """Let a process do something that must succeed."""
        code = self.begin(do, data, **order)
        assert code == 0, self._log.read_text()


def read(data: Path) -> Any:
    return json.loads((data / "state.json").read_text())


@pytest.fixture(scope="module")
def ingesting(nursery: Nursery) -> Iterator[Ingesting]:
    with TemporaryDirectory(prefix="teamglm-") as folder:
        yield Ingesting(nursery, Path(folder))


def test_i1_a_kill_loses_doubles_and_orphans_nothing(ingesting: Ingesting) -> None:
    for case in cases("I1", "kills of ingestion", full=200, sample=2):
        data = ingesting.fresh()
        if case.number % 2:
            when = {"after": case.chance.uniform(0.2, 1.5)}
        else:
            when = {"fatal": case.chance.randint(1, ingesting.steps)}
        code = ingesting.begin("ingest", data, **when)
        assert code == -signal.SIGKILL or (code == 0 and "after" in when)
        ingesting.whole("mend", data)
        assert read(data)["state"] == ingesting.clean


def test_i3_answers_during_a_reindex_are_all_old_or_all_new(ingesting: Ingesting) -> None:
    versions = [sorted(files["changed.txt"].splitlines()) for files in (OLD, NEW)]
    for case in cases("I3", "questions during a re-index", full=100, sample=1):
        data = ingesting.fresh()
        how = ("content", "splitter", "rebuild")[case.number % 3]
        fatal = case.chance.randint(1, ingesting.steps)
        assert ingesting.begin("reindex", data, how=how, fatal=fatal) in (-signal.SIGKILL, 0)
        ingesting.whole("reindex", data, how=how)
        answers = [json.loads(line) for line in (data / "answers").read_text().splitlines()]
        assert answers
        for answer in answers:
            assert answer in versions
        if how != "rebuild":
            assert answers[-1] == versions[1]


FAULTS = (
    "no write succeeds", "database full", "database read-only",
    "blobs", "parser", "embedder", "index",
)  # fmt: skip


def test_i5_a_fault_leaves_the_old_version_answering(ingesting: Ingesting) -> None:
    for case in cases("I5", "faults at each step", full=200, sample=2):
        data = ingesting.fresh()
        fault = FAULTS[case.number % len(FAULTS)]
        fatal = case.chance.randint(1, ingesting.steps)
        ingesting.whole("suffer", data, fault=fault, fatal=fatal)
        assert read(data)["state"] == ingesting.clean
