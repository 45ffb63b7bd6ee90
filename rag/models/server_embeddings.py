"""Embeddings from an OpenAI-compatible server."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import openai

from rag.errors import ModelFailed
from rag.language import HAN
from rag.models.embedding_recipes import recipe_for
from rag.models.embeddings import EmbeddingModel
from rag.models.server_errors import not_understood, refused, timed_out, unreachable

_HAN = re.compile(f"[{HAN}]")
_CHARACTERS_A_TOKEN = 3.5


class ServerEmbeddings(EmbeddingModel):
    """Embed questions and passages over HTTP; `load()` asks the server once."""

    def __init__(
        self,
        name: str,
        *,
        base_url: str,
        model: str,
        api_key: str = "",
        key_name: str = "OPENAI_API_KEY",
        query_prefix: str | None = None,
        passage_prefix: str | None = None,
        batch_size: int = 32,
        timeout: float = 60.0,
        max_retries: int = 2,
    ) -> None:
        self.name = name
        recipe = recipe_for([model, name])
        self._query = recipe.query if query_prefix is None else query_prefix
        self._passage = recipe.passage if passage_prefix is None else passage_prefix
        self.key = f"{model}/{self._query}|{self._passage}"
        """Names the vector space: vectors of different keys are never compared."""
        self._model = model
        self._key_name = key_name
        self._batch_size = batch_size
        self._dimension = 0
        # No proxy and no key of the environment: neither was meant for this server.
        self._client = openai.OpenAI(
            base_url=base_url,
            api_key=api_key or "none",
            timeout=timeout,
            max_retries=max_retries,
            http_client=openai.DefaultHttpxClient(timeout=timeout, trust_env=False),
        )
        self._address = base_url
        self._timeout = timeout

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        if not self._dimension:
            raise ModelFailed(f"The embedding model {self.name} is not loaded.")
        return self._dimension

    def load(self) -> None:
        """Ask the server for a vector, to know that it answers and its dimension; blocking. Raise
        `ModelMissing` or `ModelFailed`."""
        self._dimension = self._embed(["?"]).shape[1]

    def count_tokens(self, text: str) -> int:
        """Return a careful estimate: the server's tokenizer isn't known here."""
        han = len(_HAN.findall(text))
        return han + math.ceil((len(text) - han) / _CHARACTERS_A_TOKEN)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return a unit vector for each passage."""
        return self._embed_all(self._passage, texts)

    def embed_query(self, text: str) -> list[float]:
        """Return the unit vector of a question."""
        return self.embed_queries([text])[0]

    def embed_queries(self, texts: list[str]) -> list[list[float]]:
        """Return the unit vector of each question."""
        return self._embed_all(self._query, texts)

    def _embed_all(self, prefix: str, texts: list[str]) -> list[list[float]]:
        parts = [texts[at : at + self._batch_size] for at in range(0, len(texts), self._batch_size)]
        vectors = [self._embed([prefix + text for text in part]) for part in parts]
        return [list(map(float, vector)) for part in vectors for vector in part]

    def _embed(self, texts: Sequence[str]) -> np.ndarray:
        # Servers refuse an empty text; a space has a vector.
        asked = [text or " " for text in texts]
        try:
            answer: Any = self._client.embeddings.create(
                model=self._model, input=asked, encoding_format="float"
            )
            rows = sorted(answer.data, key=lambda row: int(row.index))
            vectors = np.array([row.embedding for row in rows], np.float32)
        except openai.APITimeoutError as error:
            raise timed_out(self._address, self._timeout) from error
        except openai.APIConnectionError as error:
            raise unreachable(self._address) from error
        except openai.APIStatusError as error:
            raise refused(self._address, self._model, self._key_name, error) from error
        except (openai.APIError, ValueError, TypeError, AttributeError) as error:
            raise not_understood(self._address) from error
        if vectors.ndim != 2 or len(vectors) != len(asked) or not np.isfinite(vectors).all():
            raise not_understood(self._address)
        if self._dimension and vectors.shape[1] != self._dimension:
            raise ModelFailed(
                f"The server at {self._address} now gives vectors of another size: it has another "
                "model than before, restart the bot."
            )
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: np.ndarray = vectors / np.maximum(lengths, 1e-12)
        return unit
