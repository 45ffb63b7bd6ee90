"""Measure ingestion: how much of it is the embedder's, and how long an unchanged folder takes.

    python bench/ingest.py pages DOCUMENTS [--pages 1000]
    python bench/ingest.py rescan [--files 100000]

`pages` copies DOCUMENTS until they have so many pages, each copy with other bytes and other words,
and learns them with the configured embedding model; nothing is read by OCR. `rescan` scans a
folder whose files are all known, first by their bytes and then by metadata alone. Each prints its
figures, and ends with 1 where they are beyond the bound.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from langchain_core.embeddings import Embeddings  # noqa: E402
from sqlalchemy import insert  # noqa: E402

from bot.models import embedding_model  # noqa: E402
from bot.settings import load_settings  # noqa: E402
from rag.errors import DocumentError  # noqa: E402
from rag.ingest.folders import Folder, scan  # noqa: E402
from rag.ingest.indexer import Indexer  # noqa: E402
from rag.ingest.parsed import Parsed, Segment  # noqa: E402
from rag.ingest.sandbox import Sandbox  # noqa: E402
from rag.ingest.splitters import chunks, make_splitter  # noqa: E402
from rag.models.embeddings import EmbeddingModel  # noqa: E402
from rag.records import Records, batches  # noqa: E402
from rag.schema import content, document, metadata, open_engine, version  # noqa: E402
from rag.store import PassageIndex  # noqa: E402
from tests.fakes import HashEmbeddings, LineParser, split_by_segment  # noqa: E402

ZIPPED = {".docx", ".pptx", ".xlsx", ".epub", ".odt"}
TEXT = {".txt", ".md", ".html", ".csv"}
PAGE = 3000
"""Characters that count as a page where a format has none."""
SHARE, SECONDS = 0.8, 10.0


class Timed(Embeddings):
    """The embedding model, and how long it took."""

    def __init__(self, model: EmbeddingModel) -> None:
        self._model = model
        self.seconds = 0.0

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed passages."""
        started = time.perf_counter()
        try:
            return self._model.embed_documents(texts)
        finally:
            self.seconds += time.perf_counter() - started

    def embed_query(self, text: str) -> list[float]:
        """Embed a question."""
        return self._model.embed_query(text)


class Varied:
    """The real parser; every tenth word and Chinese sentence of a copy ends in its number."""

    def __init__(self) -> None:
        self._sandbox = Sandbox()
        self.seconds = 0.0

    def parse(self, files: Sequence[Path]) -> Iterator[Parsed | DocumentError]:
        """Yield each file's text."""
        started = time.perf_counter()
        for file, parsed in zip(files, self._sandbox.parse(files), strict=True):
            self.seconds += time.perf_counter() - started
            if isinstance(parsed, Parsed):
                number = file.name.partition("-")[0]
                parsed = replace(parsed, segments=tuple(_vary(s, number) for s in parsed.segments))
            yield parsed
            started = time.perf_counter()


def _vary(segment: Segment, number: str) -> Segment:
    words = segment.text.replace("。", f"{number}。").split(" ")
    return replace(
        segment, text=" ".join(f"{w}{number}" if n % 10 == 0 else w for n, w in enumerate(words))
    )


