"""What our chat models have in common: an answer is a stream, and who stops listening ends it."""

from __future__ import annotations

import asyncio
import queue
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any, Protocol

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import (
    BaseChatModel,
    agenerate_from_stream,
    generate_from_stream,
)
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

Put = Callable[[Any], None]
"""Takes what an answer is made of, piece by piece, from any thread; then None, or an exception."""


class Answer(Protocol):
    """One answer in the making, in the background; what is made of it, its listener makes."""

    done: bool
    """Whether it ended with the piece that was taken last."""

    def begin(self, put: Put) -> None:
        """Have the answer made, and `put` called with its pieces."""

    def take(self, piece: Any) -> ChatGenerationChunk | None:
        """Return the text that is certain with this piece, if any; raise what it may stand for."""

    def last(self) -> ChatGenerationChunk:
        """Return the rest of the text, with what is known of the whole."""

    def cancel(self) -> None:
        """End the answer wherever it is; nothing if it has ended."""


class StreamedChat(BaseChatModel):
    """A chat model whose whole answer is its stream, collected."""

    @abstractmethod
    def describe(self) -> str:
        """Return where the loaded model runs, in which precision, and what memory it takes."""

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return await agenerate_from_stream(self._astream(messages, stop, run_manager, **kwargs))


class BackgroundChat(StreamedChat):
    """A chat model in this process, which answers in threads of its own."""

    @abstractmethod
    def _answer(
        self, messages: list[BaseMessage], stop: list[str] | None, options: dict[str, Any]
    ) -> Answer:
        """Return an answer that has not begun."""

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
        answer = self._answer(messages, stop, kwargs)
        answer.begin(arrived.put)
        try:
            while not answer.done and (piece := arrived.get()) is not None:
                if chunk := answer.take(piece):
                    if run_manager:
                        run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                    yield chunk
            yield answer.last()
        finally:
            answer.cancel()

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        arrived: asyncio.Queue[Any] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def put(piece: Any) -> None:
            with suppress(RuntimeError):  # the loop was closed: nobody listens any more
                loop.call_soon_threadsafe(arrived.put_nowait, piece)

        # Long prompts take milliseconds: too long for the event loop.
        answer = await asyncio.to_thread(self._answer, messages, stop, kwargs)
        answer.begin(put)
        try:
            while not answer.done and (piece := await arrived.get()) is not None:
                if chunk := answer.take(piece):
                    if run_manager:
                        await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                    yield chunk
            yield answer.last()
        finally:
            answer.cancel()
