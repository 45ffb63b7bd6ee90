"""Search the documents: retrieval alone, without the chat model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from bot.handlers.opening import opening
from bot.handlers.seeing import audience_of
from bot.loading import Loading
from bot.messages import Language, Reply, ReplyEvent, Request
from bot.phrases import say
from rag.priority import Priority
from rag.retrieval import Retriever

_DEFAULT = 5
_MOST = 100


class Search:
    """Handles `search`: the best passages for `request.text`, `options["k"]` of them."""

    command = "search"

    def __init__(
        self, retriever: Retriever, *, priority: Priority, needs: Sequence[Loading]
    ) -> None:
        self._retriever = retriever
        self._priority = priority
        self._needs = needs

    def uses_chat_model(self, request: Request) -> bool:
        """Return False."""
        return False

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield the passages, best first, as text and as data."""
        query = request.text.strip()
        if not query:
            yield Reply("error", say(language, "empty_question"), language)
            return
        async for status in opening(self._needs, language):
            yield status
        audience = audience_of(request)
        limit = max(1, min(int(request.options.get("k", _DEFAULT)), _MOST))
        with self._priority.question():
            found = await asyncio.to_thread(self._retriever.retrieve, query, audience, limit=limit)
        data = [
            {
                "document": hit.passage.document,
                "page": hit.passage.page,
                "section": hit.passage.section,
                "text": hit.passage.text,
                "start": hit.passage.start,
                "end": hit.passage.end,
                "score": round(hit.score, 6),
            }
            for hit in found.hits
        ]
        text = "\n\n".join(f"{row['document']}\n{row['text']}" for row in data)
        yield Reply("answer", text or say(language, "searched_none"), language, data=data)
