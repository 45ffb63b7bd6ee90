"""Keep what the bot wrote, for who rates or shares it later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from dataclasses import replace

from bot.conversations import Conversations, Said
from bot.handlers.seeing import audience_of
from bot.messages import Reply, ReplyEvent, Request
from rag.records import Records


class Keeping:
    """Keeps the replies of skills; only documents that are known here are named with them."""

    def __init__(self, conversations: Conversations, records: Records) -> None:
        self._conversations = conversations
        self._records = records

    async def kept(
        self, request: Request, read: Collection[str], events: AsyncGenerator[ReplyEvent, None]
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Pass events on; the reply at their end is kept before anybody can rate or share it."""
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Reply):
                    await self.keep(request, read, event)
                yield event

    async def keep(self, request: Request, read: Collection[str], reply: Reply) -> None:
        """Keep a reply with the names of what was read for it, without its files."""
        names = frozenset(read)
        audience = audience_of(request)
        known = await asyncio.to_thread(self._records.known, names, audience)
        said = Said(
            request.text.strip() or ", ".join(sorted(names)),
            reply.text,
            reply.outcome,
            reply.model,
            tuple(each for each in reply.citations if each.document in known),
            frozenset(known),
            request.command,
        )
        await self._conversations.remember(request, said, reply=replace(reply, files=()))
