"""Embeddings by sentence-transformers, from a folder on this machine."""

from __future__ import annotations

import hashlib
import re
import threading
from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings

from rag.errors import ModelFailed, ModelMissing
from rag.models.checkpoint import fingerprint, read_json, shards
from rag.models.embedding_recipes import Pooling, recipe_for


class EmbeddingModel(Embeddings):
    """What makes vectors: `key` names their space, vectors of different keys never meet."""

    key: str

    @property
    @abstractmethod
    def dimension(self) -> int:
        """Numbers in a vector, once it is loaded."""

    def begin(self) -> None:
        """Let it open meanwhile where it can, as in another process; `load` waits for that."""

    @abstractmethod
    def load(self) -> None:
        """Open it; blocking. Raise `ModelMissing` or `ModelFailed`."""

    @abstractmethod
    def count_tokens(self, text: str) -> int:
        """Return how many tokens it makes of a text, without its marks."""

    def embed_queries(self, texts: list[str]) -> list[list[float]]:
        """Return the unit vector of each question, as `embed_query` does one by one."""
        return [self.embed_query(text) for text in texts]

    def close(self) -> None:
        """Free what `load` took."""


class SentenceTransformerEmbeddings(EmbeddingModel):
    """Embed questions and passages with a local model; `load()` opens it.

    The folder is one of sentence-transformers, or of transformers alone. What stands before texts,
    and how their tokens are pooled, is as given here, else as the folder says, else by the recipe
    for models of its name.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        key: str = "",
        device: str = "auto",
        batch_size: int = 8,
        pooling: Pooling | None = None,
        query_prefix: str | None = None,
        passage_prefix: str | None = None,
    ):
        self.name = name
        self._folder = folder
        self._device = device
        self._batch_size = batch_size
        self._pooling = pooling
        self._prefixes = (query_prefix, passage_prefix)
        self.key = key or self._own_key()
        """Names the vector space: vectors of different keys are never compared."""
        self._model: Any = None
        self._marks: re.Pattern[str] = re.compile(r"(?!)")
        # The tokenizer of a model must not be used from two threads at once.
        self._lock = threading.Lock()

    def _own_key(self) -> str:
        """Return a key that changes with the model's files and with how it is used."""
        chosen = (self._pooling, *self._prefixes)
        parts = [self.name, fingerprint(self._folder)]
        if any(value is not None for value in chosen):
            parts.append(hashlib.sha256(repr(chosen).encode()).hexdigest()[:8])
        return "/".join(part for part in parts if part)

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        return int(self._loaded().get_embedding_dimension())

    def load(self) -> None:
        """Open the weights; blocking, takes seconds. Raise `ModelMissing` or `ModelFailed`."""
        with self._lock:
            if self._model is not None:
                return
            described = (self._folder / "config.json").is_file()
            if not described and not (self._folder / "modules.json").is_file():
                raise ModelMissing(
                    f"The embedding model {self.name} is not at {self._folder}: run "
                    f"`teamglm models pull {self.name}` or correct its path in config.yaml."
                )
            if described:
                shards(self._folder)  # says what to do about pickles and files that are absent
            self._refuse_pickles()
            from transformers.utils.logging import disable_progress_bar

            disable_progress_bar()
            try:
                model = self._open()
            except Exception as error:
                raise ModelFailed(
                    f"The embedding model {self.name} could not be loaded from "
                    f"{self._folder}: {error}"
                ) from error
            # Typed in a document these would become the tokenizer's own marks.
            marks = [re.escape(mark) for mark in model.tokenizer.all_special_tokens]
            self._marks = re.compile("|".join(marks) or r"(?!)")
            self._model = model

    def _open(self) -> Any:
        from sentence_transformers import SentenceTransformer  # seconds: not at start-up

        arguments: dict[str, Any] = {
            "device": None if self._device == "auto" else self._device,
            "local_files_only": True,
            "trust_remote_code": False,
        }
        config = read_json(self._folder / "config.json")
        recipe = recipe_for([self.name, self._folder.name, str(config.get("_name_or_path"))])
        if self._pooling is None and (self._folder / "modules.json").is_file():
            arguments["model_kwargs"] = {"use_safetensors": True}
            model = SentenceTransformer(str(self._folder), **arguments)
        else:
            model = SentenceTransformer(
                modules=self._modules(self._pooling or recipe.pooling), **arguments
            )
        query, passage = self._prefixes
        if query is not None or passage is not None or not any(model.prompts.values()):
            model.prompts = {
                "query": recipe.query if query is None else query,
                "document": recipe.passage if passage is None else passage,
            }
        return model

    def _refuse_pickles(self) -> None:
        """Raise `ModelFailed` where a later module of sentence-transformers is only a pickle."""
        for file in self._folder.glob("*/pytorch_model.bin"):
            if not file.with_name("model.safetensors").is_file():
                raise ModelFailed(
                    f"{file} is a pickle, which is never loaded: take a copy of {self.name} that "
                    "has model.safetensors there."
                )

    def _modules(self, pooling: Pooling) -> list[Any]:
        """Return what makes vectors out of a folder that has only a transformer."""
        from sentence_transformers.base.modules import Transformer
        from sentence_transformers.sentence_transformer import modules

        transformer = Transformer(
            str(self._folder),
            model_kwargs={
                "use_safetensors": True,
                "local_files_only": True,
                "trust_remote_code": False,
            },
            processor_kwargs={"local_files_only": True, "trust_remote_code": False},
            config_kwargs={"local_files_only": True, "trust_remote_code": False},
        )
        return [transformer, modules.Pooling(transformer.get_embedding_dimension(), pooling)]

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
        return self.embed_queries([text])[0]

    def embed_queries(self, texts: list[str]) -> list[list[float]]:
        """Return the unit vector of each question."""
        vectors = self._encode(self._loaded().encode_query, texts)
        return [list(map(float, vector)) for vector in vectors]

    def _encode(self, encode: Any, texts: list[str]) -> np.ndarray:
        with self._lock:
            vectors = encode(
                [self._marks.sub(" ", text) for text in texts],
                batch_size=self._batch_size,
                convert_to_numpy=True,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        return np.asarray(vectors, dtype=np.float32)
