"""Write a text anew, shorter, friendlier or otherwise, and translate it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from bot.handlers.citing import replies
from bot.handlers.keeping import Keeping
from bot.handlers.opening import opening
from bot.handlers.reading import Reading
from bot.loading import Loading
from bot.messages import Language, Reply, ReplyEvent, Request
from bot.phrases import say
from rag.drafts import Drafts
from rag.language import language_of
from rag.pipeline import Event
from rag.records import DocumentUnknown, Passage


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
        model: str,
        needs: Sequence[Loading],
    ) -> None:
        self._drafts = drafts
        self._reading = reading
        self._keeping = keeping
        self._model = model
        self._needs = needs

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
        async for status in opening(self._needs, language):
            yield status
        passages = await self._passages(request)
        stream = self.stream(request, passages)
        written = replies(stream, language, self._model)
        read = {each.document for each in passages if each.document}
        async with aclosing(self._keeping.kept(request, read, written)) as events:
            async for event in events:
                yield event

    def stream(self, request: Request, passages: Sequence[Passage]) -> AsyncGenerator[Event, None]:
        """Write the passages anew, in the language that was asked for, else in their own."""
        how = str(request.options.get("how") or say(_own(passages), "clearer"))
        return self._drafts.rewritten(passages, how, _wanted(request) or _own(passages))

    async def _passages(self, request: Request) -> list[Passage]:
        """Return what is to be written anew; a text that names no document is meant itself."""
        text = request.text.strip()
        try:
            texts = await self._reading.texts(request, text)
        except DocumentUnknown:
            if request.attachments:
                raise
            return [_said(text)]
        return [passage for each in texts for passage in each.passages]


class Translate(Rewrite):
    """Handles `translate`: as `rewrite`, into `options["language"]`, else into the other one."""

    command = "translate"

    def stream(self, request: Request, passages: Sequence[Passage]) -> AsyncGenerator[Event, None]:
        """Translate the passages."""
        other: Language = "en" if _own(passages) == "zh" else "zh"
        return self._drafts.translated(passages, _wanted(request) or other)


def _wanted(request: Request) -> Language | None:
    wanted = request.options.get("language")
    return wanted if wanted in ("en", "zh") else None


def _own(passages: Sequence[Passage]) -> Language:
    chinese = sum(passage.language == "zh" for passage in passages)
    return "zh" if 2 * chinese > len(passages) else "en"


def _said(text: str) -> Passage:
    """Return a text that somebody wrote as a passage of no document."""
    return Passage("", "", "", "", 0, text, 0, len(text), None, None, language_of(text))
