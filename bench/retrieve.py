"""Measure what retrieval adds to the raw search of the same index, as that grows.

    python bench/retrieve.py [--passages 1000 10000 30000] [--questions 40] [--plot FILE]

Passages of 200 made-up words, as frequent as words are, in sentences, some with a number, are
learned through the real ingestion into the records and the index; vectors are random, since exact
search takes as long for any. A raw search is what a question must ask of the index: the nearest
passages by meaning and by keywords. Retrieval is all that `Retriever` does. They take turns,
question by question, after as many other questions; both need the question's vector, which the
configured model is timed for on its own. Ends with 1 where the ratio of the medians, with that
vector, is beyond the bound.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from langchain_core.embeddings import Embeddings  # noqa: E402

from bot.models import embedding_model  # noqa: E402
from bot.settings import load_settings  # noqa: E402
from rag.audience import Audience  # noqa: E402
from rag.ingest.indexer import Indexer  # noqa: E402
from rag.ingest.lessons import Lesson  # noqa: E402
from rag.keywords import query_weights, term_id, terms  # noqa: E402
from rag.language import language_of  # noqa: E402
from rag.models.embeddings import EmbeddingModel  # noqa: E402
from rag.records import Records  # noqa: E402
from rag.retrieval import Retriever  # noqa: E402
from rag.schema import metadata, open_engine  # noqa: E402
from rag.searching import CANDIDATES  # noqa: E402
from rag.store import PassageIndex  # noqa: E402
from tests.fakes import LineParser, split_by_segment  # noqa: E402

DIMENSION = 384
WORDS = 200
A_FILE = 100
VOCABULARY = 20_000
BOUND = 1.2
EVERYONE = Audience.of({"public"})


class RandomEmbeddings(Embeddings):
    """A direction of its own for every text, at once; a question's is kept."""

    def __init__(self) -> None:
        self._kept: dict[str, list[float]] = {}

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed passages."""
        return [self._vector(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """Embed a question."""
        if text not in self._kept:
            self._kept[text] = self._vector(text)
        return self._kept[text]

    def _vector(self, text: str) -> list[float]:
        seed = int.from_bytes(blake2b(text.encode(), digest_size=8).digest())
        vector = np.random.default_rng(seed).standard_normal(DIMENSION, dtype=np.float32)
        return list(map(float, vector / np.linalg.norm(vector)))


class Language:
    """Made-up words, the n-th as frequent as 1/n."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        letters = "bcdfghklmnprstvw", "aeiou"
        self._words = [
            "".join(chance.choice(letters[n % 2]) for n in range(chance.randint(3, 9)))
            for _ in range(VOCABULARY)
        ]
        self._weights = list(accumulate(1 / n for n in range(1, VOCABULARY + 1)))

    def text(self, words: int) -> str:
        """Return a run of words."""
        return " ".join(self._chance.choices(self._words, cum_weights=self._weights, k=words))

    def passage(self) -> str:
        """Return sentences of 5 to 30 words; every third says a number."""
        sentences: list[str] = []
        left = WORDS
        while left > 0:
            words = min(self._chance.randint(5, 30), left)
            number = f" {self._chance.randint(1, 500)}" if self._chance.random() < 1 / 3 else ""
            sentences.append(f"{self.text(words)}{number}.")
            left -= words
        return " ".join(sentences)


class Library:
    """Records and an index that grow."""

    def __init__(self, folder: Path, language: Language) -> None:
        self._folder = folder
        self._language = language
        self.index = PassageIndex(
            str(folder / "index.db"), embedder_key="bench", dimension=lambda: DIMENSION
        )
        self.index.open()
        self.engine = open_engine(f"sqlite:///{folder / 'records.db'}")
        metadata.create_all(self.engine)
        self.records = Records(self.engine)
        self.embeddings = RandomEmbeddings()
        self.indexer = Indexer(
            self.records, self.index, LineParser(), split_by_segment, self.embeddings,
            embedder_key="bench", splitter_key="bench", blobs=folder / "blobs",
        )  # fmt: skip
        self.passages = 0

    def grow(self, passages: int) -> None:
        """Learn until there are so many passages."""

        def lessons() -> Iterator[Lesson]:
            while self.passages < passages:
                name = f"{self.passages}.txt"
                lines = [self._language.passage() for _ in range(A_FILE)]
                (self._folder / name).write_text("\n".join(lines), encoding="utf-8")
                self.passages += A_FILE
                yield Lesson(self._folder / name, "public", "path:bench", name)

        for learned in self.indexer.learn_many(lessons()):
            if learned.state != "ready":
                raise SystemExit(f"{learned.name}: {learned.message}")

    def close(self) -> None:
        """Close both."""
        self.index.close()
        self.engine.dispose()


