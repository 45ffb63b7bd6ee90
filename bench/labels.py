"""Label by reading: does the cited passage say what a shown sentence says?

    python bench/labels.py sample OUT [--half reporting] [-n 100]
    python bench/labels.py count

`sample` takes sentences evenly from the sets of a finished `bench/qa.py answers OUT` and adds them
to `bench/data/labels.jsonl` with `"supported": null`: put true or false there, and in `because` a
word on each false. Lines that are labelled stay. `count` gives the share and its 95 % interval.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from pathlib import Path
from typing import Any

LABELS = Path(__file__).parent / "data" / "labels.jsonl"
SEED = 11


def read(file: Path) -> list[dict[str, Any]]:
    """Return the lines of a file that may not be there."""
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def sample(out: Path, half: str, count: int) -> None:
    """Add sentences to be labelled."""
    known = read(LABELS)
    have = {(line["set"], line["id"], line["sentence"]) for line in known}
    runs = sorted(out.glob(f"answers-{half}-*.jsonl"))
    for at, run in enumerate(runs):
        name = run.stem.removeprefix(f"answers-{half}-")
        asked = {}
        folder = out / name.removesuffix("-gaps")
        questions = f"{half}-gaps.jsonl" if name.endswith("-gaps") else f"{half}.jsonl"
        for question in read(folder / questions):
            asked[question["id"]] = question["question"]
        shown = [
            {
                "set": name,
                "half": half,
                "id": result["id"],
                "question": asked[result["id"]],
                "sentence": sentence["text"],
                "documents": sentence["documents"],
                "quotes": sentence["quotes"],
                "supported": None,
                "because": "",
            }
            for result in read(run)
            for sentence in result["sentences"]
        ]
        share = count * (at + 1) // len(runs) - count * at // len(runs)
        random.Random(SEED).shuffle(shown)  # noqa: S311
        for line in shown[:share]:
            if (line["set"], line["id"], line["sentence"]) not in have:
                known.append(line)
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in known)
    LABELS.write_text(text, encoding="utf-8")
    print(f"{sum(line['supported'] is None for line in known)} of {len(known)} to be labelled")


def count() -> None:
    """Print how many of the labelled sentences are supported, by half."""
    for half in ("tuning", "reporting"):
        labels = [line["supported"] for line in read(LABELS) if line["half"] == half]
        told = [label for label in labels if label is not None]
        if told:
            low, high = wilson(sum(told), len(told))
            print(f"{half}: {sum(told)} of {len(told)} supported ({low:.1%} to {high:.1%})")


def wilson(held: int, tries: int, z: float = 1.96) -> tuple[float, float]:
    """Return the 95 % interval of a share."""
    share = held / tries
    middle = (share + z * z / (2 * tries)) / (1 + z * z / tries)
    spread = z / (1 + z * z / tries)
    spread *= math.sqrt(share * (1 - share) / tries + z * z / (4 * tries * tries))
    return max(middle - spread, 0.0), min(middle + spread, 1.0)


def main() -> None:
    """Run one step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    steps = parser.add_subparsers(dest="step", required=True)
    step = steps.add_parser("sample")
    step.add_argument("out", type=Path)
    step.add_argument("--half", choices=("tuning", "reporting"), default="reporting")
    step.add_argument("-n", type=int, default=100)
    steps.add_parser("count")
    options = parser.parse_args()
    if options.step == "sample":
        sample(options.out, options.half, options.n)
    else:
        count()


if __name__ == "__main__":
    main()
