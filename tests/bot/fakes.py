"""A small bot for tests: the real store and handlers, with models that are fast and scripted."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import Field, PrivateAttr

from bot.messages import Reply, ReplyEvent, Request
from bot.settings import Settings
from tests.fakes import HashEmbeddings

MODELS: dict[str, Any] = {
    "chat": {"provider": "gguf", "path": "chat.gguf"},
    "embedder": {"provider": "sentence-transformers", "path": "embedder"},
}


def settings(folder: Path, **more: Any) -> Settings:
    """Return the settings of a bot that keeps everything below a folder."""
    values = {
        "chat_model": "chat",
        "embedding_model": "embedder",
        "models": MODELS,
        "data": folder / "data",
        "answers": {"refuse_below": 0},
    }
    return Settings.model_validate({**values, **more})


def request(text: str = "", command: str = "ask", **more: Any) -> Request:
    """Return a new request of somebody at the command line, who sees what is public."""
    values: dict[str, Any] = {
        "id": uuid.uuid4().hex,
        "platform": "cli",
        "user": "someone",
        "conversation": "conversation-1",
        "scope": "public",
        "audience": frozenset({"public"}),
        "is_admin": True,
    }
    return Request(command=command, text=text, **{**values, **more})


async def collect(events: AsyncIterator[ReplyEvent]) -> tuple[list[ReplyEvent], Reply]:
    """Return a request's events, and its reply, which is the last of them and the only one."""
    seen = [event async for event in events]
    (reply,) = (event for event in seen if isinstance(event, Reply))
    assert seen[-1] is reply
    return seen, reply


class FakeEmbeddings(HashEmbeddings):
    """Opens at once, or fails with `broken`."""

    key = "fake"

    def __init__(self, broken: Exception | None = None) -> None:
        super().__init__(384)
        self.broken = broken

    def begin(self) -> None:
        """Have nothing to begin with."""

    def load(self) -> None:
        """Open, or say why not."""
        if self.broken:
            raise self.broken

    def close(self) -> None:
        """Nothing is open."""

    def count_tokens(self, text: str) -> int:
        """Count roughly as a tokenizer does."""
        return len(text) // 4 + 1


class FakeChat(BaseChatModel):
    """Says `answer` word by word; `prompts` is what it was given.

    Held to a JSON Schema whose fields `fills` has, it fills them in.
    """

    answer: str = "Report it at once."
    fills: Mapping[str, Any] = Field(default_factory=dict)
    context_window: int = 4096
    broken: Any = None
    gate: Any = None
    _prompts: list[list[BaseMessage]] = PrivateAttr(default_factory=list)

    @property
    def prompts(self) -> list[list[BaseMessage]]:
        """Return every prompt, oldest first."""
        return self._prompts

    @property
    def _llm_type(self) -> str:
        return "fake"

    def load(self) -> None:
        """Open at once."""

    def close(self) -> None:
        """Have nothing to close."""

    def describe(self) -> str:
        """Be nowhere."""
        return "in a test"

    def get_num_tokens(self, text: str) -> int:
        """Count words."""
        return len(text.split())

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(self.answer))])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        self._prompts.append(messages)
        answer = self.answer
        fields = kwargs.get("json_schema", {}).get("properties", {}).keys()
        if fields and fields <= self.fills.keys():
            answer = json.dumps({name: self.fills[name] for name in fields})
        for piece in answer.splitlines(keepends=True) or [""]:
            yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
        if self.broken is not None:
            raise self.broken


def use(
    monkeypatch: pytest.MonkeyPatch,
    *,
    chat: FakeChat | None = None,
    embeddings: FakeEmbeddings | None = None,
) -> None:
    """Have the composition root take these models, whatever the settings name."""
    taken = chat or FakeChat()
    for user in ("bot.app", "bot.doctor"):
        monkeypatch.setattr(f"{user}.chat_model", lambda settings: taken)
    meaning = embeddings or FakeEmbeddings()
    monkeypatch.setattr("bot.app.embedding_model", lambda settings: meaning)


class ScriptedHandle:
    """Yields the same events whoever asks; keeps the requests and whether it was closed."""

    def __init__(self, events: Sequence[ReplyEvent], *, stay: bool = False) -> None:
        self.events = events
        self.requests: list[Request] = []
        self.stay = stay
        self.closed = asyncio.Event()

    async def handle(self, asked: Request) -> AsyncIterator[ReplyEvent]:
        """Yield the script; then, if told to `stay`, wait until closed."""
        self.requests.append(asked)
        try:
            for event in self.events:
                yield event
            if self.stay:
                await asyncio.Event().wait()
        finally:
            self.closed.set()


def config(folder: Path, text: str = "") -> Path:
    """Write a config file of the least that is needed, and `text`."""
    file = folder / "config.yaml"
    least = (
        "chat_model: chat\nembedding_model: embedder\ndata: data\n"
        "models:\n  chat: {provider: gguf, path: chat.gguf}\n"
        "  embedder: {provider: sentence-transformers, path: embedder}\n"
        "  served: {provider: openai, model: m, base_url: 'http://127.0.0.1:1/v1'}\n"
    )
    file.write_text(least + text, encoding="utf-8")
    return file


EMPTY: Mapping[str, str] = {}
"""An environment without variables."""
