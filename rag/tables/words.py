"""What a question says of a table: its columns and its values, in either language."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence

from rag.keywords import rarity, terms
from rag.language import HAN
from rag.tables.table import Column, Table

_RUN = re.compile(rf"[{HAN}]+|[^\W_{HAN}][^{HAN}]*[^\W_{HAN}]|[^\W_{HAN}]")
_HAN = re.compile(f"[{HAN}]")
_LONGEST = 60
_FEWEST_LETTERS = 3
_FEWEST_HAN = 2
_SHARE = 4
_MOST_TEXTS = 2000


def mentioned(question: str, table: Table) -> dict[str, list[str]]:
    """Return the values that a question names, by the name of their column."""
    said = question.casefold()
    found: dict[str, list[str]] = {}
    for column in table.columns:
        if column.kind == "VARCHAR":
            texts = table.texts(column)[:_MOST_TEXTS]
            if here := [text for text in texts if _is_said(text, said)]:
                found[column.name] = here
    return found


def likenesses(question: str, tables: Sequence[Table]) -> list[float]:
    """Return which share of a question's words each table has, 0 to 1.

    What few of the tables have weighs more.
    """
    asked = set(terms(question))
    had = [asked & _words(table) for table in tables]
    weights = {term: rarity(sum(term in words for words in had), len(tables)) for term in asked}
    whole = sum(weights.values()) or 1.0
    return [sum(weights[term] for term in words) / whole for words in had]


def _words(table: Table) -> set[str]:
    """Return the words of a table's titles, names and texts."""
    said = [table.name, *table.titles, *(column.title for column in table.columns)]
    for column in table.columns:
        if column.kind == "VARCHAR":
            said += table.texts(column)[:_MOST_TEXTS]
    return set(terms("\n".join(said)))


def card(table: Table, document: str) -> str:
    """Return what a table is about in a few lines, to be compared with a question."""
    texts = [text for column in table.columns for text in table.texts(column)[:3]]
    names = ", ".join(column.title for column in table.columns[:20])
    return "\n".join([document, "; ".join(table.titles), names, ", ".join(texts)[:200]])


def _is_said(text: str, said: str) -> bool:
    """Tell whether a value, or the part of it in one script, stands in a question."""
    if len(text) > _LONGEST:
        return False
    parts = {text.casefold(), *_parts(text.casefold())}
    return any(_stands(part, said) for part in parts if _SHARE * _weight(part) >= _weight(text))


def _weight(text: str) -> int:
    """Return how much a text says: a Han character about as much as three letters."""
    return len(text) + 2 * len(_HAN.findall(text))


def _parts(text: str) -> Iterator[str]:
    for run in _RUN.findall(text):
        han = run[0] >= "\u2e80"
        if len(run) >= (_FEWEST_HAN if han else _FEWEST_LETTERS):
            yield run


def _stands(part: str, said: str) -> bool:
    at = said.find(part)
    if at < 0 or not part:
        return False
    if part[0] >= "\u2e80":
        return True
    return re.search(rf"(?<![^\W_{HAN}]){re.escape(part)}(?![^\W_{HAN}])", said) is not None


def matching(literal: str, table: Table, column: Column) -> list[str]:
    """Return the texts that a literal may mean: the same, those with it, or the nearest."""
    texts = table.texts(column)
    wanted = literal.strip().casefold()
    if not wanted:
        return []
    same = [text for text in texts if text.casefold() == wanted]
    if same:
        return same
    holding = [text for text in texts if _stands(wanted, text.casefold())]
    if holding:
        return holding
    folded = {text.casefold(): text for text in texts[:_MOST_TEXTS]}
    near = difflib.get_close_matches(wanted, folded, 1, 0.82)
    return [folded[each] for each in near]
