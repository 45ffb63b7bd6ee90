"""P3: a backup made during writes holds one moment, and that comes back."""

from __future__ import annotations

import threading
from pathlib import Path

from tests.rag.ingest.conftest import EVERYONE
from tests.rag.ingest.crash import Place
from tests.reliability.rows import cases

DOCUMENTS = 6


def known(place: Place) -> dict[str, tuple[str, ...]]:
    return {
        record.document: tuple(p.text for p in place.records.passages_of(record.id, EVERYONE))
        for record in place.records.sources(EVERYONE)
        if record.version is not None
    }


def write(place: Place, name: str, version: int) -> None:
    file = place.folder.path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{name} line {n} of version {version}\n" for n in range(4)))
    place.indexer.learn(file, scope="public", source="upload", name=name)


def act_out(place: Place, script: list[tuple[str, int]], begun: threading.Event) -> None:
    for name, version in script:
        write(place, name, version)
        begun.set()


def test_p3_a_backup_during_writes_restores_one_moment(tmp_path: Path) -> None:
    """Each document is one of its versions, whole; what was forgotten since doesn't come back."""
    for case in cases("P3", "backup during writes, then restore", full=50, sample=1):
        folder = tmp_path / str(case.number)
        place = Place(folder)
        fresh: Place | None = None
        try:
            names = [f"{n}.txt" for n in range(DOCUMENTS)]
            for name in names:
                write(place, name, 0)
            script = [(case.chance.choice(names), v) for v in range(1, 12)]
            begun = threading.Event()
            writing = threading.Thread(target=act_out, args=(place, script, begun))
            writing.start()
            begun.wait()
            made = place.indexer.backups.make(folder / "backup")
            writing.join()
            assert (made.documents, made.passages) == (DOCUMENTS, 4 * DOCUMENTS)

            fresh = Place(folder / "fresh")
            fresh.indexer.backups.restore(folder / "backup", lambda engine: None, answering=True)
            fresh.indexer.recover()
            there = known(fresh)
            assert there.keys() == set(names)
            for name, texts in there.items():
                versions = [0, *(v for n, v in script if n == name)]
                assert texts in [
                    tuple(f"{name} line {n} of version {v}" for n in range(4)) for v in versions
                ]
            assert len(fresh.index.ids()) == 4 * DOCUMENTS

            doomed = case.chance.choice(place.records.sources(EVERYONE))
            assert place.indexer.forget(doomed.id, EVERYONE).verified
            place.indexer.backups.restore(folder / "backup", lambda engine: None, answering=True)
            place.indexer.recover()
            there.pop(doomed.document)
            assert known(place) == there
            assert place.index.ids() < fresh.index.ids()
        finally:
            place.close()
            if fresh is not None:
                fresh.close()
