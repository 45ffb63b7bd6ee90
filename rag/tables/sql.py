"""A model's answer made a query that fits the tables: its literals are values that exist."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.tables.table import Column, Table
from rag.tables.words import matching

_FENCE = re.compile(r"```(?:\w+)?\s*(.*?)(?:```|$)", re.DOTALL)
_QUERY = re.compile(r"\b(?:SELECT|WITH)\b.*", re.DOTALL | re.IGNORECASE)
_PIECE = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[^'\"]+|['\"]")
_LIKE = re.compile(r"(?<!\w)LIKE(?!\w)", re.IGNORECASE)
_NAME = r'(?P<column>(?:"[^"]+"|\w+)(?:\.(?:"[^"]+"|\w+))?)'
_LITERAL = r"'(?P<literal>(?:[^']|'')*)'"
_COMPARED = re.compile(
    rf"(?P<folded>(?:LOWER|UPPER)\(\s*)?{_NAME}(?(folded)\s*\))\s*(?P<sign>=|<>|!=)\s*"
    rf"(?P<folded2>(?:LOWER|UPPER)\(\s*)?{_LITERAL}(?(folded2)\s*\))",
    re.IGNORECASE,
)
_HELD = re.compile(rf"{_NAME}\s+ILIKE\s+'%(?P<literal>(?:[^'%]|'')+)%'", re.IGNORECASE)
_LISTED = re.compile(
    rf"{_NAME}\s+(?P<sign>(?:NOT\s+)?IN)\s*\((?P<list>\s*'(?:[^']|'')*'(?:\s*,\s*'(?:[^']|'')*')*\s*)\)",
    re.IGNORECASE,
)
_MISQUOTED = re.compile(r'(?P<sign>=|<>|!=|\bLIKE|\bILIKE)\s*"(?P<text>[^"]*)"', re.IGNORECASE)
_EACH = re.compile(r"'((?:[^']|'')*)'")


def written(answer: str) -> str:
    """Return the query in what a model wrote, "" for none."""
    fenced = _FENCE.search(answer)
    found = _QUERY.search(fenced[1] if fenced else answer)
    if found is None:
        return ""
    query = ""
    for piece in _PIECE.findall(found.group()):
        head, end, _ = piece.partition(";") if piece[0] not in "'\"" else (piece, "", "")
        query += head
        if end:
            break
    return query.strip()


def fitted(query: str, tables: Sequence[Table]) -> str:
    """Return a query whose texts are compared with values that exist, whatever their case."""
    query = _MISQUOTED.sub(lambda found: _requoted(found, tables), query)
    query = "".join(_piece(piece, tables) for piece in _PIECE.findall(query))
    query = _HELD.sub(lambda found: _held(found, tables), query)
    query = _COMPARED.sub(lambda found: _compared(found, tables), query)
    return _LISTED.sub(lambda found: _listed(found, tables), query)


def _piece(piece: str, tables: Sequence[Table]) -> str:
    """Compare without case, and call a column what SQL does."""
    if piece.startswith("'"):
        return piece
    if not piece.startswith('"') or len(piece) < 2:
        return _LIKE.sub("ILIKE", piece)
    titles = {column.title.lower(): column.name for table in tables for column in table.columns}
    name = piece[1:-1].lower()
    own = {column.name.lower() for table in tables for column in table.columns}
    return titles[name] if name in titles and name not in own else piece


def _requoted(found: re.Match[str], tables: Sequence[Table]) -> str:
    """Make a text of what stands in double quotes and is no name."""
    if found["text"].lower() in _names(tables):
        return found.group()
    return f"{found['sign']} {_quoted(found['text'])}"


def _names(tables: Sequence[Table]) -> set[str]:
    columns = {column.name.lower() for table in tables for column in table.columns}
    return columns | {column.title.lower() for table in tables for column in table.columns}


def _held(found: re.Match[str], tables: Sequence[Table]) -> str:
    """Take a value that is all of what is looked for, rather than those that only have it."""
    known = _column(found["column"], tables)
    literal = found["literal"].replace("''", "'").strip().casefold()
    if known is None or re.search(r"\bNOT$", found["column"], re.IGNORECASE):
        return found.group()
    whole = [text for text in known[0].texts(known[1]) if text.casefold() == literal]
    return f"{found['column']} = {_quoted(whole[0])}" if len(whole) == 1 else found.group()


def _compared(found: re.Match[str], tables: Sequence[Table]) -> str:
    known = _column(found["column"], tables)
    if known is None:
        return found.group()
    table, column = known
    literal = found["literal"].replace("''", "'")
    values = matching(literal, table, column)
    name, negative = found["column"], found["sign"] != "="
    if not values:
        return found.group()
    if len(values) == 1:
        return f"{name} {'<>' if negative else '='} {_quoted(values[0])}"
    if all(value.casefold() == values[0].casefold() for value in values):
        return f"{name} {'NOT ILIKE' if negative else 'ILIKE'} {_quoted(literal)}"
    return f"{name} {'NOT ILIKE' if negative else 'ILIKE'} {_quoted(f'%{literal}%')}"


def _listed(found: re.Match[str], tables: Sequence[Table]) -> str:
    known = _column(found["column"], tables)
    if known is None:
        return found.group()
    literals = [each.replace("''", "'") for each in _EACH.findall(found["list"])]
    values = [value for literal in literals for value in matching(literal, *known) or [literal]]
    listed = ", ".join(map(_quoted, dict.fromkeys(values)))
    return f"{found['column']} {found['sign']} ({listed})"


def _column(name: str, tables: Sequence[Table]) -> tuple[Table, Column] | None:
    """Return the column of texts that a query names."""
    last = name.rpartition(".")[2].strip('"')
    for table in tables:
        column = table.column(last)
        if column is not None and column.kind == "VARCHAR":
            return table, column
    return None


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
