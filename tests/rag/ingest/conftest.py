from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rag.audience import Audience
from rag.ingest.indexer import Indexer
from rag.ingest.lessons import Learned
from rag.ingest.terms import TermCounts
from rag.records import Records
from rag.schema import metadata, open_engine
from rag.store import PassageIndex
from tests.fakes import DIMENSION, HashEmbeddings, LineParser, split_by_segment

EVERYONE = Audience.of({"public"})


@pytest.fixture(scope="package")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PassageIndex]:
    """One embedded Milvus for all tests here: opening one takes longer than most of them."""
    folder = tmp_path_factory.mktemp("index")
    index = PassageIndex(str(folder / "index.db"), embedder_key="fake", dimension=lambda: DIMENSION)
    index.open()
    yield index
    index.close()


@dataclass
class Bench:
    """An indexer with fakes around a real database and a real index."""

    folder: Path
    index: PassageIndex
    records: Records
    parser: LineParser
    embeddings: HashEmbeddings
    blobs: Path
    indexer: Indexer

    def restart(self, **changes: Any) -> Indexer:
        """Make the indexer anew, as after a restart, with other settings."""
        settings: dict[str, Any] = {
            "embedder_key": "fake",
            "splitter_key": "segment",
            "blobs": self.blobs,
            "patience": 0.1,
        }
        self.indexer = Indexer(
            self.records,
            self.index,
            changes.pop("parser", self.parser),
            changes.pop("split", split_by_segment),
            self.embeddings,
            **{**settings, **changes},
        )
        return self.indexer

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def upload(self, name: str, text: str, scope: str = "public", **more: Any) -> Learned:
        file = self.write(name, text)
        return self.indexer.learn(file, scope=scope, source="upload", name=name, **more)

    def answers(self, question: str, audience: Audience = EVERYONE) -> list[str]:
        """Return the texts of what a question finds, best first."""
        found = self.index.search_dense(self.embeddings.embed_query(question), audience.scopes, 100)
        row_ids = [row_id for row_id, _ in found]
        passages = self.records.passages(row_ids, audience)
        return [passages[row_id].text for row_id in row_ids if row_id in passages]

    def everything(self, audience: Audience = EVERYONE) -> list[tuple[str, list[str]]]:
        return everything(self.records, audience)

    def check(self) -> None:
        consistent(self.records, self.index)


def everything(records: Records, audience: Audience) -> list[tuple[str, list[str]]]:
    """Return what is known: the texts of each document, by name."""
    return [
        (record.document, [p.text for p in records.passages_of(record.id, audience)])
        for record in records.sources(audience)
        if record.version is not None
    ]


def consistent(records: Records, index: PassageIndex) -> None:
    """Assert that records and index hold the same passages, and that every count is right."""
    terms = TermCounts(records.engine)
    with records.engine.connect() as connection:
        sql = connection.exec_driver_sql
        rows = sql("SELECT row_id, scope FROM passage JOIN document ON live_version = version")
        live = {row.row_id: row.scope for row in rows}
        versions = sql("SELECT scope, live_version FROM document").all()
        rows = sql("SELECT scope, id, frequency FROM term")
        counted = {(row.scope, row.id): row.frequency for row in rows}
        rows = sql("SELECT scope, passages FROM tally WHERE passages <> 0")
        tallies = {row.scope: row.passages for row in rows}
    expected: Counter[tuple[str, int]] = Counter()
    for scope, version in versions:
        changes = terms.changes(None, version)
        expected.update({(scope, term): frequency for term, frequency in changes.items()})
    assert index.ids() == live.keys()
    assert tallies == Counter(live.values())
    assert counted == expected


@pytest.fixture
def bench(opened: PassageIndex, tmp_path: Path) -> Iterator[Bench]:
    opened.delete(opened.ids())
    engine = open_engine(f"sqlite:///{tmp_path / 'records.db'}")
    metadata.create_all(engine)
    made = Bench(
        folder=tmp_path / "files",
        index=opened,
        records=Records(engine),
        parser=LineParser(),
        embeddings=HashEmbeddings(),
        blobs=tmp_path / "blobs",
        indexer=None,  # type: ignore[arg-type]
    )
    made.restart()
    yield made
    engine.dispose()
