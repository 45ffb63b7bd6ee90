"""The index made anew in the background, for another model too, while the old one answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from langchain_core.embeddings import Embeddings

from rag.ingest.activity import Activity
from rag.ingest.flow import Progress, as_vectors, index_row
from rag.ingest.ledger import Ledger
from rag.ingest.staging import Staging
from rag.ingest.vectors import Vectors
from rag.records import embedded_text
from rag.store import PassageIndex, Replacement

_EMBED_TEXTS = 8
_FOR_EVER = -1.0


class Rebuilding:
    """Fills replacements of the index from the records; one at a time, from any thread.

    `alone` holds back whatever else changes records or index, or raises `TimeoutError` if that
    took longer than it was told to wait; `pause` lets questions go first.
    """

    def __init__(
        self,
        staging: Staging,
        vectors: Vectors,
        alone: Callable[[float], AbstractContextManager[None]],
        pause: Callable[[], None],
        activity: Activity,
    ) -> None:
        self._staging = staging
        self._vectors = vectors
        self._alone = alone
        self._pause = pause
        self._activity = activity
        self._one = threading.Lock()
        self._erasing = threading.Lock()

    def again(
        self, current: Callable[[], tuple[PassageIndex, str]], progress: Progress | None
    ) -> int:
        """Make the current embedder's index anew without the embedder; return its passages."""
        with self._one:
            return self._again(current, progress)

    def erase(
        self,
        current: Callable[[], tuple[PassageIndex, str]],
        ledger: Ledger,
        patience: float,
    ) -> bool:
        """Leave nothing of forgotten documents in the index's files; False if that comes later.

        Milvus Lite never removes deleted rows from its files at once: an index is written in its
        place, one for all who wait for it. A server purges its files itself.
        """
        with self._erasing:
            if not (pending := ledger.graves.unerased()):
                return True
            index, _ = current()
            if index.compact():
                ledger.graves.erased(pending)
                return False
            if not self._one.acquire(blocking=False):
                return False  # what is being made may have had it: once more when that is done
            try:
                self._again(current, None, patience)
            except TimeoutError:  # a long document is being learned
                return False
            finally:
                self._one.release()
            ledger.graves.erased(pending)
            return True

    def restored(
        self,
        current: Callable[[], tuple[PassageIndex, str]],
        other: Staging,
        put: Callable[[], None],
    ) -> None:
        """Make the index from other records, and let both take the place of what answers now."""
        with self._one, self._activity.working("rebuilding"):
            index, embedder = current()
            new = index.replacement()
            for batch in other.indexed(other.live_row_ids(embedder), embedder):
                self._pause()
                new.upsert([index_row(chunk) for chunk in batch])
            with self._alone(_FOR_EVER):
                put()
                new.publish()

    def with_model(
        self,
        index: PassageIndex,
        embeddings: Embeddings,
        embedder: str,
        switch: Callable[[Callable[[], None]], bool],
        progress: Progress | None,
    ) -> bool:
        """Embed all that answers with another model, and let its index answer from then on.

        `switch` gets what makes the records follow, to call it in a moment when nobody asks;
        False says that there was none. What was embedded before a crash isn't embedded again.
        """
        with self._one, self._activity.working("embedding"):
            self._embed(embeddings, embedder, progress)
            new = index.replacement()
            self._fill(new, embedder, None, answering=False)
            with self._alone(_FOR_EVER):
                self._embed(embeddings, embedder, None, waiting=False)
                self._settle(new, embedder, answering=False)
                new.publish()
                switched = switch(lambda: self._vectors.adopt(embedder))
            if switched:
                self._vectors.drop_others(embedder)
            return switched

    def _again(
        self,
        current: Callable[[], tuple[PassageIndex, str]],
        progress: Progress | None,
        patience: float = _FOR_EVER,
    ) -> int:
        with self._activity.working("rebuilding"):
            index, embedder = current()
            new = index.replacement()
            self._fill(new, embedder, progress)
            with self._alone(patience):
                count = self._settle(new, embedder)
                new.publish()
            return count

    def _fill(
        self, new: Replacement, embedder: str, progress: Progress | None, *, answering: bool = True
    ) -> None:
        live = self._staging.live_row_ids(embedder if answering else None)
        done = 0
        for batch in self._staging.indexed(live, embedder, answering=answering):
            self._activity.wait()
            self._pause()
            new.upsert([index_row(chunk) for chunk in batch])
            done += len(batch)
            self._activity.advance(done / len(live))
            if progress:
                progress(done, len(live))

    def _settle(self, new: Replacement, embedder: str, *, answering: bool = True) -> int:
        """Make good what was learned and forgotten meanwhile."""
        live = self._staging.live_row_ids(embedder if answering else None)
        present = new.ids()
        new.delete(present - live)
        for batch in self._staging.indexed(live - present, embedder, answering=answering):
            new.upsert([index_row(chunk) for chunk in batch])
        return len(live)

    def _embed(
        self,
        embeddings: Embeddings,
        embedder: str,
        progress: Progress | None,
        *,
        waiting: bool = True,
    ) -> None:
        left, total = self._vectors.unembedded(embedder)
        done = total - len(left)
        for start in range(0, len(left), _EMBED_TEXTS):
            if waiting:  # else others wait for us
                self._activity.wait()
                self._activity.advance((done + start) / total)
            if progress:
                progress(done + start, total)
            self._pause()
            batch = self._vectors.texts(left[start : start + _EMBED_TEXTS])
            texts = [embedded_text(section, text) for section, text in batch.values()]
            if texts:  # else forgotten meanwhile
                vectors = as_vectors(embeddings, texts)
                self._vectors.keep(dict(zip(batch, vectors, strict=True)), embedder)
        if progress:
            progress(total, total)
