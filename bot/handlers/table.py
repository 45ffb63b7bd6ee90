"""Answer a question by computing over the rows of a sheet, and show how."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from bot.handlers.citing import cited
from bot.handlers.opening import opening
from bot.handlers.seeing import audience_of
from bot.messages import File, Language, Reply, ReplyEvent, Request, Status
from bot.phrases import counted, say
from bot.voices import Voices
from rag.citations import Source
from rag.tables.answering import Answered, Chosen, Querying, TableQuestions, Unanswered
from rag.tables.cells import Value
from rag.tables.chart import chart_of, drawn
from rag.tables.database import Rows
from rag.tables.reading import UNIT
from rag.tables.table import Table

_SHOWN_ROWS = 10
_SHOWN_CELL = 80
_IN_A_SENTENCE = 8


class AskTable:
    """Handles `table`: `request.text` is the question, `options["document"]` may name the sheet.

    The sentence is made from the rows that were found, never by the model.
    """

    command = "table"

    def __init__(self, tables: TableQuestions, *, voices: Voices) -> None:
        self._tables = tables
        self._voices = voices

    def uses_chat_model(self, request: Request) -> bool:
        """Return True."""
        return True

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield what is being done, then the answer with its query and its rows."""
        question = request.text.strip()
        if not question:
            yield Reply("error", say(language, "empty_question"), language)
            return
        async for status in opening(self._voices.needs(request), language):
            yield status
        began = time.perf_counter()
        yield Status(say(language, "choosing_table"))
        audience = audience_of(request)
        named = str(request.options.get("document", "")).strip()
        chat, model = self._voices.chat(request), self._voices.model(request)
        async with aclosing(self._tables.answer(question, audience, named, chat)) as events:
            async for event in events:
                timings = {"total": round((time.perf_counter() - began) * 1000, 1)}
                match event:
                    case Chosen():
                        yield Status(say(language, "writing_query", table=_place(event, language)))
                    case Querying():
                        yield Status(say(language, "querying"))
                    case Unanswered():
                        yield self._refusal(event, language, model, timings)
                    case Answered():
                        chart = await asyncio.to_thread(_picture, question, event, language)
                        yield self._reply(event, chart, language, model, timings)

    def _refusal(
        self, event: Unanswered, language: Language, model: str, timings: dict[str, float]
    ) -> Reply:
        place = _place(event.chosen, language) if event.chosen else ""
        text = say(language, f"table_{event.reason}", table=place)
        if event.sql:
            text += f"\n\n{_code(event.sql)}"
        data = {"sql": event.sql or None, "reason": event.reason}
        return Reply("refusal", text, language, model=model, timings_ms=timings, data=data)

    def _reply(
        self,
        event: Answered,
        chart: File | None,
        language: Language,
        model: str,
        timings: dict[str, float],
    ) -> Reply:
        table, result = event.chosen.table, event.result
        parts = [_sentence(result.found, table, language)]
        if _is_worth_a_table(result.found):
            parts.append(_table(result.found, table))
        of = counted(language, "rows", len(table.rows))
        place = _place(event.chosen, language)
        if result.basis is None:
            parts.append(say(language, "table_computed", table=place, rows=of))
        else:
            count = result.basis.count or 0
            values = {"table": place, "rows": of, "count": f"{count:,}"}
            parts.append(say(language, "table_rests_on", **values))
        if units := [title for title in table.titles if UNIT.search(title)]:
            parts[-1] += f" ({units[0]})"
        if table.totals:
            parts[-1] += say(language, "table_totals", n=table.totals)
        if result.basis is not None and result.basis.rows != result.found.rows:
            parts.append(_table(result.basis, table))
        parts.append(_code(event.sql))
        citations = (cited(Source(1, event.passage).whole()),) if event.passage else ()
        return Reply(
            "answer",
            "\n\n".join(parts),
            language,
            citations=citations,
            model=model,
            timings_ms=timings,
            data=_data(event),
            files=(chart,) if chart else (),
        )


def _picture(question: str, event: Answered, language: Language) -> File | None:
    chart = chart_of(question, event.result.found)
    png = drawn(chart) if chart else None
    if chart is None or png is None:
        return None
    about = say(language, "chart_about", what=", ".join(name for name, _ in chart.series))
    return File("chart.png", png, about)


def _place(chosen: Chosen, language: Language) -> str:
    """Return the document and, of several sheets, which."""
    name = chosen.document.name
    sheet = chosen.table.titles[0] if chosen.table.titles else ""
    if not sheet or name.lower().endswith((".csv", ".tsv", ".tab")):
        return name
    return say(language, "sheet_of", document=name, sheet=sheet)


def _sentence(found: Rows, table: Table, language: Language) -> str:
    """Return what was found as a sentence."""
    names = [_title(name, table) for name in found.columns]
    if len(found.rows) == 1:
        row = found.rows[0]
        if len(row) == 1:
            return say(language, "table_value", value=f"**{_said(row[0])}**")
        listed = [f"{name}: **{_said(value)}**" for name, value in zip(names, row, strict=True)]
        return _listed(listed, language)
    count = counted(language, "rows", len(found.rows))
    if found.count is None:
        count = say(language, "first_rows", n=len(found.rows))
    if len(found.columns) == 1 and len(found.rows) <= _IN_A_SENTENCE:
        listed = [f"**{_said(row[0])}**" for row in found.rows]
        return say(language, "table_list", count=count, values=_listed(listed, language))
    return say(language, "table_many", count=count)


def _is_worth_a_table(found: Rows) -> bool:
    return len(found.rows) > 1 and (len(found.columns) > 1 or len(found.rows) > _IN_A_SENTENCE)


def _listed(parts: Sequence[str], language: Language) -> str:
    return ("；" if language == "zh" else "; ").join(parts)


def _table(rows: Rows, table: Table) -> str:
    """Return rows as a Markdown table, the first of them."""
    head = [_cell(_title(name, table)) for name in rows.columns]
    lines = [head, ["---"] * len(head)]
    lines += [[_cell(_said(value)) for value in row] for row in rows.rows[:_SHOWN_ROWS]]
    whole = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    left = (rows.count or len(rows.rows)) - _SHOWN_ROWS
    return f"{whole}\n\n(+ {left:,})" if left > 0 else whole


def _title(name: str, table: Table) -> str:
    column = table.column(name)
    return column.title if column else name


def _cell(text: str) -> str:
    short = text if len(text) <= _SHOWN_CELL else f"{text[: _SHOWN_CELL - 1].rstrip()}…"
    return " ".join(short.split()).replace("\\", "\\\\").replace("|", "\\|") or " "


def _said(value: Value) -> str:
    """Return a value as people write it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "✓" if value else "✗"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}".rstrip("0").rstrip(".")
    return value.removesuffix(" 00:00:00")


def _code(sql: str) -> str:
    return f"```sql\n{sql.replace('```', '')}\n```"


def _data(event: Answered) -> dict[str, Any]:
    result, table = event.result, event.chosen.table
    basis = result.basis
    return {
        "document": event.chosen.document.name,
        "sheet": table.titles[0] if table.titles else None,
        "page": table.page,
        "sql": event.sql,
        "columns": [_title(name, table) for name in result.found.columns],
        "rows": [list(row) for row in result.found.rows],
        "more": result.found.count is None,
        "rests_on": None if basis is None else {
            "count": basis.count,
            "columns": [_title(name, table) for name in basis.columns],
            "rows": [list(row) for row in basis.rows],
        },
    }  # fmt: skip
