"""The one flow of a question: retrieve, prompt, generate, prove."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Literal

from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from rag.audience import Audience
from rag.calibration import Calibration
from rag.citations import Citation, Source
from rag.context import context, number_sources
from rag.errors import TeamglmError
from rag.keywords import rarity, term_id, terms
from rag.language import Language, language_of
from rag.priority import Priority
from rag.prompts import ask_prompt, quotation, says_unknown, summary_prompt, without_numbers
from rag.proof import Proof
from rag.records import Passage, Records
from rag.retrieval import Hit, Retrieval, Retriever
from rag.writing import AnswerTimeout, Clock, written_sentences

__all__ = [
    "AnswerLimits",
    "AnswerTimeout",
    "Event",
    "Exchange",
    "Finished",
    "Found",
    "Outcome",
    "Progress",
    "QuestionTooLong",
    "RagPipeline",
    "Sentence",
]

log = logging.getLogger(__name__)

# What the chat template adds around each message, generously.
_MESSAGE_TOKENS = 8
_LEAST_CONTEXT = 64
# From this confidence on, the model isn't asked whether the sources have the answer at all.
_SURE = 0.8


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


Event = Found | Progress | Sentence | Finished


@dataclass(frozen=True, slots=True)
class AnswerLimits:
    """How much an answer may read and write, in passages, tokens and seconds."""

    passages: int = 3
    context_tokens: int = 240
    max_tokens: int = 96
    refuse_below: float = 0.3
    timeout: float = 120.0
    first_token: float = 120.0
    """How long an answer's first token may take; summaries read more before theirs."""
    part_tokens: int = 1000
    """A text longer than this is summarised in parts."""
    most_parts: int = 12
    calibration: Calibration | None = None
    """Refuses by retrieval and proof together, instead of `refuse_below`."""


