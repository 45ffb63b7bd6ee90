"""Have the model choose tools for `bench/data/tool_choice.jsonl`, and count what is right.

    python bench/tools.py OUT [--half tuning] [--only en-01,zh-03] [--again] [--verbose]

The tools are those of `bench/data/tool_choice.yaml`, the model is config.yaml's; no address is
asked. A value is right when it is one of those in the set, in any case of letters; the values of a
wrong tool are wrong. OUT keeps each choice, so that an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bot.app import App, opened  # noqa: E402
from bot.policies import tools_of  # noqa: E402
from bot.settings import load_settings  # noqa: E402
from bot.tool_settings import ToolsSettings  # noqa: E402
from rag.extraction import NotExtracted  # noqa: E402
from rag.lookup import Lookup  # noqa: E402
from rag.records import Passage  # noqa: E402
from rag.tools import NONE  # noqa: E402

Line = Mapping[str, Any]
SETS = ROOT / "bench/data"


def values_right(line: Line, told: Line) -> int:
    """Return how many values of the right tool are right."""
    if told["tool"] != line["tool"]:
        return 0
    given = told["values"]
    return sum(
        _plain(given.get(name)) in map(_plain, wanted) for name, wanted in line["values"].items()
    )


def _plain(value: object) -> object:
    return value.strip().casefold() if isinstance(value, str) else value


async def choose(app: App, lookup: Lookup, line: Line) -> dict[str, Any]:
    """Return what is chosen for a question, as it is kept."""
    tools = tools_of(app.settings)
    began = time.perf_counter()
    tool, values = None, {}
    try:
        tool = await lookup.choose(line["question"], tools, line["language"])
        # What a wrong one would be told is wrong anyway.
        if tool is not None and tool.name == line["tool"]:
            values = dict(await lookup.values(line["question"], tool, line["language"]))
    except NotExtracted as error:
        print(f"{line['id']}: {error}", file=sys.stderr)
    return {
        "id": line["id"],
        "tool": tool.name if tool else NONE,
        "values": values,
        "seconds": round(time.perf_counter() - began, 1),
    }


async def main(options: argparse.Namespace) -> None:
    """Choose, keep and count."""
    text = (SETS / "tool_choice.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    asked = [line for line in lines if line["half"] == options.half]
    if options.only:
        asked = [line for line in lines if line["id"] in options.only.split(",")]
    options.out.mkdir(parents=True, exist_ok=True)
    kept_file = options.out / f"{options.half}.jsonl"
    kept: dict[str, dict[str, Any]] = {}
    if kept_file.exists() and not options.again:
        for each in kept_file.read_text(encoding="utf-8").splitlines():
            kept[json.loads(each)["id"]] = json.loads(each)
    settings = load_settings(options.config, data=options.out / "data")
    declared = yaml.safe_load((SETS / "tool_choice.yaml").read_text(encoding="utf-8"))["tools"]
    # However slow the machine is, each question is answered.
    patient = settings.answers.model_copy(update={"timeout_seconds": 900})
    update = {
        "tools": ToolsSettings.model_validate(declared), "folders": (), "answers": patient,
    }  # fmt: skip
    async with opened(settings.model_copy(update=update)) as app:
        await app.talking.ready()
        lookup = Lookup(
            tools_of(app.settings), app.author, app.priority, app.fetcher, _read, max_bytes=0
        )
        with kept_file.open("w" if options.again else "a", encoding="utf-8") as out:
            for line in tqdm([line for line in asked if line["id"] not in kept], unit="question"):
                told = kept[line["id"]] = await choose(app, lookup, line)
                out.write(json.dumps(told, ensure_ascii=False) + "\n")
                out.flush()
                if options.verbose:
                    wanted = line.get("values", {})
                    right = told["tool"] == line["tool"]
                    right &= not wanted or values_right(line, told) == len(wanted)
                    print("ok   " if right else "WRONG", line["id"], line["question"], "|",
                          line["tool"], wanted, "|", told["tool"], told["values"])  # fmt: skip
    print(table(asked, kept))


def _read(file: Path, name: str) -> list[Passage]:
    raise AssertionError("no tool is asked")


def table(lines: Sequence[Line], kept: Mapping[str, Mapping[str, Any]]) -> str:
    """Return how many are right, by language, as Markdown."""
    rows = ["| | tool right | its values right | both, all of them | none told |"]
    rows.append("|---|---:|---:|---:|---:|")
    for language in ("en", "zh", "both"):
        own = [line for line in lines if language in (line["language"], "both")]
        fits = [line for line in own if line["tool"] != NONE]
        none = [line for line in own if line["tool"] == NONE]
        chosen = sum(kept[line["id"]]["tool"] == line["tool"] for line in fits)
        values = [(values_right(line, kept[line["id"]]), len(line["values"])) for line in fits]
        right, of = sum(each for each, _ in values), sum(each for _, each in values)
        whole = sum(each == wanted for each, wanted in values)
        refused = sum(kept[line["id"]]["tool"] == NONE for line in none)
        rows.append(
            f"| {language} | {chosen} of {len(fits)} | {right} of {of} | {whole} of {len(fits)} "
            f"| {refused} of {len(none)} |"
        )
    times = sorted(kept[line["id"]]["seconds"] for line in lines)
    rows.append(f"\nSeconds a question: median {times[len(times) // 2]}, slowest {times[-1]}.")
    return "\n".join(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--config", type=Path, default=ROOT / "config.yaml")
    parser.add_argument("--half", choices=["tuning", "untouched"], default="tuning")
    parser.add_argument("--only", help="ids, with commas between")
    parser.add_argument("--again", action="store_true", help="ask what was asked before")
    parser.add_argument("--verbose", action="store_true", help="print each choice")
    asyncio.run(main(parser.parse_args()))
