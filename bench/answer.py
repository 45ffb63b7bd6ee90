"""Measure how soon an answer begins and ends, and what we add to the model's own time.

    python bench/answer.py SETS_OUT OUT [--questions 20] [--server]

SETS_OUT is what `bench/qa.py prepare` wrote. Questions of the tuning halves of `xquad-en` and
`xquad-zh` are answered with the embedded model in process, or with `--server` by the same weights
behind an OpenAI-compatible server (llama.cpp's own) on this machine. Retrieval and prompt are ours:
together they should be under 5 % of the time to the first token. Resumes where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bot.models import chat_model  # noqa: E402
from bot.settings import load_settings  # noqa: E402
from rag.models.llamacpp import LlamaCppChat  # noqa: E402

SETS = ("xquad-en", "xquad-zh")


@contextmanager
def server() -> Iterator[list[str]]:
    """Serve the configured model's weights; yield the settings that have the bot use them."""
    import os

    import xllamacpp

    settings = load_settings(ROOT / "config.yaml")
    params = xllamacpp.CommonParams()
    chat = chat_model(settings)
    if not isinstance(chat, LlamaCppChat):
        raise SystemExit("config.yaml names no embedded model or GGUF file.")
    params.model.path = str(chat.model_path)
    params.n_ctx = 4096 * 2
    params.n_parallel = 2
    params.n_batch = params.n_ubatch = 64
    params.cache_ram_mib = 0
    params.verbosity = -1
    key = secrets.token_urlsafe(16)
    params.api_keys = [key]
    running = xllamacpp.Server(params)
    os.environ["OPENAI_API_KEY"] = key
    address = f"{running.listening_address}/v1"
    entry = f"{{provider: openai, model: served, base_url: '{address}', slots: 1}}"
    yield ["--set", "chat_model=served", "--set", f"models.served={entry}"]
    del running


def measure(sets: Path, out: Path, name: str, count: int, options: Sequence[str]) -> list[Any]:
    """Answer questions of one set and return their timings; a finished run isn't run again."""
    kept = out / f"answer-{name}.jsonl"
    if not kept.exists():
        command = [sys.executable, "-m", "bot", "--data", str(out / "data"), *options, "eval"]
        command += ["--questions", str(sets / name.split(".")[0] / "tuning.jsonl")]
        command += ["--documents", str(sets / name.split(".")[0] / "some")]
        command += ["--limit", str(count), "--seed", "3", "--results", str(kept), "--json"]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)  # noqa: S603
    lines = [line for line in kept.read_text(encoding="utf-8").split("\n") if line.strip()]
    return [json.loads(line)["timings_ms"] for line in lines]


def at(values: Sequence[float], share: float) -> float:
    """Return the value that a share of the others don't exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def row(name: str, timings: Sequence[dict[str, float]]) -> str:
    """Return a line of the table: seconds at p50 and p95, over the questions that were answered."""
    asked = [each for each in timings if "first_token" in each]
    cells = [f"{len(asked)}"]
    for key in ("prompt", "first_token", "first_text", "total"):
        values = [each[key] / 1000 for each in asked if key in each]
        cells.append(f"{at(values, 0.5):.2f} / {at(values, 0.95):.2f}" if values else "–")
    shares = [each["prompt"] / each["first_token"] for each in asked]
    cells.append(f"{at(shares, 0.5):.1%} / {at(shares, 0.95):.1%}" if shares else "–")
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("sets", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--questions", type=int, default=20)
    parser.add_argument("--server", action="store_true")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = []
    if options.server:
        with server() as changes:
            for name in SETS:
                run = f"{name}.server"
                rows.append(
                    row(run, measure(options.sets, options.out, run, options.questions, changes))
                )
    else:
        for name in SETS:
            rows.append(row(name, measure(options.sets, options.out, name, options.questions, ())))
    print(
        "| seconds, p50 / p95 | answered | sources and prompt ready | first token | first sentence "
        "| whole answer | ours of the first token |\n|---|---:|---|---|---|---|---|"
    )
    print("\n".join(rows))


if __name__ == "__main__":
    main()
