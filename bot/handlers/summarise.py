"""Summarise documents that are known here, files that come along, threads or web pages."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict, replace

from bot.handlers.citing import replies
from bot.handlers.keeping import Keeping
from bot.handlers.opening import opening
from bot.handlers.reading import Reading
from bot.handlers.seeing import audience_of
from bot.messages import Language, Reply, ReplyEvent, Request
from bot.phrases import say
from bot.voices import Voices
from rag.summaries import Summaries


class Summarise:
    """Handles `summarise`: `request.text` names a document or an address, or a file comes along.

    Several are compared. `options["length"]` is short, medium or long; it is written in the
    language that was asked for, else in the document's own. What isn't known is read for this once;
    only the summary is kept, as every answer is.
    """

    command = "summarise"
    least = 1
    """How many texts it needs."""

    def __init__(
        self,
        summaries: Summaries,
        reading: Reading,
        keeping: Keeping,
        *,
        voices: Voices,
    ) -> None:
        self._summaries = summaries
        self._reading = reading
        self._keeping = keeping
        self._voices = voices

    def uses_chat_model(self, request: Request) -> bool:
        """Return True."""
        return True

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield progress, the summary's sentences with their passages, and the reply."""
        if why := self.refused(request, language):
            yield Reply("error", why, language)
            return
        async for status in opening(self._voices.needs(request), language):
            yield status
        texts = await self._reading.texts(request, self.named(request))
        if len(texts) < self.least:
            yield Reply("error", say(language, "name_several"), language)
            return
        if request.language is None and "language" not in request.options:
            # Nobody said which language to write in, so the first text's own is the best guess.
            language = texts[0].language
        audience = audience_of(request)
        length = request.options.get("length", "medium")
        summaries = self._summaries.speaking(self._voices.voice(request))
        stream = summaries.stream(texts, audience, language, length)
        written = replies(stream, language, self._voices.model(request))
        read = [text.name for text in texts]
        async with aclosing(self._keeping.kept(request, read, written)) as events:
            async for event in events:
                yield replace(event, data=_data(event)) if isinstance(event, Reply) else event

    def refused(self, request: Request, language: Language) -> str | None:
        """Return why a request can't be worked on, before anything is opened for it."""
        if request.text.strip() or request.attachments:
            return None
        return say(language, "no_name")

    def named(self, request: Request) -> str:
        """Return what names documents and addresses in a request."""
        return request.text


def _data(reply: Reply) -> dict[str, object]:
    citations = [asdict(citation) for citation in reply.citations]
    return {"text": reply.text, "citations": citations, "timings_ms": dict(reply.timings_ms)}
