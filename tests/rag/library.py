"""Documents to look for in the real index and the real records; only the embedder is a stand-in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rag.audience import Audience
from rag.ingest.indexer import Indexer
from rag.records import Records
from rag.retrieval import Retrieval, Retriever
from rag.schema import metadata, open_engine
from rag.store import PassageIndex
from tests.fakes import DIMENSION, HashEmbeddings, LineParser, split_by_segment

EVERYONE = Audience.of({"public"})
CHANNEL = "slack:E1:T1:C1"
MEMBERS = Audience.of({"public", CHANNEL})
NOBODY = Audience.of(())

SECRET = "The password of the safe is swordfish."
HANDBOOK = (
    "Leave is asked for two weeks ahead.",
    "Meals are paid up to thirty euros a day.",
    "The garden opens at eight.",
    "Parcels wait at the reception.",
    "Printers need form K77 for repair.",
    "Bicycles are parked in the yard.",
    "Visitors sign the book downstairs.",
    "Windows are closed by whoever goes last.",
    "Coffee comes from the machine upstairs.",
    "Backups run every night.",
    "Keys are kept by the janitor.",
    "Laptops are exchanged after four years.",
)


class Meanings(HashEmbeddings):
    """Embeds words of one meaning, in any language, alike."""

    def __init__(self, same: Mapping[str, str]) -> None:
        super().__init__()
        self.same = same

    def embed_query(self, text: str) -> list[float]:
        for word, meaning in self.same.items():
            text = text.replace(word, f" {meaning} ")
        return super().embed_query(text)


class Library:
    """Documents in the real store, and a retriever over them."""

    def __init__(self, folder: Path, index: PassageIndex) -> None:
        index.delete(index.ids())
        self.folder = folder
        self.index = index
        self.engine = open_engine(f"sqlite:///{folder / 'records.db'}")
        metadata.create_all(self.engine)
        self.records = Records(self.engine)
        self.embeddings: HashEmbeddings = HashEmbeddings()

    def learn(self, name: str, lines: Sequence[str], scope: str = "public") -> str:
        indexer = Indexer(
            self.records,
            self.index,
            LineParser(),
            split_by_segment,
            self.embeddings,
            embedder_key="fake",
            splitter_key="segment",
            blobs=self.folder / "blobs",
        )
        file = self.folder / name
        file.write_text("\n".join(lines), encoding="utf-8")
        learned = indexer.learn(file, scope=scope, source="upload", name=name)
        assert learned.document_id
        return learned.document_id

    def retriever(self, index: PassageIndex | None = None) -> Retriever:
        index = index or self.index
        return Retriever(self.records, index, self.embeddings, embedder_key="fake")

    def ask(self, query: str, audience: Audience = EVERYONE, limit: int = 3) -> Retrieval:
        return self.retriever().retrieve(query, audience, limit=limit)


def opened(folder: Path) -> Iterator[PassageIndex]:
    index = PassageIndex(str(folder / "index.db"), embedder_key="fake", dimension=lambda: DIMENSION)
    index.open()
    yield index
    index.close()


def texts(retrieval: Retrieval) -> list[str]:
    return [hit.passage.text for hit in retrieval.hits]


def sureness(retrieval: Retrieval) -> float:
    assert retrieval.confidence is not None
    return retrieval.confidence
