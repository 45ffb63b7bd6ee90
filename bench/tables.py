"""Ask the questions over sheets of `bench/data/tables.jsonl`, and count what is right.

    python bench/tables.py DOCUMENTS OUT [--half tuning] [--only en-01,zh-03] [--again]

DOCUMENTS is the folder of public files that the set names beside `knowledge` and the formats of the
tests. The bot knows all the sheets that any question is about, and must find the right one. An
answer is right when every value of `gold` stands in it, as `bench/data/README.md` says, it has no
more rows than `gold` has values, and what was to be sorted is; a question that the sheet can't
answer is right when it is refused. OUT keeps each answer, so that an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bot.app import App, opened  # noqa: E402
from bot.messages import Reply, Request  # noqa: E402
from bot.settings import load_settings  # noqa: E402
from bot.source_settings import FolderSettings  # noqa: E402
from rag.ingest.folders import scan  # noqa: E402
from rag.language import HAN  # noqa: E402

Line = Mapping[str, Any]
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_LATIN = re.compile(rf"[^{HAN}]+")


def is_right(line: Line, reply: Mapping[str, Any]) -> bool:
    """Tell whether a reply has every value, or refuses where there is none."""
    if not line["answerable"]:
        return bool(reply["outcome"] == "refusal")
    if reply["outcome"] != "answer":
        return False
    # The rows that an answer rests on are not the answer, and neither is the whole sheet.
    rows = reply["data"]["rows"]
    answer = json.dumps(rows, ensure_ascii=False).casefold()
    numbers = {round(abs(float(n.replace(",", ""))), 1) for n in _NUMBER.findall(answer)}
    if len(rows) > len(line["gold"]):
        return False
    if line["kind"] == "sort":
        places = [answer.find(str(value).casefold()) for value in line["gold"]]
        return -1 not in places and places == sorted(places)
    return all(_stands(value, answer, numbers) for value in line["gold"])


def _stands(value: object, answer: str, numbers: set[float]) -> bool:
    if isinstance(value, int | float):
        return round(abs(float(value)), 1) in numbers
    text = str(value).casefold()
    # A cell that says the same in two languages may be told in one.
    return text in answer or any(
        part.strip() in answer for part in _LATIN.findall(text) if len(part.strip()) > 2
    )


async def ask(app: App, line: Line) -> dict[str, Any]:
    """Return what the bot says to a question, as it is kept."""
    request = Request(
        id=line["id"],
        platform="cli",
        command="table",
        text=line["question"],
        user="bench",
        conversation="bench",
        scope="public",
        audience=frozenset({"public"}),
    )
    reply = None
    async for event in app.dispatcher.handle(request):
        if isinstance(event, Reply):
            reply = event
    assert reply is not None  # noqa: S101 - the last event is one
    return {
        "id": line["id"],
        "outcome": reply.outcome,
        "text": reply.text,
        "data": reply.data,
        "chart": bool(reply.files),
        "seconds": round(reply.timings_ms.get("total", 0) / 1000, 1),
    }


def folders(documents: Path, lines: Sequence[Line]) -> tuple[FolderSettings, ...]:
    """Return the folders of the documents that any question is about, and no other file there."""
    places = {
        "documents": documents,
        "knowledge": ROOT / "knowledge",
        "formats": ROOT / "tests" / "data" / "formats",
    }
    return tuple(
        FolderSettings(
            path=place,
            name=name,
            include=tuple(
                {document for folder, _, document in named if folder == name} or {"nothing"}
            ),
        )
        for name, place in places.items()
        for named in [[line["document"].partition("/") for line in lines]]
    )


async def main(options: argparse.Namespace) -> None:
    """Ask, keep and count."""
    text = (ROOT / "bench/data/tables.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    settings = load_settings(options.config, data=options.out / "data")
    # However slow the machine is, each question is answered.
    patient = settings.answers.model_copy(update={"timeout_seconds": 900})
    chosen = settings.model_copy(
        update={"folders": folders(options.documents, lines), "answers": patient}
    )
    asked = [line for line in lines if line["half"] == options.half]
    if options.only:
        asked = [line for line in lines if line["id"] in options.only.split(",")]
    kept_file = options.out / f"{options.half}.jsonl"
    kept: dict[str, dict[str, Any]] = {}
    if kept_file.exists() and not options.again:
        for each in kept_file.read_text(encoding="utf-8").splitlines():
            kept[json.loads(each)["id"]] = json.loads(each)
    async with opened(chosen) as app:
        await app.knowledge.ready()
        await app.talking.ready()
        for folder in app.folders:
            report = await asyncio.to_thread(scan, folder, app.indexer, app.records)
            for name, code, _ in report.failed:
                print(f"{name} can't be read: {code}", file=sys.stderr)
        with kept_file.open("w" if options.again else "a", encoding="utf-8") as out:
            for line in tqdm([line for line in asked if line["id"] not in kept], unit="question"):
                kept[line["id"]] = await ask(app, line)
                out.write(json.dumps(kept[line["id"]], ensure_ascii=False) + "\n")
                out.flush()
                if options.verbose:
                    told = kept[line["id"]]
                    data = told["data"] or {}
                    mark = "ok   " if is_right(line, told) else "WRONG"
                    print(mark, line["id"], line["question"], "|", line["gold"], "|",
                          data.get("rows") or data.get("reason"), "|", data.get("sql"))  # fmt: skip
    print(table(asked, kept))


def table(lines: Sequence[Line], kept: Mapping[str, Mapping[str, Any]]) -> str:
    """Return how many are right, by kind, as Markdown."""
    rows = ["| kind | questions | right |", "|---|---:|---:|"]
    kinds = sorted({line["kind"] for line in lines})
    right = {line["id"]: is_right(line, kept[line["id"]]) for line in lines}
    for kind in kinds:
        own = [line["id"] for line in lines if line["kind"] == kind]
        rows.append(f"| {kind} | {len(own)} | {sum(right[each] for each in own)} |")
    rows.append(f"| all | {len(lines)} | {sum(right.values())} |")
    answerable = [line for line in lines if line["answerable"]]
    found = sum(
        ((kept[line["id"]]["data"] or {}).get("document") or "")
        == line["document"].partition("/")[2]
        for line in answerable
    )
    times = sorted(kept[line["id"]]["seconds"] for line in lines)
    rows.append("")
    rows.append(
        f"{found} of {len(answerable)} answered from the right document; seconds a question: "
        f"median {times[len(times) // 2]}, slowest {times[-1]}."
    )
    return "\n".join(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("documents", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--config", type=Path, default=ROOT / "config.yaml")
    parser.add_argument("--half", choices=["tuning", "untouched"], default="tuning")
    parser.add_argument("--only", help="ids, with commas between")
    parser.add_argument("--again", action="store_true", help="ask what was asked before")
    parser.add_argument("--verbose", action="store_true", help="print each answer")
    asyncio.run(main(parser.parse_args()))
