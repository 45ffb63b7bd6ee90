"""By which chat model, and in which tone, each channel is answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from langchain_core.language_models import BaseChatModel

from bot.loading import Loading
from bot.messages import Request
from rag.author import Voice


class Model(Protocol):
    """What a chat model has besides what it says."""

    context_window: int
    """How many tokens it reads and writes at most."""

    def load(self) -> None:
        """Open it; blocking."""
        ...

    def close(self) -> None:
        """Free what `load` took."""
        ...


@dataclass(frozen=True, slots=True)
class Talker:
    """A chat model that a channel may choose; it opens when somebody needs it."""

    chat: BaseChatModel
    model: Model
    opening: Loading

    @classmethod
    def of(cls, chat: Any) -> Talker:
        """Return a chat model of ours that isn't open yet."""
        return cls(chat, chat, Loading("chat model", chat.load))


class Voices:
    """The chat model that the configuration names, and `others` that channels may choose."""

    def __init__(
        self,
        own: str,
        talking: Loading,
        knowledge: Loading,
        others: Mapping[str, Talker] | None = None,
    ) -> None:
        self._own = own
        self._talking = talking
        self._knowledge = knowledge
        self._others = others or {}

    @property
    def offered(self) -> list[str]:
        """Return the names that a channel may choose from, the usual one first."""
        return [self._own, *self._others]

    def model(self, request: Request) -> str:
        """Return the name of the model that answers a request."""
        chosen = request.channel.model
        return chosen if chosen is not None and chosen in self._others else self._own

    def chat(self, request: Request) -> BaseChatModel | None:
        """Return the model that a channel has chosen; None for the usual one."""
        talker = self._others.get(request.channel.model or "")
        return talker.chat if talker else None

    def voice(self, request: Request) -> Voice:
        """Return how a request is answered."""
        talker = self._others.get(request.channel.model or "")
        if talker is None:
            return Voice(request.channel.tone)
        return Voice(request.channel.tone, talker.chat, lambda: talker.model.context_window)

    def needs(self, request: Request) -> Sequence[Loading]:
        """Return the parts that have to be open to answer a request."""
        talker = self._others.get(request.channel.model or "")
        return (self._knowledge, talker.opening if talker else self._talking)
