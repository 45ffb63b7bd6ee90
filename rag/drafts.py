"""Texts that the model writes for people: drafts after a template, rewritten, translated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from langchain_core.messages import BaseMessage

from rag.audience import Audience
from rag.author import Author, Voice
from rag.citations import Source
from rag.keywords import terms
from rag.language import Language
from rag.pipeline import Event, Finished, Partly, Progress, Sentence
from rag.priority import Priority
from rag.records import Passage
from rag.skill_prompts import draft_prompt, rewrite_prompt, translate_prompt
from rag.writing import Clock

_DRAFT_TOKENS = 8
_FEWEST_WORDS = 4
_MOST_PASSAGES = 60
"""Passages of a text that are written anew: some twenty pages."""


class Drafts:
    """Writes what people ask for; facts are cited, what the model adds to them isn't."""

    def __init__(self, author: Author, priority: Priority) -> None:
        self._author = author
        self._priority = priority

    def speaking(self, voice: Voice) -> Drafts:
        """Return the same with another voice."""
        return Drafts(self._author.speaking(voice), self._priority)

    async def draft(
        self,
        brief: str,
        template: str,
        facts: Sequence[Passage],
        audience: Audience,
        language: Language,
    ) -> AsyncGenerator[Event, None]:
        """Write after a template what a brief asks for, with facts from passages."""
        sources = [Source(number, passage) for number, passage in enumerate(facts, 1)]
        told = "\n".join(passage.text for passage in facts)
        prompt = draft_prompt(brief, template, told, language)
        with self._priority.question():
            clock = Clock()
            judge = await asyncio.to_thread(self._author.proof, None, sources, audience, most=2)
            said = 0
            stream = self._author.sentences(prompt, clock, tokens=_DRAFT_TOKENS)
            async with aclosing(_spaced(stream)) as sentences:
                async for sentence in sentences:
                    checked = await asyncio.to_thread(judge.check, sentence)
                    clock.mark("first_text", once=True)
                    said += 1
                    # A greeting is near to some sentence of every text.
                    states = len(set(terms(sentence))) >= _FEWEST_WORDS
                    yield Sentence(sentence, checked.citations if states else ())
            yield Finished("answer" if said else "refusal", language, clock.done())

    def rewritten(
        self, passages: Sequence[Passage], how: str, language: Language
    ) -> AsyncGenerator[Event, None]:
        """Write a text anew as somebody wants it, passage by passage."""
        return self._anew(passages, lambda text: rewrite_prompt(text, how, language), language)

    def translated(
        self, passages: Sequence[Passage], language: Language
    ) -> AsyncGenerator[Event, None]:
        """Translate a text, passage by passage."""
        return self._anew(passages, lambda text: translate_prompt(text, language), language)

    async def _anew(
        self,
        passages: Sequence[Passage],
        prompt: Callable[[str], list[BaseMessage]],
        language: Language,
    ) -> AsyncGenerator[Event, None]:
        """Yield `Progress` and the sentences of each passage, the last of which cites it; `Partly`
        where the text is longer; then `Finished`."""
        with self._priority.question():
            clock = Clock()
            read = passages[:_MOST_PASSAGES]
            said = end = 0
            for number, passage in enumerate(read, 1):
                yield Progress(number, len(read))
                text = passage.text[max(0, end - passage.start) :]  # passages may overlap
                end = passage.end
                if not text.strip():
                    continue
                tokens = await asyncio.to_thread(self._tokens, text)
                held, lead = "", "\n\n" if said else ""
                stream = self._author.sentences(prompt(text), clock, tokens=tokens)
                async with aclosing(_spaced(stream)) as sentences:
                    async for sentence in sentences:
                        if held:
                            yield Sentence(held, ())
                        clock.mark("first_text", once=True)
                        held, lead = lead + sentence, ""
                if held:
                    said += 1
                    yield Sentence(
                        held, (Source(number, passage).whole(),) if passage.document else ()
                    )
            if said and len(read) < len(passages):
                yield Partly(len(read), len(passages))
            yield Finished("answer" if said else "refusal", language, clock.done())

    def _tokens(self, text: str) -> int:
        """Return how many answers' length a text may take when it is written anew."""
        return 2 + 2 * self._author.count(text) // self._author.limits.max_tokens


async def _spaced(sentences: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    """Pass sentences on with the line breaks before them that the model wrote after the last."""
    space = ""
    async with aclosing(sentences):
        async for sentence in sentences:
            whole = space + sentence
            shown = whole.rstrip()
            space = whole[len(shown) :]
            if shown:
                yield shown
