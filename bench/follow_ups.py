"""Measure what the turns before a follow-up question help to find it.

    python bench/follow_ups.py DOCUMENTS [--half tuning] [--data DIR]

DOCUMENTS is the folder of public files that `bench/data/follow_ups.jsonl` names beside `knowledge`;
without it only the questions over `knowledge` are asked. A question is found when a passage of its
document is among those that an answer would read, answered when one of them has the answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bot.app import App, opened  # noqa: E402
from bot.handlers.ask import exchanges  # noqa: E402
from bot.messages import Turn  # noqa: E402
from bot.settings import load_settings  # noqa: E402
from bot.source_settings import FolderSettings  # noqa: E402
from rag.audience import PUBLIC, Audience  # noqa: E402
from rag.evaluate import contains  # noqa: E402
from rag.ingest.folders import scan  # noqa: E402
from rag.pipeline import Exchange  # noqa: E402
from rag.retrieval import Hit  # noqa: E402

EVERYONE = Audience.of({PUBLIC})
Line = Mapping[str, Any]


def ways(app: App) -> dict[str, Callable[[Line], Awaitable[Sequence[Hit]]]]:
    """Return each way to search for a follow-up, by what it is called in the table."""

    async def find(question: str, history: Sequence[Exchange] = ()) -> Sequence[Hit]:
        return (await app.pipeline.retrieve(question, EVERYONE, history)).hits

    return {
        "the follow-up alone": lambda line: find(line["follow_up"]),
        "with its history, as the bot does": lambda line: find(line["follow_up"], earlier(line)),
        "the question before, then it, always": lambda line: find(
            f"{earlier(line)[-1].question} {line['follow_up']}"
        ),
        "as a person would have asked": lambda line: find(line["standalone"]),
    }


def earlier(line: Line) -> list[Exchange]:
    """Return the turns before a follow-up as the handler hands them on."""
    return exchanges([Turn(turn["role"], turn["content"]) for turn in line["history"]])


async def rates(
    lines: Sequence[Line], search: Callable[[Line], Awaitable[Sequence[Hit]]]
) -> tuple[int, int, int]:
    """Return of how many the document is first, is read, and the answer is read."""
    first = read = answered = 0
    for line in lines:
        hits = await search(line)
        names = [hit.passage.document for hit in hits]
        wanted = line["document"].partition("/")[2]
        first += names[:1] == [wanted]
        read += wanted in names
        answered += any(contains(hit.passage.text, line["answers"]) for hit in hits)
    return first, read, answered


async def main(documents: Path | None, half: str, data: Path) -> None:
    """Print the table."""
    text = (ROOT / "bench/data/follow_ups.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    places = {"knowledge": ROOT / "knowledge"} | ({"documents": documents} if documents else {})
    lines = [line for line in lines if line["document"].partition("/")[0] in places]
    named = {line["document"] for line in lines}
    folders = tuple(
        FolderSettings(
            path=place,
            name=name,
            # Of the public files only those that are asked about: the others take minutes to read.
            include=tuple(
                document.partition("/")[2] for document in named if document.startswith(f"{name}/")
            )
            if name == "documents"
            else ("*",),
        )
        for name, place in places.items()
    )
    settings = load_settings(ROOT / "config.yaml", data=data)
    async with opened(settings.model_copy(update={"folders": folders})) as app:
        await app.knowledge.ready()
        for folder in app.folders:
            report = await asyncio.to_thread(scan, folder, app.indexer, app.records)
            for name, code, _ in report.failed:
                print(f"{name} can't be read: {code}", file=sys.stderr)
        asked = [line for line in lines if line["half"] == half]
        print(f"| {half} half, {len(asked)} questions | first | read | its answer read |")
        print("|---|---:|---:|---:|")
        for name, search in ways(app).items():
            counts = await rates(asked, search)
            print(f"| {name} | " + " | ".join(str(count) for count in counts) + " |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("documents", type=Path, nargs="?")
    parser.add_argument("--half", choices=["tuning", "untouched"], default="tuning")
    parser.add_argument("--data", type=Path, help="keeps the index between runs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(options.documents, options.half, options.data or Path(folder)))
