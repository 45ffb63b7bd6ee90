"""The settings of each kind of model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

DEFAULT_KEY = "OPENAI_API_KEY"


class Section(BaseModel):
    """A part of the settings: a key that it doesn't have is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class EmbeddedModel(Section):
    """A model of the manifest, fetched by `teamglm models pull`."""

    provider: Literal["embedded"]
    threads: PositiveInt | None = None
    """Processor cores that a chat model computes on; None means all."""


class GgufModel(Section):
    """A chat model in a GGUF file, run by llama.cpp."""

    provider: Literal["gguf"]
    path: Path
    context_window: PositiveInt = 4096
    threads: PositiveInt | None = None
    """Processor cores that it computes on; None means all."""


class LocalModel(Section):
    """A chat model's folder of safetensors, opened in this process."""

    path: Path
    device: str = "auto"
    dtype: str = "auto"
    context_window: PositiveInt = 4096
    slots: PositiveInt = 4
    """Questions answered together; each may take the memory of a context window."""
    memory: Mapping[int | str, int | str] = {}
    """How much each device may hold, by accelerate's names, to spread the model over them."""
    offload: Path | None = None


class TransformersModel(LocalModel):
    """Any chat model folder that transformers itself knows."""

    provider: Literal["transformers"]


class ChatGlmModel(LocalModel):
    """A ChatGLM checkpoint folder as published, of any generation, quantised or not."""

    provider: Literal["chatglm"]
    template: Literal["auto", "chatglm", "chatglm2", "chatglm3"] = "auto"


class ServerModel(Section):
    """A chat or embedding model behind an OpenAI-compatible server.

    `key_env` names the environment variable of its key; prefixes are for embedding.
    """

    provider: Literal["openai"]
    model: str
    base_url: str | None = None
    key_env: str = Field(DEFAULT_KEY, pattern="^[A-Z][A-Z0-9_]*$")
    context_window: PositiveInt = 8192
    slots: PositiveInt = 4
    """Questions that it is asked together."""
    timeout: float = Field(60, gt=0)
    retries: int = Field(2, ge=0, le=10)
    query_prefix: str | None = None
    passage_prefix: str | None = None


class SentenceTransformersModel(Section):
    """An embedding model folder of sentence-transformers, or of transformers alone."""

    provider: Literal["sentence-transformers"]
    path: Path
    device: str = "auto"
    pooling: Literal["mean", "cls", "max", "lasttoken"] | None = None
    query_prefix: str | None = None
    passage_prefix: str | None = None


class CrossEncoderModel(Section):
    """A reranker's folder: it scores question and passage together."""

    provider: Literal["cross-encoder"]
    path: Path
    device: str = "auto"


ModelSettings = Annotated[
    EmbeddedModel
    | GgufModel
    | ChatGlmModel
    | TransformersModel
    | ServerModel
    | SentenceTransformersModel
    | CrossEncoderModel,
    Field(discriminator="provider"),
]
