"""Tables that can be queried, in a child process that may do nothing else."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rag.errors import TeamglmError
from rag.ingest.processes import MEBIBYTE, answer_line, end, program_of, start
from rag.tables.cells import Value
from rag.tables.table import Table

_PROGRAM = program_of("rag.tables.child")

_MAX_ANSWER = 16 * MEBIBYTE
_START_SECONDS = 60.0
_GRACE_SECONDS = 2.0


class QueryRefused(TeamglmError):
    """A query that does more than ask the tables."""


class QueryFailed(TeamglmError):
    """A query that can't be answered; the text is DuckDB's own and says what is wrong with it."""


class QueryTimeout(TeamglmError):
    """A query that took too long, or too much memory."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows with the names of their columns."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    count: int | None = None
    """How many there are in all; None if not even those who asked know."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a query found, and the rows that it was computed from, where that is plain."""

    found: Rows
    basis: Rows | None


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """What a query may take and tell; the bytes are DuckDB's and the whole child's."""

    rows: int = 200
    basis: int = 20
    seconds: float = 10.0
    cpu_seconds: int = 60
    memory: int = 512 * MEBIBYTE
    address_space: int = 2048 * MEBIBYTE


class Database:
    """Answers queries over tables; the child starts with the first one and ends with `close`.

    Safe from any thread, one query at a time. A query that kills the child fails alone.
    """

    def __init__(self, tables: Sequence[Table], limits: QueryLimits | None = None) -> None:
        self._tables = tables
        self._limits = limits or QueryLimits()
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """Load the tables; blocking. Raise `QueryTimeout` where they take too much memory."""
        with self._lock:
            self._started()

    def run(self, sql: str) -> Result:
        """Return what a query finds; raise `QueryRefused`, `QueryFailed` or `QueryTimeout`."""
        with self._lock:
            told = self._asked(self._started(), {"sql": sql}, self._query_seconds)
        if "refused" in told:
            raise QueryRefused(str(told["refused"]))
        if "slow" in told:
            raise QueryTimeout("The query took too long.")
        if "failed" in told:
            raise QueryFailed(str(told["failed"]))
        rows = tuple(map(tuple, told["rows"]))
        found = Rows(tuple(told["columns"]), rows, None if told["more"] else len(rows))
        basis = told["basis"]
        if basis is None:
            return Result(found, None)
        rests_on = Rows(tuple(basis["columns"]), tuple(map(tuple, basis["rows"])), basis["count"])
        return Result(found, rests_on)

    def close(self) -> None:
        """End the child, whatever it is doing; it starts no more."""
        self._closed = True
        process = self._process
        if process is not None:
            process.kill()  # whoever waits for its answer lets go of the lock
        with self._lock:
            self._end()

    @property
    def _query_seconds(self) -> float:
        return 2 * self._limits.seconds + _GRACE_SECONDS  # the query, and what it rests on

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._end()
        if self._closed:
            raise QueryTimeout("Nobody waits for the answer any more.")
        self._process = start(_PROGRAM)
        job = {
            "tables": [
                {
                    "name": table.name,
                    "columns": [[column.name, column.kind] for column in table.columns],
                    "rows": table.rows,
                }
                for table in self._tables
            ],
            "rows": self._limits.rows,
            "basis": self._limits.basis,
            "seconds": self._limits.seconds,
            "cpu": self._limits.cpu_seconds,
            "memory": self._limits.memory,
            "address_space": self._limits.address_space,
        }
        self._asked(self._process, job, _START_SECONDS)
        return self._process

    def _asked(
        self, process: subprocess.Popen[bytes], question: dict[str, Any], seconds: float
    ) -> dict[str, Any]:
        """Return what the child says to a line; raise `QueryTimeout` if it says nothing."""
        assert process.stdin and process.stdout  # noqa: S101, PT018 - we asked for pipes
        try:
            process.stdin.write(json.dumps(question, ensure_ascii=False).encode() + b"\n")
            process.stdin.flush()
            line = answer_line(process.stdout.fileno(), seconds, _MAX_ANSWER)
        except BrokenPipeError:
            line = b""
        if not line:
            self._end()
            reason = "long" if line is None else "much memory"
            raise QueryTimeout(f"The query took too {reason}.")
        told: dict[str, Any] = json.loads(line)
        return told

    def _end(self) -> None:
        if self._process is not None:
            end(self._process)
            self._process = None