def _readable(documents: Path) -> dict[Path, int]:
    """Return the files that can be copied with other bytes, and how many pages each has."""
    files = sorted(f for f in documents.iterdir() if f.suffix in {*ZIPPED, *TEXT, ".pdf"})
    return {
        file: parsed.pages or max(1, len(parsed.text) // PAGE)
        for file, parsed in zip(files, Sandbox().parse(files), strict=True)
        if isinstance(parsed, Parsed)
    }


def _copy(file: Path, to: Path, number: int) -> None:
    shutil.copyfile(file, to)
    if file.suffix in ZIPPED:
        with zipfile.ZipFile(to, "a") as archive:
            archive.comment = b"copy %d" % number
    else:
        with to.open("ab") as more:
            more.write(b"\n%%copy %d\n" % number)


def pages(documents: Path, wanted: int) -> bool:
    """Learn copies of documents and print where the time went."""
    settings = load_settings(ROOT / "config.yaml")
    model = embedding_model(settings)
    model.load()
    readable = _readable(documents)
    with tempfile.TemporaryDirectory(prefix="teamglm-bench-") as name:
        folder = Path(name)
        made = number = 0
        (folder / "files").mkdir()
        while made < wanted:
            for file, count in readable.items():
                if made < wanted:
                    _copy(file, folder / "files" / f"{number}-{file.name}", number)
                    made += count
            number += 1
        splitter = make_splitter(
            settings.splitter.name, model.count_tokens, max_tokens=settings.splitter.max_tokens
        )
        index = PassageIndex(
            str(folder / "index.db"), embedder_key="bench", dimension=lambda: model.dimension
        )
        index.open()
        engine = open_engine(f"sqlite:///{folder / 'records.db'}")
        metadata.create_all(engine)
        records, timed, parser = Records(engine), Timed(model), Varied()
        indexer = Indexer(
            records, index, parser, lambda parsed: chunks(parsed, splitter), timed,
            embedder_key="bench", splitter_key="bench", blobs=folder / "blobs",
        )  # fmt: skip
        before = _memory()
        started = time.perf_counter()
        report = scan(Folder("bench", folder / "files"), indexer, records)
        seconds = time.perf_counter() - started
        index.close()
        engine.dispose()
    model.close()
    share, parsing = timed.seconds / seconds, parser.seconds / seconds
    print(
        f"| {made:,} | {report.added:,} | {report.chunks:,} | {seconds:.0f} s | {100 * share:.0f} %"
        f" | {100 * parsing:.0f} % | {_memory() - before:.0f} MB |"
    )
    return share >= SHARE


def rescan(count: int) -> bool:
    """Scan a folder of known files and print how long it took."""
    with tempfile.TemporaryDirectory(prefix="teamglm-bench-") as name:
        folder = Path(name)
        root = folder / "files"
        names = [f"{n % 100:02}/{n // 100:06}.txt" for n in range(count)]
        for n in range(100):
            (root / f"{n:02}").mkdir(parents=True)
        for each in names:
            (root / each).write_text(f"{each}\n")
        engine = open_engine(f"sqlite:///{folder / 'records.db'}")
        metadata.create_all(engine)
        index = PassageIndex(str(folder / "i.db"), embedder_key="bench", dimension=lambda: 16)
        records = Records(engine)
        indexer = Indexer(
            records, index, LineParser(), split_by_segment, HashEmbeddings(),
            embedder_key="bench", splitter_key="bench", blobs=folder / "blobs",
        )  # fmt: skip
        # As if each had been learned: embedding them all is not what is measured.
        with engine.begin() as connection:
            for batch in batches(names):
                known = [(sha256(f"{each}\n".encode()).hexdigest(), each) for each in batch]
                connection.execute(insert(content), [
                    {"key": f"{k}.txt#1", "blob": f"{k}.txt", "size": 1, "text": "", "segments": []}
                    for k, _ in known
                ])  # fmt: skip
                connection.execute(insert(document), [
                    {"id": k[:32], "scope": "public", "source": "folder:bench", "name": each,
                     "live_version": k[:32], "state": "ready", "created_at": "", "updated_at": ""}
                    for k, each in known
                ])  # fmt: skip
                connection.execute(insert(version), [
                    {"id": k[:32], "document": k[:32], "content": f"{k}.txt#1", "number": 1,
                     "splitter": "bench", "embedder": "bench", "chunks": 0, "indexed_at": ""}
                    for k, _ in known
                ])  # fmt: skip
        later = time.time_ns() + 10**10  # when metadata may be trusted
        times, memory, spent = [], [], 0.0
        for _ in range(2):
            before, started, spent = _memory(), time.perf_counter(), time.process_time()
            report = scan(Folder("bench", root), indexer, records, now_ns=lambda: later)
            times.append(time.perf_counter() - started)
            spent = time.process_time() - spent
            memory.append(_memory() - before)
            if report.unchanged != count:
                raise SystemExit(f"not all were known: {report.counts()}")
        engine.dispose()
    print(
        f"| {count:,} | {times[0]:.1f} s | {times[1]:.1f} s | {spent:.1f} s "
        f"| {max(memory):.0f} MB |"
    )
    return times[1] < SECONDS


def _memory() -> float:
    """Return the most memory that this process has held, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def main() -> int:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    of_pages = verbs.add_parser("pages")
    of_pages.add_argument("documents", type=Path)
    of_pages.add_argument("--pages", type=int, default=1000)
    verbs.add_parser("rescan").add_argument("--files", type=int, default=100_000)
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    if options.verb == "rescan":
        print("| files | all hashed | metadata alone | of it processor | more memory |")
        print("|---:|---:|---:|---:|---:|")
        return 0 if rescan(options.files) else 1
    print("| pages | files | passages | in all | embedder | parser | more memory |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    return 0 if pages(options.documents, options.pages) else 1


if __name__ == "__main__":
    sys.exit(main())
