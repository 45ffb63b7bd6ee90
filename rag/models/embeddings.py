"""Embeddings by sentence-transformers, from a folder on this machine."""

from __future__ import annotations

import re
import threading
from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings

from rag.errors import ModelFailed, ModelMissing

# Typed in a document these would become the tokenizer's own marks.
_SPECIALS = re.compile(r"</?s>|<(?:unk|pad|mask)>")


class EmbeddingModel(Embeddings):
    """What makes vectors: `key` names their space, vectors of different keys never meet."""

    key: str

    @property
    @abstractmethod
    def dimension(self) -> int:
        """Numbers in a vector, once it is loaded."""

    @abstractmethod
    def load(self) -> None:
        """Open it; blocking. Raise `ModelMissing` or `ModelFailed`."""

    @abstractmethod
    def count_tokens(self, text: str) -> int:
        """Return how many tokens it makes of a text, without its marks."""

    def close(self) -> None:
        """Free what `load` took."""


class SentenceTransformerEmbeddings(EmbeddingModel):
    """Embed questions and passages with a local model; `load()` opens it."""

    def __init__(self, name: str, folder: Path, *, device: str = "auto", batch_size: int = 8):
        self.name = name
        self.key = name
        self._folder = folder
        self._device = device
        self._batch_size = batch_size
        self._model: Any = None
        # The tokenizer of a model must not be used from two threads at once.
        self._lock = threading.Lock()

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        return int(self._loaded().get_embedding_dimension())

    def load(self) -> None:
        """Open the weights; blocking, takes seconds. Raise `ModelMissing` or `ModelFailed`."""
        with self._lock:
            if self._model is not None:
                return
            if not (self._folder / "modules.json").is_file():
                raise ModelMissing(
                    f"The embedding model {self.name} is not at {self._folder}: run "
                    f"`teamglm models pull {self.name}` or correct its path in config.yaml."
                )
            from sentence_transformers import SentenceTransformer  # seconds: not at start-up
            from transformers.utils.logging import disable_progress_bar

            disable_progress_bar()
            try:
                self._model = SentenceTransformer(
                    str(self._folder),
                    device=None if self._device == "auto" else self._device,
                    local_files_only=True,
                    trust_remote_code=False,
                    model_kwargs={"use_safetensors": True},
                )
            except Exception as error:
                raise ModelFailed(
                    f"The embedding model {self.name} could not be loaded from "
                    f"{self._folder}: {error}"
                ) from error

    def _loaded(self) -> Any:
        if self._model is None:
            raise ModelFailed(f"The embedding model {self.name} is not loaded.")
        return self._model

    def count_tokens(self, text: str) -> int:
        """Return how many tokens the model makes of a text, without its marks."""
        model = self._loaded()
        with self._lock:
            return len(model.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return a unit vector for each passage."""
        vectors = self._encode(self._loaded().encode_document, texts)
        return [list(map(float, vector)) for vector in vectors]

    def embed_query(self, text: str) -> list[float]:
        """Return the unit vector of a question."""
        return list(map(float, self._encode(self._loaded().encode_query, [text])[0]))

    def _encode(self, encode: Any, texts: list[str]) -> np.ndarray:
        with self._lock:
            vectors = encode(
                [_SPECIALS.sub(" ", text) for text in texts],
                batch_size=self._batch_size,
                convert_to_numpy=True,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        return np.asarray(vectors, dtype=np.float32)
