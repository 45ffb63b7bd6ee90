"""How often a row is tried, and what is kept of it: a sample in `make test`, all of it on demand.

`RELIABILITY=full` (which `make reliability` sets) tries every case and keeps its progress, so that
a row that was interrupted goes on where it was.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).parents[2] / "build" / "reliability"
FULL = os.environ.get("RELIABILITY") == "full"


@dataclass(frozen=True, slots=True)
class Case:
    """One try; its chances are the same in every run."""

    number: int
    chance: random.Random


@dataclass(slots=True)
class Progress:
    """What is known of a row, as its file in `build/reliability` has it."""

    row: str
    what: str
    wanted: int
    held: int = 0
    seconds: float = 0.0


def cases(row: str, what: str, *, full: int, sample: int) -> Iterator[Case]:
    """Yield the tries of a row; one has held when the next is asked for.

    `row` is its name in the list of rows ("D1"), `what` says which part of it this is ("shuffled
    deliveries"): together they name its file.
    """
    if not FULL:
        for number in range(sample):
            yield Case(number, random.Random(f"{row}/{what}/{number}"))
        return
    file = RESULTS / f"{row} {what}.json".replace("/", "-")
    file.parent.mkdir(parents=True, exist_ok=True)
    progress = Progress(row, what, full)
    if file.exists():
        kept = Progress(**json.loads(file.read_text(encoding="utf-8")))
        progress = kept if kept.wanted == full else progress
    for number in range(progress.held, full):
        started = time.monotonic()
        yield Case(number, random.Random(f"{row}/{what}/{number}"))
        progress.held = number + 1
        progress.seconds += time.monotonic() - started
        file.write_text(json.dumps(asdict(progress)), encoding="utf-8")
