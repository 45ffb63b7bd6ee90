"""Bring back what somebody was answered, so that they can share it or ask it again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

from bot.conversations import Conversations, Kept
from bot.handlers.seeing import audience_of
from bot.messages import Language, Reply, ReplyEvent, Request
from bot.phrases import say
from rag.records import Records


class Recall:
    """Handles `recall`: `options["reply"]` is the id of the request that was answered.

    The reply comes back to who asked, as long as it is kept and all that it draws on may be seen
    here; its `data` are the command and the question.
    """

    command = "recall"

    def __init__(self, conversations: Conversations, records: Records) -> None:
        self._conversations = conversations
        self._records = records

    def uses_chat_model(self, request: Request) -> bool:
        """Return False."""
        return False

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield the reply as it was, or that it is no longer at hand."""
        reply = str(request.options.get("reply", ""))
        kept = await self._conversations.kept(request.platform, reply)
        if kept is None or not await self._may_have(kept, request):
            yield Reply("error", say(language, "not_kept"), language)
            return
        about = {"command": kept.said.command, "question": kept.said.question}
        yield replace(kept.reply, data=about)

    async def _may_have(self, kept: Kept, request: Request) -> bool:
        if request.user != kept.user or not request.audience >= kept.audience:
            return False
        drawn_on, audience = kept.said.documents, audience_of(request)
        return drawn_on <= await asyncio.to_thread(self._records.known, drawn_on, audience)
