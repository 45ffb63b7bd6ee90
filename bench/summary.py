"""Measure how much memory a summary of a long PDF takes.

    python bench/summary.py [--pages 30 300]

Each document is written for this, 300 words a page, and summarised by `teamglm summarise` as people
run it, with the embedded embedding model and a played server for the chat model. What the bot, its
parsers and the embedding model's process hold at most is the kernel's own figure (VmHWM), looked at
every 10 ms: Linux only. Ends with 1 where the longest document takes much more than the shortest.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from aiohttp import web

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.doubles.site import Site, serving  # noqa: E402
from tests.rag.ingest.files import make_pdf  # noqa: E402

WORDS, A_LINE = 300, 12
MORE = 64.0
"""Megabytes that the longest document's summary may take more than the shortest one's."""
GLANCE_SECONDS = 0.01
PARTS = ("rag.ingest.child", "multiprocessing")
"""What the command lines of the parsers and of the embedding model's process have in them."""
_SENTENCE = re.compile(r"Rule \d[^.]+\.")
_STEMS = ("harbour", "ledger", "crane", "pilot", "tariff", "buoy", "permit", "winch", "cargo")


def document(pages: int) -> bytes:
    """Return a PDF whose every sentence is another."""
    chance = random.Random(pages)  # noqa: S311 - nothing is secret
    words = [f"{stem}{ending}" for stem in _STEMS for ending in ("", "s", "ing", "er", "ed", "age")]
    return make_pdf([list(_lines(chance, words, page)) for page in range(1, pages + 1)])


def _lines(chance: random.Random, words: list[str], page: int) -> Iterator[str]:
    for line in range(WORDS // A_LINE):
        said = " ".join(chance.choices(words, k=A_LINE - 2))
        yield f"Rule {page}-{line} {said}."


async def played(asked: web.BaseRequest) -> web.StreamResponse:
    """Answer a prompt with the first and the last sentence in it, as a server streams."""
    if asked.path.endswith("/models"):
        return web.json_response({"object": "list", "data": [{"id": "played"}]})
    told = str((await asked.json())["messages"][-1]["content"])
    found = _SENTENCE.findall(told)
    text = " ".join([*found[:1], *found[-1:]]) or "Nothing."
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": "stop"}
    event = {"id": "1", "object": "chat.completion.chunk", "model": "played", "choices": [choice]}
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(asked)
    await response.write(f"data: {json.dumps(event)}\n\ndata: [DONE]\n\n".encode())
    return response


def family(pid: int) -> Iterator[int]:
    """Yield a process and all that it has started."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from family(int(child))


def look(pid: int, peaks: dict[str, float]) -> None:
    """Note the most megabytes that each kind of process has held until now."""
    try:
        for each in family(pid):
            line = Path(f"/proc/{each}/cmdline").read_text()
            kind = next((part for part in PARTS if part in line), "bot")
            status = Path(f"/proc/{each}/status").read_text()
            held = re.search(r"VmHWM:\s+(\d+)", status)
            # Just after its start a child still is what started it.
            if held and (each == pid or kind != "bot"):
                peaks[kind] = max(peaks.get(kind, 0.0), int(held[1]) * 1024 / 1e6)
    except OSError:
        return  # one of them has just ended


async def summarised(folder: Path, pages: int, server: str) -> dict[str, float]:
    """Summarise a document of so many pages; print what that took."""
    file = folder / f"{pages}.pdf"
    content = await asyncio.to_thread(document, pages)
    await asyncio.to_thread(file.write_bytes, content)
    model = f"{{provider: openai, model: played, base_url: '{server}/v1'}}"
    changes = ("--set", "chat_model=played", "--set", f"models.played={model}")
    data = ("--config", str(ROOT / "config.yaml"), "--data", str(folder / f"data-{pages}"))
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", *data, *changes, "summarise", str(file), "--json"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "OPENAI_API_KEY": "none"},
    )
    ended = asyncio.create_task(process.communicate())
    peaks: dict[str, float] = {}
    while not ended.done():
        look(process.pid, peaks)
        await asyncio.sleep(GLANCE_SECONDS)
    told = json.loads((await ended)[0])
    seconds = time.perf_counter() - began
    cited = sorted({citation["page"] for citation in told["citations"]})
    parser, embedder = (peaks[part] for part in PARTS)
    print(
        f"| {pages} | {len(content) / 1e6:.1f} MB | {peaks['bot']:.0f} MB | {parser:.0f} MB "
        f"| {embedder:.0f} MB | {seconds:.0f} s | {', '.join(map(str, cited))} |",
        flush=True,
    )
    return peaks


async def main() -> int:
    """Summarise each, and compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pages", type=int, nargs="+", default=[30, 300])
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print("| pages | file | bot | parser | embedding model | in all | pages cited |")
    print("|---:|---:|---:|---:|---:|---:|---|")
    site = Site()
    site.answer = played
    with TemporaryDirectory(prefix="teamglm-bench-") as folder:
        async for server in serving(site):
            taken = [await summarised(Path(folder), n, server.address) for n in options.pages]
    more = {kind: taken[-1][kind] - taken[0][kind] for kind in taken[0]}
    print("more for the last than for the first:", {k: round(v) for k, v in more.items()}, "MB")
    return 0 if max(more.values()) <= MORE else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
