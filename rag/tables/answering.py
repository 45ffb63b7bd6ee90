"""The flow of a table question: choose tables, have SQL written, run it, tell what it rests on."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage

from rag.audience import Audience
from rag.errors import DocumentError
from rag.language import chinese_share, language_of
from rag.priority import Priority
from rag.records import Original, Passage, Records
from rag.retrieval import Retriever
from rag.tables.database import Database, QueryFailed, QueryRefused, QueryTimeout, Result
from rag.tables.documents import SheetDocuments
from rag.tables.prompt import repair_prompt, sql_prompt
from rag.tables.sql import fitted, written
from rag.tables.table import Table
from rag.tables.words import card, likenesses, mentioned
from rag.writing import AnswerTimeout

_HITS = 40
_DOCUMENTS = 4
# What counts beside a table's cosine with the question; chosen on bench/tables.py's tuning half.
_LIKENESS = 0.15
_MENTIONED = 0.02
_RANK = 0.02
# Texts in the question's own language look nearer whatever they say.
_ACROSS = 0.04
_MAX_TOKENS = 200
_NOT_THERE = re.compile(r"SELECT\s+NULL\b", re.IGNORECASE)
_END = re.compile(r";|SELECT.*```", re.DOTALL | re.IGNORECASE)

Reason = Literal[
    "no_tables", "no_document", "unreadable", "no_query", "failed", "slow", "empty", "not_there"
]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The table that a question is put to, and where it stands."""

    document: Original
    table: Table


@dataclass(frozen=True, slots=True)
class Querying:
    """The query that is run."""

    sql: str


@dataclass(frozen=True, slots=True)
class Answered:
    """What the query found."""

    chosen: Chosen
    sql: str
    result: Result
    passage: Passage | None
    """A passage of the document's text from the same sheet, to be cited."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Why there is no answer."""

    reason: Reason
    chosen: Chosen | None = None
    sql: str = ""


Event = Chosen | Querying | Answered | Unanswered


