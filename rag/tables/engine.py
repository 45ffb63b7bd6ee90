"""DuckDB in memory, without files, network, extensions or settings; in the child."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import duckdb

from rag.tables import guard

Config = dict[str, str | bool | int | float | list[str]]

_SETTINGS = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_unsigned_extensions": "false",
    "python_enable_replacements": "false",
    "temp_directory": "",
    "max_temp_directory_size": "0B",
    "threads": "1",
}
_CELL = 300  # characters of a value in an answer
_BASIS_COLUMNS = 8


class Slow(Exception):
    """A query that took too long."""


class Engine:
    """Answers queries over tables that it was given, one after the other.

    `rows` bounds an answer, `basis` how many of the rows that it rests on are told, `seconds` each
    query, `memory` DuckDB.
    """

    def __init__(
        self,
        tables: Sequence[Mapping[str, Any]],
        *,
        rows: int,
        basis: int,
        seconds: float,
        memory: int,
    ) -> None:
        self._rows = rows
        self._basis = basis
        self._seconds = seconds
        self._names = [str(table["name"]) for table in tables]
        self._columns = {
            str(table["name"]).lower(): [str(name) for name, _ in table["columns"]]
            for table in tables
        }
        config: Config = {**_SETTINGS, "memory_limit": f"{memory >> 20}MB"}
        self.connection = duckdb.connect(":memory:", config=config)
        for table in tables:
            self._load(table)
        self.connection.execute("SET lock_configuration = true")

    def _load(self, table: Mapping[str, Any]) -> None:
        columns = [(_quoted(name), kind) for name, kind in table["columns"]]
        name = _quoted(table["name"])
        declared = ", ".join(f"{column} {kind}" for column, kind in columns)
        self.connection.execute(f"CREATE TABLE {name} ({declared})")
        if table["rows"]:
            # A list a column: row by row takes a hundred times as long.
            values = [list(column) for column in zip(*table["rows"], strict=True)]
            lists = ", ".join(f"unnest(?::{_told(kind)}[])" for _, kind in columns)
            self.connection.execute(f"INSERT INTO {name} SELECT {lists}", values)

    def run(self, sql: str) -> dict[str, Any]:
        """Return a query's rows and what they rest on, or why there are none; never raises."""
        try:
            tree = guard.checked(self.connection, sql, self._names)
            with self._limited():
                result = self._fetched(sql, self._rows)
            with self._limited():
                result["basis"] = self._rests_on(tree)
        except guard.Refused as error:
            return {"refused": str(error)}
        except Slow:
            return {"slow": True}
        except Exception as error:  # DuckDB's own, and what its values may be to Python
            return {"failed": str(error)[:1000]}
        return result

    @contextmanager
    def _limited(self) -> Any:
        """Interrupt what DuckDB does in the block when it takes too long."""
        timer = threading.Timer(self._seconds, self.connection.interrupt)
        timer.start()
        try:
            yield
        except duckdb.InterruptException as error:
            raise Slow from error
        finally:
            timer.cancel()

    def _fetched(self, sql: str, rows: int) -> dict[str, Any]:
        cursor = self.connection.execute(sql)
        names = [str(column[0]) for column in cursor.description or ()]
        found = cursor.fetchmany(rows + 1)
        told = [[_value(value) for value in row] for row in found[:rows]]
        return {"columns": names, "rows": told, "more": len(found) > rows}

    def _rests_on(self, tree: guard.Node) -> dict[str, Any] | None:
        """Return the rows that a query over one table looked at, and how many they are.

        None where that isn't plain: of a query over others, or one whose answer is the rows.
        """
        node = tree["statements"][0]["node"]
        if node["type"] != "SELECT_NODE" or node["from_table"]["type"] != "BASE_TABLE":
            return None
        table = str(node["from_table"]["table_name"]).lower()
        if table not in self._columns or (node.get("cte_map") or {}).get("map"):
            return None
        own = self._columns[table]
        used = {
            str(each["column_names"][-1]).lower()
            for each in guard.nodes(node)
            if each.get("class") == "COLUMN_REF"
        }
        # What a row is called stands first in nearly every sheet.
        shown = [own[0], *(name for name in own[1:] if name.lower() in used)][:_BASIS_COLUMNS]
        where = node.get("where_clause")
        condition = f" WHERE {self._written(node, where)}" if where else ""
        # By the same name as in the query, so that its condition means the same.
        alias = _quoted(str(node["from_table"].get("alias") or table))
        source = f" FROM {_quoted(table)} AS {alias}{condition}"
        try:
            count = self._fetched(f"SELECT count(*){source}", 1)["rows"][0][0]
            columns = ", ".join(map(_quoted, shown))
            found = self._fetched(f"SELECT {columns}{source}", self._basis)
        except duckdb.Error:
            return None
        return {"columns": shown, "rows": found["rows"], "count": count}

    def _written(self, node: guard.Node, where: guard.Node) -> str:
        """Return a condition as SQL, written by DuckDB from its tree."""
        bare = {
            **node,
            "select_list": [where],
            "where_clause": None,
            "from_table": {"type": "EMPTY", "alias": "", "sample": None},
            "modifiers": [],
            "group_expressions": [],
            "group_sets": [],
            "aggregate_handling": "STANDARD_HANDLING",
            "having": None,
            "qualify": None,
        }
        tree = {"error": False, "statements": [{"node": bare, "named_param_map": []}]}
        query = "SELECT json_deserialize_sql(?::JSON)"
        (text,) = self.connection.execute(query, [json.dumps(tree)]).fetchone() or ("",)
        return f"({str(text).removeprefix('SELECT ')})"


def _told(kind: str) -> str:
    """Return the type in which values of a column come: days and moments as text."""
    return "VARCHAR" if kind in ("DATE", "TIMESTAMP") else kind


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _value(value: Any) -> Any:
    """Return a value as JSON has it."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        days = value / timedelta(days=1)
        return int(days) if days.is_integer() else days
    return str(value)[:_CELL]
