"""What a query may be: one SELECT over the tables that were loaded, with functions of a list.

The query is judged by the tree that DuckDB itself makes of it. What isn't known here is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

Node = Mapping[str, Any]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "CTE_NODE"}
_REFERENCES = {"BASE_TABLE", "SUBQUERY", "JOIN", "EMPTY", "EXPRESSION_LIST"}
_EXPRESSIONS = {
    "BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT",
    "FUNCTION", "OPERATOR", "STAR", "SUBQUERY", "TYPE", "WINDOW",
}  # fmt: skip
_TYPES = _words(
    "bigint boolean bool char date decimal double float hugeint int int4 int8 integer interval "
    "long numeric real signed smallint string text time timestamp tinyint varchar"
)
_PARTS = {
    "ORDER_MODIFIER", "LIMIT_MODIFIER", "DISTINCT_MODIFIER",
    "ORDER_DEFAULT", "ASCENDING", "DESCENDING", "ORDERS_NULLS_FIRST", "ORDERS_NULLS_LAST",
}  # fmt: skip
_FUNCTIONS = _words(
    # operators
    "+ - * / // % ** ^ || ~~ !~~ ~~* !~~* ~~~ !~~~ "
    # aggregates
    "any_value arg_max arg_min avg bool_and bool_or count count_if count_star countif first "
    "first_value group_concat last last_value list listagg mad max max_by mean median min min_by "
    "mode product quantile quantile_cont quantile_disc stddev stddev_pop stddev_samp string_agg "
    "sum var_pop var_samp variance "
    # windows
    "cume_dist dense_rank lag lead nth_value ntile percent_rank rank rank_dense row_number "
    # numbers
    "abs add ceil ceiling divide even exp floor greatest least ln log log10 log2 mod multiply "
    "pow power round round_even sign sqrt subtract trunc "
    # text
    "array_extract ascii char_length character_length concat concat_ws contains "
    "damerau_levenshtein ends_with ilike_escape instr jaro_winkler_similarity lcase left length "
    "len levenshtein like_escape lower ltrim not_ilike_escape not_like_escape position prefix "
    "regexp_extract regexp_full_match regexp_matches regexp_replace replace reverse right rtrim "
    "split_part starts_with strip_accents strlen strpos substr substring suffix trim ucase upper "
    # days and moments
    "add date_add date_diff date_part date_sub date_trunc datediff datepart datesub datetrunc day "
    "dayname dayofmonth dayofweek dayofyear extract hour isodow isoyear last_day make_date minute "
    "month monthname quarter second strftime strptime to_days to_months to_years try_strptime week "
    "weekday weekofyear year yearweek "
    # others
    "coalesce if ifnull nullif"
)

_PLAIN_NAME = re.compile(r"(?!duckdb_|pg_|sqlite_|pragma_)[^\W\d]\w*")


class Refused(ValueError):
    """A query that is no plain question to the tables; the text says what isn't allowed."""


class Malformed(ValueError):
    """A query that can't be read; the text says where."""


def checked(connection: Any, sql: str, tables: Collection[str]) -> Node:
    """Return a query's tree; raise `Malformed`, or `Refused` if it does more than ask."""
    (told,) = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchone()
    tree: dict[str, Any] = json.loads(told)
    if tree["error"]:
        message = str(tree.get("error_message", ""))
        if tree.get("error_type") == "parser":
            raise Malformed(message)
        raise Refused("only a SELECT is allowed")
    if len(tree["statements"]) != 1:
        raise Refused("only one statement is allowed")
    (statement,) = tree["statements"]
    named = {name.lower() for name in _named(statement["node"])}
    for name in named:
        # Where the name isn't known to DuckDB either, it can mean nothing else.
        if not _PLAIN_NAME.fullmatch(name):
            raise Refused(f"a query may not be called {name}")
    _check(statement["node"], named | {name.lower() for name in tables})
    return tree


def _named(tree: Any) -> Iterator[str]:
    """Yield the names of the queries that stand before others (WITH)."""
    for node in nodes(tree):
        for entry in (node.get("cte_map") or {}).get("map", []):
            yield str(entry["key"])
        if "cte_name" in node:
            yield str(node["cte_name"])


def nodes(tree: Any) -> Iterator[Node]:
    """Yield every object of a tree, each before what is in it."""
    stack = [tree]
    while stack:
        here = stack.pop()
        if isinstance(here, dict):
            yield here
            stack.extend(here.values())
        elif isinstance(here, list):
            stack.extend(here)


def _check(tree: Any, tables: Collection[str]) -> None:
    for node in nodes(tree):
        kind = node.get("type")
        if "class" in node:
            _check_expression(node)
        elif "table_name" in node:
            _check_table(node, tables)
        elif isinstance(kind, str) and kind not in _NODES | _REFERENCES | _PARTS:
            raise Refused(f"{kind} is not allowed")
        if node.get("sample"):
            raise Refused("a sample is not allowed")


def _check_expression(node: Node) -> None:
    if node["class"] not in _EXPRESSIONS:
        raise Refused(f"{node['class']} is not allowed")
    if node["class"] == "TYPE" and str(node["type_name"]).lower() not in _TYPES:
        raise Refused(f"the type {node['type_name']} is not allowed")
    if node["class"] in {"FUNCTION", "WINDOW"}:
        name = str(node.get("function_name", "")).lower()
        if len(node["qualified_name"]["path"]) != 1 or name not in _FUNCTIONS:
            raise Refused(f"the function {name} is not allowed")


def _check_table(node: Node, tables: Collection[str]) -> None:
    elsewhere = len(node["qualified_name"]["path"]) != 1
    if node.get("type") != "BASE_TABLE" or elsewhere or node["table_name"].lower() not in tables:
        raise Refused(f"there is no table {node['table_name']}")
