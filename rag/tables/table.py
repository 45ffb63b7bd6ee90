"""A table of a sheet: typed columns with names that SQL can say."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from rag.language import HAN
from rag.tables.cells import Kind, Value

_LONGEST_NAME = 40
_LONGEST_LAST = 12
_HAS_HAN = re.compile(f"[{HAN}]")
_LATIN = re.compile(rf"[^{HAN}]+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Of SQL's words those that a column may be called and that no query can say unquoted.
_RESERVED = _words(
    "all and any array as asc between both by case cast check collate column constraint create "
    "cross current_date default desc describe distinct else end except exists false fetch filter "
    "for foreign from full grant group having in inner intersect into is join lateral left like "
    "limit natural not null offset on only or order outer over pivot primary qualify references "
    "returning right row rows select set show some summarize table then to trailing true union "
    "unique unpivot using values when where window with"
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column: what SQL calls it, and what the sheet does."""

    name: str
    title: str
    kind: Kind

    @property
    def is_number(self) -> bool:
        """Tell whether its values can be added up."""
        return self.kind in ("BIGINT", "DOUBLE")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a sheet that belong together; those that add up others are left out of `rows`."""

    name: str
    titles: tuple[str, ...]
    """The sheet's name, and the lines above the table."""
    page: int
    """The sheet's number, from 1."""
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    totals: int = 0
    """How many rows were left out since they add up others."""
    notes: tuple[str, ...] = field(default=(), repr=False)
    """Lines below the table that aren't rows."""

    def column(self, name: str) -> Column | None:
        """Return the column that SQL calls so, whatever the case."""
        return next((c for c in self.columns if c.name.lower() == name.lower()), None)

    def values(self, column: Column) -> list[Value]:
        """Return what stands in a column, from top to bottom."""
        at = self.columns.index(column)
        return [row[at] for row in self.rows]

    def texts(self, column: Column) -> list[str]:
        """Return the different texts of a column, in the order in which they come."""
        return list(dict.fromkeys(v for v in self.values(column) if isinstance(v, str)))


def identifiers(titles: Sequence[str], otherwise: str) -> list[str]:
    """Return names for columns that need no quotes, each another; `otherwise` names the nameless.

    Where a title says the same in Chinese and in Latin letters, the Latin ones are the name.
    """
    latin = [_identifier(_latin(title)) for title in titles]
    taken: set[str] = set()
    names = []
    for title, short in zip(titles, latin, strict=True):
        unique = len(short) > 1 and latin.count(short) == 1
        name = short if unique and short.lower() not in taken else _identifier(title)
        names.append(_free(name or otherwise, taken))
        taken.add(names[-1].lower())
    return names


def _latin(title: str) -> str:
    """Return what a title says in Latin letters, if it says it beside Chinese ones."""
    if not _HAS_HAN.search(title):
        return title
    said = [part.strip(" ()（）/|·-") for part in _LATIN.findall(title)]
    words = [part for part in said if re.search(r"[A-Za-z]{2}", part)]
    return words[0] if len(words) == 1 else ""


def _identifier(title: str) -> str:
    plain = unicodedata.normalize("NFKC", title).replace("%", " percent ")
    name = re.sub(r"\W+", "_", plain).strip("_")
    if len(name) > _LONGEST_NAME:
        # The last word is often a year, and tells it from others.
        last = name.rpartition("_")[2]
        last = f"_{last}" if last and len(last) <= _LONGEST_LAST else ""
        head = name[: _LONGEST_NAME - len(last)]
        name = (head.rpartition("_")[0] or head) + last
    if name[:1].isdigit():
        name = f"c_{name}"
    return f"{name}_" if name.lower() in _RESERVED else name


def _free(name: str, taken: Collection[str]) -> str:
    if name.lower() not in taken:
        return name
    return next(f"{name}_{n}" for n in range(2, 10_000) if f"{name}_{n}".lower() not in taken)
