"""What our chat models have in common: an answer is a stream, and who stops listening ends it."""

from __future__ import annotations

import asyncio
import queue
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import (
    BaseChatModel,
    agenerate_from_stream,
    generate_from_stream,
)
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

Put = Callable[[ChatGenerationChunk | BaseException | None], None]
"""Takes an answer's chunks, then None, or what went wrong; from any thread."""


class StreamedChat(BaseChatModel):
    """A chat model whose whole answer is its stream, collected."""

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
    """A chat model in this process, which answers in a thread of its own."""

    @abstractmethod
    def _begin(
        self, messages: list[BaseMessage], stop: list[str] | None, options: dict[str, Any], put: Put
    ) -> Callable[[], None]:
        """Have an answer made in the background, which `put` gets; return what cancels it."""

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        arrived: queue.SimpleQueue[ChatGenerationChunk | BaseException | None] = queue.SimpleQueue()
        cancel = self._begin(messages, stop, kwargs, arrived.put)
        try:
            while (item := arrived.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                if run_manager:
                    run_manager.on_llm_new_token(item.text, chunk=item)
                yield item
        finally:
            cancel()

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        arrived: asyncio.Queue[ChatGenerationChunk | BaseException | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def put(item: ChatGenerationChunk | BaseException | None) -> None:
            with suppress(RuntimeError):  # the loop was closed: nobody listens any more
                loop.call_soon_threadsafe(arrived.put_nowait, item)

        cancel = self._begin(messages, stop, kwargs, put)
        try:
            while (item := await arrived.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                if run_manager:
                    await run_manager.on_llm_new_token(item.text, chunk=item)
                yield item
        finally:
            cancel()
