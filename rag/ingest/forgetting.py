"""Forgetting documents: at once for whoever asks next, then without a trace, with a receipt."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rag.audience import Audience
from rag.errors import StoreUnavailable
from rag.ingest.blobs import Blobs, is_kept, is_watched
from rag.ingest.ledger import Ledger
from rag.ingest.staging import IndexedChunk, Staging
from rag.ingest.standing import Standing
from rag.records import DocumentUnknown
from rag.store import PassageIndex

log = logging.getLogger(__name__)

_NEAREST = 100


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was forgotten; `verified` says that looking for it found nothing."""

    document: str
    versions: int
    chunks: int
    rows: int
    """Rows of the index that were removed."""
    files: int
    """Kept files that were removed: none where the bytes are another document's too."""
    verified: bool
    erased: bool
    """Whether nothing is left in the index's files either; else it leaves them soon."""


@dataclass(frozen=True, slots=True)
class _Removed:
    standing: Standing
    versions: dict[str, int]
    rows: set[str]
    files: int
    some: list[IndexedChunk]


class Forgetting:
    """Removes documents; `tidy` is held while contents are staged or discarded."""

    def __init__(
        self,
        ledger: Ledger,
        staging: Staging,
        blobs: Blobs,
        index: Callable[[], tuple[PassageIndex, str]],
        tidy: threading.Lock,
        erase: Callable[[], bool],
    ) -> None:
        self._ledger = ledger
        self._staging = staging
        self._blobs = blobs
        self._index = index
        self._tidy = tidy
        self._erase = erase

    def forget(self, document_id: str, audience: Audience) -> Receipt:
        """Delete a document and all that was made of it; raise `DocumentUnknown`.

        A watched file stays where it is, and stays forgotten until its bytes change.
        """
        standing = self._ledger.standing(document_id)
        if standing is None or not audience.sees(standing.address.scope):
            raise DocumentUnknown(document_id)
        removed = self._remove(standing, bury=is_watched(standing.address.source), for_good=True)
        return self._receipt(removed, self._erased())

    def forget_user(self, user: str) -> list[Receipt]:
        """Delete every document that a person taught."""
        taught = self._ledger.taught_by(user)
        removed = [self._remove(standing, bury=False, for_good=True) for standing in taught]
        erased = not removed or self._erased()
        return [self._receipt(each, erased) for each in removed]

    def drop(self, document_id: str) -> None:
        """Delete a document whose file is gone; if the file comes back, it is learned again."""
        standing = self._ledger.standing(document_id)
        if standing is not None:
            self._remove(standing, bury=False, for_good=False)
            self._ledger.graves.scrub()

    def _remove(self, standing: Standing, *, bury: bool, for_good: bool) -> _Removed:
        document_id = standing.id
        self._ledger.hide(document_id, bury=bury, for_good=for_good)
        index, embedder = self._index()
        with self._tidy:
            versions = self._ledger.versions(document_id)
            rows = self._staging.row_ids(versions)
            some = next(self._staging.indexed(sorted(rows)[:1], embedder), [])
            self._staging.discard(versions)
        # After the records, so that a rebuild in between cannot bring a row back.
        index.delete(rows)
        self._ledger.remove(document_id)
        files = self.release(standing, standing.incoming or "")
        return _Removed(standing, versions, rows, files, some)

    def _erased(self) -> bool:
        """Overwrite what deleting leaves in files; False if that comes later."""
        try:
            index = self._erase()
        except StoreUnavailable as error:  # forgotten it is; its bytes go at the next try
            log.warning("what was forgotten is still in the index's files: %s", error)
            index = False
        return self._ledger.graves.scrub() and index

    def _receipt(self, removed: _Removed, erased: bool) -> Receipt:
        """Look for what was removed, and say what was found."""
        return Receipt(
            removed.standing.address.name,
            len(removed.versions),
            sum(removed.versions.values()),
            len(removed.rows),
            removed.files,
            self._is_gone(removed.standing, removed.rows, removed.some),
            erased,
        )

    def release(self, standing: Standing, key: str) -> int:
        """Delete a document's blobs where nothing needs them any more; return how many."""
        dropped = 0
        if is_kept(standing.address.source):
            with self._tidy:
                for content in {standing.content or "", key}:
                    blob = content.partition("#")[0]
                    if blob and not self._staging.needs_blob(blob):
                        dropped += self._blobs.drop(blob)
        return dropped

    def _is_gone(self, standing: Standing, rows: set[str], some: list[IndexedChunk]) -> bool:
        """Look for a document in the records and, as a question would, in the index."""
        index, _ = self._index()
        found: set[str] = set()
        for chunk in some:
            vector = np.frombuffer(chunk.vector, np.float32).tolist()
            nearest = index.search_dense(vector, frozenset({standing.address.scope}), _NEAREST)
            found |= {row_id for row_id, _ in nearest}
        return (
            self._ledger.standing(standing.id) is None
            and not self._ledger.versions(standing.id)
            and not found & rows
            and index.verify_absent(standing.id)
        )
