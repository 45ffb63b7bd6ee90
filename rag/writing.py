"""What a chat model writes, sentence by sentence, and how long everything took."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage

from rag.errors import TeamglmError
from rag.sentences import first_end


class AnswerTimeout(TeamglmError):
    """The model took longer than an answer may take."""


class Clock:
    """Milliseconds since the question came, by the name of what was reached."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._marks: dict[str, float] = {}

    def mark(self, name: str, *, once: bool = False) -> None:
        """Note that something is reached, again unless `once`."""
        if not (once and name in self._marks):
            self._marks[name] = self.now()

    def now(self) -> float:
        """Return how long it is since the question came."""
        return round((time.perf_counter() - self._start) * 1000, 1)

    def done(self) -> dict[str, float]:
        """Return all that was noted, and the `total`."""
        self.mark("total")
        return dict(self._marks)


async def written_sentences(
    chat: BaseChatModel,
    messages: Sequence[BaseMessage],
    clock: Clock,
    *,
    max_tokens: int,
    timeout: float,  # noqa: ASYNC109 - the first token may take another time than the rest
    patience: float = math.inf,
) -> AsyncGenerator[str, None]:
    """Yield the model's sentences, each with the white space before it, as they end.

    Raise `AnswerTimeout` where the first token takes longer than `patience`, or all than `timeout`.
    """
    stream = chat.astream(list(messages), max_tokens=max_tokens)
    written = ""
    async with aclosing(_within(stream, min(patience, timeout), timeout)) as pieces:
        async for piece in pieces:
            clock.mark("first_token", once=True)
            written += piece
            while end := first_end(written):
                yield written[:end]
                written = written[end:]
    if written.strip():
        yield written.rstrip()


async def written_json(
    chat: BaseChatModel,
    messages: Sequence[BaseMessage],
    schema: Mapping[str, Any],
    *,
    max_tokens: int,
    timeout: float,  # noqa: ASYNC109 - of the first token and of each that follows
) -> str:
    """Return what the model writes within a JSON Schema, where it can be held to one; whether it
    did so is the caller's to check. Raise `AnswerTimeout`."""
    stream = chat.astream(list(messages), max_tokens=max_tokens, json_schema=dict(schema))
    async with aclosing(_within(stream, timeout, timeout)) as pieces:
        return "".join([piece async for piece in pieces])


async def _within(
    stream: AsyncIterator[BaseMessage], first: float, last: float
) -> AsyncGenerator[str, None]:
    """Pass a model's pieces on; raise `AnswerTimeout` where the first or the last takes longer."""
    began = time.monotonic()
    deadline = began + first
    try:
        while True:
            async with asyncio.timeout(deadline - time.monotonic()):
                try:
                    message = await anext(stream)
                except StopAsyncIteration:
                    return
            if message.content:
                deadline = began + last
                yield str(message.content)
            # A model that never makes anybody wait never lets the timeout act either.
            if time.monotonic() > deadline:
                raise TimeoutError
    except TimeoutError as error:
        raise AnswerTimeout("The model took too long.") from error
    finally:
        await stream.aclose()  # type: ignore[attr-defined]
