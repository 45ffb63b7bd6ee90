"""Summaries of texts of any length: parts are read one by one, then what was noted of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Literal

from rag.audience import Audience
from rag.author import Author, Voice
from rag.citations import Source
from rag.language import Language
from rag.pipeline import Event, Finished, Outcome, Partly, Progress, Sentence
from rag.priority import Priority
from rag.prompts import quotation, summary_prompt, without_numbers
from rag.records import Passage
from rag.skill_prompts import compare_prompt
from rag.writing import Clock

Length = Literal["short", "medium", "long"]
_SENTENCES: dict[Length, int] = {"short": 2, "medium": 5, "long": 12}
_TOKENS: dict[Length, int] = {"short": 2, "medium": 3, "long": 6}
_TOGETHER = 4
"""Passages that may prove one sentence together: it says in short what several say."""
_NOTED = 2
"""Sentences that are noted of a part."""


@dataclass(frozen=True, slots=True)
class Text:
    """What is to be read: a document, a page, a thread; its passages are in order."""

    name: str
    passages: Sequence[Passage]

    @property
    def language(self) -> Language:
        """Return the language that most of it is in."""
        return _language(self.passages)


class Summaries:
    """Summarises one text, or compares several, for an audience."""

    def __init__(self, author: Author, priority: Priority) -> None:
        self._author = author
        self._priority = priority

    def speaking(self, voice: Voice) -> Summaries:
        """Return the same with another voice."""
        return Summaries(self._author.speaking(voice), self._priority)

    async def stream(
        self,
        texts: Sequence[Text],
        audience: Audience,
        language: Language,
        length: Length = "medium",
    ) -> AsyncGenerator[Event, None]:
        """Yield `Progress`, the summary's cited `Sentence`s, `Partly` where the texts have more
        parts than are read, then `Finished`.

        What the texts don't say isn't shown. Raise what the model raises, or `AnswerTimeout`.
        """
        with self._priority.question():
            clock = Clock()
            most = max(1, self._author.limits.most_parts // len(texts))
            parted = [await asyncio.to_thread(self._parts, text.passages) for text in texts]
            chosen = [spread(parts, most) for parts in parted]
            total = sum(map(len, chosen))
            done = 0
            notes: list[str] = []
            kept: dict[int, Passage] = {}
            for text, parts in zip(texts, chosen, strict=True):
                noted: list[str] = []
                for part in parts:
                    done += 1
                    yield Progress(done, total)
                    if total == 1:
                        noted.append("\n".join(passage.text for passage in part))
                        kept |= {id(passage): passage for passage in part}
                        continue
                    for note, passages in await self._noted(text.name, part, audience, clock):
                        noted.append(note)
                        kept |= {id(passage): passage for passage in passages}
                budget = self._author.limits.part_tokens // len(texts)
                notes.append(await self._shortened(text, noted, budget, total > 1, clock))
            sources = [Source(number, each) for number, each in enumerate(kept.values(), 1)]
            judge = await asyncio.to_thread(
                self._author.proof, None, sources, audience, most=_TOGETHER
            )
            sentences = _SENTENCES[length]
            if len(texts) == 1:
                prompt = summary_prompt(texts[0].name, notes[0], language, sentences)
            else:
                named = [(text.name, note) for text, note in zip(texts, notes, strict=True)]
                prompt = compare_prompt(named, language, sentences)
            proof = Outcome()
            stream = self._author.sentences(prompt, clock, tokens=_TOKENS[length])
            async with aclosing(stream) as written:
                async for sentence in written:
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
                # Nothing of the summary is proven: how the texts begin says what they are about.
                for source in [source for source in sources if source.sentences][:2]:
                    citation = source.cite(0)
                    proof = replace(proof, shown=proof.shown + 1)
                    quote = quotation(citation.document, citation.quote, language)
                    yield Sentence(f" {quote}", (citation,))
            if proof.shown and (of := sum(map(len, parted))) > total:
                yield Partly(total, of)
            outcome: Literal["answer", "refusal"] = "answer" if proof.shown else "refusal"
            yield Finished(outcome, language, clock.done(), proof=proof)

    async def _noted(
        self, name: str, part: Sequence[Passage], audience: Audience, clock: Clock
    ) -> list[tuple[str, list[Passage]]]:
        """Return what is to be remembered of a part, each sentence with what proves it.

        It is noted in the part's own language, where words prove it; without any proof, the part's
        beginning is its note.
        """
        whole = "\n".join(passage.text for passage in part)
        prompt = summary_prompt(name, whole, _language(part), _NOTED)
        sources = [Source(number, passage) for number, passage in enumerate(part)]
        judge = await asyncio.to_thread(self._author.proof, None, sources, audience, most=_TOGETHER)
        noted = []
        async with aclosing(self._author.sentences(prompt, clock)) as sentences:
            async for sentence in sentences:
                checked = await asyncio.to_thread(judge.check, sentence)
                if checked.supported:
                    passages = [part[citation.number] for citation in checked.citations]
                    noted.append((sentence.strip(), passages))
        return noted or [(source.cite(0).quote, [source.passage]) for source in sources[:1]]

    async def _shortened(
        self, text: Text, notes: list[str], budget: int, again: bool, clock: Clock
    ) -> str:
        """Return notes as a text of about so many tokens, summarised as often as that takes."""
        while again:
            groups = await asyncio.to_thread(self._groups, notes, budget)
            if len(groups) == 1 or len(groups) == len(notes):
                break
            notes = []
            for group in groups:
                prompt = summary_prompt(text.name, "\n".join(group), text.language, _NOTED + 1)
                async with aclosing(self._author.sentences(prompt, clock)) as sentences:
                    notes.append("".join([s async for s in sentences]).strip())
        return "\n".join(notes)

    def _groups(self, notes: Sequence[str], budget: int) -> list[list[str]]:
        groups: list[list[str]] = []
        size = 0
        for note in notes:
            tokens = self._author.count(note)
            if not groups or size + tokens > budget:
                groups.append([])
                size = 0
            groups[-1].append(note)
            size += tokens
        return groups

    def _parts(self, passages: Sequence[Passage]) -> list[list[Passage]]:
        return parts_of(passages, self._author)


def parts_of(passages: Sequence[Passage], author: Author) -> list[list[Passage]]:
    """Pack passages into parts that the model reads at once; blocking."""
    parts: list[list[Passage]] = []
    size = 0
    for passage in passages:
        tokens = author.count(passage.text)
        if not parts or size + tokens > author.limits.part_tokens:
            parts.append([])
            size = 0
        parts[-1].append(passage)
        size += tokens
    return parts


def spread(parts: list[list[Passage]], most: int) -> list[list[Passage]]:
    """Return at most so many of the parts, spread evenly over them."""
    if len(parts) <= most:
        return parts
    return [parts[at * (len(parts) - 1) // max(most - 1, 1)] for at in range(most)]


def _language(passages: Sequence[Passage]) -> Language:
    chinese = sum(passage.language == "zh" for passage in passages)
    return "zh" if 2 * chinese > len(passages) else "en"
