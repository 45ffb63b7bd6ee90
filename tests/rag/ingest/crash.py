"""A program that scans a folder and kills itself, as `kill -9` would, before a given step.

A step is a commit, a file to parse, a batch to embed, or a change of the index.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from sqlalchemy import event

from rag.ingest.folders import Folder, scan
from rag.ingest.indexer import Indexer
from rag.records import Records
from rag.schema import metadata, open_engine
from rag.store import PassageIndex, PassageRow
from tests.fakes import DIMENSION, HashEmbeddings, LineParser, split_by_segment


class CountedIndex(PassageIndex):
    """An index that tells before and after it is changed."""

    step: Callable[[], None]

    def upsert(self, rows: Sequence[PassageRow]) -> None:
        self.step()
        super().upsert(rows)
        self.step()

    def delete(self, ids: Iterable[str]) -> None:
        self.step()
        super().delete(ids)
        self.step()


class Place:
    """Files, records and index under one folder, opened and made whole."""

    def __init__(self, data: Path, step: Callable[[], None] = lambda: None) -> None:
        self.folder = Folder("team", data / "files")
        self.index = CountedIndex(
            str(data / "index.db"), embedder_key="fake", dimension=lambda: DIMENSION
        )
        self.index.step = step
        self.index.open()
        self.engine = open_engine(f"sqlite:///{data / 'records.db'}")
        metadata.create_all(self.engine)
        event.listen(self.engine, "commit", lambda _: step())
        self.records = Records(self.engine)
        parser, embeddings = LineParser(), HashEmbeddings()
        parser.before = lambda _: step()
        embeddings.before = lambda _: step()
        self.indexer = Indexer(
            self.records, self.index, parser, split_by_segment, embeddings,
            embedder_key="fake", splitter_key="segment", blobs=data / "blobs",
        )  # fmt: skip
        self.indexer.recover()

    def scan(self) -> None:
        scan(self.folder, self.indexer, self.records)

    def close(self) -> None:
        self.index.close()
        self.engine.dispose()


def main() -> None:
    """Scan, and print how many steps it took if it came that far."""
    fatal = int(sys.argv[2])
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    Place(Path(sys.argv[1]), step).scan()
    print(steps)


if __name__ == "__main__":
    main()
