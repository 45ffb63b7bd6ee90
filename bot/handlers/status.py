"""Say how the bot is: what it knows here, its model, its health, how much there is to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Protocol

from bot.handlers.seeing import audience_of
from bot.messages import Language, Reply, ReplyEvent, Request
from bot.phrases import counted, say
from bot.voices import Voices
from rag.records import Records


class Load(Protocol):
    """How much there is to do."""

    @property
    def answering(self) -> int:
        """Return how many requests use the chat model."""
        ...

    @property
    def waiting(self) -> int:
        """Return how many wait for it."""
        ...

    @property
    def learning(self) -> int:
        """Return how many bring documents."""
        ...

    @property
    def waiting_to_learn(self) -> int:
        """Return how many wait to bring documents."""
        ...


class Condition:
    """Handles `status`; opens nothing, so that it answers at once."""

    command = "status"

    def __init__(
        self,
        records: Records,
        *,
        voices: Voices,
        load: Callable[[], Load],
    ) -> None:
        self._records = records
        self._voices = voices
        self._load = load

    def uses_chat_model(self, request: Request) -> bool:
        """Return False."""
        return False

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield what is known to this audience, and what concerns everybody."""
        audience = audience_of(request)
        known = await asyncio.to_thread(self._records.sources, audience)
        ready = [record for record in known if record.version is not None]
        reading = sum(record.state in ("waiting", "reading") for record in known)
        failed = sum(record.state == "failed" for record in known)
        passages = sum(record.chunks for record in ready)
        parts = {part.what: part.state for part in self._voices.needs(request)}
        model = self._voices.model(request)
        load = self._load()
        lines = [
            say(
                language,
                "status_known",
                documents=counted(language, "documents", len(ready)),
                passages=counted(language, "passages", passages),
            ),
            *([say(language, "status_reading", n=reading)] if reading else ()),
            *([say(language, "status_failed", n=failed)] if failed else ()),
            say(language, "status_model", model=model),
            *(
                say(language, f"status_{state}", what=say(language, what))
                for what, state in parts.items()
            ),
            say(
                language,
                "status_load",
                answering=load.answering,
                waiting=load.waiting,
                learning=load.learning + load.waiting_to_learn,
            ),
        ]
        data = {
            "documents": len(ready),
            "passages": passages,
            "reading": reading,
            "failed": failed,
            "model": model,
            "parts": parts,
            "answering": load.answering,
            "waiting": load.waiting,
            "learning": load.learning,
            "waiting_to_learn": load.waiting_to_learn,
        }
        yield Reply("answer", "\n".join(lines), language, data=data)
