"""The chat model as an author: what it writes, within its limits, and what proves it."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Literal

from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage

from rag.audience import Audience
from rag.calibration import Calibration
from rag.citations import Source
from rag.keywords import rarity, term_id, terms
from rag.proof import Proof
from rag.records import Records
from rag.writing import Clock, written_json, written_sentences

Tone = Literal["plain", "friendly", "formal"]
_TONES: dict[Tone, str] = {
    "plain": "",
    "friendly": " Write in a warm and friendly tone.",
    "formal": " Write in a formal, businesslike tone.",
}


@dataclass(frozen=True, slots=True)
class Voice:
    """How something is written: in which tone, and by which model instead of the usual one."""

    tone: Tone = "plain"
    chat: BaseChatModel | None = None
    window: Callable[[], int] | None = None
    """How many tokens that model reads and writes at most."""


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
    """A text longer than this is read in parts."""
    most_parts: int = 12
    """Parts of one text that are read, spread evenly over it; people are told."""
    calibration: Calibration | None = None
    """Refuses by retrieval and proof together, instead of `refuse_below`."""


class Author:
    """Writes with the chat model, and proves what is written by what was read."""

    def __init__(
        self,
        records: Records,
        embeddings: Embeddings,
        chat: BaseChatModel,
        *,
        context_window: Callable[[], int],
        limits: AnswerLimits,
        tone: Tone = "plain",
    ) -> None:
        self._records = records
        self._tone = tone
        self._whose: Author | None = None
        self._embeddings = embeddings
        self._chat = chat
        self._window = context_window
        self.limits = limits

    def use(self, embeddings: Embeddings) -> None:
        """Compare texts with another model; call it while nothing is being written."""
        self._embeddings = embeddings

    @property
    def embeddings(self) -> Embeddings:
        """Return what compares texts now."""
        return self._embeddings if self._whose is None else self._whose.embeddings

    def speaking(self, voice: Voice) -> Author:
        """Return this author with another voice; it follows this one's embeddings."""
        if voice.chat is None and voice.tone == self._tone:
            return self
        other = copy(self)
        other._whose, other._tone = self, voice.tone
        if voice.chat is not None and voice.window is not None:
            other._chat, other._window = voice.chat, voice.window
        return other

    @property
    def window(self) -> int:
        """Return how many tokens the model reads and writes at most."""
        return self._window()

    def count(self, text: str) -> int:
        """Return how many tokens the model makes of a text; blocking."""
        return self._chat.get_num_tokens(text)

    def proof(
        self, question: str | None, sources: Sequence[Source], audience: Audience, *, most: int
    ) -> Proof:
        """Return what checks sentences against sources, `most` of them together; blocking."""
        known = {
            term_id(term) for source in sources for text in source.sentences for term in terms(text)
        }
        frequencies = self._records.frequencies(known, audience)
        passages = max(self._records.passage_count(audience), 1)
        rarities = {
            term: rarity(min(frequencies.get(term, 1), passages), passages) for term in known
        }
        return Proof(question, sources, rarities, self.embeddings, most=most)

    def sentences(
        self,
        messages: Sequence[BaseMessage],
        clock: Clock,
        *,
        tokens: int = 1,
        patience: float = math.inf,
    ) -> AsyncGenerator[str, None]:
        """Yield sentences as they are written; together they may be `tokens` answers long."""
        return written_sentences(
            self._chat,
            self._toned(messages),
            clock,
            max_tokens=tokens * self.limits.max_tokens,
            timeout=self.limits.timeout,
            patience=patience,
        )

    def _toned(self, messages: Sequence[BaseMessage]) -> Sequence[BaseMessage]:
        """Return a prompt whose first message, the system's, says in which tone to write."""
        first, *rest = messages
        told = f"{first.content}{_TONES[self._tone]}"
        return [first.model_copy(update={"content": told}), *rest]

    async def json(
        self, messages: Sequence[BaseMessage], schema: Mapping[str, Any], *, tokens: int
    ) -> str:
        """Return what is written within a JSON Schema; see `written_json`."""
        return await written_json(
            self._chat,
            messages,
            schema,
            max_tokens=tokens * self.limits.max_tokens,
            timeout=self.limits.timeout,
        )
