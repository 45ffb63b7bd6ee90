"""An embedding model in a process of its own, beside the bot's.

Its libraries take seconds of the interpreter's time to import, and a batch keeps it for as long:
in the bot's process every message would wait for that.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from rag.errors import ModelFailed, TeamglmError
from rag.models.embeddings import EmbeddingModel


class EmbeddingProcess(EmbeddingModel):
    """Embed in a child process; `load()` starts it, and it ends with this process or `close()`.

    A child that dies fails the call that it was at; the next call starts another.
    """

    def __init__(self, name: str, key: str, make: Callable[[], EmbeddingModel]) -> None:
        """`make` is called in the child and must be picklable."""
        self.name = name
        self.key = key
        self._dimension = 0
        self._make = make
        self._child: tuple[BaseProcess, Connection] | None = None
        self._loaded = False
        self._lock = threading.Lock()

    @property
    def dimension(self) -> int:
        """Numbers in a vector, once it is loaded."""
        return self._dimension

    def load(self) -> None:
        """Open the weights; blocking, takes seconds. Raise `ModelMissing` or `ModelFailed`."""
        with self._lock:
            if self._child is None:
                self._start()
            self._loaded = True

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._loaded = False
            self._end()

    def count_tokens(self, text: str) -> int:
        """Return how many tokens the model makes of a text, without its marks."""
        return int(self._call("count_tokens", text))

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return a unit vector for each passage."""
        vectors: list[list[float]] = self._call("embed_documents", texts)
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """Return the unit vector of a question."""
        vector: list[float] = self._call("embed_query", text)
        return vector

    def _call(self, name: str, argument: Any) -> Any:
        with self._lock:
            if not self._loaded:
                raise ModelFailed(f"The embedding model {self.name} is not loaded.")
            connection = self._start() if self._child is None else self._child[1]
            return self._ask(connection, name, argument)

    def _start(self) -> Connection:
        # Not forked: threads and locks of this process must not be in the child.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        child = context.Process(target=_serve, args=(theirs, self._make), daemon=True)
        child.start()
        theirs.close()
        self._child = child, ours
        try:
            self._dimension = self._ask(ours, "dimension", None)
        except TeamglmError:
            self._end()
            raise
        return ours

    def _ask(self, connection: Connection, name: str, argument: Any) -> Any:
        try:
            connection.send((name, argument))
            result, error = connection.recv()
        except (EOFError, OSError) as broken:
            self._end()
            raise ModelFailed(
                f"The process of the embedding model {self.name} ended: try again; if it goes on, "
                "there may be too little memory."
            ) from broken
        if error is not None:
            raise error
        return result

    def _end(self) -> None:
        if self._child is not None:
            child, connection = self._child
            self._child = None
            connection.close()
            child.terminate()
            child.join()


def _serve(connection: Connection, make: Callable[[], EmbeddingModel]) -> None:
    """Answer calls until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the bot, which ends this too
    model: EmbeddingModel | None = None
    with contextlib.suppress(EOFError, OSError):
        while True:
            name, argument = connection.recv()
            answer: tuple[Any, TeamglmError | None]
            try:
                if model is None:
                    opening = make()
                    opening.load()
                    model = opening
                called = getattr(model, name)
                answer = (called if name == "dimension" else called(argument), None)
            except TeamglmError as error:
                answer = (None, error)
            except Exception as error:
                answer = (None, ModelFailed(f"The embedding model failed: {error}"))
            connection.send(answer)
