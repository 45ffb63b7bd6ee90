"""Files, records and index in a folder, and a place to interfere at every step of ingestion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from sqlalchemy import event

from rag.ingest.folders import Folder, ScanReport, scan
from rag.ingest.indexer import Indexer
from rag.records import Records
from rag.retrieval import Retriever
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
    """Files, records and index under one folder, opened and made whole.

    `step` is called at every commit, file to parse, batch to embed and change of the index.
    """

    def __init__(
        self, data: Path, step: Callable[[], None] = lambda: None, *, splitter_key: str = "segment"
    ) -> None:
        self.folder = Folder("team", data / "files")
        self.blobs = data / "blobs"
        self.index = CountedIndex(
            str(data / "index.db"), embedder_key="fake", dimension=lambda: DIMENSION
        )
        self.index.step = step
        self.index.open()
        self.engine = open_engine(f"sqlite:///{data / 'records.db'}")
        metadata.create_all(self.engine)
        event.listen(self.engine, "commit", lambda _: step())
        self.records = Records(self.engine)
        self.parser, self.embeddings = LineParser(), HashEmbeddings()
        self.parser.before = lambda _: step()
        self.embeddings.before = lambda _: step()
        self.indexer = Indexer(
            self.records, self.index, self.parser, split_by_segment, self.embeddings,
            embedder_key="fake", splitter_key=splitter_key, blobs=self.blobs,
        )  # fmt: skip
        self.retriever = Retriever(self.records, self.index, HashEmbeddings(), embedder_key="fake")
        self.indexer.recover()

    def scan(self) -> ScanReport:
        return scan(self.folder, self.indexer, self.records)

    def close(self) -> None:
        self.index.close()
        self.engine.dispose()
