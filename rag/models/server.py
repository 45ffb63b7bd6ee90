"""A chat model behind an OpenAI-compatible server: vLLM, SGLang, llama.cpp, Ollama, hosted."""

from __future__ import annotations

import math
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any, cast

import httpx
import openai
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_openai.chat_models.base import BaseChatOpenAI
from pydantic import Field, SecretStr

from rag.errors import ModelFailed, ModelMissing, ModelTrouble
from rag.language import HAN
from rag.models.server_errors import (
    broken_off,
    not_understood,
    refused,
    timed_out,
    unreachable,
)
from rag.models.streaming import StreamedChat

_HAN = re.compile(f"[{HAN}]")
_CHARACTERS_A_TOKEN = 3.5
_MESSAGE_TOKENS = 8


@dataclass
class _Progress:
    """How far an answer has come."""

    begun: bool = False
    finished: bool = False

    def note(self, chunk: ChatGenerationChunk) -> None:
        self.begun = True
        self.finished |= bool((chunk.generation_info or {}).get("finish_reason"))


class ServerChat(StreamedChat, BaseChatOpenAI):
    """Chat over HTTP, streamed; make it with `server_chat`."""

    # BaseChatOpenAI and not ChatOpenAI: the latter renames max_tokens, which only OpenAI knows.
    name_shown: str = ""
    context_window: int = Field(default=8192, gt=0)
    """Tokens of prompt and answer together, as the server was started with."""
    silence: float = Field(default=60.0, gt=0)
    """Seconds that the server may say nothing for."""
    key_name: str = "OPENAI_API_KEY"
    """The environment variable that the key came from, for who has to set it."""

    def load(self) -> None:
        """Do nothing: the server may start after the bot, and every question asks it anew."""

    def close(self) -> None:
        """Let go of the connections; those of running answers end with them."""
        if self.http_client is not None:
            self.http_client.close()

    def describe(self) -> str:
        """Return which model is asked for, and where."""
        return f"{self.model_name} at {self.openai_api_base}"

    def check(self) -> None:
        """Ask the server whether it has the model, which blocks; raise `ModelMissing` or
        `ModelFailed`."""
        with self._plainly():
            try:
                known = [model.id for model in self.root_client.models.list()]
            except openai.NotFoundError:
                return  # not every server lists its models
        if known and self.model_name not in known:
            raise ModelMissing(
                f"The server at {self.openai_api_base} has no model {self.model_name!r}, it has "
                f"{', '.join(known[:5])}: correct the model's name in config.yaml."
            )

    def get_num_tokens(self, text: str) -> int:
        """Return a careful estimate: a token for each Han character and for each 3.5 others.

        The server's tokenizer isn't known here, and nothing is downloaded to count with.
        """
        han = len(_HAN.findall(text))
        return han + math.ceil((len(text) - han) / _CHARACTERS_A_TOKEN)

    def get_num_tokens_from_messages(
        self,
        messages: Sequence[BaseMessage],
        tools: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> int:
        """Return a careful estimate of the prompt that these messages become."""
        return sum(self.get_num_tokens(message.text) + _MESSAGE_TOKENS for message in messages)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        with self._plainly() as progress:
            for chunk in super()._stream(messages, stop, run_manager, **_understood(kwargs)):
                progress.note(chunk)
                yield chunk
            if not progress.finished:
                raise broken_off(str(self.openai_api_base))

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        stream = cast(
            AsyncGenerator[ChatGenerationChunk],
            super()._astream(messages, stop, run_manager, **_understood(kwargs)),
        )
        # Closed here and not by the garbage collector: the server stops when we hang up.
        with self._plainly() as progress:
            async with aclosing(stream):
                async for chunk in stream:
                    progress.note(chunk)
                    yield chunk
            if not progress.finished:
                raise broken_off(str(self.openai_api_base))

    @contextmanager
    def _plainly(self) -> Iterator[_Progress]:
        """Turn what can go wrong between us and the server into a sentence."""
        address = str(self.openai_api_base)
        progress = _Progress()
        try:
            yield progress
        except openai.APITimeoutError as error:
            raise timed_out(address, self.silence) from error
        except openai.APIConnectionError as error:
            if progress.begun:
                raise broken_off(address) from error
            raise unreachable(address) from error
        except openai.APIStatusError as error:
            raise refused(address, self.model_name, self.key_name, error) from error
        except (TimeoutError, httpx.TimeoutException) as error:
            raise timed_out(address, self.silence) from error
        except httpx.HTTPError as error:
            raise broken_off(address) from error
        except openai.APIError as error:
            text = f"The server at {address} failed: {error.message[:200]}"
            raise ModelFailed(text, ModelTrouble.SERVER, where=address) from error
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise not_understood(address) from error


def server_chat(
    *,
    base_url: str,
    model: str,
    api_key: str = "",
    key_name: str = "OPENAI_API_KEY",
    name_shown: str = "",
    context_window: int = 8192,
    max_tokens: int = 512,
    temperature: float = 0.0,
    timeout: float = 60.0,
    max_retries: int = 2,
) -> ServerChat:
    """Return a chat model served at `base_url`; `timeout` is how many seconds it may be silent, and
    `max_retries` how often a request is sent again before its first token."""
    tls = httpx.create_ssl_context()
    # No idle connections are kept: they would belong to one event loop and outlive it.
    limits = httpx.Limits(max_keepalive_connections=0)
    return ServerChat(
        model=model,
        name_shown=name_shown or model,
        base_url=base_url,
        # An empty key would be looked up in the environment and sent to whatever server this is.
        api_key=SecretStr(api_key or "none"),
        openai_proxy=None,
        context_window=context_window,
        key_name=key_name,
        silence=timeout,
        max_tokens=max_tokens,
        temperature=temperature,
        timeout=timeout,
        stream_chunk_timeout=timeout,
        max_retries=max_retries,
        use_responses_api=False,
        stream_usage=False,
        http_client=httpx.Client(verify=tls, timeout=timeout, limits=limits),
        http_async_client=httpx.AsyncClient(verify=tls, timeout=timeout, limits=limits),
    )


def _understood(options: dict[str, Any]) -> dict[str, Any]:
    """Return a call's options as a server knows them: a slot means nothing to it."""
    options = {name: value for name, value in options.items() if name != "slot"}
    if schema := options.pop("json_schema", None):
        form = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}
        options["extra_body"] = {"response_format": form}
    return options
