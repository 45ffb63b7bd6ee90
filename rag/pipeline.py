"""The one flow of a question: retrieve, prompt, generate, prove."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from rag.audience import Audience
from rag.author import Author, Voice
from rag.citations import Citation, Source
from rag.context import context, number_sources
from rag.errors import TeamglmError
from rag.finding import Finder, Translates
from rag.joining import joined
from rag.language import Language, language_of
from rag.nearest import nearest
from rag.priority import Priority
from rag.prompts import ask_prompt, disagreement, quotation, says_unknown, without_numbers
from rag.proof import Proof
from rag.records import Passage, Records
from rag.retrieval import Hit, Retrieval, Retriever
from rag.writing import Clock

log = logging.getLogger(__name__)

# What the chat template adds around each message, generously.
_MESSAGE_TOKENS = 8
_LEAST_CONTEXT = 64
# Passages found beyond those that are read, for those that newer ones replace.
_SPARE = 3
# From this confidence on, the model isn't asked whether the sources have the answer at all.
_SURE = 0.8
# From this one on, what the sources say is quoted where nothing that the model wrote is proven.
_QUOTED = 0.4
# A quotation instead of an answer has this share of the question's words, by weight.
_QUOTABLE = 0.5


class QuestionTooLong(TeamglmError):
    """A question that leaves no room for sources in the model's window."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """An earlier question and its answer."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Found:
    """Retrieval is done: these passages will be read."""

    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """So many parts of a long text are read."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Sentence:
    """A finished sentence of the answer, with the white space before it, and what supports it."""

    text: str
    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class Partly:
    """What was written rests on so many parts of a text that has more."""

    read: int
    of: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How sure an answer is, and how much of what the model wrote could be shown."""

    confidence: float | None = None
    """How likely the answer is among the passages, by retrieval alone."""
    support: float | None = None
    """How much of the first sentence shown its sources say; None where nothing was written."""
    shown: int = 0
    withheld: int = 0
    """Sentences that claim something, with their proof and without."""
    asked_ms: float | None = None
    """When the model was asked: what came before is retrieval and prompt."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of the flow; a refusal has no sentences, only what was searched in vain."""

    outcome: Literal["answer", "refusal"]
    language: Language
    timings_ms: dict[str, float] = field(default_factory=dict)
    searched: int = 0
    """Where the answer isn't found: how many documents were searched, all of them visible."""
    nearest: tuple[Citation, ...] = ()
    """And the best passage of each document that came nearest, best first."""
    proof: Outcome = Outcome()


Event = Found | Progress | Sentence | Partly | Finished