class RagPipeline:
    """Answers questions and summarises documents for an audience."""

    def __init__(
        self,
        records: Records,
        retriever: Retriever,
        embeddings: Embeddings,
        chat: BaseChatModel,
        *,
        context_window: Callable[[], int],
        limits: AnswerLimits,
        priority: Priority,
    ) -> None:
        self._records = records
        self._retriever = retriever
        self._embeddings = embeddings
        self._chat = chat
        self._window = context_window
        self._limits = limits
        self._priority = priority

    def use(self, embeddings: Embeddings) -> None:
        """Compare texts with another model; call it while no question is being answered."""
        self._embeddings = embeddings

    async def stream(
        self, question: str, audience: Audience, history: Sequence[Exchange] = ()
    ) -> AsyncGenerator[Event, None]:
        """Answer a question: `Found`, then `Sentence`s as they are written, then `Finished`.

        Raise `QuestionTooLong`, `AnswerTimeout`, or what the models and the store raise.
        """
        with self._priority.question():
            clock = Clock()
            language = language_of(question)
            retrieval = await asyncio.to_thread(self.retrieve, question, audience, history)
            clock.mark("retrieve")
            hits = retrieval.hits
            proof = Outcome(retrieval.confidence)
            if not hits or self._is_hopeless(retrieval):
                yield await asyncio.to_thread(self._refusal, language, hits, audience, clock, proof)
                return
            sources = number_sources(hits)
            yield Found(tuple(_whole(source) for source in sources))
            messages = await asyncio.to_thread(
                self._prompt, question, language, retrieval, hits, sources, history
            )
            judge = await asyncio.to_thread(self._proof, question, sources, audience)
            proof = replace(proof, asked_ms=clock.now())
            lead = ""  # claims nothing, so it is shown with what comes after it or not at all
            unknown = False
            async with aclosing(
                self._sentences(messages, clock, patience=self._limits.first_token)
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
                    yield Sentence(lead + text, checked.citations)
                    lead = ""
            if proof.withheld:
                log.info(
                    "%d of %d sentences withheld", proof.withheld, proof.withheld + proof.shown
                )
            if not proof.shown and not unknown and proof.withheld:
                quoted = await asyncio.to_thread(self._quoted, judge, language, proof)
                if quoted is not None:
                    clock.mark("first_text", once=True)
                    proof = replace(proof, shown=1, support=0.0)
                    yield quoted
            if proof.shown:
                yield Finished("answer", language, clock.done(), proof=proof)
            else:
                yield await asyncio.to_thread(self._refusal, language, hits, audience, clock, proof)

    async def summarise(
        self,
        name: str,
        passages: Sequence[Passage],
        audience: Audience,
        language: Language,
    ) -> AsyncGenerator[Event, None]:
        """Summarise a document's passages: `Progress`, cited `Sentence`s, then `Finished`.

        A long text is summarised part by part, and then the parts' summaries; of a very long one
        the parts are spread evenly over it. Raise as `stream` does.
        """
        with self._priority.question():
            clock = Clock()
            parts = await asyncio.to_thread(self._parts, passages)
            text = ""
            for at, part in enumerate(parts):
                yield Progress(at + 1, len(parts))
                whole = "\n".join(passage.text for passage in part)
                if len(parts) == 1:
                    text = whole
                else:
                    prompt = summary_prompt(name, whole, language, 2)
                    async with aclosing(self._sentences(prompt, clock)) as sentences:
                        text += "".join([s async for s in sentences]).strip() + "\n"
            kept = [passage for part in parts for passage in part]
            sources = [Source(number, passage) for number, passage in enumerate(kept, 1)]
            judge = await asyncio.to_thread(self._proof, None, sources, audience)
            prompt = summary_prompt(name, text, language, 5)
            proof = Outcome()
            async with aclosing(self._sentences(prompt, clock, tokens=3)) as sentences:
                async for sentence in sentences:
                    sentence = without_numbers(sentence, 0)
                    if not sentence.strip():
                        continue
                    checked = await asyncio.to_thread(judge.check, sentence)
                    if not checked.supported:
                        proof = replace(proof, withheld=proof.withheld + checked.claims)
                        continue
                    clock.mark("first_text", once=True)
                    proof = replace(proof, shown=proof.shown + 1)
                    yield Sentence(sentence, checked.citations)
            if not proof.shown and proof.withheld:
                # Nothing of the summary is proven: how the document begins says what it is about.
                for citation in [source.cite(0) for source in sources if source.sentences][:2]:
                    proof = replace(proof, shown=proof.shown + 1)
                    yield Sentence(f" {quotation(name, citation.quote, language)}", (citation,))
            outcome: Literal["answer", "refusal"] = "answer" if proof.shown else "refusal"
            yield Finished(outcome, language, clock.done(), proof=proof)

    def retrieve(
        self, question: str, audience: Audience, history: Sequence[Exchange] = ()
    ) -> Retrieval:
        """Return what a question finds, by what came before it where that helps; blocking."""
        limit = self._limits.passages
        retrieval = self._retriever.retrieve(question, audience, limit=limit)
        if self._is_hopeless(retrieval) and history:
            # "And for contractors?" says little alone: what came before says what it is about.
            with_topic = f"{history[-1].question} {question}"
            return self._retriever.retrieve(with_topic, audience, limit=limit)
        return retrieval

    def _is_hopeless(self, retrieval: Retrieval) -> bool:
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
        """Return what the sources say word for word, where retrieval is sure that it answers."""
        sure = proof.confidence is None or proof.confidence >= _SURE
        found = judge.quotation() if sure and not self._is_doubtful(proof) else None
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
        nearest = [_whole(Source(number, each)) for number, each in enumerate(best.values(), 1)]
        return Finished("refusal", language, clock.done(), searched, tuple(nearest), proof)

    def _prompt(
        self,
        question: str,
        language: Language,
        retrieval: Retrieval,
        hits: Sequence[Hit],
        sources: Sequence[Source],
        history: Sequence[Exchange],
    ) -> list[BaseMessage]:
        """Return a prompt that fits the window: first the earlier turns give way, then sources."""
        count = self._chat.get_num_tokens
        sure = retrieval.confidence is not None and retrieval.confidence >= _SURE
        bare = ask_prompt(question, "", language, sure=sure)
        room = self._window() - self._limits.max_tokens
        room -= sum(count(str(message.content)) + _MESSAGE_TOKENS for message in bare)
        if room < _LEAST_CONTEXT:
            raise QuestionTooLong("The question is too long for the model's window: shorten it.")
        text = context(
            question,
            hits,
            sources,
            retrieval.rarities,
            self._embeddings,
            budget=min(self._limits.context_tokens, room),
            count=count,
        )
        room -= count(text)
        turns: list[BaseMessage] = []
        for exchange in reversed(history):
            pair = [HumanMessage(exchange.question), AIMessage(exchange.answer)]
            room -= sum(count(str(message.content)) + _MESSAGE_TOKENS for message in pair)
            if room < 0:
                break
            turns = [*pair, *turns]
        return ask_prompt(question, text, language, turns, sure=sure)

    def _proof(self, question: str | None, sources: Sequence[Source], audience: Audience) -> Proof:
        known = {
            term_id(term) for source in sources for text in source.sentences for term in terms(text)
        }
        frequencies = self._records.frequencies(known, audience)
        passages = max(self._records.passage_count(audience), 1)
        rarities = {
            term: rarity(min(frequencies.get(term, 1), passages), passages) for term in known
        }
        # A summary's sentence says in short what several passages say.
        most = 2 if question is not None else 4
        return Proof(question, sources, rarities, self._embeddings, most=most)

    def _parts(self, passages: Sequence[Passage]) -> list[list[Passage]]:
        """Pack passages into parts that the model reads at once, spread evenly if they are many."""
        parts: list[list[Passage]] = []
        size = 0
        for passage in passages:
            tokens = self._chat.get_num_tokens(passage.text)
            if not parts or size + tokens > self._limits.part_tokens:
                parts.append([])
                size = 0
            parts[-1].append(passage)
            size += tokens
        most = self._limits.most_parts
        if len(parts) > most:
            parts = [parts[at * (len(parts) - 1) // max(most - 1, 1)] for at in range(most)]
        return parts

    def _sentences(
        self,
        messages: Sequence[BaseMessage],
        clock: Clock,
        *,
        tokens: int = 1,
        patience: float = math.inf,
    ) -> AsyncGenerator[str, None]:
        return written_sentences(
            self._chat,
            messages,
            clock,
            max_tokens=tokens * self._limits.max_tokens,
            timeout=self._limits.timeout,
            patience=patience,
        )


def _whole(source: Source) -> Citation:
    """Return the citation of a whole passage."""
    passage = source.passage
    return Citation(
        source.number,
        passage.document_id,
        passage.document,
        passage.page,
        passage.section,
        passage.text,
        passage.start,
        passage.end,
    )
