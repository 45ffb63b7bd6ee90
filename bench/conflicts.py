"""Measure what becomes of documents that differ: the newest counts, and a conflict is said.

    python bench/conflicts.py [--half tuning] [--answers] [--data DIR]

Every pair of `bench/data/conflicts.jsonl` is learned into a scope of its own and asked about
together with the sample in `tests/data/mini`. Retrieval is right when every document that is to be
cited is read and no other of the pair; an answer is right when it says what it should, cites these
documents, and has nothing of what is not the answer (what is mentioned as superseded counts as
wrong here: read those).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bot.app import App, opened  # noqa: E402
from bot.settings import load_settings  # noqa: E402
from bot.source_settings import FolderSettings  # noqa: E402
from rag.audience import PUBLIC, Audience  # noqa: E402
from rag.ingest.folders import scan  # noqa: E402
from rag.pipeline import Sentence  # noqa: E402

Line = Mapping[str, Any]


def scope(line: Line) -> str:
    """Return the scope that a pair is learned into."""
    return f"folder:conflict-{line['id']}"


def learn(app: App, lines: list[Line], folder: Path) -> None:
    """Learn the pairs, each into its scope."""
    for line in lines:
        place = folder / line["id"]
        place.mkdir(parents=True)
        for document in line["documents"]:
            file = place / document["name"]
            file.write_text(document["text"], encoding="utf-8")
            app.indexer.learn(file, scope=scope(line), source="upload", name=file.name)


async def reads_rightly(app: App, line: Line) -> bool:
    """Tell whether of the pair exactly the right documents are read."""
    audience = Audience.of({PUBLIC, scope(line)})
    found = await app.pipeline.retrieve(line["question"], audience)
    pair = {document["name"] for document in line["documents"]}
    read = {hit.passage.document for hit in found.hits if not hit.replaced}
    return read & pair == set(line["cites"])


async def answer(app: App, line: Line) -> tuple[str, set[str]]:
    """Return an answer and the documents that it cites."""
    text, cited = "", set()
    async for event in app.pipeline.stream(line["question"], Audience.of({PUBLIC, scope(line)})):
        if isinstance(event, Sentence):
            text += event.text
            cited |= {citation.document for citation in event.citations}
    return text.strip(), cited


async def main(half: str, answers: bool, data: Path) -> None:
    """Print what was found for each pair, and the table."""
    text = (ROOT / "bench/data/conflicts.jsonl").read_text(encoding="utf-8")
    lines = [line for line in map(json.loads, text.splitlines()) if line["half"] == half]
    mini = FolderSettings(path=ROOT / "tests/data/mini", name="mini")
    settings = load_settings(ROOT / "config.yaml", data=data)
    rows: dict[str, list[list[bool]]] = {}
    async with opened(settings.model_copy(update={"folders": (mini,)})) as app:
        await app.knowledge.ready()
        await asyncio.to_thread(scan, app.folders[0], app.indexer, app.records)
        with tempfile.TemporaryDirectory() as folder:
            await asyncio.to_thread(learn, app, lines, Path(folder))
        if answers:
            await app.talking.ready()
        for line in lines:
            cells = [await reads_rightly(app, line)]
            said: tuple[str, set[str]] = ("", set())
            if answers:
                said = await answer(app, line)
                cells += [
                    all(part in said[0] for part in line["says"]),
                    not any(part in said[0] for part in line["not_as_the_answer"]),
                    set(line["cites"]) <= said[1],
                ]
            rows.setdefault(line["kind"], []).append(cells)
            print(line["id"], line["kind"], cells, *said, file=sys.stderr)
    heads = ["read"] + ["says it", "nothing else", "cites it"] * answers
    print(f"| {half} half | pairs | " + " | ".join(heads) + " |")
    print("|---|" + "---:|" * (len(heads) + 1))
    for kind, cells_of in rows.items():
        counts = [str(sum(column)) for column in zip(*cells_of, strict=True)]
        print(f"| {kind} | {len(cells_of)} | " + " | ".join(counts) + " |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--half", choices=["tuning", "untouched"], default="tuning")
    parser.add_argument("--answers", action="store_true", help="ask the chat model, too")
    parser.add_argument("--data", type=Path, help="keeps the index between runs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(options.half, options.answers, options.data or Path(folder)))
