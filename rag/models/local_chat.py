"""What chat models with weights of their own in this process have in common."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from langchain_core.language_models import LangSmithParams
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGenerationChunk
from pydantic import Field, PrivateAttr
from transformers import PreTrainedModel

from rag.errors import ModelFailed, TeamglmError
from rag.models.generation import Generator, TextStream
from rag.models.streaming import BackgroundChat, Put


class ChatTokenizer(Protocol):
    """Text to tokens and back, and a conversation as the model was trained to read it."""

    @property
    def ends(self) -> frozenset[int]:
        """The tokens that end the model's turn."""

    def prompt(self, messages: Sequence[BaseMessage]) -> list[int]:
        """Return the conversation up to where the model's turn begins."""

    def encode(self, text: str) -> list[int]:
        """Return the tokens of plain text, among them never a special one."""

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of `tokens`, without the special ones."""


class LocalChat(BackgroundChat):
    """A chat model whose weights `load` opens; requests are answered one after the other."""

    folder: Path
    """The checkpoint's folder."""
    name_shown: str = ""
    """What people know the model by; the folder's name if empty."""
    source: str = ""
    """The name that the checkpoint is published under, for the sentence that says how to get it."""
    device: str = "auto"
    """`cpu`, `cuda`, `cuda:1`, `mps`; `auto` takes the best that there is."""
    dtype: str = "auto"
    """`float32`, `bfloat16`, `float16`; `auto` takes what suits the device and the checkpoint."""
    context_window: int = Field(default=4096, gt=0)
    """Tokens of prompt and answer together; `load` lowers it to what the checkpoint can."""
    max_tokens: int = Field(default=512, gt=0)
    temperature: float = Field(default=0.0, ge=0)
    seed: int | None = None
    stop: list[str] | None = None

    _tokenizer: ChatTokenizer | None = PrivateAttr(default=None)
    _generator: Generator | None = PrivateAttr(default=None)
    _worker: ThreadPoolExecutor | None = PrivateAttr(default=None)
    _closing: threading.Event = PrivateAttr(default_factory=threading.Event)

    def model_post_init(self, context: Any, /) -> None:
        """Name the model after its folder where it has no other name."""
        super().model_post_init(context)
        self.name_shown = self.name_shown or self.folder.name

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.name_shown, "temperature": self.temperature, "seed": self.seed}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_model_name"] = kwargs.get("model", self.name_shown)
        return params

    @abstractmethod
    def _open(self) -> tuple[ChatTokenizer, PreTrainedModel]:
        """Read tokenizer and weights; raise `ModelMissing` or `ModelFailed`."""

    def load(self) -> None:
        """Open the weights, which blocks; raise `ModelMissing` or `ModelFailed`."""
        if self._worker is not None:
            return
        self._tokenizer, model = self._open()
        limit = getattr(model.config, "max_position_embeddings", None) or self.context_window
        self.context_window = min(self.context_window, int(limit))
        self._generator = Generator(model)
        self._closing.clear()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="chat-model")

    def close(self) -> None:
        """End what is being generated and let go of the weights; `load` opens them again."""
        worker, self._worker = self._worker, None
        if worker is not None:
            self._closing.set()
            worker.shutdown(wait=True, cancel_futures=True)
            self._tokenizer = self._generator = None

    def get_token_ids(self, text: str) -> list[int]:
        """Return the tokens of plain text."""
        return self._loaded()[0].encode(text)

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None
    ) -> int:
        """Return the length of the prompt that these messages become."""
        return len(self._loaded()[0].prompt(messages))

    def _loaded(self) -> tuple[ChatTokenizer, Generator, ThreadPoolExecutor]:
        if self._tokenizer is None or self._generator is None or self._worker is None:
            raise ModelFailed(f"The chat model {self.name_shown} is not loaded.")
        return self._tokenizer, self._generator, self._worker

    def _begin(
        self, messages: list[BaseMessage], stop: list[str] | None, options: dict[str, Any], put: Put
    ) -> Callable[[], None]:
        cancelled = threading.Event()
        closed = ModelFailed(f"The chat model {self.name_shown} was closed before it had answered.")

        def work() -> None:
            try:
                for chunk in self._chunks(messages, stop, options, cancelled):
                    put(chunk)
                put(closed if self._closing.is_set() else None)
            except TeamglmError as error:
                put(error)
            except Exception as error:
                failure = ModelFailed(f"The chat model {self.name_shown} failed: {error}")
                failure.__cause__ = error
                put(failure)

        future = self._loaded()[2].submit(work)
        future.add_done_callback(lambda done: put(closed) if done.cancelled() else None)
        return cancelled.set

    def _chunks(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        options: dict[str, Any],
        cancelled: threading.Event,
    ) -> Iterator[ChatGenerationChunk]:
        if self._tokenizer is None or self._generator is None:
            return
        prompt = self._tokenizer.prompt(messages)
        room = self.context_window - len(prompt)
        if room < 1:
            raise ModelFailed(
                f"The prompt has {len(prompt)} tokens, but the model reads {self.context_window} "
                "with its answer: ask a shorter question or less of the documents."
            )
        ends, text = (
            self._tokenizer.ends,
            TextStream(self._tokenizer.decode, stop or self.stop or []),
        )
        written, reason = 0, "length"
        for token in self._generator.tokens(
            prompt,
            limit=min(room, options.get("max_tokens") or self.max_tokens),
            ends=ends,
            cancelled=lambda: cancelled.is_set() or self._closing.is_set(),
            temperature=options.get("temperature", self.temperature),
            seed=options.get("seed", self.seed),
        ):
            written += 1
            if token in ends:
                reason = "stop"
                break
            if piece := text.add(token):
                yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
            if text.stopped:
                reason = "stop"
                break
        yield ChatGenerationChunk(
            message=AIMessageChunk(
                content=text.finish(),
                usage_metadata=UsageMetadata(
                    input_tokens=len(prompt),
                    output_tokens=written,
                    total_tokens=len(prompt) + written,
                ),
                chunk_position="last",
            ),
            generation_info={"finish_reason": reason, "model_name": self.name_shown},
        )
