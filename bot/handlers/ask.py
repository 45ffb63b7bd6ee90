"""Answer a question from the documents; say hello and what the bot is from the truth."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace

from bot.conversations import Conversations, Said
from bot.handlers.about import told, topic_of
from bot.handlers.citing import replies, whom_to_ask
from bot.handlers.opening import opening
from bot.handlers.seeing import audience_of
from bot.messages import Citation, Language, Reply, ReplyEvent, Request, Sources, Status, Turn
from bot.phrases import counted, say
from bot.voices import Voices
from rag.audience import Audience
from rag.lookup import Lookup
from rag.pipeline import Exchange, RagPipeline
from rag.records import Records


class Ask:
    """Handles `ask`: one question through the whole pipeline."""

    command = "ask"

    def __init__(
        self,
        pipeline: RagPipeline,
        records: Records,
        conversations: Conversations,
        *,
        voices: Voices,
        history: int,
        whom: Mapping[Language, str] | None = None,
        lookup: Lookup | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._records = records
        self._voices = voices
        self._history = history
        self._whom = whom
        """Whom to ask what isn't in the documents, as each language calls them."""
        self._conversations = conversations
        self._lookup = lookup
        """What may tell what isn't in the documents."""

    def uses_chat_model(self, request: Request) -> bool:
        """Tell whether this is a question: greetings are answered without waiting for a turn."""
        question = request.text.strip()
        return bool(question) and topic_of(question) is None

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Answer `request.text` for `request.audience`."""
        question = request.text.strip()
        audience, model = audience_of(request), self._voices.model(request)
        if not question:
            yield Reply("error", say(language, "empty_question"), language)
            return
        if topic := topic_of(question):
            known = await asyncio.to_thread(self._records.sources, audience)
            yield Reply("answer", told(topic, known, model, language), language, model=model)
            return
        async for status in opening(self._voices.needs(request), language):
            yield status
        yield Status(say(language, "searching"))
        if not await asyncio.to_thread(self._records.knows_any, audience):
            text = say(language, "no_documents") + whom_to_ask(language, self._whom)
            text += self._elsewhere(audience, language)
            refusal = Reply("refusal", text, language, model=model)
            await self._keep(request, refusal, ())
            yield refusal
            return
        history, follows = await self._earlier(request, audience)
        pipeline = self._pipeline.speaking(self._voices.voice(request))
        stream = pipeline.stream(question, audience, history, request.channel.language)
        passages: tuple[Citation, ...] = ()
        events = replies(stream, language, model, whom=self._whom)
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Sources):
                    passages = event.citations
                if isinstance(event, Reply):
                    if event.outcome == "refusal":
                        unread = await asyncio.to_thread(self._unread, audience, language)
                        tools = self._elsewhere(audience, language)
                        event = replace(event, text=event.text + unread + tools)
                    await self._keep(request, event, passages or event.nearest, follows)
                yield event

    def _unread(self, audience: Audience, language: Language) -> str:
        """Return the sentence that says how many documents can't answer yet; empty for none."""
        known = self._records.sources(audience)
        waiting = sum(record.state in ("waiting", "reading") for record in known)
        documents = counted(language, "documents", waiting)
        return say(language, "still_reading", documents=documents) if waiting else ""

    def _elsewhere(self, audience: Audience, language: Language) -> str:
        """Return the sentence that says what could be looked up instead; empty for nothing."""
        tools = [tool.name for tool in self._lookup.tools(audience)] if self._lookup else []
        return say(language, "may_look_up", tools=", ".join(tools)) if tools else ""

    async def _keep(
        self,
        request: Request,
        reply: Reply,
        read: tuple[Citation, ...],
        follows: Sequence[Said] = (),
    ) -> None:
        said = Said(request.text.strip(), reply.text, reply.outcome, reply.model, read)
        await self._conversations.remember(request, said, follows, reply)

    async def _earlier(
        self, request: Request, audience: Audience
    ) -> tuple[list[Exchange], Sequence[Said]]:
        """Return the earlier turns, and those of them that the bot remembers itself."""
        if not self._history:
            return [], ()
        if request.history is not None:
            return exchanges(request.history)[-self._history :], ()
        turns = await self._conversations.earlier(request, self._history)
        # What an answer drew on may be forbidden or forgotten by now, and with it the answer.
        drawn_on = frozenset[str]().union(*(turn.documents for turn in turns))
        known = await asyncio.to_thread(self._records.known, drawn_on, audience)
        follows = [turn for turn in turns if turn.documents <= known]
        return [Exchange(turn.question, turn.answer) for turn in follows], follows


def exchanges(turns: Sequence[Turn]) -> list[Exchange]:
    """Pair each question with the answer that followed it; leave out what has no partner."""
    pairs = []
    asked: str | None = None
    for turn in turns:
        if turn.role == "user":
            asked = turn.content
        elif asked is not None:
            pairs.append(Exchange(asked, turn.content))
            asked = None
    return pairs
