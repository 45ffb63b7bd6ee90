"""I2, I4: what files may do to ingestion."""

from __future__ import annotations

import os
import time
from pathlib import Path

from rag.audience import Audience
from rag.ingest.folders import Folder, scan
from tests.rag.ingest.conftest import Bench, bench, opened
from tests.reliability.rows import cases

__all__ = ["bench", "opened"]

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