class RagPipeline:
    """Answers questions for an audience."""

    def __init__(
        self,
        records: Records,
        retriever: Retriever,
        author: Author,
        priority: Priority,
        translator: Translates | None = None,
    ) -> None:
        self._records = records
        self._finder = Finder(retriever, translator)
        self._author = author
        self._limits = author.limits
        self._priority = priority

    def speaking(self, voice: Voice) -> RagPipeline:
        """Return this pipeline, answering with another voice."""
        other = copy(self)
        other._author = self._author.speaking(voice)
        return other

    def stream(
        self,
        question: str,
        audience: Audience,
        history: Sequence[Exchange] = (),
        chosen: Language | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Answer a question: `Found`, then `Sentence`s as they are written, then `Finished`.

        It is answered in its own language, or in that which was `chosen`. Raise
        `QuestionTooLong`, `AnswerTimeout`, or what the models and the store raise.
        """
        found = partial(self.retrieve, question, audience, history)
        return self._answered(question, found, audience, history, chosen)

    def read(
        self,
        question: str,
        passages: Sequence[Passage],
        audience: Audience,
        chosen: Language | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Answer a question as `stream` does, from one text that no index needs to know."""
        limit = self._limits.passages
        found = partial(
            asyncio.to_thread, nearest, question, passages, self._author.embeddings, limit=limit
        )
        return self._answered(question, found, audience, (), chosen)

    async def _answered(
        self,
        question: str,
        found: Callable[[], Awaitable[Retrieval]],
        audience: Audience,
        history: Sequence[Exchange],
        chosen: Language | None,
    ) -> AsyncGenerator[Event, None]:
        with self._priority.question():
            clock = Clock()
            language = chosen or language_of(question)
            retrieval = await found()
            clock.mark("retrieve")
            hits = retrieval.hits
            proof = Outcome(retrieval.confidence)
            if not hits or self.is_hopeless(retrieval):
                yield await asyncio.to_thread(self._refusal, language, hits, audience, clock, proof)
                return
            sources = number_sources(hits)
            yield Found(tuple(source.whole() for source in sources))
            if contrary := _contrary(retrieval, sources, language):
                # What each of them says, word for word: a small model would pick one.
                clock.mark("first_text", once=True)
                for sentence in contrary:
                    proof = replace(proof, shown=proof.shown + 1)
                    yield sentence
                yield Finished("answer", language, clock.done(), proof=proof)
                return
            messages = await asyncio.to_thread(
                self._prompt, question, language, retrieval, hits, sources, history, bool(chosen)
            )
            judge = await asyncio.to_thread(self._author.proof, question, sources, audience, most=2)
            proof = replace(proof, asked_ms=clock.now())
            lead = ""  # claims nothing, so it is shown with what comes after it or not at all
            unknown = False
            async with aclosing(
                self._author.sentences(messages, clock, patience=self._limits.first_token)
            ) as sentences:
                async for text in sentences:
                    if not proof.shown and says_unknown(text):
                        unknown = True
                        break
                    text = without_numbers(text, len(sources))
                    if not text.strip():
                        continue
                    checked = await asyncio.to_thread(judge.check, text)
                    if not checked.claims:
                        lead += text
                        continue
                    if not checked.supported:
                        proof = replace(proof, withheld=proof.withheld + 1)
                        continue
                    if not proof.shown:
                        proof = replace(proof, support=round(checked.support, 3))
                        if self._is_doubtful(proof):
                            break
                    clock.mark("first_text", once=True)
                    proof = replace(proof, shown=proof.shown + 1)
                    yield _worded(lead + text, checked.citations, language)
                    lead = ""
            if proof.withheld:
                log.info(
                    "%d of %d sentences withheld", proof.withheld, proof.withheld + proof.shown
                )
            if not proof.shown and not unknown and (proof.withheld or lead):
                quoted = await asyncio.to_thread(self._quoted, judge, language, proof)
                if quoted is not None:
                    clock.mark("first_text", once=True)
                    proof = replace(proof, shown=1, support=0.0)
                    yield quoted
            if proof.shown:
                yield Finished("answer", language, clock.done(), proof=proof)
            else:
                yield await asyncio.to_thread(self._refusal, language, hits, audience, clock, proof)

    async def retrieve(
        self, question: str, audience: Audience, history: Sequence[Exchange] = ()
    ) -> Retrieval:
        """Return the passages that an answer reads: found by what came before, where that helps."""
        limit = self._limits.passages
        earlier = history[-1].question if history else None
        found = await self._finder.find(question, audience, earlier, limit=limit + _SPARE)
        counting = [hit for hit in found.hits if not hit.replaced][:limit]
        hits = await asyncio.to_thread(joined, counting, self._records, audience)
        return replace(found, hits=tuple(hits))

    def is_hopeless(self, retrieval: Retrieval) -> bool:
        """Tell whether an answer would be refused whatever the model wrote."""
        confidence = retrieval.confidence
        if self._limits.calibration:
            return self._limits.calibration.refuses(confidence, support=1.0)
        return confidence is not None and confidence < self._limits.refuse_below

    def _is_doubtful(self, proof: Outcome) -> bool:
        """Tell whether retrieval and the first sentence's proof together are too weak."""
        calibration = self._limits.calibration
        if calibration is None:
            return False
        return calibration.refuses(proof.confidence, support=proof.support or 0.0)

    def _quoted(self, judge: Proof, language: Language, proof: Outcome) -> Sentence | None:
        """Return what the sources say word for word, where that surely answers."""
        confidence = proof.confidence
        if self._is_doubtful(proof) or (confidence is not None and confidence < _QUOTED):
            return None
        # Where retrieval can't tell, the words of the question have to be there.
        found = judge.quotation(least=_QUOTABLE if confidence is None else 0.0)
        if found is None or language_of(found.quote) != language:
            return None
        return Sentence(quotation(found.document, found.quote, language), (found,))

    def _refusal(
        self,
        language: Language,
        hits: Sequence[Hit],
        audience: Audience,
        clock: Clock,
        proof: Outcome,
    ) -> Finished:
        """Return the end of a question whose answer isn't found, with what was searched."""
        searched = self._records.document_count(audience)
        best: dict[str, Passage] = {}
        for hit in hits:
            best.setdefault(hit.passage.document_id, hit.passage)
        nearest = [Source(number, each).whole() for number, each in enumerate(best.values(), 1)]
        return Finished("refusal", language, clock.done(), searched, tuple(nearest), proof)

    def _prompt(
        self,
        question: str,
        language: Language,
        retrieval: Retrieval,
        hits: Sequence[Hit],
        sources: Sequence[Source],
        history: Sequence[Exchange],
        chosen: bool,
    ) -> list[BaseMessage]:
        """Return a prompt that fits the window: first the earlier turns give way, then sources."""
        count = self._author.count
        sure = retrieval.confidence is not None and retrieval.confidence >= _SURE
        bare = ask_prompt(question, "", language, sure=sure, chosen=chosen)
        room = self._author.window - self._limits.max_tokens
        room -= sum(count(str(message.content)) + _MESSAGE_TOKENS for message in bare)
        if room < _LEAST_CONTEXT:
            raise QuestionTooLong("The question is too long for the model's window: shorten it.")
        text = context(
            question,
            hits,
            sources,
            retrieval.rarities,
            self._author.embeddings,
            budget=min(self._limits.context_tokens, room),
            count=count,
        )
        room -= count(text)
        turns: list[BaseMessage] = []
        # A question of its own is answered sooner, and no worse, without the turns before it.
        for exchange in reversed(history if retrieval.follows else ()):
            pair = [HumanMessage(exchange.question), AIMessage(exchange.answer)]
            room -= sum(count(str(message.content)) + _MESSAGE_TOKENS for message in pair)
            if room < 0:
                break
            turns = [*pair, *turns]
        return ask_prompt(question, text, language, turns, sure=sure, chosen=chosen)


def _worded(text: str, citations: tuple[Citation, ...], language: Language) -> Sentence:
    """Return a proven sentence; a bare name in the other script as its source puts it."""
    if language_of(text) != language == language_of(citations[0].quote):
        said = quotation(citations[0].document, citations[0].quote, language)
        return Sentence(said, citations)
    return Sentence(text, citations)


def _contrary(
    retrieval: Retrieval, sources: Sequence[Source], language: Language
) -> list[Sentence]:
    """Return what documents say that contradict each other, each with its citation."""
    rows = {hit.passage.row_id for hit in retrieval.disagreeing}
    cited = []
    for source in sources:
        if source.passage.row_id in rows and source.sentences:
            shared = source.shared(retrieval.rarities)
            cited.append(source.cite(max(range(len(shared)), key=shared.__getitem__)))
    if len(cited) < 2:
        return []
    said = [quotation(citation.document, citation.quote, language) for citation in cited]
    quoted = [Sentence(f" {text}", (by,)) for text, by in zip(said, cited, strict=True)]
    return [Sentence(disagreement(language), tuple(cited)), *quoted]
