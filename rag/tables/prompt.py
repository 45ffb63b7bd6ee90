"""What the chat model is told to write a query: rules and examples that never change, the tables
in few words, the question."""

from __future__ import annotations

import re
from collections.abc import Sequence

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from rag.language import HAN
from rag.tables.cells import Value
from rag.tables.table import Column, Table
from rag.tables.words import mentioned

_SYSTEM = """\
You write SQL for DuckDB. You get tables and a question, and answer with one SELECT statement.
- Use only the tables and columns that are given; their comments show values.
- Rows that add up others are left out of the tables: add up yourself.
- count(*) counts rows; what a column counts already is added up: sum(seats).
- Where no column says what is asked: SELECT NULL AS not_in_the_table.
- A question has the unit of its table: never multiply to convert.
- Find texts with ILIKE '%…%'. Compare a DATE so: day >= '2025-03-01' AND day < '2025-04-01'.
- Select what is asked for and no more: names where it asks which or who, the number it asks for."""

NOT_THERE = "SELECT NULL AS not_in_the_table"
"""What the model answers where no column says what is asked."""

_EXAMPLE = """\
CREATE TABLE orders ( -- Orders 订单; in thousand EUR; 240 rows
  customer VARCHAR, -- 客户; 'Heron Ltd 白鹭', 'Orion'
  city VARCHAR, -- 城市; 'Porto', 'Lyon', 'Turin'
  day DATE, -- 日期; '2025-01-03' to '2025-12-20'
  amount DOUBLE, -- 金额; 12.5 to 900
  amount_2024 DOUBLE -- 2024 年金额; 10 to 870
);
"""

_EXAMPLES = (
    ("How many orders came from Porto?", "SELECT count(*) FROM orders WHERE city ILIKE '%Porto%'"),
    (
        "Orders and their total in each month of 2025?",
        "SELECT strftime(day, '%Y-%m') AS month, count(*) AS orders, sum(amount) AS total "
        "FROM orders WHERE day >= '2025-01-01' AND day < '2026-01-01' GROUP BY month "
        "ORDER BY month",
    ),
    (
        "金额最高的客户是哪个，多少？",
        "SELECT customer, amount FROM orders ORDER BY amount DESC LIMIT 1",
    ),
    (
        "白鹭今年的金额比 2024 年多多少？",
        "SELECT amount - amount_2024 AS difference FROM orders WHERE customer ILIKE '%白鹭%'",
    ),
    (
        "Which customers spent more than 500 thousand EUR in 2024?",
        "SELECT customer FROM orders WHERE amount_2024 > 500",
    ),
    ("How many employees has Orion?", NOT_THERE),
    (
        "哪些城市有不止一个客户？",
        "SELECT city, count(*) AS customers FROM orders GROUP BY city HAVING count(*) > 1",
    ),
)
_SAMPLES = 3
_FEW = 6
_MENTIONED = 5
_LONGEST = 40
_MOST_COLUMNS = 24
_MOST_RANGES = 8


def sql_prompt(question: str, tables: Sequence[Table]) -> list[BaseMessage]:
    """Return the messages that ask the model for a query."""
    messages: list[BaseMessage] = [SystemMessage(_SYSTEM)]
    for number, (asked, sql) in enumerate(_EXAMPLES):
        messages += [HumanMessage(("" if number else _EXAMPLE) + asked), AIMessage(sql)]
    shown = "\n".join(schema(question, table) for table in tables)
    return [*messages, HumanMessage(f"{shown}\n{question}")]


def repair_prompt(messages: Sequence[BaseMessage], sql: str, error: str) -> list[BaseMessage]:
    """Return the messages that ask for another query, since this one failed."""
    told = error.split("LINE 1:", maxsplit=1)[0].strip()[:300]
    asked = f"DuckDB says: {told}\nWrite the query again, corrected."
    return [*messages, AIMessage(sql), HumanMessage(asked)]


def schema(question: str, table: Table) -> str:
    """Return a table as its declaration, with the values that the question names among others."""
    said = mentioned(question, table)
    columns = table.columns[:_MOST_COLUMNS]
    lines = [
        f"  {column.name} {column.kind}{',' if column is not columns[-1] else ''}"
        f"{_comment(column, table, said.get(column.name, []))}"
        for column in columns
    ]
    about = "; ".join([*table.titles, f"{len(table.rows)} rows"])[:200]
    return "\n".join([f"CREATE TABLE {table.name} ( -- {about}", *lines, ");"])


def _comment(column: Column, table: Table, said: Sequence[str]) -> str:
    title = _rest(column)
    values = [value for value in table.values(column) if value is not None]
    if not values:
        return _told(title)
    if column.kind in ("VARCHAR", "BOOLEAN"):
        texts = list(dict.fromkeys(map(str, values)))
        chosen = list(said[:_MENTIONED])
        most = _FEW if len(texts) <= _FEW else _SAMPLES
        if max(map(len, texts)) > _LONGEST:
            most = 1
        chosen += [text for text in texts[:most] if text not in chosen][
            : max(most - len(chosen), 1)
        ]
        return _told(title, ", ".join(_quoted(text) for text in chosen))
    if column.is_number and len(table.columns) > _MOST_RANGES:
        return _told(title)
    low, high = min(values, key=_key), max(values, key=_key)
    return _told(title, f"{_literal(low)} to {_literal(high)}" if low != high else _literal(low))


def _rest(column: Column) -> str:
    """Return what a column's title says and its name doesn't."""
    name = set(re.split(r"_+", column.name.lower()))
    words = re.findall(rf"[{HAN}]+|[^\W_{HAN}]+|%", column.title)
    return " ".join(word for word in words if word.lower() not in name)


def _key(value: Value) -> str | float:
    return value if isinstance(value, str) else float(value or 0)


def _literal(value: Value) -> str:
    return f"'{value}'" if isinstance(value, str) else f"{value:.10g}"


def _quoted(text: str) -> str:
    short = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return "'" + short.replace("'", "''").replace("\n", " ") + "'"


def _told(*parts: str) -> str:
    told = "; ".join(filter(None, parts))
    return f" -- {told}" if told else ""
