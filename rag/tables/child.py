"""The child that queries: limits first, then the tables, then one query after the other.

Started by `rag.tables.database` with `python -I`. Once the tables are there it opens no file any
more, whatever DuckDB is told.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any

from rag.ingest.confinement import confine, open_answers

_EVERY_TYPE = (
    "SELECT DATE '2026-01-01', TIMESTAMP '2026-01-01 10:00', TIME '10:00', 1.5::DECIMAL(9, 2), "
    "1::HUGEINT, INTERVAL 1 DAY, [1], {'a': 1}"
)


def main() -> None:
    """Read the job from the first line of stdin, then a query a line; a line answers each."""
    source, answers = sys.stdin.buffer, open_answers()
    job: dict[str, Any] = json.loads(source.readline())
    confine(job["address_space"])
    resource.setrlimit(resource.RLIMIT_CPU, (job["cpu"], job["cpu"]))
    from rag.tables.engine import Engine

    engine = Engine(
        job["tables"],
        rows=job["rows"],
        basis=job["basis"],
        seconds=job["seconds"],
        memory=job["memory"],
    )
    # What a library imports late it imports now: from here on there is nothing to open.
    engine.connection.execute(_EVERY_TYPE).fetchall()
    engine.run("SELECT nothing")
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    answers.write(b"{}\n")
    answers.flush()
    while line := source.readline():
        answer = engine.run(str(json.loads(line)["sql"]))
        answers.write(json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
        answers.flush()
    os._exit(0)
