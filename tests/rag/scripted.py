"""A chat model and a retriever that follow a script, through their real interfaces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    CallbackManagerForLLMRun,
)
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr

from rag.audience import Audience
from rag.records import Records
from rag.retrieval import Hit, Retrieval, Retriever
from tests.rag.passages import passage, rarities

Piece = str | asyncio.Event | BaseException
"""What a model does next: says a piece, waits, or fails."""


class ScriptedChat(BaseChatModel):
    """Answers each call with the next of its scripts; a word is a token."""

    scripts: list[list[Any]]

    _asked: list[list[BaseMessage]] = PrivateAttr(default_factory=list)
    _options: list[dict[str, Any]] = PrivateAttr(default_factory=list)
    _began: asyncio.Event = PrivateAttr(default_factory=asyncio.Event)
    _stopped: asyncio.Event = PrivateAttr(default_factory=asyncio.Event)

    @property
    def asked(self) -> list[list[BaseMessage]]:
        """The prompts that came, one a call."""
        return self._asked

    @property
    def options(self) -> list[dict[str, Any]]:
        """The options of each call."""
        return self._options

    @property
    def stopped(self) -> asyncio.Event:
        """Set when a call is over, by its end or because nobody listens."""
        return self._stopped

    @property
    def began(self) -> asyncio.Event:
        """Set when a call has come."""
        return self._began

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def get_num_tokens(self, text: str) -> int:
        """Count words."""
        return len(text.split())

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        self._asked.append(messages)
        self._options.append(kwargs)
        self._began.set()
        try:
            for piece in self.scripts.pop(0):
                if isinstance(piece, asyncio.Event):
                    await piece.wait()
                elif isinstance(piece, BaseException):
                    raise piece
                else:
                    yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
        finally:
            self._stopped.set()

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise NotImplementedError("answers are streamed")


class ScriptedRetriever(Retriever):
    """Finds what a function of the query says."""

    def __init__(self, find: Callable[[str], Retrieval]) -> None:
        self.find = find
        self.queries: list[tuple[str, Audience]] = []
        self.translations: list[str | None] = []

    def retrieve(
        self, query: str, audience: Audience, *, limit: int, translation: str | None = None
    ) -> Retrieval:
        self.queries.append((query, audience))
        self.translations.append(translation)
        return self.find(query)


class CountlessRecords(Records):
    """Records in which every term is as rare as another."""

    def __init__(self) -> None:
        """Need no database."""

    def frequencies(self, term_ids: Collection[int], audience: Audience) -> dict[int, int]:
        return dict.fromkeys(term_ids, 1)

    def passage_count(self, audience: Audience) -> int:
        return 100

    def document_count(self, audience: Audience) -> int:
        return 10


def found(*texts: str, confidence: float | None = 1.0) -> Retrieval:
    """Return the retrieval of these passages, one a document: 1.txt, 2.txt and so on."""
    hits = [
        Hit(passage(text, name=f"{number}.txt", start=10 * number), 1 / number)
        for number, text in enumerate(texts, 1)
    ]
    return Retrieval(tuple(hits), confidence, rarities(*texts) if texts else {})


def said(messages: Sequence[BaseMessage]) -> str:
    """Return all that a prompt says."""
    return "\n".join(str(message.content) for message in messages)
