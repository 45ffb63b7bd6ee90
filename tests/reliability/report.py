"""Write what `make reliability` found as the table of docs/reliability.md."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.reliability.rows import RESULTS, Progress

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
TABLE = re.compile(r"(?<=<!-- rows -->\n).*?(?=<!-- end of rows -->)", re.DOTALL)


def table(results: Path) -> str:
    """Return one line a part of a row, by the rows' names."""
    kept = [Progress(**json.loads(file.read_text("utf-8"))) for file in results.glob("*.json")]
    kept.sort(key=lambda each: (each.row[0], int(each.row[1:]), each.what))
    lines = ["| Row | What | Held | Of | Seconds |", "|---|---|---:|---:|---:|"]
    lines += [
        f"| {each.row} | {each.what} | {each.held:,} | {each.wanted:,} | {each.seconds:.0f} |"
        for each in kept
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(TABLE.sub(lambda _: table(RESULTS), text), encoding="utf-8")
