"""Write texts for people: an outline, an announcement, a letter, a report, a template of theirs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from bot.drafting import Templates
from bot.handlers.citing import replies
from bot.handlers.keeping import Keeping
from bot.handlers.opening import opening
from bot.handlers.seeing import audience_of
from bot.messages import Language, Reply, ReplyEvent, Request, Status
from bot.phrases import say
from bot.voices import Voices
from rag.drafts import Drafts
from rag.pipeline import RagPipeline

_DEFAULT = "outline"


class Write:
    """Handles `write`: `request.text` says what, `options["template"]` after which template.

    With `options["facts"]` "documents", it rests on passages of the team's documents, which are
    cited, and refuses where there are none.
    """

    command = "write"

    def __init__(
        self,
        drafts: Drafts,
        pipeline: RagPipeline,
        templates: Templates,
        keeping: Keeping,
        *,
        voices: Voices,
    ) -> None:
        self._drafts = drafts
        self._pipeline = pipeline
        self._templates = templates
        self._keeping = keeping
        self._voices = voices

    def uses_chat_model(self, request: Request) -> bool:
        """Return True."""
        return True

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield the text's sentences, those that rest on documents with their passages."""
        brief = request.text.strip()
        if not brief:
            yield Reply("error", say(language, "no_brief"), language)
            return
        name = str(request.options.get("template") or _DEFAULT)
        template = await asyncio.to_thread(self._templates.text, name, language)
        if template is None:
            known = ", ".join(await asyncio.to_thread(self._templates.names))
            text = say(language, "no_template", name=name, known=known)
            yield Reply("error", text, language)
            return
        async for status in opening(self._voices.needs(request), language):
            yield status
        audience, model = audience_of(request), self._voices.model(request)
        facts = []
        if request.options.get("facts") == "documents":
            yield Status(say(language, "searching"))
            found = await self._pipeline.retrieve(brief, audience)
            facts = [hit.passage for hit in found.hits]
            if not facts or self._pipeline.is_hopeless(found):
                yield Reply("refusal", say(language, "no_facts"), language, model=model)
                return
        drafts = self._drafts.speaking(self._voices.voice(request))
        stream = drafts.draft(brief, template, facts, audience, language)
        written = replies(stream, language, model)
        read = {fact.document for fact in facts}
        async with aclosing(self._keeping.kept(request, read, written)) as events:
            async for event in events:
                yield event
