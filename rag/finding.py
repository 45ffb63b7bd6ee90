"""What a question in a conversation finds: with what it leans on, in the documents' language."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from functools import partial
from typing import Protocol

from rag.audience import Audience
from rag.language import HAN, Language
from rag.retrieval import Retrieval, Retriever

# Below this confidence a question has found nothing by itself.
_NOTHING = 0.3

# "And for contractors?", "what about meals?", "那晚上呢": these take up what was said.
_TAKES_UP = re.compile(
    r"\W*(?:ok\W+|well\W+|哎\W*|对了\W*)*(?:(?:and|or|but|so|also|then|else|what about|how about|"
    r"what if|same (?:for|with))\b|那|还有|另|另外|其他|其它|如果)|.*呢\W*$",
    re.IGNORECASE | re.DOTALL,
)
# Words for something that was named before.
_REFERS = re.compile(
    r"\b(?:it|its|they|them|their|he|him|his|she|her|hers|this|these|those|there|ones?|other"
    r"|too|that(?=\W*$|\s+(?:be|is|was|one|case|time|way|mean)\b))\b"
    r"|[他她它]|这[个些样里种段]|那[个些样里种段]|其中|该|也|上面|前面|刚才|另一",
    re.IGNORECASE,
)
# A longer question names itself what it refers to: "If a laptop is lost, who must report it?"
_SHORT_WORDS, _SHORT_HAN = 10, 18
_WORD = re.compile(rf"[^\W{HAN}]+")
_HAN = re.compile(f"[{HAN}]")


class Translates(Protocol):
    """Puts questions into the other language; `Translator` does."""

    async def translate(self, question: str, language: Language) -> str | None:
        """Return the question in a language, or None where no translation is to be had."""


class Finder:
    """Retrieves for questions as people ask them: one after the other, in any language."""

    def __init__(self, retriever: Retriever, translator: Translates | None = None) -> None:
        self._retriever = retriever
        self._translator = translator

    async def find(
        self, question: str, audience: Audience, earlier: str | None = None, *, limit: int
    ) -> Retrieval:
        """Return what a question finds that may follow up on an `earlier` one.

        The chat model is asked for a translation only where that may help.
        """
        with_topic = f"{earlier} {question}"
        query = with_topic if earlier and leans(question) else question
        found = await self._search(query, audience, limit)
        sure = found.confidence
        if earlier and query == question and sure is not None and sure < _NOTHING:
            topical = await self._search(with_topic, audience, limit)
            if topical.confidence is None or topical.confidence > sure:
                query, found = with_topic, topical
        if found.better_in is not None and self._translator is not None:
            translation = await self._translator.translate(query, found.better_in)
            if translation is not None:
                found = await self._search(query, audience, limit, translation)
        return replace(found, follows=query != question)

    async def _search(
        self, query: str, audience: Audience, limit: int, translation: str | None = None
    ) -> Retrieval:
        retrieve = partial(self._retriever.retrieve, query, audience, limit=limit)
        return await asyncio.to_thread(retrieve, translation=translation)


def leans(question: str) -> bool:
    """Tell whether a question by its words needs what was said before it."""
    if _TAKES_UP.match(question):
        return True
    words, han = len(_WORD.findall(question)), len(_HAN.findall(question))
    return words <= _SHORT_WORDS and han <= _SHORT_HAN and bool(_REFERS.search(question))
