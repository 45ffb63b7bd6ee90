"""A chat model out of a GGUF file, run by llama.cpp inside this process."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from langchain_core.messages import AIMessageChunk, BaseMessage, convert_to_openai_messages
from langchain_core.outputs import ChatGenerationChunk
from pydantic import PrivateAttr

from rag.errors import ModelFailed, ModelMissing
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

    def close(self) -> None:
        """Free the weights; running answers end first."""
        if self._threads:
            self._threads.shutdown()
        if self._http:
            self._http.close()
        self._server = self._http = self._threads = None

    def get_num_tokens(self, text: str) -> int:
        """Return how many tokens the model makes of a text."""
        if self._http is None:
            raise ModelFailed(f"The chat model {self.name_shown} is not loaded.")
        answer = self._http.post("/tokenize", json={"content": text}).raise_for_status()
        return len(answer.json()["tokens"])

    def _begin(
        self, messages: list[BaseMessage], stop: list[str] | None, options: dict[str, Any], put: Put
    ) -> Callable[[], None]:
        if self._threads is None:
            raise ModelFailed(f"The chat model {self.name_shown} is not loaded.")
        cancelled = threading.Event()

        def work() -> None:
            try:
                self._run(messages, stop, put, cancelled, options)
                put(None)
            except BaseException as error:
                put(error)

        self._threads.submit(work)
        return cancelled.set

    def _run(
        self,
        messages: Sequence[BaseMessage],
        stop: list[str] | None,
        emit: Put,
        cancelled: threading.Event,
        options: dict[str, Any],
    ) -> None:
        """Generate in the calling thread, handing each piece to `emit`, until done or cancelled."""
        if self._server is None:
            raise ModelFailed(f"The chat model {self.name_shown} is not loaded.")
        failure: list[str] = []

        def receive(event: Any) -> bool:
            if "error" in event:
                failure.append(str(event["error"].get("message", event["error"])))
                return True
            for choice in event.get("choices", ()):
                if text := choice.get("delta", {}).get("content"):
                    emit(ChatGenerationChunk(message=AIMessageChunk(content=text)))
            return cancelled.is_set()

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
        self._server.handle_chat_completions(request, receive)
        if failure:
            raise ModelFailed(f"The chat model {self.name_shown} failed: {failure[0]}")
        # A model may say nothing; LangChain takes a stream without any piece for a mistake.
        emit(ChatGenerationChunk(message=AIMessageChunk(content="")))
