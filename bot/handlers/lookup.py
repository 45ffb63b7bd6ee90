"""Answer a question from a web page that it names, or from an API that the settings declare."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from bot.handlers.citing import replies
from bot.handlers.explain import document_reason, explain
from bot.handlers.keeping import Keeping
from bot.handlers.opening import opening
from bot.handlers.reading import Reading
from bot.handlers.seeing import audience_of
from bot.links import links
from bot.messages import Language, Reply, ReplyEvent, Request, Status
from bot.phrases import say
from bot.voices import Voices
from rag.audience import Audience
from rag.errors import DocumentError
from rag.extraction import NotExtracted
from rag.fetch import FetchError
from rag.language import language_of
from rag.lookup import Lookup
from rag.pipeline import RagPipeline
from rag.summaries import Text
from rag.tools import Tool, ValueUnusable


class Refused(Exception):
    """Nothing can be asked; the text says why."""


class LookUp:
    """Handles `lookup`: `request.text` is a question, and names a page, or a tool may answer it.

    `options["tool"]` names the tool; else the model chooses. What comes back is read as any text
    is, proven and cited by its address, and not kept.
    """

    command = "lookup"

    def __init__(
        self,
        lookup: Lookup,
        pipeline: RagPipeline,
        reading: Reading,
        keeping: Keeping,
        *,
        voices: Voices,
    ) -> None:
        self._lookup = lookup
        self._pipeline = pipeline
        self._reading = reading
        self._keeping = keeping
        self._voices = voices

    def uses_chat_model(self, request: Request) -> bool:
        """Return True."""
        return True

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield which address is asked, then the answer's sentences and the reply."""
        page = next(iter(links(request.text)), None)
        question = (request.text.replace(page, " ") if page else request.text).strip()
        if not question:
            yield Reply("error", say(language, "empty_question"), language)
            return
        chosen = request.channel.language or request.options.get("language")
        language = chosen or language_of(question)
        audience = audience_of(request)
        tools = self._lookup.tools(audience)
        if not (page or tools):
            yield Reply("refusal", say(language, "no_tools"), language)
            return
        async for status in opening(self._voices.needs(request), language):
            yield status
        if page:
            yield Status(say(language, "reading_sources", sources=page))
            (text,) = await self._reading.named(request, page)
        else:
            yield Status(say(language, "choosing_tool"))
            try:
                tool, address = await self._chosen(request, question, tools, language)
                yield Status(say(language, "asking_tool", tool=tool.name, address=address))
                text = await self._said(tool, address, language)
            except Refused as refused:
                yield Reply("refusal", str(refused), language)
                return
        async for event in self._answer(request, question, text, audience, language, chosen):
            yield event

    async def _chosen(
        self, request: Request, question: str, tools: Sequence[Tool], language: Language
    ) -> tuple[Tool, str]:
        """Return the tool that answers a question, and the address to ask; raise `Refused`."""
        lookup = self._lookup.speaking(self._voices.voice(request))
        named = str(request.options.get("tool", "")).strip()
        try:
            if named:
                tool = next((each for each in tools if each.name == named), None)
            else:
                tool = await lookup.choose(question, tools, language)
            if tool is None:
                raise Refused(say(language, "no_tool_fits", tools=_listed(tools)))
            values = await lookup.values(question, tool, language)
        except NotExtracted as error:
            raise Refused(say(language, "no_tool_fits", tools=_listed(tools))) from error
        try:
            return tool, tool.address(values)
        except ValueUnusable as error:
            about = tool.parameters[error.parameter]
            wanted = about.about
            if about.choices:
                wanted += f" ({', '.join(map(str, about.choices))})"
            raise Refused(
                say(language, "tool_needs", tool=tool.name, name=error.parameter, about=wanted)
            ) from error

    async def _said(self, tool: Tool, address: str, language: Language) -> Text:
        """Return what a tool says; raise `Refused`."""
        try:
            return await self._lookup.ask(tool, address)
        except DocumentError as error:
            why = explain(error, language) or document_reason(language, error.code.value)
            if isinstance(error, FetchError) and error.trouble in ("private", "elsewhere"):
                why = say(language, f"tool_{error.trouble}")
            values = {"tool": tool.name, "address": address, "why": why}
            raise Refused(say(language, "tool_failed", **values)) from error

    async def _answer(
        self,
        request: Request,
        question: str,
        text: Text,
        audience: Audience,
        language: Language,
        chosen: Language | None,
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield the answer from what was read; a refusal names the address that doesn't have it."""
        pipeline = self._pipeline.speaking(self._voices.voice(request))
        stream = pipeline.read(question, text.passages, audience, chosen)
        written = replies(stream, language, self._voices.model(request))
        told = _told(written, say(language, "says_nothing", address=text.name))
        async with aclosing(self._keeping.kept(request, [text.name], told)) as events:
            async for event in events:
                yield event


async def _told(
    events: AsyncGenerator[ReplyEvent, None], nothing: str
) -> AsyncGenerator[ReplyEvent, None]:
    """Pass events on; a refusal says `nothing`."""
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Reply) and event.outcome == "refusal":
                event = replace(event, text=nothing, nearest=())
            yield event


def _listed(tools: Sequence[Tool]) -> str:
    return "".join(f"\n- {tool.name}: {tool.about}" for tool in tools)
