"""A cross-encoder: it reads question and passage together, and tells how well they fit."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rag.errors import ModelFailed, ModelMissing
from rag.models.checkpoint import shards


class CrossEncoderReranker:
    """Score passages for a question with a local cross-encoder; `load()` opens it."""

    def __init__(
        self, name: str, folder: Path, *, device: str = "auto", batch_size: int = 8
    ) -> None:
        self.name = name
        self._folder = folder
        self._device = device
        self._batch_size = batch_size
        self._model: Any = None
        self._lock = threading.Lock()

    def load(self) -> None:
        """Open the weights; blocking, takes seconds. Raise `ModelMissing` or `ModelFailed`."""
        with self._lock:
            if self._model is not None:
                return
            if not (self._folder / "config.json").is_file():
                raise ModelMissing(
                    f"The reranker {self.name} is not at {self._folder}: correct its path in "
                    "config.yaml."
                )
            shards(self._folder)
            from sentence_transformers import CrossEncoder  # seconds: not at start-up

            try:
                model = CrossEncoder(
                    str(self._folder),
                    device=None if self._device == "auto" else self._device,
                    local_files_only=True,
                    trust_remote_code=False,
                    model_kwargs={"use_safetensors": True},
                )
            except Exception as error:
                raise ModelFailed(
                    f"The reranker {self.name} could not be loaded from {self._folder}: {error}"
                ) from error
            if model.num_labels != 1:
                raise ModelFailed(
                    f"{self._folder} sorts texts into {model.num_labels} classes: a reranker has "
                    "one score."
                )
            self._model = model

    def score(self, question: str, passages: Sequence[str]) -> list[float]:
        """Return how well each passage answers the question, from 0 to 1; blocking, thread-safe."""
        if self._model is None:
            raise ModelFailed(f"The reranker {self.name} is not loaded.")
        with self._lock:
            scores = self._model.predict(
                [(question, passage) for passage in passages],
                batch_size=self._batch_size,
                show_progress_bar=False,
            )
        return [float(score) for score in scores]
