"""Models for finding in processes of their own, beside the bot's.

Their libraries take seconds of the interpreter's time to import, and a batch keeps it for as long:
in the bot's process every message would wait for that.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from rag.errors import ModelFailed, ModelTrouble, TeamglmError
from rag.models.embeddings import EmbeddingModel
from rag.models.reranker import CrossEncoderReranker


class Loadable(Protocol):
    """What a process opens once, and is then asked for."""

    def load(self) -> None:
        """Open it; blocking. Raise `ModelMissing` or `ModelFailed`."""


class ModelProcess:
    """A model in a child process: `open` starts it, and it ends with this process or `close`.

    A child that dies fails the call that it was at; the next call starts another. `what` names the
    model in sentences, and `make` is called in the child and must be picklable.
    """

    def __init__(self, what: str, make: Callable[[], Loadable]) -> None:
        self._what = what
        self._make = make
        self._child: tuple[BaseProcess, Connection] | None = None
        self._open = False
        self._lock = threading.Lock()

    def open(self) -> None:
        """Open the model; blocking, takes seconds. Raise `ModelMissing` or `ModelFailed`."""
        with self._lock:
            if self._child is None:
                self._start()
            self._open = True

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._open = False
            self._end()

    def call(self, name: str, *arguments: Any) -> Any:
        """Return what a method of the model returns, or a property; raise `ModelFailed`."""
        with self._lock:
            if not self._open:
                raise ModelFailed(f"The {self._what} is not loaded.", ModelTrouble.CLOSED)
            connection = self._start() if self._child is None else self._child[1]
            return self._ask(connection, name, arguments)

    def _start(self) -> Connection:
        # Not forked: threads and locks of this process must not be in the child.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        child = context.Process(target=_serve, args=(theirs, self._make, self._what), daemon=True)
        child.start()
        theirs.close()
        self._child = child, ours
        try:
            self._ask(ours, "load", ())
        except TeamglmError:
            self._end()
            raise
        return ours

    def _ask(self, connection: Connection, name: str, arguments: tuple[Any, ...]) -> Any:
        try:
            connection.send((name, arguments))
            result, error = connection.recv()
        except (EOFError, OSError) as broken:
            self._end()
            raise ModelFailed(
                f"The process of the {self._what} ended: try again; if it goes on, there may be "
                "too little memory.",
                ModelTrouble.ANSWERING,
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


class EmbeddingProcess(EmbeddingModel):
    """An embedding model in a process of its own; `make` as in `ModelProcess`."""

    def __init__(self, name: str, key: str, make: Callable[[], EmbeddingModel]) -> None:
        self.name = name
        self.key = key
        self._dimension = 0
        self._process = ModelProcess(f"embedding model {name}", make)

    @property
    def dimension(self) -> int:
        """Numbers in a vector, once it is loaded."""
        return self._dimension

    def load(self) -> None:
        """Open the weights; blocking, takes seconds. Raise `ModelMissing` or `ModelFailed`."""
        self._process.open()
        self._dimension = int(self._process.call("dimension"))

    def close(self) -> None:
        """End the process."""
        self._process.close()

    def count_tokens(self, text: str) -> int:
        """Return how many tokens the model makes of a text, without its marks."""
        return int(self._process.call("count_tokens", text))

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return a unit vector for each passage."""
        vectors: list[list[float]] = self._process.call("embed_documents", texts)
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """Return the unit vector of a question."""
        vector: list[float] = self._process.call("embed_query", text)
        return vector


class RerankerProcess:
    """A cross-encoder in a process of its own; `make` as in `ModelProcess`."""

    def __init__(self, name: str, make: Callable[[], CrossEncoderReranker]) -> None:
        self._process = ModelProcess(f"reranker {name}", make)

    def load(self) -> None:
        """Open the weights; blocking, takes seconds. Raise `ModelMissing` or `ModelFailed`."""
        self._process.open()

    def close(self) -> None:
        """End the process."""
        self._process.close()

    def score(self, question: str, passages: Sequence[str]) -> list[float]:
        """Return how well each passage answers the question, from 0 to 1."""
        scores: list[float] = self._process.call("score", question, list(passages))
        return scores


def _serve(connection: Connection, make: Callable[[], Loadable], what: str) -> None:
    """Answer calls until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the bot, which ends this too
    model: Loadable | None = None
    with contextlib.suppress(EOFError, OSError):
        while True:
            name, arguments = connection.recv()
            answer: tuple[Any, TeamglmError | None]
            try:
                model = model or make()
                member = getattr(model, name)
                answer = (member(*arguments) if callable(member) else member, None)
            except TeamglmError as error:
                answer = (None, error)
            except Exception as error:
                text = f"The {what} failed: {error}"
                answer = (None, ModelFailed(text, ModelTrouble.ANSWERING))
            connection.send(answer)
