"""A chat model out of a GGUF file, run by llama.cpp inside this process."""

from __future__ import annotations

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from langchain_core.messages import AIMessageChunk, BaseMessage, convert_to_openai_messages
from langchain_core.outputs import ChatGenerationChunk
from pydantic import PrivateAttr

from rag.errors import ModelFailed, ModelMissing, ModelTrouble
from rag.models.streaming import BackgroundChat, Put

# The prompt is read in small batches so that a question can be cancelled between them.
_BATCH = 64


class LlamaCppChat(BackgroundChat):
    """Chat with a local GGUF model; `load()` opens it, a call may name its `slot`.

    A slot keeps the prompt that it saw last, so that calls which share a prefix read it once.
    """

    model_path: Path
    name_shown: str
    context_window: int = 4096
    """Tokens of one slot: prompt and answer together."""
    slots: int = 2
    max_tokens: int = 96
    temperature: float = 0.0
    seed: int = 0
    threads: int | None = None

    _server: Any = PrivateAttr(default=None)
    _http: httpx.Client | None = PrivateAttr(default=None)
    _threads: ThreadPoolExecutor | None = PrivateAttr(default=None)

    @property
    def _llm_type(self) -> str:
        return "llama.cpp"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.name_shown, "temperature": self.temperature, "seed": self.seed}

    def load(self) -> None:
        """Open the weights; blocking, takes seconds. Raise `ModelMissing` or `ModelFailed`."""
        if self._server is not None:
            return
        if not self.model_path.is_file():
            raise ModelMissing(
                f"The chat model {self.name_shown} is not at {self.model_path}: run "
                f"`teamglm models pull {self.name_shown}` or correct its path in config.yaml."
            )
        import xllamacpp  # a large library: loaded when a model is, not when the bot starts

        # llama.cpp opens a port on loopback, which only tokenising needs; a key shuts others out.
        key = secrets.token_urlsafe(32)
        params = xllamacpp.CommonParams()
        params.model.path = str(self.model_path)
        params.n_ctx = self.context_window * self.slots
        params.n_parallel = self.slots
        params.n_batch = params.n_ubatch = _BATCH
        params.cache_ram_mib = 0
        params.warmup = False
        params.fit_params = False  # it would open the file twice, to see what fits on a GPU
        params.ui = False
        params.endpoint_slots = False
        params.api_keys = [key]
        params.verbosity = -1
        if self.threads:
            params.cpuparams.n_threads = params.cpuparams_batch.n_threads = self.threads
        try:
            self._server = xllamacpp.Server(params)
        except Exception as error:
            raise ModelFailed(
                f"The chat model {self.name_shown} could not be loaded from {self.model_path}: "
                f"{error}"
            ) from error
        self._http = httpx.Client(
            base_url=self._server.listening_address,
            headers={"Authorization": f"Bearer {key}"},
            trust_env=False,
        )
        self._threads = ThreadPoolExecutor(self.slots, thread_name_prefix="llama")

    def describe(self) -> str:
        """Return where the loaded model runs, in which precision, and what memory it takes."""
        meta = self._client().get("/v1/models").raise_for_status().json()["data"][0]["meta"]
        return f"on llama.cpp in {meta['ftype']}, {meta['size'] / 1e9:,.2f} GB of weights"

    def close(self) -> None:
        """Free the weights; running answers end first."""
        if self._threads:
            self._threads.shutdown()
        if self._http:
            self._http.close()
        self._server = self._http = self._threads = None

    def get_num_tokens(self, text: str) -> int:
        """Return how many tokens the model makes of a text."""
        answer = self._client().post("/tokenize", json={"content": text}).raise_for_status()
        return len(answer.json()["tokens"])

    def _client(self) -> httpx.Client:
        if self._http is None:
            raise self._closed()
        return self._http

    def _closed(self) -> ModelFailed:
        text = f"The chat model {self.name_shown} is not loaded."
        return ModelFailed(text, ModelTrouble.CLOSED)

    def _answer(
        self, messages: list[BaseMessage], stop: list[str] | None, options: dict[str, Any]
    ) -> _Answer:
        if self._server is None or self._threads is None:
            raise self._closed()
        request = {
            "messages": convert_to_openai_messages(messages),
            "stream": True,
            "return_progress": True,
            "cache_prompt": True,
            "max_tokens": options.get("max_tokens", self.max_tokens),
            "temperature": options.get("temperature", self.temperature),
            "seed": options.get("seed", self.seed),
            "id_slot": options.get("slot", 0),
        }
        if stop:
            request["stop"] = stop
        if schema := options.get("json_schema"):
            request["response_format"] = {"type": "json_schema", "json_schema": {"schema": schema}}
        return _Answer(self._server, self._threads, request, self.name_shown)


class _Answer:
    """An answer in the making: llama.cpp's events in, chunks out."""

    done = False

    def __init__(
        self, server: Any, threads: ThreadPoolExecutor, request: dict[str, Any], name: str
    ) -> None:
        self._server, self._threads, self._request, self._name = server, threads, request, name
        self._cancelled = threading.Event()

    def begin(self, put: Put) -> None:
        """Have a thread of the model's run the request."""

        def receive(event: Any) -> bool:
            put(event)
            return "error" in event or self._cancelled.is_set()

        def work() -> None:
            try:
                self._server.handle_chat_completions(self._request, receive)
                put(None)
            except BaseException as error:
                put(error)

        self._threads.submit(work)

    def take(self, piece: Any) -> ChatGenerationChunk | None:
        """Return the text in one of llama.cpp's events."""
        if isinstance(piece, BaseException):
            raise self._failure(piece) from piece
        if error := piece.get("error"):
            reason = error.get("message", error) if isinstance(error, dict) else error
            raise self._failure(reason)
        text = "".join(
            choice.get("delta", {}).get("content") or "" for choice in piece.get("choices", ())
        )
        return ChatGenerationChunk(message=AIMessageChunk(content=text)) if text else None

    def _failure(self, reason: object) -> ModelFailed:
        text = f"The chat model {self._name} failed: {reason}"
        return ModelFailed(text, ModelTrouble.ANSWERING)

    def last(self) -> ChatGenerationChunk:
        """Return an empty chunk: a model may say nothing, which LangChain takes for a mistake."""
        return ChatGenerationChunk(message=AIMessageChunk(content=""))

    def cancel(self) -> None:
        """Have llama.cpp stop at its next event."""
        self._cancelled.set()
