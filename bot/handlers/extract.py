"""Get values out of documents: named fields or a JSON Schema, each value with its passage."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field, replace
from typing import Any, cast

from bot.handlers.citing import cited
from bot.handlers.explain import explain
from bot.handlers.keeping import Keeping
from bot.handlers.opening import opening
from bot.handlers.reading import Reading
from bot.messages import Citation, File, Language, Reply, ReplyChunk, ReplyEvent, Request, Status
from bot.phrases import say
from bot.spreadsheet import Format, spreadsheet
from bot.voices import Voices
from rag.errors import DocumentError
from rag.extraction import Extracted, Extraction, NotExtracted, SchemaUnusable, Value, schema_of
from rag.pipeline import Progress
from rag.summaries import Text

_SHOWN = 20
"""Documents whose values are told one by one; a file has them all."""


@dataclass(slots=True)
class _Table:
    """What was found so far: a row a document, or several where a document has a list."""

    language: Language
    chunks: list[ReplyChunk] = field(default_factory=list)
    citations: dict[tuple[str, int, int], Citation] = field(default_factory=dict)
    found: list[dict[str, Any]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, extracted: Extracted) -> None:
        """Take in what a text has, in words too."""
        name, result = extracted.text.name, extracted.result
        lines = [self._line(value) for value in extracted.values]
        unsure = [_named(v.path) for v in extracted.values if not _is_sure(v)]
        for record in result if isinstance(result, list) else [result]:
            named = record if isinstance(record, dict) else {"value": record}
            self.rows.append({"": name, **_flat(named), "?": ", ".join(unsure)})
        values = [asdict(value) for value in extracted.values]
        self.found.append({"document": name, "result": result, "values": values})
        head = say(self.language, "extracted_from", name=name)
        if extracted.of > extracted.read:
            told = say(self.language, "read_partly", read=extracted.read, of=extracted.of)
            lines.append((f"\n{told}", ()))
        space = "\n\n" if self.chunks else ""
        if len(self.found) == _SHOWN + 1:
            self.chunks.append(ReplyChunk(space + say(self.language, "extracted_more")))
        if len(self.found) <= _SHOWN:
            self.chunks.append(ReplyChunk(f"{space}{head}"))
            self.chunks += [ReplyChunk(text, citations) for text, citations in lines]

    def failed(self, name: str, why: str) -> None:
        """Note a document that can't be read."""
        self.found.append({"document": name, "error": why})
        self.rows.append({"": name, "?": why})
        space = "\n\n" if self.chunks else ""
        self.chunks.append(
            ReplyChunk(space + say(self.language, "not_learned", name=name, reason=why))
        )

    def _line(self, value: Value) -> tuple[str, tuple[Citation, ...]]:
        name = _named(value.path) or say(self.language, "value")
        if value.value is None:
            return f"\n- {name}: —", ()
        shown = " ".join(str(value.value).split())
        if value.citation is None:
            mark = "" if isinstance(value.value, bool) else say(self.language, "not_verbatim")
            return f"\n- {name}: {shown}{mark}", ()
        passage = cited(value.citation)
        place = (passage.document, passage.start, passage.end)
        number = len(self.citations) + 1
        known = self.citations.setdefault(place, replace(passage, number=number))
        return f"\n- {name}: {shown}", (known,)

    def file(self, kind: Format) -> File:
        """Return all rows as a file."""
        names = [name for row in self.rows for name in row if name not in ("", "?")]
        columns = ["", *dict.fromkeys(names), "?"]
        header = [
            say(self.language, "column_document"),
            *columns[1:-1],
            say(self.language, "column_unsure"),
        ]
        rows = [[row.get(name) for name in columns] for row in self.rows]
        return spreadsheet(say(self.language, "extracted_file"), header, rows, kind)


class Extract:
    """Handles `extract`: `request.text` names documents or an address, or files come along.

    `options["fields"]` are names with commas between them, or a JSON Schema; several documents come
    back as a table, in the format `options["format"]`.
    """

    command = "extract"

    def __init__(
        self,
        extraction: Extraction,
        reading: Reading,
        keeping: Keeping,
        *,
        voices: Voices,
    ) -> None:
        self._extraction = extraction
        self._reading = reading
        self._keeping = keeping
        self._voices = voices

    def uses_chat_model(self, request: Request) -> bool:
        """Return True."""
        return True

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield progress, each document's values with their passages, and the reply."""
        if not (request.text.strip() or request.attachments):
            yield Reply("error", say(language, "no_name"), language)
            return
        try:
            schema = schema_of(str(request.options.get("fields", "")))
        except SchemaUnusable as error:
            yield Reply("error", say(language, "no_fields", detail=str(error)), language)
            return
        async for status in opening(self._voices.needs(request), language):
            yield status
        table = _Table(language)
        many = len(request.attachments) > 1
        shown = 0
        extraction = self._extraction.speaking(self._voices.voice(request))
        async for text in self._texts(request, language, table):
            events = extraction.stream(text, schema)
            try:
                async with aclosing(events):
                    async for event in events:
                        if isinstance(event, Progress):
                            about = say(language, "extracting", name=text.name)
                            yield Status(about, event.done, event.total)
                        else:
                            table.add(event)
            except NotExtracted:
                if not many:
                    raise
                table.failed(text.name, say(language, "not_extracted"))
            for chunk in table.chunks[shown:]:
                yield chunk
            shown = len(table.chunks)
        for chunk in table.chunks[shown:]:  # files that can't be read, behind all others
            yield chunk
        kind = request.options.get("format")
        files = (table.file(cast(Format, kind or "csv")),) if kind or len(table.rows) > 1 else ()
        told = "".join(chunk.text for chunk in table.chunks).strip()
        citations = tuple(sorted(table.citations.values(), key=lambda each: each.number))
        reply = Reply(
            "answer",
            told,
            language,
            tuple(table.chunks),
            citations,
            self._voices.model(request),
            data={"documents": table.found},
            files=files,
        )
        await self._keeping.keep(request, {each["document"] for each in table.found}, reply)
        yield reply

    async def _texts(
        self, request: Request, language: Language, table: _Table
    ) -> AsyncIterator[Text]:
        """Yield the texts one after the other; of many files, one that can't be read is noted."""
        for attachment in request.attachments:
            try:
                yield await self._reading.attached(request, attachment)
            except DocumentError as error:
                if len(request.attachments) == 1:
                    raise
                table.failed(attachment.name, explain(error, language) or error.code.value)
        for text in await self._reading.named(request, request.text):
            yield text


def _is_sure(value: Value) -> bool:
    return value.citation is not None or value.value is None or isinstance(value.value, bool)


def _named(path: Sequence[str | int]) -> str:
    return ".".join(str(part + 1 if isinstance(part, int) else part) for part in path)


def _flat(values: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Return nested objects as one row; lists stay what they are."""
    row: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            row |= _flat(value, f"{before}{name}.")
        else:
            row[f"{before}{name}"] = value
    return row
