"""Keep what people think of an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from bot.conversations import Conversations
from bot.feedback import Feedback
from bot.handlers.seeing import audience_of
from bot.messages import Language, Reply, ReplyEvent, Request
from bot.phrases import say
from rag.records import Records

_THUMBS = {"up": 1, "down": -1}


class Rate:
    """Handles `rate`: `options["reply"]` is the id of the request that was answered.

    `options["thumb"]` is `up` or `down`; `request.text` is a correction. One of them is enough.
    An admin's thumbs-down on an answer to a question is offered as a case of the regression file.
    """

    command = "rate"

    def __init__(self, conversations: Conversations, feedback: Feedback, records: Records) -> None:
        self._records = records
        self._conversations = conversations
        self._feedback = feedback

    def uses_chat_model(self, request: Request) -> bool:
        """Return False."""
        return False

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield thanks; for an admin who is not content, with the documents that were read."""
        reply = str(request.options.get("reply", ""))
        thumb = _THUMBS.get(str(request.options.get("thumb")))
        correction = request.text.strip() or None
        said = await self._conversations.said(request.platform, reply)
        if said is None or (thumb is None and correction is None):
            yield Reply("error", say(language, "rated_nothing"), language)
            return
        await self._feedback.add(request, reply, said, thumb, correction)
        offer = None
        if thumb == -1 and request.is_admin and said.command == "ask":
            audience = audience_of(request)
            seen = await asyncio.to_thread(self._records.known, said.documents, audience)
            offer = {"reply": reply, "documents": sorted(seen)}
        yield Reply("answer", say(language, "rated"), language, data=offer)
