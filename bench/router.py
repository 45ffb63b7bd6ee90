"""How often a plain message gets the right skill: `python -m bench.router [--half NAME]`.

Over `bench/data/router.jsonl`, with the embedding model of config.yaml. The tuning half is among
the examples that the router learns from, so it is told by routers that learned from all but a tenth
of them; the untouched half by the one that people get, and so are the messages of
`bench/data/router_development.jsonl`, whose mistakes told which examples were missing.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bot.models import embedding_model
from bot.router import INTENTS, Intent, Router, examples
from bot.settings import load_settings

ROOT = Path(__file__).parents[1]
SETS = ROOT / "bench" / "data"
HALVES = ("tuning", "untouched", "development")
TENTHS = 10

Said = tuple[str, str, str]
"""A message, its intent and its language."""


def messages(half: str) -> list[Said]:
    """Return one half of the set, or the development set."""
    name = "router_development" if half == "development" else "router"
    lines = (SETS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row.get("half", half) == half]
    return [(row["text"], row["intent"], row["language"]) for row in rows]


def split(known: dict[Intent, list[str]], tenth: int) -> dict[Intent, list[str]]:
    """Return the examples but for every tenth of them."""
    return {
        intent: [text for at, text in enumerate(texts) if at % TENTHS != tenth]
        for intent, texts in known.items()
    }


def told(
    half: str, embed: dict[str, npt.NDArray[np.float64]], folder: Path
) -> dict[str, dict[Intent, float]]:
    """Return how likely each intent of each message of a half is, the likeliest first."""
    known = examples()
    asked = [text for text, _, _ in messages(half)]
    routers = []
    for tenth in range(TENTHS) if half == "tuning" else (-1,):
        router = Router(lambda texts: [embed[text].tolist() for text in texts], split(known, tenth))
        router.learn(folder / f"{tenth}.npz", "bench")
        routers.append(router)
    place = {text: at % TENTHS for texts in known.values() for at, text in enumerate(texts)}
    chosen = {text: routers[place[text] if half == "tuning" else 0] for text in asked}
    return {text: chosen[text].tell(text) for text in asked}


def report(half: str, folder: Path) -> str:
    """Return the figures of a half as text."""
    model = embedding_model(load_settings(ROOT / "config.yaml"))
    model.load()
    try:
        texts = [text for texts in examples().values() for text in texts]
        texts += [text for text, _, _ in messages(half)]
        vectors = np.array(model.embed_queries(texts), np.float64)
        embed = dict(zip(texts, vectors, strict=True))
    finally:
        model.close()
    began = time.perf_counter()
    shares = told(half, embed, folder)
    seconds = time.perf_counter() - began
    rows = messages(half)
    found = {text: next(iter(each)) for text, each in shares.items()}
    right = [(intent, language) for text, intent, language in rows if found[text] == intent]
    lines = [f"{half}: {len(right)} of {len(rows)} = {len(right) / len(rows):.1%}"]
    for at, names in ((1, ("en", "zh", "mixed")), (0, INTENTS)):
        counts = Counter(each[at] for each in right)
        all_of = Counter(row[1 + at] for row in rows)
        lines += [f"  {name}: {counts[name]} of {all_of[name]}" for name in names if all_of[name]]
    lines.append(f"learned and told in {seconds:.1f} s, without the embedding")
    return "\n".join(lines)


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--half", choices=HALVES, default="tuning")
    options = parser.parse_args()
    with TemporaryDirectory() as kept:
        print(report(options.half, Path(kept)))