class TableQuestions:
    """Answers questions by computing over the rows of sheets that an audience may see."""

    def __init__(
        self,
        documents: SheetDocuments,
        records: Records,
        retriever: Retriever,
        embeddings: Embeddings,
        chat: BaseChatModel,
        *,
        priority: Priority,
        timeout: float = 120.0,
        database: Callable[[Sequence[Table]], Database] = Database,
    ) -> None:
        self._documents = documents
        self._records = records
        self._retriever = retriever
        self._embeddings = embeddings
        self._chat = chat
        self._priority = priority
        self._timeout = timeout
        self._database = database

    def use(self, embeddings: Embeddings) -> None:
        """Compare texts with another model; call it while no question is being answered."""
        self._embeddings = embeddings

    def has_any(self, audience: Audience) -> bool:
        """Tell whether an audience may see a sheet; blocking."""
        return bool(self._documents.known(audience))

    async def answer(
        self,
        question: str,
        audience: Audience,
        document: str = "",
        chat: BaseChatModel | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Answer a question from one document's tables, or from those that fit it best.

        `chat` writes the query instead of the usual model.
        Yield `Chosen`, `Querying`, then `Answered` or `Unanswered`. Raise `DocumentUnknown` or
        `DocumentAmbiguous` for a name, `AnswerTimeout`, or what the models and the store raise.
        """
        with self._priority.question():
            chosen = await asyncio.to_thread(self.choose, question, audience, document)
            if isinstance(chosen, Unanswered):
                yield chosen
                return
            yield chosen
            database = self._database([chosen.table])
            # The tables are loaded while the model writes.
            loading = asyncio.create_task(asyncio.to_thread(database.start))
            try:
                messages = sql_prompt(question, [chosen.table])
                writer = chat or self._chat
                tried = self._tried(messages, chosen, database, loading, audience, writer)
                async with aclosing(tried) as events:
                    async for event in events:
                        yield event
            finally:
                database.close()
                await asyncio.wait([loading])

    async def _tried(
        self,
        messages: list[BaseMessage],
        chosen: Chosen,
        database: Database,
        loading: asyncio.Task[None],
        audience: Audience,
        chat: BaseChatModel,
    ) -> AsyncGenerator[Event, None]:
        for last in (False, True):
            said = await self._said(messages, chat)
            sql = fitted(written(said), [chosen.table])
            if not sql:
                yield Unanswered("no_query", chosen)
                return
            yield Querying(sql)
            try:
                await loading
                result = await asyncio.to_thread(database.run, sql)
            except QueryTimeout:
                yield Unanswered("slow", chosen, sql)
                return
            except (QueryFailed, QueryRefused) as error:
                if last:
                    yield Unanswered("failed", chosen, sql)
                    return
                messages = repair_prompt(messages, sql, str(error))
                continue
            if not any(value is not None for row in result.found.rows for value in row):
                asked = bool(_NOT_THERE.search(sql))
                yield Unanswered("not_there" if asked else "empty", chosen, "" if asked else sql)
                return
            passage = await asyncio.to_thread(self._passage, chosen, result, audience)
            yield Answered(chosen, sql, result, passage)
            return

    async def _said(self, messages: Sequence[BaseMessage], chat: BaseChatModel) -> str:
        """Return what the model writes, up to the end of one statement."""
        text = ""
        stream = chat.astream(list(messages), max_tokens=_MAX_TOKENS, slot=1)
        try:
            async with asyncio.timeout(self._timeout):
                async for piece in stream:
                    text += str(piece.content)
                    if _END.search(text):
                        break
        except TimeoutError as error:
            raise AnswerTimeout("The model took too long.") from error
        finally:
            await stream.aclose()  # type: ignore[attr-defined]
        return text

    def choose(self, question: str, audience: Audience, document: str = "") -> Chosen | Unanswered:
        """Return the table that fits a question best; blocking."""
        known = {original.document_id: original for original in self._documents.known(audience)}
        if document:
            record = self._records.find_document(document, audience)
            if record.id not in known:
                return Unanswered("no_document")
            candidates = [known[record.id]]
        else:
            candidates = self._candidates(question, list(known.values()), audience)
        if not candidates:
            return Unanswered("no_tables")
        found: list[Chosen] = []
        failed = 0
        for original in dict.fromkeys(candidates):
            try:
                found += [Chosen(original, table) for table in self._documents.tables(original)]
            except DocumentError:
                failed += 1
        if not found:
            return Unanswered("unreadable" if failed else "no_document")
        scores = self._scores(question, found, candidates)
        return found[int(np.argmax(scores))]

    def _candidates(
        self, question: str, known: Sequence[Original], audience: Audience
    ) -> list[Original]:
        """Return the documents that a question names, or else those that it finds."""
        said = question.casefold()
        named = [o for o in known if o.name.rpartition("/")[2].casefold() in said]
        if named:
            return named[:_DOCUMENTS]
        by_id = {original.document_id: original for original in known}
        hits = self._retriever.retrieve(question, audience, limit=_HITS).hits
        found = dict.fromkeys(h.passage.document_id for h in hits if h.passage.document_id in by_id)
        if not found and len(known) <= _DOCUMENTS:
            return list(known)
        return [by_id[each] for each in found][:_DOCUMENTS]

    def _scores(
        self, question: str, found: Sequence[Chosen], candidates: Sequence[Original]
    ) -> npt.NDArray[np.float64]:
        cards = [card(each.table, each.document.name) for each in found]
        vectors = np.asarray(self._embeddings.embed_documents(cards), np.float32)
        cosines = vectors @ np.asarray(self._embeddings.embed_query(question), np.float32)
        likely = np.array(likenesses(question, [each.table for each in found]))
        named = [sum(map(len, mentioned(question, each.table).values())) for each in found]
        ranks = np.array([candidates.index(each.document) for each in found])
        chinese = np.array([chinese_share(text) for text in cards])
        foreign = 1 - chinese if language_of(question) == "zh" else chinese
        scores: npt.NDArray[np.float64] = (
            cosines
            + _LIKENESS * likely
            + _MENTIONED * np.minimum(named, 2)
            + _ACROSS * foreign
            - _RANK * ranks
        )
        return scores

    def _passage(self, chosen: Chosen, result: Result, audience: Audience) -> Passage | None:
        """Return the passage of the sheet that has most of the values that were found."""
        passages = self._records.passages_of(chosen.document.document_id, audience)
        here = [p for p in passages if p.page in (None, chosen.table.page)] or passages
        rows = [*(result.basis.rows if result.basis else ()), *result.found.rows][:40]
        texts = {str(value) for row in rows for value in row if isinstance(value, str)}
        return max(here, key=lambda p: sum(text in p.text for text in texts), default=None)
