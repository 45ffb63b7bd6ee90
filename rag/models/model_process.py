"""Models for finding in processes of their own, beside the bot's.

Their libraries take seconds of the interpreter's time to import, and a batch keeps it for as long:
in the bot's process every message would wait for that.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
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
    """A model in a child process: `begin` or `open` starts it, and it ends with this or `close`.

    A child that dies fails the call that it was at; the next call starts another. `what` names the
    model in sentences, and `make` is called in the child and must be picklable.
    """

    def __init__(self, what: str, make: Callable[[], Loadable]) -> None:
        self._what = what
        self._make = make
        self._child: tuple[BaseProcess, Connection] | None = None
        self._loaded = False
        self._open = False
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Start the child and let it open the model meanwhile; `open` waits for that."""
        with self._lock:
            if self._child is None:
                self._start()

    def open(self) -> None:
        """Open the model; blocking, takes seconds. Raise `ModelMissing` or `ModelFailed`."""
        with self._lock:
            self._ready()
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
            connection = self._ready()
            with self._ending():
                connection.send((name, arguments))
                return self._answer(connection)

    def _start(self) -> Connection:
        # Not forked: threads and locks of this process must not be in the child.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        child = context.Process(target=_serve, args=(theirs, self._make, self._what), daemon=True)
        child.start()
        theirs.close()
        self._child, self._loaded = (child, ours), False
        return ours

    def _ready(self) -> Connection:
        """Return the connection to a child whose model is open."""
        connection = self._start() if self._child is None else self._child[1]
        if not self._loaded:
            try:
                with self._ending():
                    self._answer(connection)
            except TeamglmError:
                self._end()
                raise
            self._loaded = True
        return connection

    def _answer(self, connection: Connection) -> Any:
        result, error = connection.recv()
        if error is not None:
            raise error
        return result

    @contextlib.contextmanager
    def _ending(self) -> Iterator[None]:
        """Say what it means that the child is gone."""
        try:
            yield
        except (EOFError, OSError) as broken:
            self._end()
            raise ModelFailed(
                f"The process of the {self._what} ended: try again; if it goes on, there may be "
                "too little memory.",
                ModelTrouble.ANSWERING,
            ) from broken

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

    def begin(self) -> None:
        """Start the process, which opens the weights meanwhile."""
        self._process.begin()

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

    def embed_queries(self, texts: list[str]) -> list[list[float]]:
        """Return the unit vector of each question."""
        vectors: list[list[float]] = self._process.call("embed_queries", texts)
        return vectors


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
    """Open the model and say how that went; then answer calls until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the bot, which ends this too
    with contextlib.suppress(EOFError, OSError):
        gc.disable()  # what is imported stays: looking through it takes a fifth of the time
        try:
            model = make()
            model.load()
        except Exception as error:
            connection.send((None, _told(error, what)))
            return
        finally:
            gc.freeze()
            gc.enable()
        connection.send((None, None))
        while True:
            name, arguments = connection.recv()
            answer: tuple[Any, TeamglmError | None]
            try:
                member = getattr(model, name)
                answer = (member(*arguments) if callable(member) else member, None)
            except Exception as error:
                answer = (None, _told(error, what))
            connection.send(answer)


def _told(error: Exception, what: str) -> TeamglmError:
    if isinstance(error, TeamglmError):
        return error
    return ModelFailed(f"The {what} failed: {error}", ModelTrouble.ANSWERING)
