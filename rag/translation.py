"""A question in the other language, by the chat model, to find passages that are in it."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from rag.errors import TeamglmError
from rag.language import HAN, Language, chinese_share, language_of

log = logging.getLogger(__name__)

# The chat model's slot for small jobs: the answers' slot keeps its prefix.
_SLOT = 1
_MOST_TOKENS = 60
# A longer question is found well enough by its meaning, and would take long.
_MOST_CHARACTERS = 300

_SYSTEM = (
    "You translate questions between English and Chinese. Reply with the translation alone. "
    "Never answer the question."
)
# One example says more to a small model than any rule.
_ASK: dict[Language, tuple[str, str, str]] = {
    "en": (
        "Translate into English: {question}",
        "K77 表格要提前多少天交给 HR？",
        "How many days in advance must form K77 be handed to HR?",
    ),
    "zh": (
        "翻译成中文：{question}",
        "How many days in advance must form K77 be handed to HR?",
        "K77 表格要提前多少天交给 HR？",
    ),
}
_LABEL = re.compile(
    r"^\W*(?:translation|translated|english|chinese|翻译|译文|中文|英文)\s*[:：]\s*", re.I
)
_UNITS = re.compile(rf"[{HAN}]|[^\W{HAN}]+")
# What a translation has for each word or Han character of the question; an answer is often short.
_FEWEST_UNITS, _MOST_UNITS = 0.3, 3.5
# Numbers, codes and names in Latin letters stay what they are.
_KEPT = re.compile(r"\d+(?:[.,:]\d+)*|[A-Za-z][\w.@/-]*\d[\w.@/-]*")
_NAMES_IN_CHINESE = re.compile(r"[A-Za-z][\w.@/-]+")
_ASKS = re.compile(r"[?？]\s*$")


class Translator:
    """Translates questions, within tokens and seconds; who stops waiting stops the model.

    `ready` returns when the model is open, or raises why it can't be.
    """

    def __init__(
        self,
        chat: BaseChatModel,
        *,
        ready: Callable[[], Awaitable[None]],
        patience: float = 6.0,
    ) -> None:
        self._chat = chat
        self._ready = ready
        self._patience = patience

    async def translate(self, question: str, language: Language) -> str | None:
        """Return the question in a language, or None where no translation is to be had."""
        if len(question) > _MOST_CHARACTERS:
            return None
        written = ""
        try:
            await self._ready()
            stream = self._chat.astream(
                _prompt(question, language), max_tokens=_MOST_TOKENS, slot=_SLOT
            )
            async with asyncio.timeout(self._patience), aclosing(stream) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    written += str(piece.content)
                    if "\n" in written.lstrip():
                        break
        except (TimeoutError, TeamglmError) as error:
            log.info("a question stays untranslated: %s", type(error).__name__)
            return None
        return checked(question, written, language)


def checked(question: str, written: str, language: Language) -> str | None:
    """Return what a model wrote as a translation, or None if it is none.

    It may have answered the question, repeated it, or gone on too long. A number, a code or a name
    that it left out is put behind it.
    """
    line = _LABEL.sub("", written.strip().partition("\n")[0]).strip('"“”「」 ')
    if (
        not line
        or language_of(line) != language
        or (_ASKS.search(question) and not _ASKS.search(line))
    ):
        return None
    if language == "en" and chinese_share(line):
        return None
    units = len(_UNITS.findall(line)) / max(len(_UNITS.findall(question)), 1)
    if not _FEWEST_UNITS <= units <= _MOST_UNITS:
        return None
    kept = _KEPT.findall(question)
    if language == "en":
        kept += _NAMES_IN_CHINESE.findall(question)
    lost = [word for word in dict.fromkeys(kept) if word.casefold() not in line.casefold()]
    return " ".join([line, *lost])


def _prompt(question: str, language: Language) -> list[BaseMessage]:
    ask, example, translated = _ASK[language]
    return [
        SystemMessage(_SYSTEM),
        HumanMessage(ask.format(question=example)),
        AIMessage(translated),
        HumanMessage(ask.format(question=question)),
    ]
