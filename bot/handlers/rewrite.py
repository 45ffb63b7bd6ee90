"""Write a text anew, shorter, friendlier or otherwise, and translate it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from bot.handlers.citing import replies
from bot.handlers.keeping import Keeping
from bot.handlers.opening import opening
from bot.handlers.reading import Reading
from bot.messages import Language, Reply, ReplyEvent, Request
from bot.phrases import say
from bot.voices import Voices
from rag.drafts import Drafts
from rag.language import language_of
from rag.pipeline import Event
from rag.records import DocumentUnknown, Passage
from rag.summaries import Text


class Rewrite:
    """Handles `rewrite`: `request.text` is the text itself or names a document, or a file comes
    along; `options["how"]` says how it shall be."""

    command = "rewrite"

    def __init__(
        self,
        drafts: Drafts,
        reading: Reading,
        keeping: Keeping,
        *,
        voices: Voices,
    ) -> None:
        self._drafts = drafts
        self._reading = reading
        self._keeping = keeping
        self._voices = voices

    def uses_chat_model(self, request: Request) -> bool:
        """Return True."""
        return True

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield progress, the new text's sentences with the passages that they stand for."""
        if not (request.text.strip() or request.attachments):
            yield Reply("error", say(language, "no_text_given"), language)
            return
        async for status in opening(self._voices.needs(request), language):
            yield status
        text = await self._text(request)
        # The dispatcher's language is the option's where there is one.
        asked = language if "language" in request.options else None
        written = replies(self.stream(request, text, asked), language, self._voices.model(request))
        read = {each.document for each in text.passages if each.document}
        async with aclosing(self._keeping.kept(request, read, written)) as events:
            async for event in events:
                yield event

    def stream(
        self, request: Request, text: Text, asked: Language | None
    ) -> AsyncGenerator[Event, None]:
        """Write a text anew, in the language that was asked for, else in its own."""
        how = str(request.options.get("how") or say(text.language, "clearer"))
        drafts = self._drafts.speaking(self._voices.voice(request))
        return drafts.rewritten(text.passages, how, asked or text.language)

    async def _text(self, request: Request) -> Text:
        """Return what is to be written anew; a text that names no document is meant itself."""
        said = request.text.strip()
        try:
            texts = await self._reading.texts(request, said)
        except DocumentUnknown:
            if request.attachments:
                raise
            return Text("", [_said(said)])
        return Text("", [passage for each in texts for passage in each.passages])


class Translate(Rewrite):
    """Handles `translate`: as `rewrite`, into `options["language"]`, else into the other one."""

    command = "translate"

    def stream(
        self, request: Request, text: Text, asked: Language | None
    ) -> AsyncGenerator[Event, None]:
        """Translate a text."""
        other: Language = "en" if text.language == "zh" else "zh"
        own_tone = replace(self._voices.voice(request), tone="plain")
        return self._drafts.speaking(own_tone).translated(text.passages, asked or other)


def _said(text: str) -> Passage:
    """Return a text that somebody wrote as a passage of no document."""
    return Passage("", "", "", "", 0, text, 0, len(text), None, None, language_of(text))
