"""Back up what is known, and restore it; for whoever runs the bot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bot.handlers.teach import OPERATOR
from bot.loading import Loading
from bot.messages import Language, Reply, ReplyEvent, Request, Status
from bot.phrases import counted, say
from rag.ingest.indexer import Indexer


class BackUp:
    """Handles `backup`: `request.text` is the file to write; nothing has to be open."""

    command = "backup"

    def __init__(self, indexer: Indexer) -> None:
        self._indexer = indexer

    def uses_chat_model(self, request: Request) -> bool:
        """Return False."""
        return False

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield what the backup holds."""
        if request.platform != OPERATOR:  # it writes any file, with the documents of every scope
            yield Reply("error", say(language, "unknown_command", command=self.command), language)
            return
        file = Path(request.text)
        yield Status(say(language, "backing_up"))
        held = await asyncio.to_thread(self._indexer.backups.make, file)
        documents = counted(language, "documents", held.documents)
        text = say(language, "backed_up", documents=documents, file=file)
        yield Reply("answer", text, language, data={"file": str(file), **asdict(held)})


class Restore:
    """Handles `restore`: `request.text` is the backup; the running bot answers from it at once.

    `knowledge` says whether the index is open; it need not be. `upgrade` brings a database's
    tables to the newest version, `reload` reads anew what is kept in memory.
    """

    command = "restore"

    def __init__(
        self,
        indexer: Indexer,
        knowledge: Loading,
        upgrade: Callable[[Any], None],
        reload: Callable[[], None],
    ) -> None:
        self._indexer = indexer
        self._knowledge = knowledge
        self._upgrade = upgrade
        self._reload = reload

    def uses_chat_model(self, request: Request) -> bool:
        """Return False."""
        return False

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield what the backup held."""
        if request.platform != OPERATOR:
            yield Reply("error", say(language, "unknown_command", command=self.command), language)
            return
        if self._knowledge.begun and not self._knowledge.done:
            await self._knowledge.ready()  # neither open nor closed is no moment for this
        file, answering = Path(request.text), self._knowledge.done
        yield Status(say(language, "restoring"))
        held = await asyncio.to_thread(
            self._indexer.backups.restore, file, self._upgrade, answering=answering
        )
        await asyncio.to_thread(self._reload)
        if answering:
            await asyncio.to_thread(self._indexer.recover)
        text = say(language, "restored", documents=counted(language, "documents", held.documents))
        yield Reply("answer", text, language, data={"file": str(file), **asdict(held)})