def measured(library: Library, questions: Sequence[str]) -> tuple[float, float, float]:
    """Return the medians of a raw search and of a retrieval, in ms, of the later half.

    The last number is the ratio of the processor times, which other work on the machine changes
    less: embedded Milvus runs in this process.
    """
    retriever = Retriever(
        library.records, library.index, library.embeddings, embedder_key="bench"
    )  # fmt: skip
    index, records = library.index, library.records
    count = records.passage_count(EVERYONE)
    vectors = {question: library.embeddings.embed_query(question) for question in questions}
    rarities = {
        question: query_weights(
            question, records.frequencies({term_id(t) for t in terms(question)}, EVERYONE), count
        )
        for question in questions
    }

    def raw(question: str) -> None:
        language = language_of(question)
        scopes = EVERYONE.scopes
        index.search_dense(vectors[question], scopes, CANDIDATES, language=language)
        index.search_sparse(rarities[question], scopes, CANDIDATES)

    def whole(question: str) -> None:
        if not retriever.retrieve(question, EVERYONE, limit=10).hits:
            raise SystemExit("nothing was found")

    times: dict[Callable[[str], None], list[float]] = {raw: [], whole: []}
    spent: dict[Callable[[str], None], list[float]] = {raw: [], whole: []}
    for number, question in enumerate(questions):
        for search in (raw, whole) if number % 2 else (whole, raw):
            started, before = time.perf_counter(), time.process_time()
            search(question)
            times[search].append(1000 * (time.perf_counter() - started))
            spent[search].append(time.process_time() - before)
    half = len(questions) // 2
    work = median(spent[whole][half:]) / median(spent[raw][half:])
    return median(times[raw][half:]), median(times[whole][half:]), work


def embedding(model: EmbeddingModel, questions: Sequence[str]) -> float:
    """Return the median of embedding a question with the configured model, in ms."""
    times = []
    for question in questions[:20]:
        started = time.perf_counter()
        model.embed_query(question)
        times.append(1000 * (time.perf_counter() - started))
    return median(times)


def plot(rows: Sequence[tuple[int, float, float]]) -> str:
    """Return both medians over the passages as SVG."""
    width, height, left, bottom = 640, 360, 60, 310
    most = max(count for count, _, _ in rows)
    slowest = max(max(raw, whole) for _, raw, whole in rows)

    def line(values: Sequence[float], colour: str, name: str) -> str:
        points = [
            (left + 540 * count / most, bottom - 270 * value / slowest)
            for (count, _, _), value in zip(rows, values, strict=True)
        ]
        path = " ".join(f"{x:.0f},{y:.0f}" for x, y in points)
        dots = "".join(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="4"/>' for x, y in points)
        labels = "".join(
            f'<text x="{x:.0f}" y="{y + (18 if name == "raw search" else -10):.0f}" '
            f'text-anchor="middle" stroke="none">{value:.0f}</text>'
            for (x, y), value in zip(points, values, strict=True)
        )
        return (
            f'<g stroke="{colour}" fill="{colour}" stroke-width="2">'
            f'<polyline points="{path}" fill="none"/>{dots}{labels}</g>'
        )

    ticks = "".join(
        f'<text x="{left + 540 * count / most:.0f}" y="{bottom + 20}" text-anchor="middle">'
        f"{count:,}</text>"
        for count, _, _ in rows
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="13" fill="#333">'
        '<rect width="100%" height="100%" fill="white"/>'
        f'<path d="M{left},30V{bottom}H610" fill="none" stroke="#999"/>{ticks}'
        f'<text x="{left}" y="20">ms a question (median)</text>'
        f'<text x="600" y="{bottom + 40}" text-anchor="end">passages</text>'
        f"{line([raw for _, raw, _ in rows], '#2a78b8', 'raw search')}"
        f"{line([whole for _, _, whole in rows], '#c2491d', 'retrieval')}"
        '<text x="90" y="50" fill="#c2491d">retrieval</text>'
        '<text x="90" y="68" fill="#2a78b8">raw search</text></svg>\n'
    )


def main() -> int:
    """Measure at each size and print a row for it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passages", type=int, nargs="+", default=[1000, 10_000, 30_000])
    parser.add_argument("--questions", type=int, default=40)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(
        "| passages | raw search | retrieval | times | in processor time "
        "| a question's vector | times, with it |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|")
    chance = random.Random(7)  # noqa: S311 - made-up words
    language = Language(chance)
    rows: list[tuple[int, float, float]] = []
    worst = 0.0
    model = embedding_model(load_settings(ROOT / "config.yaml"))
    model.load()
    with tempfile.TemporaryDirectory(prefix="teamglm-bench-") as name:
        library = Library(Path(name), language)
        for count in options.passages:
            library.grow(count)
            questions = [language.text(chance.randint(6, 12)) for _ in range(2 * options.questions)]
            raw, whole, work = measured(library, questions)
            vector = embedding(model, questions)
            worst = max(worst, (whole + vector) / (raw + vector))
            print(
                f"| {count:,} | {raw:.1f} ms | {whole:.1f} ms | {whole / raw:.2f} | {work:.2f} "
                f"| {vector:.1f} ms | {(whole + vector) / (raw + vector):.2f} |",
                flush=True,
            )
            rows.append((count, raw, whole))
        library.close()
    model.close()
    if options.plot:
        options.plot.write_text(plot(rows), encoding="utf-8")
    return 0 if worst <= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
