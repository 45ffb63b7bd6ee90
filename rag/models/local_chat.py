"""What chat models with weights of their own in this process have in common: an engine, streams."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from langchain_core.language_models import LangSmithParams
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGenerationChunk
from pydantic import Field, PrivateAttr
from transformers import PreTrainedModel

from rag.errors import ModelFailed, ModelTrouble, TeamglmError
from rag.models.engine import Engine, Request
from rag.models.engine_glm import fastest_runner
from rag.models.generation import TextStream
from rag.models.placing import weights_of
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
    """A chat model whose weights `load` opens; many requests are answered at once, in turn by the
    `user` that a call may name."""

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
    memory: dict[int | str, int | str] = Field(default_factory=dict)
    """How much each device may hold, by accelerate's names, if the model is to be spread."""
    offload: Path | None = None
    """The folder that what fits nowhere is read from."""
    context_window: int = Field(default=4096, gt=0)
    """Tokens of prompt and answer together; `load` lowers it to what the checkpoint can."""
    slots: int = Field(default=4, gt=0)
    """Requests answered at once; each may take the memory of a whole context window."""
    waiting: int = Field(default=64, gt=0)
    """Requests that may wait for a slot; more raise `ModelBusy`."""
    max_tokens: int = Field(default=512, gt=0)
    temperature: float = Field(default=0.0, ge=0)
    seed: int | None = None
    stop: list[str] | None = None

    _tokenizer: ChatTokenizer | None = PrivateAttr(default=None)
    _engine: Engine | None = PrivateAttr(default=None)
    _description: str = PrivateAttr(default="")

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
        if self._engine is not None:
            return
        self._tokenizer, model = self._open()
        limit = getattr(model.config, "max_position_embeddings", None) or self.context_window
        self.context_window = min(self.context_window, int(limit))
        self._description = weights_of(model)
        runner = fastest_runner(model, slots=self.slots, length=self.context_window)
        self._engine = Engine(runner, queue=self.waiting)

    def describe(self) -> str:
        """Return where the loaded model runs, in which precision, and what memory it takes."""
        self._loaded()
        return self._description

    def close(self) -> None:
        """End what is being generated and let go of the weights; `load` opens them again."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()
            self._tokenizer = None

    def get_token_ids(self, text: str) -> list[int]:
        """Return the tokens of plain text."""
        return self._loaded()[0].encode(text)

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None
    ) -> int:
        """Return the length of the prompt that these messages become."""
        return len(self._loaded()[0].prompt(messages))

    def _loaded(self) -> tuple[ChatTokenizer, Engine]:
        if self._tokenizer is None or self._engine is None:
            text = f"The chat model {self.name_shown} is not loaded."
            raise ModelFailed(text, ModelTrouble.CLOSED)
        return self._tokenizer, self._engine

    def _answer(
        self, messages: list[BaseMessage], stop: list[str] | None, options: dict[str, Any]
    ) -> _Answer:
        tokenizer, engine = self._loaded()
        prompt = tokenizer.prompt(messages)
        room = self.context_window - len(prompt)
        if room < 1:
            raise ModelFailed(
                f"The prompt has {len(prompt)} tokens, but the model reads {self.context_window} "
                "with its answer: ask a shorter question or less of the documents.",
                ModelTrouble.TOO_LONG,
            )
        request = Request(
            prompt,
            limit=min(room, options.get("max_tokens") or self.max_tokens),
            put=lambda item: None,
            ends=tokenizer.ends,
            temperature=options.get("temperature", self.temperature),
            seed=options.get("seed", self.seed),
            user=options.get("user") or "",
        )
        text = TextStream(tokenizer.decode, stop or self.stop or [])
        return _Answer(engine, request, text, self.name_shown)


class _Answer:
    """An answer in the making: the engine's tokens in, chunks out."""

    def __init__(self, engine: Engine, request: Request, text: TextStream, name: str) -> None:
        self.done = False
        self._engine, self._request, self._text, self._name = engine, request, text, name
        self._written = 0

    def begin(self, put: Put) -> None:
        """Queue the request."""
        self._request.put = put
        self._engine.submit(self._request)

    def take(self, piece: int | BaseException) -> ChatGenerationChunk | None:
        """Return the text that is certain with this token, if any."""
        if isinstance(piece, TeamglmError):
            raise piece
        if isinstance(piece, BaseException):
            text = f"The chat model {self._name} failed: {piece}"
            raise ModelFailed(text, ModelTrouble.ANSWERING) from piece
        self._written += 1
        if piece in self._request.ends:
            self.done = True
            return None
        text = self._text.add(piece)
        self.done = self._text.stopped
        return ChatGenerationChunk(message=AIMessageChunk(content=text)) if text else None

    def last(self) -> ChatGenerationChunk:
        """Return the rest of the text, with what is known of the whole."""
        read = len(self._request.prompt)
        usage = UsageMetadata(
            input_tokens=read, output_tokens=self._written, total_tokens=read + self._written
        )
        return ChatGenerationChunk(
            message=AIMessageChunk(
                content=self._text.finish(), usage_metadata=usage, chunk_position="last"
            ),
            generation_info={
                "finish_reason": "stop" if self.done else "length",
                "model_name": self._name,
            },
        )

    def cancel(self) -> None:
        """Free the slot."""
        self._engine.cancel(self._request)
